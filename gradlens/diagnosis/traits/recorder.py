"""What the recorder's columns add: growth of the weights, length of the steps, lag of the second moment, penalty, batch, curvature."""

from __future__ import annotations

import numpy as np

from gradlens.diagnosis.traits.base import RECORDED, Array, Curves, Traits, logs, median, middle, named, windows

PARTS = 10


def recorder(c: Curves) -> Traits:
    """All traits of these columns; NaN where there are none."""
    nothing = np.full(len(c), np.nan)
    get = {name: c.recorded.get(name, nothing) for name in RECORDED}
    weight, update, ratio = get["weight_norm"], get["update_norm"], get["rms_ratio"]
    log_weight, log_step = logs(weight), logs(update) - logs(weight)
    known = log_weight[np.isfinite(log_weight)]
    begin = known[0] if len(known) else np.nan
    found = named("weight growth ", middle(windows(log_weight - begin, PARTS)))
    found |= named("step size ", middle(windows(log_step, PARTS)), 25.0)
    found |= named("second moment ", middle(windows(logs(ratio), PARTS)))
    out = logs(ratio)
    found |= {
        "weight growth most": float(np.clip(np.nanmax(np.append(known, np.nan)) - begin, -10, 30)) if len(known) else np.nan,
        "weight growth early": float(np.clip(median(log_weight[: max(len(c) // 20, 5)]) - begin, -10, 30)),
        "step size most": _top(log_step), "step size first": float(log_step[0]) if len(log_step) else np.nan,
        "update spread": float(np.clip(median(np.abs(np.diff(logs(update)))), 0, 8)),
        "update with norm": _with(logs(update), logs(c.norm)),
        "second moment most": _top(out), "second moment over 2": float(np.mean(out > np.log(2.0))) if np.isfinite(out).any() else np.nan,
        "second moment event": _event(out),
        "skipped": float(np.nanmean(get["skipped"])) if np.isfinite(get["skipped"]).any() else np.nan,
    }  # fmt: skip
    found |= _sensitivity(c, log_weight, logs(update))
    return found | _penalty(c, get["data_norm"]) | _batch(get["batch_size"]) | _own_batch(c, get)


def _sensitivity(c: Curves, weight: Array, update: Array) -> Traits:
    """Two numbers without units: what a step promises and what the weights' own length would do to the loss, over its descent.

    Norm times update bounds the fall that first order promises; norm times weights is large where a signal grows from layer to layer.
    """
    known = c.loss[np.isfinite(c.loss)]
    descent = median(known[: max(3, len(known) // 50)]) - float(np.min(known)) if len(known) else np.nan
    noise = median(np.abs(np.diff(known))) if len(known) > 1 else np.nan
    size = np.log(np.maximum(np.fmax(descent, noise), 1e-12))
    log = logs(c.norm)
    return named("promise ", middle(windows(log + update - size, 8)), 25.0) | named(
        "sensitivity ", middle(windows(log + weight - size, 8)), 25.0
    )


def _top(values: Array) -> float:
    good = values[np.isfinite(values)]
    return float(np.clip(np.max(good) - np.median(good), -5, 30)) if len(good) else np.nan


def _with(a: Array, b: Array) -> float:
    one, two = np.sign(np.diff(a)), np.sign(np.diff(b))
    both = one * two
    return float(np.nanmean(both)) if np.isfinite(both).any() else np.nan


def _event(ratio: Array) -> float:
    """How long the second moment lags after its largest lead: the level in the 20 rows after it, in logs."""
    if not np.isfinite(ratio).any():
        return np.nan
    at = int(np.nanargmax(ratio))
    return median(ratio[at + 1 : at + 21]) - median(ratio)


def _penalty(c: Curves, data: Array) -> Traits:
    if not np.isfinite(data).any():
        # A log of the recorder without this column has no coupled penalty.
        return {"penalty share": 0.0 if c.recorded else np.nan, "penalty share end": 0.0 if c.recorded else np.nan}
    share = logs(c.norm) - logs(data)
    return {
        "penalty share": float(np.clip(median(share), -3, 12)),
        "penalty share end": float(np.clip(median(share[-max(len(c) // 10, 3) :]), -3, 12)),
    }


def _batch(size: Array) -> Traits:
    log = logs(size)
    good = log[np.isfinite(log)]
    if len(good) < 4:
        return dict.fromkeys(("batch change", "batch change at", "batch kinds"), np.nan)
    levels = middle(windows(good, 20))
    step = np.diff(levels)
    at = int(np.argmax(np.abs(step)))
    return {"batch change": float(step[at]) if np.ptp(levels) > 0 else 0.0, "batch change at": at / len(step),
            "batch kinds": float(min(len(np.unique(good)), 20))}  # fmt: skip


def _own_batch(c: Curves, get: dict[str, Array]) -> Traits:
    """The loss of the same batch after the step, against before, and against what first order says."""
    before, after, slope = get["loss_before"], get["loss_after"], get["grad_dot_update"]
    before = (
        np.where(np.isfinite(before), before, c.loss)
        if np.isfinite(after).any() and not np.isfinite(before).any()
        else before
    )
    change = after - before
    probed = np.isfinite(change)
    names = (
        "own batch worse",
        "own batch change",
        "own batch worst",
        "curvature over slope",
        "curvature top",
        "slope up",
    )
    if probed.sum() < 3:
        bad = np.isfinite(before) & ~np.isfinite(after) & bool(c.recorded)
        share = float(bad.mean()) if "loss_after" in c.recorded else np.nan
        return named("curvature ", np.full(6, np.nan)) | dict.fromkeys(names, np.nan) | {"own batch lost": share}
    size = np.maximum(np.abs(slope), 1e-12)
    bent = np.clip((change - slope) / size, -100, 100)[probed]
    first = before[probed]
    level = max(abs(float(np.nanmedian(first))), 1e-12)
    values = (
        float(np.mean(change[probed] > 0)), float(np.arcsinh(median(change[probed]) / level * 100)),
        float(np.arcsinh(np.max(change[probed]) / level * 10)), float(np.arcsinh(median(bent))),
        float(np.arcsinh(np.quantile(bent[np.isfinite(bent)], 0.95))) if np.isfinite(bent).any() else np.nan,
        float(np.mean(slope[probed] > 0)),
    )  # fmt: skip
    lost = float(np.mean(~np.isfinite(after[np.isfinite(before)]))) if np.isfinite(before).any() else np.nan
    return (
        named("curvature ", np.arcsinh(middle(windows(bent, 6))))
        | dict(zip(names, values, strict=True))
        | {"own batch lost": lost}
    )

"""The numbers themselves: what is not finite, zero or repeated; the loss scale; the threshold; held-out losses; layers; the log."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gradlens.diagnosis.traits.base import Array, Curves, Traits, logs, median, middle, windows

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Evaluations that are compared with the training loss around them, at most.
MAX_PAIRS = 20


def numbers(c: Curves) -> Traits:
    """All traits of the numbers."""
    found = (
        _broken("loss", c.loss) | _broken("norm", c.norm) | _scale(c.scale) | _threshold(c) | _held_out(c) | _layers(c)
    )
    n = len(c)
    return found | {
        "rows": float(np.log(max(n, 1))),
        "interval": float(np.log(max(c.interval, 1e-9))),
        "restarts": float(min(c.restarts, 5)),
        "has loss": float(np.isfinite(c.loss).any()),
        "has norm": float(np.isfinite(c.norm).any()),
        "has rate": float(np.isfinite(c.rate).any()),
    }


def _broken(name: str, values: Array) -> Traits:
    n = max(len(values), 1)
    bad = ~np.isfinite(values)
    at = np.flatnonzero(bad)
    good = values[~bad]
    end = len(values) - 1 - int(np.argmax(~bad[::-1])) if len(good) else -1
    steps = np.diff(good)
    tail = values[-max(3, len(values) // 10) :]
    grown = np.nan
    if len(at) and at[0] >= 4:
        before = logs(np.abs(values[max(0, at[0] - 60) : at[0]]))
        grown = (
            float(np.clip(np.nanmax(np.append(before[-8:], np.nan)) - median(before), -5, 30))
            if np.isfinite(before[-8:]).any()
            else np.nan
        )
    zero = good == 0
    return {
        f"{name} bad": float(bad.mean()) if len(values) else np.nan,
        f"{name} bad at": float(at[0]) / n if len(at) else np.nan,
        f"{name} bad runs": float(np.log1p(np.sum(bad[1:] & ~bad[:-1]))),
        f"{name} bad tail": (len(values) - 1 - end) / n,
        f"{name} bad after growth": grown,
        f"{name} zero": float(zero.mean()) if len(good) else np.nan,
        f"{name} zero tail": float(np.mean(tail == 0)) if len(tail) else np.nan,
        f"{name} repeats": float(np.mean(steps == 0)) if len(steps) else np.nan,
        f"{name} ties": 1 - len(np.unique(good)) / len(good) if len(good) else np.nan,
        f"{name} top share": float(np.mean(good >= np.max(good) * 0.998)) if len(good) else np.nan,
    }


def _scale(scale: Array) -> Traits:
    log = logs(scale)[np.isfinite(scale)] / np.log(2.0) if np.isfinite(scale).any() else np.empty(0)
    names = ("scale range", "scale end", "scale falls", "scale rises", "scale last half", "scale lowest")
    if len(log) < 2:
        return dict.fromkeys(names, np.nan) | {"has scale": 0.0}
    log = np.where(np.isnan(log), -100.0, log)
    change = np.diff(log)
    half = log[len(log) // 2 :]
    values = (float(np.ptp(log)), float(log[-1] - log[0]), float(np.log1p(np.sum(change < -1e-6))), float(np.log1p(np.sum(change > 1e-6))),
              float(half[-1] - half[0]), float(log.min()))  # fmt: skip
    return {name: float(np.clip(v, -100, 60)) for name, v in zip(names, values, strict=True)} | {"has scale": 1.0}


def _threshold(c: Curves) -> Traits:
    names = ("clipped", "clipped late", "clipped early", "norm over threshold", "top over threshold", "at threshold")
    known = float(np.isfinite(c.threshold)) if not np.isnan(c.threshold) else np.nan
    norm = c.norm[np.isfinite(c.norm)]
    if not np.isfinite(c.threshold) or c.threshold <= 0 or not len(norm):
        return dict.fromkeys(names, np.nan) | {"clips": known}
    n = len(norm)
    over = norm > c.threshold
    log = logs(norm / c.threshold)
    values = (over.mean(), over[n // 2 :].mean(), over[: max(n // 10, 1)].mean(), median(log), float(np.nanmax(np.append(log, -20.0))),
              float(np.mean(np.abs(norm / c.threshold - 1) <= 0.002)))  # fmt: skip
    return {name: float(np.clip(v, -20, 20)) for name, v in zip(names, values, strict=True)} | {"clips": known}


def _held_out(c: Curves) -> Traits:
    at = np.flatnonzero(np.isfinite(c.held_out))
    names = (
        "held-out rise", "held-out best at", "held-out end gap", "held-out last slope", "held-out rise in noise", "training since best",
        "held-out apart",
    )  # fmt: skip
    if len(at) < 4:
        return dict.fromkeys(names, np.nan)
    values = c.held_out[at]
    best = int(np.argmin(values))
    descent = max(values[0] - values[best], 1e-3 * abs(values[0]), 1e-12)
    late = max(len(values) // 5, 1)
    train = median(c.loss[-max(len(c) // 10, 3) :])
    width = max(len(c) // 20, 3)
    near = median(c.loss[max(int(at[best]) - width, 0) : int(at[best]) + width])
    first = median(c.loss[: max(3, len(c) // 50)])
    noise = median(np.abs(np.diff(values))) / 0.9539 + 1e-12
    return {
        "held-out rise": float(np.clip(np.arcsinh((values[-late:].mean() - values[best]) / descent * 5), -2, 12)),
        "held-out best at": best / (len(values) - 1),
        "held-out end gap": float(np.clip(np.arcsinh((values[-late:].mean() - train) / descent), -5, 12)),
        "held-out last slope": float(
            np.clip((values[-late:].mean() - values[-2 * late : -late].mean()) / descent, -10, 10)
        ),
        "held-out rise in noise": float(np.clip((median(values[-3:]) - values[best]) / noise, -5, 200)),
        # Overfitting is a rise of one loss while the other falls.
        "training since best": float(np.clip((near - train) / max(abs(first - train), 1e-12), -5, 5)),
        "held-out apart": _apart(values, c.loss, at),
    }


def _apart(values: Array, loss: Array, at: NDArray[np.intp]) -> float:
    """By how much held-out and training loss drew apart from the first half of the evaluations to the end, over the range."""
    chosen = np.unique(np.linspace(0, len(values) - 1, MAX_PAIRS).round().astype(int))
    values, at, width = values[chosen], at[chosen], max(len(loss) // 20, 3)
    gap = np.array([v - median(loss[max(i - width, 0) : i + width]) for v, i in zip(values, at.tolist(), strict=True)])
    size, late = max(float(values.max() - values.min()), 1e-12), max(len(values) // 5, 2)
    return float(np.clip((median(gap[-late:]) - median(gap[: max(len(values) // 2, 2)])) / size, -10, 10))


def _layers(c: Curves) -> Traits:
    names = ("layers", "layers fade first", "layers fade end", "layers range", "layers change")
    if len(c.layers) < 2:
        return dict.fromkeys(names, np.nan)
    first, _, last = c.layers.T
    return {
        "layers": float(len(c.layers)),
        "layers fade first": float(np.clip(first[-1] - first[0], -30, 30)),
        "layers fade end": float(np.clip(last[-1] - last[0], -30, 30)),
        "layers range": float(np.clip(_largest(last) + _largest(-last), 0, 40)),
        "layers change": float(np.clip(_largest(last - first), -30, 30)),
    }


def _largest(values: Array) -> float:
    """The largest value that is known, NaN where none is."""
    known = values[~np.isnan(values)]
    return float(known.max()) if len(known) else float("nan")


def layer_levels(columns: list[Array]) -> Array:
    """(layers, 3): the median log norm of each layer in the first, a middle and the last tenth of the rows."""
    if not columns:
        return np.empty((0, 3))
    return np.array([middle(windows(logs(v), 10))[[0, 5, 9]] for v in columns])

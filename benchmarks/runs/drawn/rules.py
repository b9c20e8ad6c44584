"""The rules of `LABELS.md` on drawn runs: those of `benchmarks.runs.labels` where the fault is an old one, and the new ones here."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.runs import labels
from benchmarks.runs.drawn.faults import UNLISTED
from benchmarks.runs.drawn.lanes import Recorded
from benchmarks.runs.drawn.space import Setting
from benchmarks.runs.labels import HARM, INVISIBLE, MILD, UNCLEAR, Judged, Verdict
from benchmarks.runs.recording import smoothed

#: Columns of a log in the order in which they are kept; `val_loss` and `loss_scale` where a recipe logs them.
USUAL = ("step", "loss", "grad_norm", "lr", "loss_scale", "val_loss")
RECORDER = (
    "weight_norm",
    "update_norm",
    "rms_ratio",
    "data_norm",
    "loss_before",
    "loss_after",
    "grad_dot_update",
    "batch_size",
    "skipped",
)

ACCEPTED: dict[str, tuple[str, ...]] = {name: tuple(causes) for name, causes in labels.ACCEPTED.items()} | {
    "lr_too_high": ("exploding", "recurring_instability"),
    "recurring_instability": ("lr_too_high",),
    "clip_before_unscale": ("clip_too_tight",),
    "lr_zero": ("not_learning",),
    "not_learning": ("lr_zero",),
    "schedule_mismatch": (),
    "nan_sudden": (),
    "overfitting": (),
}
#: Rises of the rate that were asked for look like those that were not.
PLANNED_JUMPS = frozenset({"warm_restarts", "doubled_restarts"})
SELF_EVIDENT = labels.SELF_EVIDENT | {
    "lr_zero",
    "schedule_mismatch",
    "nan_sudden",
    "not_learning",
    "clip_before_unscale",
}


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Run:
    """One run with its log as columns, its label and what the rules said."""

    setting: Setting
    recorded: Recorded
    faults: tuple[str, ...]
    table: Mapping[str, np.ndarray]
    judged: Judged
    verdict: Verdict


def logged(run: Recorded) -> dict[str, np.ndarray]:
    """The columns of the log, as the recipe logs them: sampled or averaged, rounded, smoothed."""
    r, c = run.recipe, run.columns
    n = len(c["loss"])
    rows = np.arange(r.every - 1, n, r.every) if r.average else np.arange(0, n, r.every)
    loss = smoothed(c["loss"].astype(float), r.smooth) if r.smooth else c["loss"].astype(float)
    shown = loss[: len(rows) * r.every].reshape(-1, r.every).mean(axis=1) if r.average else loss[rows]
    norm = c["shown_norm"][rows].astype(float)
    if r.decimals is not None:
        shown, norm = np.round(shown, r.decimals), np.round(norm, r.decimals)
    table = {
        "step": c["step"][rows] + (1 if r.average else 0), "loss": shown, "grad_norm": norm, "lr": c["lr"][rows].astype(float),
    }  # fmt: skip
    if r.precision == "fp16" and r.log_scale:
        table["loss_scale"] = c["scale"][rows].astype(float)
    if r.log_val:
        held_out = np.full(n + 1, np.nan)
        for at, value in run.evaluations:
            held_out[min(at, n)] = value
        begin = np.concatenate([[0], rows[:-1] + 1])
        table["val_loss"] = np.array([_last(held_out[a : b + 1]) for a, b in zip(begin, rows, strict=True)])
    table |= {
        name: c[name][rows].astype(float)
        for name in ("weight_norm", "update_norm", "rms_ratio", "loss_after", "skipped")
    }
    table["batch_size"] = c["batch_size"][rows].astype(float)
    table["grad_dot_update"] = c["dot"][rows].astype(float)
    table["loss_before"] = np.where(
        np.isfinite(table["loss_after"]) | (rows % 10 == 0), c["loss"][rows].astype(float), np.nan
    )
    if r.l2:
        table["data_norm"] = c["data_norm"][rows].astype(float)
    return table | {f"grad_norm/{name}": values[rows].astype(float) for name, values in run.layers.items()}


def _last(values: np.ndarray) -> float:
    known = values[~np.isnan(values)]
    return float(known[-1]) if len(known) else math.nan


def facts_of(run: Recorded) -> dict[str, Any]:
    """What was measured while training, whatever is logged."""
    r, c = run.recipe, run.columns
    loss, norm, data = (c[name].astype(float) for name in ("loss", "norm", "data_norm"))
    settled = norm[max(r.warmup if r.warmup < r.steps else 0, len(norm) // 20) :]
    settled = settled[np.isfinite(settled)]
    finite = norm[np.isfinite(norm)]
    data = data[np.isfinite(data)]
    clipped = settled > r.clip if r.clip is not None else np.zeros(0)
    return {
        "true_clip_rate": float(clipped.mean()) if len(clipped) else 0.0,
        "first_loss": float(np.median(loss[: max(5, len(loss) // 50)])),
        "final_loss": float(np.median(loss[-max(5, len(loss) // 20) :])),
        "median_true_norm": float(np.median(finite)) if len(finite) else math.nan,
        "max_true_norm": float(finite.max()) if len(finite) else math.nan,
        "median_data_norm": float(np.median(data)) if len(data) else math.nan,
        "diverged": not math.isfinite(float(loss[-1])) or not math.isfinite(float(c["weight_norm"][-1])),
        "evaluations": [[at, value] for at, value in run.evaluations],
    }


def judged_run(setting: Setting, run: Recorded, faults: tuple[str, ...], twin: Run | None) -> Run:
    """The run with its verdict; `twin` is the same without the fault."""
    r = run.recipe
    table = logged(run)
    label: dict[str, Any] = {
        "facts": facts_of(run), "first_step": r.first_step, "steps": r.steps, "log_every": r.every, "warmup": r.warmup,
        "bad_steps": list(r.bad_steps), "acted_steps": list(r.acted_steps), "clip": r.clip, "beta2": r.beta2,
        "resume": list(r.resume) if r.resume else None,
    }  # fmt: skip
    nothing = np.full(len(table["step"]), np.nan)
    judged = Judged(
        label=label, step=table["step"].astype(float), loss=table["loss"], norm=table["grad_norm"], rate=table["lr"],
        scale=run.columns["scale"][: len(nothing) * r.every : r.every].astype(float),
    )  # fmt: skip
    with np.errstate(all="ignore"):
        verdict = _judge(run, judged, table, faults, twin)
    label |= {"expected": verdict.expected, "manifested": verdict.manifested}
    return Run(setting=setting, recorded=run, faults=faults, table=table, judged=judged, verdict=verdict)


def _judge(
    run: Recorded, judged: Judged, table: Mapping[str, np.ndarray], faults: tuple[str, ...], twin: Run | None
) -> Verdict:
    enough = len(table["step"]) >= 5
    if not faults or twin is None:
        return _healthy(run, judged, table) if enough else _not_scored(UNCLEAR)
    if not enough:
        return _not_scored(UNCLEAR)
    lost = labels.lost_progress(judged, twin.judged)
    harm = bool(lost > HARM)
    if faults[0] in UNLISTED:
        return _unlisted(judged, twin.judged, faults[0], harm=harm, lost=lost)
    found: list[str] = []
    doubtful, evidence = False, {"lost_progress": lost}
    for name in faults:
        try:
            seen, unclear, why = RULES[name](run, judged, twin.judged, table, harm=harm)
        except (ValueError, IndexError, ZeroDivisionError):
            # Too short to be judged, or too little of it is finite or not zero.
            seen, unclear, why = False, True, {}
        doubtful = doubtful or unclear
        evidence |= why
        if seen:
            found.append(
                "recurring_instability" if why.get("recurs") else "lr_too_high" if why.get("instead") else name
            )
    if doubtful and not found:
        return Verdict(expected=UNCLEAR, manifested=False, harmful=harm, also_acceptable=[], evidence=evidence)
    if not found:
        return Verdict(
            expected=INVISIBLE if harm else MILD, manifested=False, harmful=harm, also_acceptable=[], evidence=evidence
        )
    also = {cause for name in found for cause in (name, *ACCEPTED.get(name, ()))} - {found[0]}
    if run.recipe.schedule in PLANNED_JUMPS:
        also |= {"lr_restart"}
    if len(faults) > 1 and harm:
        # A fault that did not take effect by its own rule may still have a part in the harm.
        also |= set(faults) - {found[0]}
    return Verdict(expected=found[0], manifested=True, harmful=harm, also_acceptable=sorted(also), evidence=evidence)


def _not_scored(word: str) -> Verdict:
    return Verdict(expected=word, manifested=None, harmful=False, also_acceptable=[], evidence={})


def _healthy(run: Recorded, judged: Judged, table: Mapping[str, np.ndarray]) -> Verdict:
    """The rules of healthy runs, and: no planned jump of the rate, no risen validation loss in the log, little clipping."""
    verdict = labels.judge_healthy(judged, None)
    if verdict.expected != "healthy":
        return verdict
    odd = run.recipe.schedule in PLANNED_JUMPS or labels.clip_rate(judged) >= 0.3
    odd = odd or (run.recipe.log_val and overfitted(judged)[0])
    return _not_scored(UNCLEAR) if odd else verdict


def baselines(values: np.ndarray, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Median and `labels.deviation` of the `width` values before each, (n,) each; NaN and infinity where one is not finite."""
    n = len(values)
    middle, size = np.full(n, np.nan), np.full(n, np.inf)
    if n > width:
        before = np.lib.stride_tricks.sliding_window_view(values, width)[:-1]
        good = np.isfinite(before).all(axis=1)
        known = before[good]
        centre = np.median(known, axis=1)
        away = np.median(np.abs(known - centre[:, None]), axis=1)
        at = np.flatnonzero(good) + width
        middle[at], size[at] = centre, 1.4826 * away + 1e-9 * np.abs(known).max(axis=1) + 1e-12
    for i in (i for i in range(n) if np.isnan(middle[i])):
        near = values[max(0, i - width) : i]
        if len(near) and np.isfinite(near).any():
            middle[i], size[i] = float(np.nanmedian(near)), labels.deviation(near)
    return middle, size


def spikes(values: np.ndarray) -> int:
    """The same as `labels.spikes`, all windows at once."""
    middle, size = baselines(values, 100)
    over = np.isfinite(values) & (values > middle + 7 * size)
    return int((~np.isfinite(values)).sum() + over[30:].sum())


def shows(judged: Judged, twin: Judged) -> bool:
    """Whether the logged loss shows harm, by the rule of `lr_too_high`."""
    return bool(
        labels.training_lost(judged, twin) > HARM
        or labels.training_rebound(judged) > labels.REBOUND
        or spikes(judged.loss) >= spikes(twin.loss) + 5
    )


def _unlisted(judged: Judged, twin: Judged, name: str, *, harm: bool, lost: float) -> Verdict:
    evidence = {"lost_progress": lost}
    if harm and shows(judged, twin):
        near = list(UNLISTED[name][1])
        return Verdict(expected="unknown", manifested=True, harmful=True, also_acceptable=near, evidence=evidence)
    return Verdict(
        expected=INVISIBLE if harm else MILD, manifested=False, harmful=harm, also_acceptable=[], evidence=evidence
    )


def recovering_spikes(loss: np.ndarray) -> int:
    """Separate spikes of seven local deviations whose loss is back within 5 % of the rows, in the later nine tenths."""
    n, count, free = len(loss), 0, 0
    window = max(10, n // 20)
    middle, size = baselines(loss, 60)
    over = np.flatnonzero(loss > middle + 7 * size)
    for i in over[(over >= max(30, n // 10)) & (over < n - window)].tolist():
        if i < free:
            continue
        after = loss[i + 1 : i + 1 + window]
        back = np.flatnonzero(after <= middle[i] + 2 * size[i])
        if len(back):
            count, free = count + 1, i + 1 + int(back[0]) + 5
    return count


def overfitted(judged: Judged) -> tuple[bool, dict[str, float]]:
    """Whether the evaluation ends well above its best, which lies in the first seven tenths, while the training loss fell on."""
    values = judged.evaluations
    if len(values) < 10 or not np.isfinite(values).all():
        return False, {}
    best = int(values.argmin())
    descent = float(values[0] - values[best])
    rise = float(values[-5:].mean() - values[best])
    loss = judged.loss
    cut = round(len(loss) * best / len(values))
    then = float(np.median(loss[max(0, cut - len(loss) // 20) : cut + max(3, len(loss) // 20)]))
    fell = float(np.median(loss[-max(3, len(loss) // 20) :])) < then
    seen = best <= 0.7 * len(values) and rise >= 0.15 * max(descent, 0.02 * abs(float(values[0]))) and fell
    return bool(seen), {"val_rise": rise, "val_descent": descent}


def _old(name: str) -> Callable[..., labels.Finding]:
    def rule(
        run: Recorded, judged: Judged, twin: Judged, table: Mapping[str, np.ndarray], *, harm: bool
    ) -> labels.Finding:
        del run, table
        return labels.RULES[name](judged, twin, harm=harm)

    return rule


def _lr_too_high(
    run: Recorded, judged: Judged, twin: Judged, table: Mapping[str, np.ndarray], *, harm: bool
) -> labels.Finding:
    """As before; where the loss spikes four times and recovers, without lasting harm, the instability recurs."""
    if not judged.diverged:
        mine, others = recovering_spikes(judged.loss), recovering_spikes(twin.loss)
        recurs = mine >= 4 and mine >= 3 * others
        if recurs and labels.training_rebound(judged) <= labels.REBOUND:
            return True, False, {"recurs": True, "spikes": mine}
    why = {
        "training_lost": labels.training_lost(judged, twin), "training_rebound": labels.training_rebound(judged), "instead": True,
    }  # fmt: skip
    return harm and shows(judged, twin), False, why


def _lr_zero(
    run: Recorded, judged: Judged, twin: Judged, table: Mapping[str, np.ndarray], *, harm: bool
) -> labels.Finding:
    share = float((judged.rate[-max(3, len(judged.rate) // 10) :] == 0).mean())
    return share == 1.0, False, {"zero_share": float((judged.rate == 0).mean())}


def _schedule(
    run: Recorded, judged: Judged, twin: Judged, table: Mapping[str, np.ndarray], *, harm: bool
) -> labels.Finding:
    rate = judged.rate
    peak, low = float(rate.max()), float(rate.min())
    bottom = int(rate[::-1].argmin())
    if run.recipe.wraps:
        floor = int(rate.argmin())
        return (
            bool(rate[floor:].max() >= 0.3 * peak and low < 0.2 * peak and floor < 0.9 * len(rate)),
            False,
            {"floor": floor},
        )
    if run.recipe.warmup >= 0.8 * run.recipe.steps:
        return bool(rate[-1] >= rate[0] and int(rate.argmax()) >= 0.8 * len(rate)), False, {}
    tail = float((rate <= 0.06 * peak).mean())
    return tail >= 0.4, False, {"tail_share": tail, "bottom": bottom}


def _nan_sudden(
    run: Recorded, judged: Judged, twin: Judged, table: Mapping[str, np.ndarray], *, harm: bool
) -> labels.Finding:
    bad = np.flatnonzero(~np.isfinite(judged.loss) | ~np.isfinite(judged.norm))
    if not len(bad):
        return False, False, {}
    first = int(bad[0])
    before, level = judged.norm[max(0, first - 20) : first], judged.norm[max(0, first - 100) : first]
    grown = bool(len(before)) and float(before.max()) > 5 * float(np.median(level))
    return not grown, grown, {"first_row": first}


def _clip_before_unscale(
    run: Recorded, judged: Judged, twin: Judged, table: Mapping[str, np.ndarray], *, harm: bool
) -> labels.Finding:
    scale = run.columns["scale"]
    changes = float(scale.max() / max(scale.min(), 1e-30))
    return "loss_scale" in table or changes >= 2, False, {"scale_changes": changes}


def _not_learning(
    run: Recorded, judged: Judged, twin: Judged, table: Mapping[str, np.ndarray], *, harm: bool
) -> labels.Finding:
    share = float((judged.norm[-max(3, len(judged.norm) // 10) :] == 0).mean())
    return share == 1.0, False, {"zero_norms": share}


def _overfitting(
    run: Recorded, judged: Judged, twin: Judged, table: Mapping[str, np.ndarray], *, harm: bool
) -> labels.Finding:
    seen, why = overfitted(judged)
    return seen, False, dict(why)


RULES: dict[str, Callable[..., labels.Finding]] = {name: _old(name) for name in labels.RULES} | {
    "lr_too_high": _lr_too_high,
    "recurring_instability": _lr_too_high,
    "lr_zero": _lr_zero,
    "schedule_mismatch": _schedule,
    "nan_sudden": _nan_sudden,
    "clip_before_unscale": _clip_before_unscale,
    "not_learning": _not_learning,
    "overfitting": _overfitting,
}

"""The rules of LABELS.md as code: from a run's log and facts, and its twin's, to what the diagnosis should say."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.runs.recording import Row

MILD = "healthy or mild"
UNCLEAR = "unclear"
INVISIBLE = "harmed, cause not visible in the scalars"

HARM = 0.05
LEARNED = 0.10
REBOUND = 0.35
CALIBRATION = 0.005
HIGH_CLIP = 0.6

ACCEPTED = {
    "lr_too_high": ["exploding"],
    "exploding": ["lr_too_high"],
    "no_warmup": ["lr_too_high"],
    "clip_too_loose": ["bad_data"],
    "postclip_logged": ["clip_too_tight"],
    "adam_beta2_lag": ["data_shift"],
    "fp16_overflow": ["loss_scale_collapse"],
    "loss_scale_collapse": ["fp16_overflow"],
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Judged:
    """A run as the rules see it: columns of its log by name, and its label so far."""

    label: dict[str, Any]
    step: np.ndarray
    loss: np.ndarray
    norm: np.ndarray
    rate: np.ndarray
    scale: np.ndarray

    @property
    def facts(self) -> dict[str, Any]:
        """What was measured while training."""
        facts: dict[str, Any] = self.label["facts"]
        return facts

    @property
    def evaluations(self) -> np.ndarray:
        """Evaluations in order, shape (n,)."""
        pairs: list[tuple[int, float]] = self.facts["evaluations"]
        values: np.ndarray = np.array([value for _, value in pairs], dtype=float)
        return values

    @property
    def final(self) -> float:
        """Mean of the last four evaluations; NaN where the run ended non-finite."""
        return math.nan if self.diverged else float(self.evaluations[-4:].mean())

    @property
    def progress(self) -> float:
        """How much the evaluation fell."""
        return float(self.evaluations[0]) - self.final

    @property
    def diverged(self) -> bool:
        """The last loss or the last evaluation is not finite."""
        return bool(self.facts["diverged"]) or not math.isfinite(self.evaluations[-1])

    def row_of(self, step: int) -> int:
        """First row that shows a true step (counted from 0): its own, or the next that is logged."""
        wanted = step + int(self.label["first_step"])
        return int(np.argmax(self.step >= wanted)) if (self.step >= wanted).any() else len(self.step)


def judged(label: dict[str, Any], rows: list[Row]) -> Judged:
    """Take the columns out of the rows of a log."""

    def column(name: str) -> np.ndarray:
        return np.array([row.get(name, math.nan) for row in rows], dtype=float)

    return Judged(
        label=label,
        step=column("step"),
        loss=column("loss"),
        norm=column("grad_norm"),
        rate=column("lr"),
        scale=column("loss_scale"),
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """`manifested` None stands for a run without a fault, `expected` for what the diagnosis should say."""

    expected: str
    manifested: bool | None
    harmful: bool
    also_acceptable: list[str]
    evidence: dict[str, Any]


def rolling_median(values: np.ndarray, width: int) -> np.ndarray:
    """Median of each window of `width` values, shape (n - width + 1,); the whole median where there are fewer."""
    if len(values) <= width:
        return np.array([np.median(values)]) if len(values) else np.zeros(0)
    medians: np.ndarray = np.median(np.lib.stride_tricks.sliding_window_view(values, width), axis=1)
    return medians


def deviation(values: np.ndarray) -> float:
    """1.4826 times the median absolute deviation, and never quite zero."""
    values = values[np.isfinite(values)]
    if not len(values):
        return math.inf
    return float(1.4826 * np.median(np.abs(values - np.median(values)))) + 1e-9 * float(np.abs(values).max()) + 1e-12


def lost_progress(run: Judged, twin: Judged) -> float:
    """Share of the twin's progress that the run did not make; 1 where it ended non-finite."""
    if run.diverged:
        return 1.0
    return (run.final - twin.final) / max(twin.progress, 1e-12)


def training_lost(run: Judged, twin: Judged) -> float:
    """The same from the logged loss: medians of the first 2 % and the last 10 % of the rows."""
    if run.diverged:
        return 1.0
    start = float(np.median(twin.loss[: max(3, len(twin.loss) // 50)]))
    end, twin_end = (float(np.median(r.loss[-max(3, len(r.loss) // 10) :])) for r in (run, twin))
    return (end - twin_end) / max(start - twin_end, 1e-12)


def rebound(values: np.ndarray) -> float:
    """Largest rise above the lowest value so far, as a share of the fall from the first to the lowest."""
    if not np.isfinite(values).all():
        return math.inf
    lowest = np.minimum.accumulate(values)
    return float((values - lowest).max() / max(values[0] - values.min(), 1e-12))


def training_rebound(run: Judged) -> float:
    """Rebound of the loss after a rolling median over a fortieth of the rows, at least 25."""
    return rebound(rolling_median(run.loss, max(25, len(run.loss) // 40)))


def spikes(values: np.ndarray) -> int:
    """Values more than seven local deviations above the median of the 100 before; non-finite ones count."""
    count = int((~np.isfinite(values)).sum())
    for i in range(30, len(values)):
        before = values[max(0, i - 100) : i]
        if math.isfinite(values[i]) and values[i] > np.nanmedian(before) + 7 * deviation(before):
            count += 1
    return count


def around(values: np.ndarray, row: int, width: int = 30) -> tuple[float, float, float]:
    """Median of the rows before and from a place on, and the local deviation before it."""
    before, after = values[max(0, row - width) : row], values[row : row + width]
    if not len(before) or not len(after):
        return math.nan, math.nan, math.inf
    return float(np.median(before)), float(np.median(after)), deviation(values[max(0, row - 100) : row])


def visible_bad(run: Judged) -> int:
    """How many spoilt batches stand out in the log: loss 5 and norm 3 local deviations above both sides."""
    rows = {run.row_of(step) for step in run.label["bad_steps"]}
    seen = 0
    for row in rows:
        if row >= len(run.loss):
            continue
        near = [i for i in range(max(0, row - 50), min(len(run.loss), row + 51)) if i not in rows]
        loss, norm = run.loss[near], run.norm[near]
        seen += bool(
            not math.isfinite(run.norm[row])
            or (
                run.loss[row] > np.nanmedian(loss) + 5 * deviation(loss)
                and run.norm[row] > np.nanmedian(norm) + 3 * deviation(norm)
            )
        )
    return seen


def clip_rate(run: Judged) -> float:
    """Share of the steps after warm-up that were clipped, measured while training."""
    return float(run.facts["true_clip_rate"])


def nonfinite_share(run: Judged) -> float:
    """Share of the norms after the first 5 % of the rows that are not finite."""
    late = run.norm[len(run.norm) // 20 :]
    return float((~np.isfinite(late)).mean()) if len(late) else 0.0


# One function per cause: (manifested, unclear, evidence). `harm` says whether the run lost more than 5 %.
Finding = tuple[bool, bool, dict[str, Any]]


def _lr_too_high(run: Judged, twin: Judged, *, harm: bool) -> Finding:
    evidence = {
        "training_lost": training_lost(run, twin),
        "training_rebound": training_rebound(run),
        "loss_spikes": spikes(run.loss),
        "twin_loss_spikes": spikes(twin.loss),
    }
    shown = (
        evidence["training_lost"] > HARM
        or evidence["training_rebound"] > REBOUND
        or evidence["loss_spikes"] >= evidence["twin_loss_spikes"] + 5
    )
    return harm and shown, False, evidence


def _no_warmup(run: Judged, twin: Judged, *, harm: bool) -> Finding:
    early = max(2 * int(twin.label["warmup"]), int(run.label["steps"]) // 20) // int(run.label["log_every"])
    peak, twin_peak = (float(np.nanmax(rolling_median(r.loss[: early + 1], 5))) for r in (run, twin))
    fall = twin.facts["first_loss"] - twin.facts["final_loss"]
    excess = math.inf if run.diverged else (peak - twin_peak) / max(fall, 1e-12)
    return excess >= 0.10 or harm, False, {"early_excess": excess, "early_rows": early}


def _bad_data(run: Judged, twin: Judged, *, harm: bool) -> Finding:
    del twin, harm
    count, seen = len(run.label["bad_steps"]), visible_bad(run)
    return 2 * seen >= count, False, {"bad_steps": count, "visible_bad_steps": seen}


def _fp16_overflow(run: Judged, twin: Judged, *, harm: bool) -> Finding:
    del twin, harm
    share = nonfinite_share(run)
    return share >= 0.02, False, {"nonfinite_share": share}


def _loss_scale_collapse(run: Judged, twin: Judged, *, harm: bool) -> Finding:
    del twin, harm
    first = run.row_of(min(run.label["bad_steps"], default=0))
    before, end = float(run.scale[max(0, min(first, len(run.scale) - 1) - 1)]), float(run.scale[-1])
    return end < 1 and end < before / 1000, False, {"scale_before": before, "scale_end": end}


def _clip_too_tight(run: Judged, twin: Judged, *, harm: bool) -> Finding:
    del twin
    rate = clip_rate(run)
    return rate >= HIGH_CLIP or (rate >= 0.3 and harm), False, {"clip_rate": rate}


def _clip_too_loose(run: Judged, twin: Judged, *, harm: bool) -> Finding:
    count, seen = len(run.label["bad_steps"]), visible_bad(run)
    loose = (run.label["clip"] or 0) >= 10 * twin.facts["median_true_norm"] and clip_rate(run) <= 0.002
    heavy = run.facts["max_true_norm"] >= 10 * twin.facts["median_true_norm"]
    shown = 2 * seen >= count if count else harm and heavy
    return loose and shown, False, {"bad_steps": count, "visible_bad_steps": seen, "clip_rate": clip_rate(run)}


def _postclip_logged(run: Judged, twin: Judged, *, harm: bool) -> Finding:
    del twin, harm
    threshold = float(run.label["clip"])
    near = float((np.abs(run.norm / threshold - 1) <= 0.002).mean())
    return near >= 0.05, False, {"share_at_threshold": near, "largest_logged": float(np.nanmax(run.norm))}


def _exploding(run: Judged, twin: Judged, *, harm: bool) -> Finding:
    over = int((run.norm > 20 * twin.facts["median_true_norm"]).sum())
    return harm and (run.diverged or over >= 10), False, {"rows_over_20x_twin": over}


def _vanishing(run: Judged, twin: Judged, *, harm: bool) -> Finding:
    del harm
    stays = not run.diverged and run.final <= run.evaluations[0] + 0.1 * abs(run.evaluations[0])
    return stays and lost_progress(run, twin) >= 0.9, False, {"stays": stays}


def _l2_contamination(run: Judged, twin: Judged, *, harm: bool) -> Finding:
    del twin, harm
    inflation = run.facts["median_true_norm"] / max(run.facts["median_data_norm"], 1e-30)
    return inflation >= 2, 1.3 <= inflation < 2, {"inflation": inflation}


def _adam_beta2_lag(run: Judged, twin: Judged, *, harm: bool) -> Finding:
    del harm
    shock = run.row_of(run.label["acted_steps"][0])
    every = int(run.label["log_every"])
    memory = int(min(1 / (1 - run.label["beta2"]), run.label["steps"] / 4)) // every
    after, twin_after = (float(r.loss[shock + 1 : shock + 1 + memory].mean()) for r in (run, twin))
    before, twin_before = (float(r.loss[max(0, shock - memory) : shock].mean()) for r in (run, twin))
    level = max(abs(twin_after), 0.02 * abs(twin.facts["first_loss"] - twin.facts["final_loss"]))
    excess = (after - twin_after - max(0.0, before - twin_before)) / level if not run.diverged else math.inf
    return excess >= 0.10, False, {"excess_after_shock": excess, "rows_compared": memory}


def _lr_restart(run: Judged, twin: Judged, *, harm: bool) -> Finding:
    del twin, harm
    most: dict[str, Any] = {"rate_jump": 0.0, "loss_rise": 0.0, "norm_rise": 0.0}
    for step in run.label["acted_steps"]:
        row = run.row_of(step)
        if not 1 <= row < len(run.loss):
            continue
        window = slice(row, row + max(30, len(run.loss) // 20))
        before, _, spread = around(run.loss, row)
        norm_before, _, _ = around(run.norm, row)
        most["rate_jump"] = max(most["rate_jump"], float(run.rate[row] / run.rate[row - 1]) - 1)
        most["loss_rise"] = max(
            most["loss_rise"], (float(np.max(rolling_median(run.loss[window], 15))) - before) / spread
        )
        most["norm_rise"] = max(
            most["norm_rise"], float(np.max(rolling_median(run.norm[window], 15))) / norm_before - 1
        )
    seen = most["loss_rise"] >= 2 or most["norm_rise"] >= 0.25 or run.diverged
    return most["rate_jump"] >= 0.5 and seen, False, most


def _data_shift(run: Judged, twin: Judged, *, harm: bool) -> Finding:
    del twin, harm
    row = run.row_of(run.label["acted_steps"][0])
    before, after, spread = around(run.loss, row)
    jump = abs(after - before) / spread
    return jump >= 3, 1.5 <= jump < 3, {"loss_before": before, "loss_after": after, "loss_jump_in_deviations": jump}


def _batch_size_change(run: Judged, twin: Judged, *, harm: bool) -> Finding:
    del harm
    row = run.row_of(run.label["acted_steps"][0])
    change: dict[str, float] = {}
    for name, r in (("run", run), ("twin", twin)):
        before, after, _ = around(r.norm, row, 100)
        change[name] = after / before
        change[name + "_spread"] = deviation(np.diff(r.loss[row : row + 100])) / deviation(
            np.diff(r.loss[max(0, row - 100) : row])
        )
    level, spread = change["run"] / change["twin"], change["run_spread"] / change["twin_spread"]
    before, after, local = around(run.loss, row)
    moved = abs(after - before) / local
    seen = level >= 1.8 or level <= 0.6 or spread >= 3 or spread <= 1 / 3
    evidence = {"norm_level_change": level, "loss_spread_change": spread, "loss_jump_in_deviations": moved}
    return seen and moved < 3, seen and moved >= 3, evidence


def _resume_artifact(run: Judged, twin: Judged, *, harm: bool) -> Finding:
    del twin, harm
    repeated = len(run.step) - len(np.unique(run.step))
    back = np.flatnonzero(np.diff(run.step) <= 0)
    row = int(back[0]) + 1 if len(back) else run.row_of(run.label["resume"][0])
    before, after, spread = around(run.loss, row)
    bump = (after - before) / spread
    return bool(len(back)) or repeated > 0 or bump >= 3, False, {"repeated_steps": repeated, "bump_in_deviations": bump}


RULES: dict[str, Callable[..., Finding]] = {
    "lr_too_high": _lr_too_high,
    "no_warmup": _no_warmup,
    "bad_data": _bad_data,
    "fp16_overflow": _fp16_overflow,
    "loss_scale_collapse": _loss_scale_collapse,
    "clip_too_tight": _clip_too_tight,
    "clip_too_loose": _clip_too_loose,
    "postclip_logged": _postclip_logged,
    "exploding": _exploding,
    "vanishing": _vanishing,
    "l2_contamination": _l2_contamination,
    "adam_beta2_lag": _adam_beta2_lag,
    "lr_restart": _lr_restart,
    "data_shift": _data_shift,
    "batch_size_change": _batch_size_change,
    "resume_artifact": _resume_artifact,
}

# Visible in the numbers themselves, whatever became of the twin.
SELF_EVIDENT = frozenset(
    {"postclip_logged", "resume_artifact", "fp16_overflow", "loss_scale_collapse", "l2_contamination"}
)


def judge_healthy(run: Judged, reference: Judged | None) -> Verdict:
    """Judge a run that nothing was done to; `reference` is the same without clipping."""
    rise = rebound(run.evaluations)
    evidence: dict[str, Any] = {"rebound": rise, "nonfinite_share": nonfinite_share(run), "progress": run.progress}
    fine = (
        not run.diverged
        and evidence["nonfinite_share"] <= CALIBRATION
        and run.progress >= LEARNED * abs(float(run.evaluations[0]))
        and rise <= REBOUND
    )
    if reference is not None and fine:
        evidence["lost_to_clipping"] = lost_progress(run, reference)
        fine = evidence["lost_to_clipping"] <= HARM
    if clip_rate(run) >= HIGH_CLIP:
        evidence["harmless_high_clip"] = fine
        return Verdict(expected=MILD, manifested=None, harmful=False, also_acceptable=[], evidence=evidence)
    expected = "healthy" if fine else UNCLEAR
    return Verdict(expected=expected, manifested=None, harmful=False, also_acceptable=[], evidence=evidence)


def judge_fault(run: Judged, twin: Judged) -> Verdict:
    """Judge a run that something was done to against its twin."""
    fault = str(run.label["fault_kind"])
    lost = lost_progress(run, twin)
    harm = lost > HARM
    manifested, doubtful, evidence = RULES[fault](run, twin, harm=harm)
    evidence |= {"lost_progress": lost, "twin_expected": twin.label["expected"]}
    twin_fine = twin.label["expected"] == "healthy" or (fault == "adam_beta2_lag" and twin.label["manifested"])
    if doubtful or not (twin_fine or fault in SELF_EVIDENT):
        expected, manifested = UNCLEAR, False
    elif manifested:
        expected = fault
    else:
        expected = INVISIBLE if harm else MILD
    also = ACCEPTED.get(fault, []) if manifested else []
    return Verdict(expected=expected, manifested=manifested, harmful=harm, also_acceptable=also, evidence=evidence)

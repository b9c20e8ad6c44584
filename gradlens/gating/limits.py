"""The absolute limits of the gate: each candidate on its own against a number of the user's."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Sequence

import numpy as np

from gradlens.gating.judge import may_hide_nan
from gradlens.gating.settings import GateSettings
from gradlens.gating.summary import RunSummary
from gradlens.reports.gate import LimitResult, Outcome

#: Title of each limit, and what to do beyond it.
LIMIT_WORDS = {
    "max_clip_rate": (
        "limit on the clip rate",
        "More steps are cut than allowed: see `gradlens suggest-threshold`, and the learning rate first.",
    ),
    "max_spikes": ("limit on spikes", "Look at the batches of the spikes that `gradlens analyze` lists."),
    "max_nonfinite": ("limit on non-finite steps", "Find the first such step with `gradlens analyze`."),
    "max_loss": (
        "limit on the final loss",
        "The run ends worse than allowed: `gradlens analyze` names the likely cause.",
    ),
    "max_grad_norm": ("limit on the 99 % norm", "The largest norms are beyond the limit: look at their batches."),
}


def judge_limits(
    candidates: Sequence[RunSummary], settings: GateSettings, known: Collection[float | None] = ()
) -> tuple[LimitResult, ...]:
    """The absolute limits, each candidate on its own; `known` are the thresholds that the other side tells."""
    return tuple(result for run in candidates for result in _limits_of(run, settings, known))


def _limits_of(run: RunSummary, settings: GateSettings, known: Collection[float | None]) -> Iterator[LimitResult]:
    if settings.max_clip_rate is not None:
        yield _limit(run, "max_clip_rate", run.clip_rate, settings.max_clip_rate, why_not=_no_rate(run, known))
    if settings.max_spikes is not None:
        spikes = run.total("loss_spikes") + run.total("norm_spikes") if run.spikes_judged else None
        why_not = None if run.spikes_judged else "too few rows to tell spikes from noise"
        yield _limit(run, "max_spikes", spikes, settings.max_spikes, why_not=why_not)
    if settings.max_nonfinite is not None:
        nonfinite = run.total("nonfinite") + run.total("overflow") + run.nonfinite_left_out
        hidden = next(may_hide_nan(run), None) if nonfinite <= settings.max_nonfinite else None
        yield _limit(run, "max_nonfinite", nonfinite, settings.max_nonfinite, why_not=hidden)
    if settings.max_loss is not None:
        yield _limit(run, "max_loss", final_loss(run), settings.max_loss, why_not=_ends_badly(run))
    if settings.max_grad_norm is not None:
        yield _limit(run, "max_grad_norm", run.percentiles.get("99"), settings.max_grad_norm)


def final_loss(run: RunSummary) -> float | None:
    """The mean loss of the last fifth of the run, each row limited as in `loss_mean`; None without a finite loss there."""
    start, end = int(run.window[0]), int(run.window[-1]) + 1
    part = run.columns["loss_mean"][run.window >= end - max(1, round(0.2 * (end - start)))]
    part = part[np.isfinite(part)]
    return float(part.mean()) if len(part) else None


def _ends_badly(run: RunSummary) -> str | None:
    return run.ends_early.get("loss") or ("not finite at the end" if final_loss(run) is None else None)


def _no_rate(run: RunSummary, known: Collection[float | None]) -> str | None:
    if run.threshold is None:
        return "the run does not clip"
    if run.clip_rate is not None and run.threshold_source == "assumed" and run.threshold not in known:
        return "the threshold is not known: give --threshold, or none"
    return None if run.clip_trusted else run.provenance_reason or run.provenance


def _limit(run: RunSummary, name: str, value: float | None, limit: float, *, why_not: str | None = None) -> LimitResult:
    title, advice = LIMIT_WORDS[name]
    outcome: Outcome = "pass"
    if name == "max_clip_rate" and run.threshold is None:
        reason, value = "the run does not clip", None
    elif value is None or why_not is not None or not math.isfinite(value):
        outcome, reason, value = "inconclusive", f"cannot judge: {why_not or 'not in the log'}", None
    elif value <= limit:
        reason = "within the limit"
    else:
        outcome, reason = "fail", "above the limit"
    return LimitResult(
        name=name, title=title, outcome=outcome, reason=reason, run=run.id,
        value=None if value is None else float(value), limit=limit, advice=advice if outcome == "fail" else "",
    )  # fmt: skip

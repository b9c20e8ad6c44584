"""Which steps of both sides can be compared, and what to say where they are too few."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from gradlens.gating.settings import GateSettings
from gradlens.gating.summary import RunSummary
from gradlens.reports.gate import MetricResult
from gradlens.run import Notice

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Schedules count as one where the ratio of the learning rates stays within this factor of its median. Our own choice.
SAME_SCHEDULE = 1.25
#: Runs whose lengths differ by more than this may have stretched schedules.
SAME_LENGTH = 0.1


def only(run: RunSummary, kept: NDArray[np.bool_]) -> RunSummary:
    return replace(run, window=run.window[kept], columns={n: v[kept] for n, v in run.columns.items()})


def same_schedule(
    candidates: Sequence[RunSummary], baselines: Sequence[RunSummary]
) -> tuple[NDArray[np.bool_], list[Notice]]:
    """The windows in which both sides are in the same phase of their schedule.

    Step counts tell the phase unless one schedule is a stretched version of the other: where the lengths of the runs differ
    and both log a learning rate, windows count only where the rates keep one ratio. Runs of one length are compared
    throughout, since a changed schedule is then the change to be judged.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = _mean_rate(candidates) / _mean_rate(baselines)
    everything = np.ones(len(ratio), dtype=bool)
    usable = np.isfinite(ratio) & (ratio > 0.0)
    if usable.sum() < 2:
        return everything, []
    middle = float(np.median(ratio[usable]))
    # The first rates of a linear warm-up from zero have no stable ratio.
    same = ~usable | (np.abs(np.log(np.where(usable, ratio, 1.0) / middle)) <= math.log(SAME_SCHEDULE))
    if same.mean() > 0.9:
        return everything, []
    ends = [max(r.last_step for r in side) for side in (candidates, baselines)]
    if abs(ends[0] - ends[1]) <= SAME_LENGTH * max(ends):
        message = "the learning-rate schedules differ; they are still compared step by step"
        return everything, [Notice(code="schedules-differ", message=message, count=int((~same).sum()))]
    start = float(np.median(ratio[usable][: max(3, len(ratio) // 10)]))
    same = ~usable | (np.abs(np.log(np.where(usable, ratio, 1.0) / start)) <= math.log(SAME_SCHEDULE))
    message = "the runs have schedules of different lengths: only steps in the same phase are compared"
    return same, [Notice(code="phases-differ", message=message, count=int((~same).sum()))]


def _mean_rate(runs: Sequence[RunSummary]) -> NDArray[np.float64]:
    rate: NDArray[np.float64] = np.mean([run.columns["lr"] for run in runs], axis=0)
    return rate


def coverage(baselines: Sequence[RunSummary], cut: Sequence[RunSummary], window: NDArray[np.int64]) -> float:
    """Share of the baselines' steps that is compared; candidates that go further are fine.

    The baseline with the fewest windows counts, since one that logs less often has fewer of them over the same steps; that all
    of them go equally far is for `short_baselines` to say. A last window that one run filled and another did not is no
    difference in length.
    """
    if len(window) == 0:
        return 0.0
    full = [b.at_width(cut[0].width).window for b in baselines]
    shortest = min(full, key=len)
    spare = 1 if len(shortest) > len(window) > 0 and shortest[-1] == window[-1] + 1 else 0
    return min(1.0, (len(window) + spare) / max(len(shortest), 1))


def short_baselines(baselines: Sequence[RunSummary]) -> list[tuple[RunSummary, float]]:
    """The baselines that lack steps which the longest of them has, each with the share that it has.

    Only steps that all runs have are compared: one seed that crashed early would leave the rest of every candidate unjudged.
    """
    longest = max(baselines, key=lambda run: run.last_step - run.first_step)
    width = max(run.width for run in baselines)
    shares = [_share(run, longest, width) for run in baselines]
    # Relative to the best, since irregular logging leaves windows empty in all of them.
    return [(run, found / max(shares)) for run, found in zip(baselines, shares, strict=True) if found < max(shares)]


def _share(run: RunSummary, longest: RunSummary, width: int) -> float:
    """How many windows a run has of those that its logging interval would fill over the steps of the longest."""
    due = (longest.last_step - longest.first_step + 1) / max(run.log_interval or 1.0, width)
    # A window more or less at either end is no difference in length.
    return min(1.0, (len(run.at_width(width).window) + 1) / due)


def _spans(candidates: Sequence[RunSummary], baselines: Sequence[RunSummary]) -> str:
    spans = [f"{min(r.first_step for r in s):,} to {max(r.last_step for r in s):,}" for s in (candidates, baselines)]
    return f"candidate {spans[0]}, baseline {spans[1]}"


def no_overlap(candidates: Sequence[RunSummary], baselines: Sequence[RunSummary], why: str) -> MetricResult:
    return MetricResult(
        name="overlap", title="shared steps", outcome="inconclusive", unit="count",
        reason=f"cannot judge: {why} ({_spans(candidates, baselines)})",
        advice="Compare runs of the same steps, or make a new baseline.",
    )  # fmt: skip


def short_baseline(
    candidates: Sequence[RunSummary],
    baselines: Sequence[RunSummary],
    run: RunSummary,
    share: float,
    settings: GateSettings,
) -> MetricResult:
    """Why a baseline that ends before the others leaves too little to compare."""
    end = max(r.last_step for r in baselines)
    what = f"ends at step {run.last_step:,} of {end:,}" if run.last_step < end else "lacks steps that others have"
    return MetricResult(
        name="overlap", title="shared steps", outcome="inconclusive", unit="share",
        advice="Leave that run out of the baselines or let it finish, or set min_overlap in [gate].",
        reason=f"the baseline {run.id} {what}, and only the steps that all runs have are compared: {share:.0%} of those "
        f"of the longest baseline; {settings.min_overlap:.0%} needed ({_spans(candidates, [run])})",
    )  # fmt: skip


def short(
    candidates: Sequence[RunSummary],
    baselines: Sequence[RunSummary],
    covered: float,
    settings: GateSettings,
    *,
    other_phase: bool,
) -> MetricResult:
    """Why too few of the baselines' steps could be compared."""
    ends = [max(r.last_step for r in s) for s in (candidates, baselines)]
    advice = "Compare runs of the same steps, make a new baseline, or set min_overlap in [gate]."
    if other_phase:
        why = "the schedules have different lengths, and the runs share their phase in"
        advice = "Compare runs of one schedule, make a new baseline, or set min_overlap in [gate]."
    elif ends[0] < ends[1]:
        why = f"the candidate ends at step {ends[0]:,} of {ends[1]:,}:"
        advice = "Let the run finish, or set min_overlap in [gate]."
    else:
        why = "the runs share"
    return MetricResult(
        name="overlap", title="shared steps", outcome="inconclusive", unit="share", candidate=covered, baseline=1.0,
        tolerance=settings.min_overlap, advice=advice,
        reason=f"{why} {covered:.0%} of the baseline's steps; {settings.min_overlap:.0%} needed "
        f"({_spans(candidates, baselines)})",
    )  # fmt: skip

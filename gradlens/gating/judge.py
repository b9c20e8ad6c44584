"""From summaries to a verdict: what can be compared, and what changed by more than chance and tolerance.

A metric fails only if its change passes its tolerance *and* is beyond chance (Holm over all metrics that were tested). A
change beyond the tolerance that chance could explain is inconclusive, and so is whatever cannot be compared although both
sides should have it. A NaN never passes: non-finite rows that no loss-scale back-off explains fail, whatever the baseline
had.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from gradlens.frozen import frozen
from gradlens.gating.logged import column_notices
from gradlens.gating.measures import Measured, Sides, Unmeasured
from gradlens.gating.metrics import METRICS, Metric
from gradlens.gating.overlap import coverage, no_overlap, only, same_schedule, short, short_baseline, short_baselines
from gradlens.gating.settings import GateSettings
from gradlens.gating.summary import RunSummary, bring_together
from gradlens.reports.gate import MetricResult, Outcome
from gradlens.run import Notice
from gradlens.stats.multiple import holm

CLIPPING = frozenset({"clip_rate"})
#: What means something else once the norm was clipped or is still scaled.
OF_THE_NORM = frozenset({"clip_rate", "norm_level", "norm_spread", "norm_tail", "norm_spikes"})
#: A change beyond this many tolerances is never put down to chance without saying so. Our own choice.
GREY = 2.0


@frozen
class Judgement:
    """What the comparison with the baselines gave."""

    metrics: tuple[MetricResult, ...]
    notices: tuple[Notice, ...]
    compared_steps: tuple[int, int] | None


def judge_against(
    candidates: Sequence[RunSummary], baselines: Sequence[RunSummary], settings: GateSettings
) -> Judgement:
    """Compare candidates with baselines, both not empty."""
    cut, window = bring_together([*candidates, *baselines])
    split = len(candidates)
    notices = list(_threshold_notices(cut))
    if len(window):
        kept, notice = same_schedule(cut[:split], cut[split:])
        notices += notice
        cut, window = [only(run, kept) for run in cut], window[kept]
    covered = coverage(baselines, cut, window)
    other_phase = any(n.code == "phases-differ" for n in notices)
    if len(window) == 0:
        why = "no steps in the same phase of the schedule" if other_phase else "no steps in common"
        return Judgement(metrics=(no_overlap(candidates, baselines, why),), notices=tuple(notices), compared_steps=None)
    sides = Sides(
        candidates=cut[:split],
        baselines=cut[split:],
        window=window,
        width=cut[0].width,
        progress=_progress(cut[split:]),
    )
    notices += column_notices(candidates, baselines)
    metrics = _compare(sides, settings)
    shorter = short_baselines(baselines)
    worst = min(shorter, key=lambda found: found[1], default=None)
    if worst is not None and worst[1] < settings.min_overlap:
        metrics.insert(0, short_baseline(candidates, baselines, *worst, settings))
    elif covered < settings.min_overlap:
        metrics.insert(0, short(candidates, baselines, covered, settings, other_phase=other_phase))
    elif covered < 1.0:
        notices.append(
            Notice(
                code="partial-overlap", message=f"the candidate covers {covered:.0%} of the baseline's steps", count=1
            )
        )
    notices += [
        Notice(
            code="short-baseline", message=f"the baseline {run.id} has {share:.0%} of the steps of the longest", count=1
        )
        for run, share in shorter
    ]
    return Judgement(metrics=tuple(metrics), notices=tuple(notices), compared_steps=sides.steps(0, -1))


def _progress(baselines: Sequence[RunSummary]) -> float:
    found = []
    for run in baselines:
        loss = run.columns["loss"][np.isfinite(run.columns["loss"])]
        if run.loss_first is not None and len(loss):
            found.append(run.loss_first - float(np.median(loss[-max(1, len(loss) // 5) :])))
    return max(float(np.mean(found)), 0.0) if found else 0.0


def judge_nonfinite(candidates: Sequence[RunSummary], baselines: Sequence[RunSummary]) -> MetricResult:
    """NaN never passes, whatever the baselines had, and wherever in the run it is."""
    bad = [run for run in candidates if run.total("nonfinite") or run.nonfinite_left_out]
    total = sum(run.total("nonfinite") + run.nonfinite_left_out for run in bad)
    before = sum(run.total("nonfinite") for run in baselines) / len(baselines) if baselines else None
    if not bad:
        hidden = [text for run in candidates for text in may_hide_nan(run)]
        return MetricResult(
            name="nonfinite", title="non-finite steps", unit="count", method="limit", candidate=0.0, baseline=before,
            tolerance=0.0, outcome="inconclusive" if hidden else "pass",
            reason=f"cannot judge: {hidden[0]}" if hidden else "every loss and norm is finite",
            advice="A NaN that the format cannot represent looks like this: check what the run did at that step." if hidden else "",
        )  # fmt: skip
    hit = np.flatnonzero(bad[0].columns["nonfinite"])
    left_out = sum(run.nonfinite_left_out for run in bad)
    return MetricResult(
        name="nonfinite", title="non-finite steps", unit="count", method="limit", outcome="fail", candidate=float(total),
        baseline=before, tolerance=0.0, worst_steps=bad[0].steps(hit[0], hit[-1]) if len(hit) else None,
        reason=f"{total:,} steps with a NaN or infinite loss or norm"
        + (f", {left_out:,} of them in rows that repeat a step or were set aside" if left_out else ""),
        advice="Find the first such step with `gradlens analyze`; overflows that the loss scaler handled do not count.",
    )  # fmt: skip


def may_hide_nan(run: RunSummary) -> Iterator[str]:
    """What may be a NaN, or was one in an attempt that a later one replaced, a sentence each."""
    yield from run.ends_early.values()
    if run.missing_inside:
        yield run.missing_inside
    if run.nonfinite_replaced:
        yield (
            f"{run.nonfinite_replaced:,} losses or norms of {run.id} are NaN or infinite in an attempt that a later one replaced"
        )


def _compare(sides: Sides, settings: GateSettings) -> list[MetricResult]:
    chosen = [METRICS[name] for name in settings.metrics]
    found: list[Measured | MetricResult] = []
    for metric in chosen:
        refused = _refuse(metric, sides, settings)
        if refused is not None:
            found.append(refused)
            continue
        measured = metric.measure(sides, settings.tolerances[metric.name])
        found.append(
            _result(metric, measured.outcome, measured.reason) if isinstance(measured, Unmeasured) else measured
        )
    adjusted = holm(
        [
            metric.p_value(m.difference) if isinstance(m, Measured) else None
            for metric, m in zip(chosen, found, strict=True)
        ],
        weights=[metric.weight for metric in chosen],
    )
    return [
        _decide(metric, m, p, settings) if isinstance(m, Measured) else m
        for metric, m, p in zip(chosen, found, adjusted, strict=True)
    ]


def _result(metric: Metric, outcome: Outcome, reason: str, advice: str = "") -> MetricResult:
    """A result without numbers. The metric's advice is for a change for the worse, of which nothing is known here."""
    return MetricResult(
        name=metric.name, title=metric.title, outcome=outcome, reason=reason, unit=metric.unit, advice=advice
    )


def _refuse(metric: Metric, sides: Sides, settings: GateSettings) -> MetricResult | None:
    """Why a metric cannot be compared, or None."""
    counts = [run.total(metric.needs) for run in sides.runs]
    what = {"norms": "finite gradient norm", "losses": "finite loss", "rows": "row"}[metric.needs]
    if not any(counts):
        return _result(metric, "skipped", f"no {what} in the log")
    if not all(counts):
        split = len(sides.candidates)
        side = "candidate" if not all(counts[:split]) else "baseline"
        return _result(
            metric, "inconclusive", f"cannot judge: no {what} in the {side}",
            "Log it on both sides; --loss and --grad-norm name a column that was not recognised.",
        )  # fmt: skip
    if refused := _refuse_ended(metric, sides) or _refuse_norm(metric, sides):
        return refused
    if metric.name in CLIPPING:
        return _refuse_clipping(metric, sides, settings)
    if metric.name == "overflow" and not any(run.total("overflow") for run in sides.runs):
        return _result(metric, "skipped", "no overflow in either")
    return None


def _refuse_ended(metric: Metric, sides: Sides) -> MetricResult | None:
    ends = [run.ends_early["loss"] for run in sides.runs if "loss" in run.ends_early]
    return _result(metric, "inconclusive", f"cannot judge: {ends[0]}") if ends and metric.name == "final_loss" else None


def _refuse_norm(metric: Metric, sides: Sides) -> MetricResult | None:
    if metric.name not in OF_THE_NORM:
        return None
    kinds = {"pre_clip" if run.clip_trusted else run.provenance for run in sides.runs}
    if len(kinds) > 1:
        names = {"pre_clip": "before clipping", "post_clip": "after clipping", "loss_scaled": "still loss-scaled"}
        shown = " and ".join(sorted(names.get(k, k) for k in kinds))
        return _result(metric, "inconclusive", f"cannot judge: the norms are different quantities ({shown})")
    return None


def _refuse_clipping(metric: Metric, sides: Sides, settings: GateSettings) -> MetricResult | None:
    thresholds = {run.threshold for run in sides.runs}
    if thresholds == {None}:
        return _result(metric, "skipped", "the runs do not clip")
    if None in thresholds or max(thresholds) > min(thresholds) * (1 + 1e-9):  # type: ignore[type-var, operator]
        shown = [
            " and ".join(sorted({"none" if run.threshold is None else f"{run.threshold:g}" for run in side}))
            for side in (sides.candidates, sides.baselines)
        ]
        return _result(
            metric, "inconclusive",
            f"cannot judge: thresholds differ (candidate {shown[0]}, baseline {shown[1]}); "
            "refresh the baseline if that is intended",
        )  # fmt: skip
    untrusted = next((run for run in sides.runs if not run.clip_trusted), None)
    if untrusted is not None:
        return _result(metric, "inconclusive", f"cannot judge: {untrusted.provenance_reason or untrusted.provenance}")
    rows = min(run.total("norms") for run in sides.runs)
    if rows < settings.min_effective and sides.paired:
        return _result(metric, "skipped", f"{rows} steps are too few for a rate; the norms are compared step by step")
    if rows < settings.min_effective:
        return _result(
            metric, "inconclusive", f"cannot judge: only {rows} norms, {settings.min_effective:g} needed",
            "Compare longer runs, or log more often.",
        )  # fmt: skip
    return None


def _decide(metric: Metric, m: Measured, p_adjusted: float | None, settings: GateSettings) -> MetricResult:
    d = m.difference
    effect = abs(d.change) if metric.both_ways else d.change
    few = d.n_effective is not None and m.method == "blocks" and d.n_effective < settings.min_effective
    p_value = metric.p_value(d)
    excludes_zero = d.interval[0] > 0.0 or (metric.both_ways and d.interval[1] < 0.0)
    outcome: Outcome = "pass"
    reason = "within tolerance"
    if not math.isfinite(d.change):
        outcome, reason = "inconclusive", "cannot judge: not a number"
    elif few:
        outcome = "inconclusive"
        reason = f"cannot judge: only {d.n_effective:.0f} effective steps, {settings.min_effective:g} needed"
    elif d.df <= 0.0:
        outcome, reason = "inconclusive", "cannot judge: too few steps"
    elif effect > m.tolerance and excludes_zero and p_adjusted is not None and p_adjusted < settings.alpha:
        outcome, reason = "fail", "beyond tolerance, and beyond chance"
    elif effect > m.tolerance and (p_value < settings.alpha or effect > GREY * m.tolerance):
        outcome, reason = (
            "inconclusive",
            "beyond tolerance, but chance could explain it: more steps or seeds are needed to tell",
        )
    elif effect > m.tolerance:
        reason = "beyond tolerance, but within chance"

    def shown(value: float) -> float:
        # Ratios are judged as logarithms.
        return math.exp(min(value, 700.0)) if metric.unit == "ratio" else value

    return MetricResult(
        name=metric.name,
        title=metric.title,
        outcome=outcome,
        reason=reason,
        unit=metric.unit,
        candidate=shown(m.candidate),
        baseline=shown(m.baseline),
        change=shown(d.change),
        interval=(shown(d.interval[0]), shown(d.interval[1])) if d.df > 0.0 else None,
        tolerance=shown(m.tolerance if effect == d.change or metric.unit != "ratio" else -m.tolerance),
        p_value=p_value,
        p_adjusted=p_adjusted,
        p_permutation=d.p_permutation,
        n_effective=d.n_effective,
        method=m.method,
        worst_steps=m.worst_steps if effect > 0.5 * m.tolerance else None,
        advice=metric.advice if outcome == "fail" or (outcome == "inconclusive" and effect > m.tolerance) else "",
    )


def _threshold_notices(runs: Sequence[RunSummary]) -> Iterator[Notice]:
    assumed = [run for run in runs if run.threshold_source == "assumed"]
    if assumed:
        yield Notice(
            code="threshold-assumed",
            message=f"the clipping threshold of {assumed[0].id} is assumed to be {assumed[0].threshold:g}: "
            "give --threshold, or none",
            count=len(assumed),
        )

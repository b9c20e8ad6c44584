"""A candidate against a population: whether it is unlike the healthy runs of its own project."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gradlens.analyzer import AnalysisOptions, analyze_run
from gradlens.config import TrainingConfig
from gradlens.fleet.figures import FIGURES, UPWARD, Figure, columns_of, figures_of, least_that_counts
from gradlens.fleet.population import Population, thresholds_of
from gradlens.fleet.row import row_of
from gradlens.frozen import frozen
from gradlens.gating.assess import described, summarize_runs, told, verdict_of
from gradlens.gating.judge import CLIPPING, OF_THE_NORM, judge_nonfinite
from gradlens.gating.limits import judge_limits
from gradlens.gating.logged import MAX_SPARSER, judge_log
from gradlens.gating.settings import GateSettings
from gradlens.gating.summary import TRUSTED, RunSummary
from gradlens.reporters.gate_words import headline
from gradlens.reporters.wording import number, percent
from gradlens.reports.base import ThresholdOption
from gradlens.reports.gate import GateReport, MetricResult, Outcome
from gradlens.run import Notice, Run
from gradlens.stats.conformal import Rank, false_alarm_rate, rank_among, smallest_p_value
from gradlens.version import __version__

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Candidates whose norms mean something else are told so in these words.
_NORMS = {"pre_clip": "before clipping", "post_clip": "after clipping", "loss_scaled": "still loss-scaled"}


@frozen
class _Ranked:
    """What the rank of one candidate gave."""

    metrics: tuple[MetricResult, ...]
    notice: Notice


def gate_population(
    candidates: Sequence[Run],
    population: Population,
    settings: GateSettings,
    *,
    threshold: ThresholdOption = "auto",
    config: TrainingConfig | None = None,
    source: str | Path = "",
    named: AbstractSet[str] = frozenset(),
) -> GateReport:
    """The verdict on candidates by their conformal rank among the healthy runs of a population.

    What needs no baseline is judged as in `assess`: limits, NaN, what is missing in the log. `settings.alpha` is the chance
    of a false alarm over all figures and candidates; tolerances do not apply, since the population shows what is usual.
    """
    known = thresholds_of(population.members) - {None}
    only = next(iter(known)) if len(known) == 1 else None
    summaries = summarize_runs(candidates, threshold=threshold, config=config, known="auto" if only is None else only)
    runs = [run for run in candidates if run.loss is not None or run.grad_norm is not None]
    rows = []
    for run, summary in zip(runs, summaries, strict=True):
        given = summary.threshold if summary.threshold_source == "assumed" else threshold
        report = analyze_run(run, AnalysisOptions(threshold=given, config=config or TrainingConfig()))
        rows.append(row_of(run, report))
    return gate_rows(rows, summaries, population, settings, source=source, named=named)


def gate_rows(
    rows: Sequence[Mapping[str, Any]],
    summaries: Sequence[RunSummary],
    population: Population,
    settings: GateSettings,
    *,
    source: str | Path = "",
    named: AbstractSet[str] = frozenset(),
) -> GateReport:
    """The same from the rows of the candidates and their summaries."""
    shared = replace(settings, alpha=settings.alpha / len(summaries))
    ranked = [
        _rank(row, summary, population, shared, several=len(summaries) > 1)
        for row, summary in zip(rows, summaries, strict=True)
    ]
    limits = judge_limits(summaries, settings, known=thresholds_of(population.members))
    always = () if settings.max_nonfinite is not None else (judge_nonfinite(summaries, ()),)
    metrics = (*always, *judge_log(summaries, (), named), *(m for one in ranked for m in one.metrics))
    report = GateReport(
        gradlens_version=__version__,
        outcome=verdict_of([*limits, *metrics]),
        headline="",
        metrics=metrics,
        limits=limits,
        runs=tuple(described(summary, "candidate") for summary in summaries),
        compared_steps=None,
        notices=(*(one.notice for one in ranked), *told(summaries)),
        causes=(),
        settings=settings.to_dict(),
        baseline_sources=(str(source),) if source else (),
    )
    return replace(report, headline=headline(report))


def _rank(
    row: Mapping[str, Any], summary: RunSummary, population: Population, settings: GateSettings, *, several: bool
) -> _Ranked:
    """One candidate."""
    own, others = np.array(figures_of(row)), population.figures
    chosen = [figure for figure in FIGURES if figure.metric in settings.metrics]
    refused: dict[str, MetricResult] = {}
    for figure in FIGURES:
        place = columns_of(figure)
        refusal = _refuse(figure, own[place], others[:, place], summary, population)
        if refusal is not None:
            refused[figure.name] = refusal
        if refusal is not None or figure not in chosen:
            own[place] = others[:, place] = np.nan
    rank = rank_among(
        own, others, alpha=settings.alpha, upward=UPWARD, least=least_that_counts(np.vstack([others, own]))
    )
    metrics = [refused.get(f.name) or _judged(f, own, rank, row) for f in chosen]
    # The worst first: its figures are the headline.
    metrics.sort(key=lambda m: (m.outcome != "fail", m.p_adjusted if m.p_adjusted is not None else 1.0))
    metrics = [*_unlike_in_kind(summary, population, settings), *metrics]
    if several:
        metrics = [replace(m, name=f"{summary.id}/{m.name}", title=f"{summary.id}: {m.title}") for m in metrics]
    return _Ranked(metrics=tuple(metrics), notice=_notice(summary.id, rank, settings.alpha))


def _notice(name: str, rank: Rank, alpha: float) -> Notice:
    """The rank and what it promises, in words."""
    n = rank.others
    as_unlike = round(rank.p_value * (n + 1)) - 1
    promised = false_alarm_rate(n, alpha)
    what = f"a healthy run fails in at most {percent(promised)} of cases" if promised else (
        f"{n} are too few for {percent(alpha)} false alarms, so that no figure can fail"
    )  # fmt: skip
    message = f"{as_unlike:,} of {n:,} healthy runs are at least as unlike the others as {name} (p = {number(rank.p_value)}); {what}"
    return Notice(code="population", message=message)


def _refuse(
    figure: Figure,
    own: NDArray[np.float64],
    others: NDArray[np.float64],
    summary: RunSummary,
    population: Population,
) -> MetricResult | None:
    """Why a figure cannot be ranked, or None."""
    usual = np.isfinite(others).any(axis=1).mean() >= 0.5
    if not usual:
        return _result(figure, "skipped", "most of the healthy runs have none")
    if figure.name in OF_THE_NORM or figure.metric in OF_THE_NORM:
        kinds = {_kind(member.norm) for member in population.members}
        if _kind(summary.provenance) not in kinds:
            told_ = " and ".join(sorted(_NORMS.get(k, k) for k in (*kinds, _kind(summary.provenance))))
            return _result(figure, "inconclusive", f"cannot judge: the norms are different quantities ({told_})")
    if figure.name in CLIPPING and (reason := _other_threshold(summary, population)):
        return _result(figure, "inconclusive", reason)
    if not np.isfinite(own).any():
        return _result(figure, "inconclusive", "cannot judge: the candidate has none")
    return None


def _kind(norm: str | None) -> str:
    return "pre_clip" if norm in TRUSTED else str(norm)


def _other_threshold(summary: RunSummary, population: Population) -> str | None:
    known = thresholds_of(population.members)
    if any(t == summary.threshold or (t and summary.threshold and math.isclose(t, summary.threshold, rel_tol=1e-5))
           for t in known):  # fmt: skip
        return None
    shown = ", ".join("none" if t is None else f"{t:g}" for t in sorted(known, key=lambda t: t or 0.0)[:4])
    own = "none" if summary.threshold is None else f"{summary.threshold:g}"
    return f"cannot judge: thresholds differ (candidate {own}, healthy runs {shown})"


def _judged(figure: Figure, own: NDArray[np.float64], rank: Rank, row: Mapping[str, Any]) -> MetricResult:
    """One figure: the stretch of it that is most unlike the others."""
    place = columns_of(figure)
    deviations, values = rank.deviations[place], own[place]
    with np.errstate(invalid="ignore"):
        away = (values - rank.centres[place]) * np.where(UPWARD[place], 1.0, np.sign(values - rank.centres[place]))
        order = np.where(np.isfinite(values), deviations + 1e-9 * away, -np.inf)
    worst = int(np.argmax(order))
    at = place.start + worst
    value, centre = float(values[worst]), float(rank.centres[at])
    outcome, reason = _outcome(float(deviations[worst]), float(rank.p_values[at]), rank)
    bound = float(rank.allowed[at]) if math.isfinite(rank.bound) else None
    sign = -1.0 if not figure.upward and value < centre else 1.0
    return MetricResult(
        name=figure.name,
        title=figure.title,
        outcome=outcome,
        reason=reason,
        unit=figure.unit,
        candidate=figure.shown(value),
        baseline=figure.shown(centre),
        change=figure.difference(value, centre),
        tolerance=None if bound is None else figure.difference(centre + sign * bound, centre),
        p_adjusted=float(rank.p_values[at]),
        method="rank",
        worst_steps=_steps(row, worst) if figure.stretches > 1 and outcome == "fail" else None,
        advice=figure.advice if outcome == "fail" else "",
    )


def _outcome(deviation: float, p_value: float, rank: Rank) -> tuple[Outcome, str]:
    if deviation > rank.bound:
        return "fail", "unlike the healthy runs"
    # More extreme than every one of them, and they are too few for that to be a verdict.
    if math.isinf(rank.bound) and p_value < 1.5 * smallest_p_value(rank.others) and deviation > 0.0:
        return "inconclusive", "beyond all healthy runs, but they are too few to tell"
    return "pass", "like the healthy runs"


def _steps(row: Mapping[str, Any], stretch: int) -> tuple[int, int]:
    first, last = int(row["first_step"]), int(row["last_step"])
    count = next(f.stretches for f in FIGURES if f.stretches > 1)
    width = (last - first + 1) / count
    return first + int(stretch * width), min(first + int((stretch + 1) * width) - 1, last)


def _unlike_in_kind(summary: RunSummary, population: Population, settings: GateSettings) -> Iterator[MetricResult]:
    """A log that is not of the same kind: shorter or longer than all, or with fewer rows."""
    ends = [member.last_step for member in population.members]
    reasons = []
    if summary.last_step < settings.min_overlap * min(ends):
        reasons.append(f"{summary.id} ends at step {summary.last_step:,}, the healthy runs at {min(ends):,} or later")
    if settings.min_overlap * summary.last_step > max(ends):
        reasons.append(f"{summary.id} ends at step {summary.last_step:,}, the healthy runs at {max(ends):,} or before")
    usual = [member.log_interval for member in population.members if member.log_interval]
    if usual and summary.log_interval and summary.log_interval > MAX_SPARSER * max(usual):
        reasons.append(f"{summary.id} logs every {summary.log_interval:g} steps, the healthy runs every {max(usual):g}")
    for reason in reasons:
        yield MetricResult(
            name="length", title="length", unit="count", method="limit", outcome="inconclusive",
            reason=f"cannot judge: {reason}",
            advice="Compare runs of one length that log alike, or make a new baseline if the change is meant.",
        )  # fmt: skip


def _result(figure: Figure, outcome: Outcome, reason: str) -> MetricResult:
    return MetricResult(name=figure.name, title=figure.title, outcome=outcome, reason=reason, unit=figure.unit)

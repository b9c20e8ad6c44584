"""The gate on one page: runs to summaries, summaries to a verdict."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from pathlib import Path

import numpy as np

from gradlens.config import TrainingConfig
from gradlens.errors import NoTrainingSeriesError, UsageError
from gradlens.gating.curves import gate_picture
from gradlens.gating.judge import Judgement, judge_against, judge_nonfinite
from gradlens.gating.limits import judge_limits
from gradlens.gating.logged import judge_log, with_columns_of
from gradlens.gating.overlap import short_baselines
from gradlens.gating.settings import GateSettings
from gradlens.gating.summary import RunSummary, summarize
from gradlens.reporters.gate_words import headline
from gradlens.reports.analysis import Report
from gradlens.reports.base import NO_FAULT, ThresholdOption
from gradlens.reports.gate import GateReport, GateRun, LikelyCause, LimitResult, MetricResult, Verdict
from gradlens.run import Notice, Run
from gradlens.signals.axis import signals_of
from gradlens.signals.provenance import judge_provenance
from gradlens.signals.threshold import Threshold, choose_threshold
from gradlens.version import __version__

#: What a red gate needs to be explained by: a cause less likely than this is not named.
SURE_ENOUGH = 0.3


@np.errstate(all="ignore")  # losses of 1e308 overflow to infinity on the way, which is what they are worth
def summarize_runs(
    runs: Iterable[Run],
    *,
    threshold: ThresholdOption = "auto",
    config: TrainingConfig | None = None,
    known: ThresholdOption = "auto",
) -> list[RunSummary]:
    """Summaries of runs that have a loss or a norm.

    Parameters
    ----------
    runs
        As read.
    threshold
        What the user said: a number, None for no clipping, "auto" to find it.
    config
        Training settings that the logs do not hold.
    known
        The threshold of the other side, taken where this side's would only be assumed; "auto" for none.

    Raises
    ------
    NoTrainingSeriesError
        None of the runs has a loss or a norm.
    """
    found = []
    for run in runs:
        if run.loss is None and run.grad_norm is None:
            continue
        chosen = choose_threshold(run, run.config.merged(config or TrainingConfig()), threshold)
        if chosen.source == "assumed" and not isinstance(known, str):
            chosen = Threshold(value=known, source="assumed")
        provenance = judge_provenance(run, signals_of(run), chosen.value, chosen.source)
        found.append(summarize(run, threshold=chosen.value, threshold_source=chosen.source, provenance=provenance))
    if not found:
        raise NoTrainingSeriesError(
            "no run has a loss or a gradient norm", hint="name the columns with --loss and --grad-norm"
        )
    return found


def known_threshold(summaries: Sequence[RunSummary]) -> ThresholdOption:
    """The one threshold that is known for these runs, "auto" where none or several are."""
    values = {s.threshold for s in summaries if s.threshold_source != "assumed"}
    return values.pop() if len(values) == 1 else "auto"


@np.errstate(all="ignore")
def assess(
    candidates: Sequence[RunSummary],
    baselines: Sequence[RunSummary],
    settings: GateSettings,
    *,
    baseline_sources: Sequence[str | Path] = (),
    named: AbstractSet[str] = frozenset(),
) -> GateReport:
    """The verdict on candidates: absolute limits, and regression against baselines where there are any.

    `named` are the roles whose column the user named. Raises `UsageError` where there are neither limits nor baselines.
    """
    known = {run.threshold for run in baselines if run.threshold_source != "assumed"}
    limits = judge_limits(candidates, settings, known)
    if not limits and not baselines:
        raise UsageError(
            "nothing to judge by",
            hint="give --baseline FILE, or a limit such as --max-clip-rate 0.10 --max-nonfinite 0",
        )
    judgement = (
        _judge_streams(candidates, baselines, settings)
        if baselines
        else Judgement(metrics=(), notices=(), compared_steps=None)
    )
    # A limit of the user's own replaces the rule that no NaN passes.
    always = () if settings.max_nonfinite is not None else (judge_nonfinite(candidates, baselines),)
    metrics = (*always, *judge_log(candidates, baselines, named), *judgement.metrics)
    report = GateReport(
        gradlens_version=__version__,
        outcome=verdict_of([*limits, *metrics]),
        headline="",
        metrics=metrics,
        limits=limits,
        runs=tuple(
            described(run, role) for role, side in (("candidate", candidates), ("baseline", baselines)) for run in side
        ),
        compared_steps=judgement.compared_steps,
        notices=(*judgement.notices, *told(candidates)),
        causes=(),
        settings=settings.to_dict(),
        baseline_sources=tuple(str(s) for s in baseline_sources),
        picture=gate_picture(candidates, baselines),
    )
    return replace(report, headline=headline(report))


def told(candidates: Sequence[RunSummary]) -> Iterator[Notice]:
    """What reading says about the candidates, with counts, and of which run where there are several."""
    for run in candidates:
        for notice in run.notices:
            count = f" (×{notice.count:,})" if notice.count > 1 else ""
            whose = f"{run.id}: " if len(candidates) > 1 else ""
            yield replace(notice, message=f"{whose}{notice.message}{count}")


def _judge_streams(
    candidates: Sequence[RunSummary], baselines: Sequence[RunSummary], settings: GateSettings
) -> Judgement:
    """Like with like: a log of two optimizers (actor and critic) gives two runs, which are not two seeds of one."""
    names = _streams(candidates)
    if len(set(names)) < 2 or set(names) != set(_streams(baselines)):
        return judge_against(candidates, baselines, settings)
    order = list(dict.fromkeys(names))
    shared = replace(settings, alpha=settings.alpha / len(order))
    metrics: list[MetricResult] = []
    judged = []
    for name in order:
        sides = [[run for run, n in zip(s, _streams(s), strict=True) if n == name] for s in (candidates, baselines)]
        judgement = judge_against(sides[0], sides[1], shared)
        judged.append(judgement)
        metrics += [replace(m, name=f"{name}/{m.name}", title=f"{name}: {m.title}") for m in judgement.metrics]
    notices = list(dict.fromkeys(n for j in judged for n in j.notices))
    return Judgement(metrics=tuple(metrics), notices=tuple(notices), compared_steps=judged[0].compared_steps)


def unequal_baselines(runs: Sequence[RunSummary], settings: GateSettings) -> Iterator[str]:
    """The runs that end too early for the gate to judge what comes after, a sentence each."""
    names = _streams(runs)
    for name in dict.fromkeys(names):
        of_one_kind = [run for run, n in zip(runs, names, strict=True) if n == name]
        for run, share in short_baselines(of_one_kind):
            if share < settings.min_overlap:
                yield (
                    f"{run.id}: has {share:.0%} of the steps of the longest run (steps {run.first_step:,} to "
                    f"{run.last_step:,}); the gate will not judge by these runs together"
                )


def _streams(runs: Sequence[RunSummary]) -> list[str]:
    """What each run is called within its log, where the log holds several; "" otherwise."""
    sources = [run.source for run in runs]
    return [run.id.rpartition(":")[2] if sources.count(run.source) > 1 else "" for run in runs]


def verdict_of(results: Sequence[MetricResult | LimitResult]) -> Verdict:
    outcomes = {r.outcome for r in results}
    if "fail" in outcomes:
        return "fail"
    return "pass" if "pass" in outcomes and "inconclusive" not in outcomes else "inconclusive"


def described(run: RunSummary, role: str) -> GateRun:
    return GateRun(
        role="candidate" if role == "candidate" else "baseline",
        id=run.id,
        source=run.source,
        format=run.format,
        steps=run.rows,
        first_step=run.first_step,
        last_step=run.last_step,
        log_interval=run.log_interval,
        threshold=run.threshold,
        threshold_source=run.threshold_source,
        provenance=run.provenance,
        clip_rate=run.clip_rate if run.clip_trusted else None,
        nonfinite=run.total("nonfinite"),
    )


def with_causes(report: GateReport, analysed: Report) -> GateReport:
    """The same verdict with what the diagnosis of the candidates says about why."""
    causes = tuple(
        LikelyCause(
            run=run.id, cause=run.diagnosis.cause, confidence=run.diagnosis.confidence, summary=run.diagnosis.summary
        )
        for run in analysed.runs
        if run.diagnosis.cause not in NO_FAULT and run.diagnosis.confidence >= SURE_ENOUGH
    )
    return replace(report, causes=causes)


def gate_runs(
    candidates: Sequence[Run],
    baseline_runs: Sequence[Run],
    baseline_summaries: Sequence[RunSummary],
    settings: GateSettings,
    *,
    threshold: ThresholdOption = "auto",
    config: TrainingConfig | None = None,
    baseline_sources: Sequence[str | Path] = (),
    named: AbstractSet[str] = frozenset(),
) -> tuple[GateReport, list[RunSummary]]:
    """The verdict on runs as read, and the summaries of the candidates.

    A threshold that is known on one side only is taken for the other too, rather than the customary one; and so are the
    columns of the baselines, but for the roles in `named`, whose column the user named.
    """
    rough = list(baseline_summaries)
    if baseline_runs:
        rough += summarize_runs(baseline_runs, threshold=threshold, config=config)
    candidates = [with_columns_of(run, rough, named) for run in candidates]
    judged = summarize_runs(candidates, threshold=threshold, config=config, known=known_threshold(rough))
    baselines = list(baseline_summaries)
    if baseline_runs:
        baselines += summarize_runs(baseline_runs, threshold=threshold, config=config, known=known_threshold(judged))
    return assess(judged, baselines, settings, baseline_sources=baseline_sources, named=named), judged

"""Run -> report, on one page: every figure of a report is asked for here and computed elsewhere."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from gradlens.checks.engine import run_checks
from gradlens.config import TrainingConfig
from gradlens.diagnosis.actions import actions
from gradlens.diagnosis.case import build_case
from gradlens.diagnosis.ranking import diagnose
from gradlens.diagnosis.status import verdict_of
from gradlens.errors import NoTrainingSeriesError
from gradlens.figures import measure
from gradlens.figures.course import course_of
from gradlens.figures.curves import reduce_curve
from gradlens.figures.notable import notable_steps
from gradlens.figures.picture import layer_map, picture_of
from gradlens.frozen import frozen
from gradlens.reports.analysis import Curve, Report, RunReport
from gradlens.reports.base import ThresholdOption
from gradlens.run import Run
from gradlens.signals.axis import Signals, in_order, notices_of, signals_of
from gradlens.signals.threshold import choose_threshold
from gradlens.version import __version__


@frozen
class AnalysisOptions:
    """What the user said about judging.

    `threshold` is "auto" where it was not given, None where the run did not clip; `bootstrap` the draws for the p-value of the
    power law; `picture` asks for what a page draws; `is_running` says that the run goes on, so that nothing is concluded
    from how it ends.
    """

    threshold: ThresholdOption = "auto"
    config: TrainingConfig = TrainingConfig()
    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    value_threshold: float | None = None
    bootstrap: int = 0
    picture: bool = False
    is_running: bool = False

    def to_dict(self) -> dict[str, Any]:
        """The settings as the report repeats them."""
        return {
            "threshold": self.threshold,
            "config": self.config.to_dict(),
            "select": list(self.select),
            "ignore": list(self.ignore),
            "value_threshold": self.value_threshold,
            "bootstrap": self.bootstrap,
        }


def analyze_runs(runs: Iterable[Run], options: AnalysisOptions) -> Report:
    """The report of several runs.

    Raises
    ------
    NoTrainingSeriesError
        None of them has a loss or a gradient norm.
    """
    judged = [run for run in runs if run.loss is not None or run.grad_norm is not None]
    if not judged:
        raise NoTrainingSeriesError(
            "no run has a loss or a gradient norm", hint="name the columns with --loss and --grad-norm"
        )
    return Report(
        gradlens_version=__version__,
        settings=options.to_dict(),
        runs=tuple(analyze_run(run, options) for run in judged),
    )


# Losses of 1e308 overflow to infinity on the way, which is what they are worth: no warning for the caller's terminal.
@np.errstate(all="ignore")
def analyze_run(run: Run, options: AnalysisOptions) -> RunReport:
    """The report of one run."""
    signals = signals_of(run)
    config = run.config.merged(options.config)
    threshold = choose_threshold(run, config, options.threshold)
    case = build_case(
        run, signals, config=config, threshold=threshold.value, threshold_source=threshold.source,
        is_running=options.is_running,
    )  # fmt: skip
    provenance = case.provenance
    findings, results = run_checks(case, select=options.select, ignore=options.ignore)
    verdict = verdict_of(case, findings, results)
    diagnosis = diagnose(case, findings, verdict)
    warmup = measure.warmup_end(signals)
    suggestion = measure.suggestion(signals, provenance, warmup)
    finite = signals.norm[np.isfinite(signals.norm)]
    tail = measure.tail(signals, threshold.known, warmup, options.bootstrap) if provenance.trusted else None
    spikes = measure.spikes(signals, warmup, provenance, len(case.events))
    picture = (
        picture_of(run, signals, findings=findings, spikes=spikes, tail=tail, warmup=warmup, trusted=provenance.trusted)
        if options.picture
        else None
    )
    return RunReport(
        id=run.id,
        source=run.source,
        format=run.format,
        steps=len(signals),
        first_step=int(signals.step[0]) if len(signals) else None,
        last_step=int(signals.step[-1]) if len(signals) else None,
        log_interval=signals.log_interval,
        logged=measure.logged(signals),
        columns=run.columns,
        layers=len(run.layers),
        config=config.to_dict(),
        notices=(*run.notices, *notices_of(signals)),
        provenance=provenance,
        clipping=measure.clipping(run, signals, threshold, provenance, warmup, options.value_threshold),
        percentiles=measure.percentiles(finite),
        nonfinite=measure.nonfinite(signals),
        tail=tail,
        spikes=spikes,
        findings=findings,
        verdict=verdict,
        diagnosis=diagnosis,
        suggestion=suggestion,
        actions=actions(case, diagnosis, findings, suggestion),
        checks=results,
        notable_steps=notable_steps(signals, findings, threshold.known),
        courses={
            name: course
            for name, step, value in (
                ("loss", signals.step, signals.loss),
                ("val_loss", *in_order(signals, run.val_loss)),
            )
            if (course := course_of(step, value)) is not None
        },
        curves=_curves(run, signals),
        layer_norms=layer_map(run.layers, signals) if picture is None else picture.layers,
        picture=picture,
    )


def _curves(run: Run, signals: Signals) -> dict[str, Curve]:
    """What can be drawn: the columns on the common axis, and the validation loss at its own steps."""
    columns = [
        ("loss", signals.step, signals.loss, signals.has_loss),
        ("grad_norm", signals.step, signals.norm, signals.has_norm),
        ("lr", signals.step, signals.lr, np.isfinite(signals.lr)),
        ("loss_scale", signals.step, signals.loss_scale, np.isfinite(signals.loss_scale)),
    ]
    if run.val_loss is not None:
        val = run.val_loss
        columns.append(("val_loss", val.step, val.value, np.ones(len(val), dtype=bool)))
    return {name: curve for name, step, value, has in columns if (curve := reduce_curve(step, value, has)) is not None}

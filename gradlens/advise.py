"""Run -> threshold advice, as `analyzer` is run -> report."""

from __future__ import annotations

from gradlens.advice_report import Advice
from gradlens.checks.case import build_case
from gradlens.config import TrainingConfig
from gradlens.errors import NoTrainingSeriesError
from gradlens.provenance import judge_provenance
from gradlens.run import Run
from gradlens.signals import signals_of
from gradlens.stats.thresholds import Mode
from gradlens.suggestion import suggest
from gradlens.threshold import choose_threshold


def advise(
    run: Run, *, mode: Mode, target_clip_rate: float | None, threshold: float | str | None, config: TrainingConfig
) -> Advice:
    """The threshold advice for one run.

    Raises
    ------
    NoTrainingSeriesError
        The run has no gradient norm.
    """
    if run.grad_norm is None or len(run.grad_norm) == 0:
        raise NoTrainingSeriesError(f"{run.id}: no gradient norm to suggest a threshold from",
                                    hint="name the column with --grad-norm")  # fmt: skip
    signals = signals_of(run)
    known = run.config.merged(config)
    used = choose_threshold(run, known, threshold)
    case = build_case(run, signals, config=known, threshold=used.value, threshold_source=used.source)
    return suggest(run, signals, judge_provenance(case), mode=mode, target_clip_rate=target_clip_rate)

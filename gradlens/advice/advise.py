"""Run -> threshold advice, as `analyzer` is run -> report."""

from __future__ import annotations

import numpy as np

from gradlens.advice.suggestion import suggest
from gradlens.config import TrainingConfig
from gradlens.diagnosis.case import Case, build_case
from gradlens.errors import NoTrainingSeriesError
from gradlens.reports.advice import Advice
from gradlens.reports.base import ThresholdOption
from gradlens.run import Run
from gradlens.signals.axis import signals_of
from gradlens.signals.threshold import choose_threshold
from gradlens.stats.thresholds import Mode


@np.errstate(all="ignore")  # norms of 1e308 overflow to infinity on the way, which is what they are worth
def advise(
    run: Run, *, mode: Mode, target_clip_rate: float | None, threshold: ThresholdOption, config: TrainingConfig
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
    return suggest(
        run,
        signals,
        case.provenance,
        mode=mode,
        target_clip_rate=target_clip_rate,
        joint=_joint_rows(case),
    )


def _joint_rows(case: Case) -> list[int]:
    """The row of each joint event at which the norm is highest."""
    norm = np.nan_to_num(case.signals.norm, nan=-np.inf)
    return [event.first + int(np.argmax(norm[event.first : event.last + 1])) for event in case.events]

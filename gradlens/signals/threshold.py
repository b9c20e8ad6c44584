"""Which clipping threshold a run used, and how we know: option, configuration, the log itself, or an assumption.

In this order: `--threshold`; the configuration given with `--config` or found with the log; a column that says it, named as
settings name it (`max_grad_norm`, `clip_norm`) and the same in every row; a value that the log proves, because the norms
bunch just below their maximum as norms after clipping do (`gradlens.signals.bunching`); else 1.0, the customary value of large
language models. An assumed threshold shows what clipping at 1.0 would have done, and never triggers a finding: checks of the
threshold need a known one.
"""

from __future__ import annotations

import numpy as np

from gradlens import vocabulary
from gradlens.config import SPELLINGS, TrainingConfig
from gradlens.frozen import frozen
from gradlens.reports.base import ThresholdOption, ThresholdSource
from gradlens.run import Run
from gradlens.signals.bunching import bunched_maximum

#: The customary threshold (GPT-3, PaLM, Llama 2, OLMo 2 use it), assumed where nothing is known.
CUSTOMARY = 1.0
#: Rows from which a column that is the same in all of them is a setting.
MIN_ROWS = 5


@frozen
class Threshold:
    """`value` None means that the run is known not to have clipped; an assumed one is not a value of the run."""

    value: float | None
    source: ThresholdSource

    @property
    def known(self) -> float | None:
        """The threshold that the run is known to have used; None where it did not clip or nobody knows."""
        return None if self.source == "assumed" else self.value


def choose_threshold(run: Run, config: TrainingConfig, option: ThresholdOption) -> Threshold:
    """The threshold: from the option (unless "auto"), the configuration, proof in the log, or 1.0 assumed."""
    if not isinstance(option, str):
        return Threshold(value=option, source="option")
    if config.max_grad_norm is not None:
        return Threshold(value=config.max_grad_norm or None, source="config")
    said = _said_in_a_column(run)
    if said is not None:
        return Threshold(value=said, source="log")
    after = run.grad_norm_clipped
    for series in (after, run.grad_norm):
        proven = None if series is None else bunched_maximum(series.value)
        if proven is not None:
            return Threshold(value=proven, source="log")
    return Threshold(value=CUSTOMARY, source="assumed")


def _said_in_a_column(run: Run) -> float | None:
    """The one positive value of a column that is named as settings name the threshold; None where there is none, or several differ.

    A column that the log uses for something else (`clip`, the share of clipped steps) says nothing.
    """
    found: set[float] = set()
    for name, series in run.series.items():
        words = vocabulary.plain(name.rsplit("/", 1)[-1].rsplit(".", 1)[-1])
        taken = vocabulary.rank_of("clip_fraction", name) is not None or name == run.columns.grad_norm
        if words not in SPELLINGS["max_grad_norm"] or taken or len(series) < MIN_ROWS:
            continue
        value = float(series.value[0])
        if np.isfinite(value) and value > 0 and bool((series.value == value).all()):
            found.add(value)
    return found.pop() if len(found) == 1 else None

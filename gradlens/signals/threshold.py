"""Which clipping threshold a run used, and how we know: option, configuration, the log itself, or an assumption.

In this order: `--threshold`; the configuration given with `--config` or found with the log; a value that the log proves,
because the norms bunch just below their maximum as norms after clipping do (PyTorch multiplies by C / (norm + 1e-6), so they
end within a thousandth of C); else 1.0, the customary value of large language models. An assumed threshold shows what
clipping at 1.0 would have done, and never triggers a finding: checks of the threshold need a known one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gradlens.config import TrainingConfig
from gradlens.reports.base import ThresholdSource
from gradlens.run import Run

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: The customary threshold (GPT-3, PaLM, Llama 2, OLMo 2 use it), assumed where nothing is known.
CUSTOMARY = 1.0
#: PyTorch multiplies by C / (norm + 1e-6), so clipped norms land just below C; rounding moves them to it.
BUNCH_WIDTH = 1e-3
#: Share of norms that must lie in the last thousandth below the maximum to prove a threshold. No smooth distribution
#: puts a tenth of its mass there; constant norms are told apart by their spread. Our own choice.
BUNCH_SHARE = 0.1


@dataclass(frozen=True, kw_only=True, slots=True)
class Threshold:
    """`value` None means that the run is known not to have clipped; an assumed one is not a value of the run."""

    value: float | None
    source: ThresholdSource

    @property
    def known(self) -> float | None:
        """The threshold that the run is known to have used; None where it did not clip or nobody knows."""
        return None if self.source == "assumed" else self.value


def choose_threshold(run: Run, config: TrainingConfig, option: float | str | None) -> Threshold:
    """The threshold: from the option ("" where not given), the configuration, proof in the log, or 1.0 assumed."""
    if not isinstance(option, str):
        return Threshold(value=option, source="option")
    if config.max_grad_norm is not None:
        return Threshold(value=config.max_grad_norm or None, source="config")
    after = run.grad_norm_clipped
    for series in (after, run.grad_norm):
        proven = None if series is None else bunched_maximum(series.value)
        if proven is not None:
            return Threshold(value=proven, source="log")
    return Threshold(value=CUSTOMARY, source="assumed")


def bunched_maximum(norm: NDArray[np.float64]) -> float | None:
    """The maximum of the norms where they bunch just below it, as norms after clipping do; None otherwise.

    Needs 50 finite norms of which a tenth lie within 0.1 % of the maximum, others that do not, and values that are printed
    finely enough to tell: norms rounded to 0.1 bunch everywhere. The value is rounded to four digits, since the 1e-6 of
    PyTorch's formula keeps the logged ones below the set one.
    """
    finite = norm[np.isfinite(norm) & (norm > 0)]
    if len(finite) < 50:
        return None
    top = float(finite.max())
    near = finite >= top * (1 - BUNCH_WIDTH)
    share = float(near.mean())
    if share < BUNCH_SHARE or float(finite.min()) > 0.99 * top:
        return None
    different = np.unique(finite)
    if len(different) < 2:
        return None  # a hundredth of the smallest double is that double
    unit = float(np.diff(different).min())
    if unit > BUNCH_WIDTH * top and np.allclose(different / unit, np.round(different / unit), rtol=0, atol=0.01):
        return None
    return float(f"{top:.4g}")

"""GL405: losses are NaN or infinite: from the first row, to the end, in many rows, or in a row with its norm."""

from __future__ import annotations

from typing import ClassVar

from gradlens.checks.base import FactCheck
from gradlens.reports.base import Cause


class RunTurnedNonfinite(FactCheck):
    """Losses are NaN or infinite: from the first row, to the end, in many rows, or in a row with its norm.

    What it measures
    ----------------
    From which row on loss or norm is not finite, or in what share of the rows, and whether the norm (threefold)
    or the loss (half again) had grown in the rows before. A loss of exactly 0 beside a NaN norm counts as NaN:
    some trainers write 0 instead.

    Why it matters
    --------------
    A NaN that nothing grew towards is no explosion: a batch, a kernel, a race or a restored state made it. In
    the first row no update precedes it. Clipping does not cure it, since the norm is NaN too.

    Threshold
    ---------
    Three rows to the end; 2 % of the rows and three of them otherwise; one row where loss and norm are both not
    finite and nothing grew before: a forward pass failed there. Our own choice.

    When it is wrong
    ----------------
    Some trainers log NaN where nothing was measured.

    What to try
    -----------
    Replay the batch of the first NaN from the checkpoint before it, with anomaly detection on.

    References
    ----------
    PyTorch documentation of torch.autograd.set_detect_anomaly. Hugging Face documentation of
    logging_nan_inf_filter.
    """

    code = "GL405"
    name = "run-turned-nonfinite"
    cause: ClassVar[Cause | None] = "nan_sudden"
    advice = "replay the batch of the first NaN from the checkpoint before it, with anomaly detection on"

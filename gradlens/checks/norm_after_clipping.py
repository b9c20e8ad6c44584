"""GL001: the logged gradient norms were measured after clipping."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from gradlens.checks.base import CauseCheck
from gradlens.diagnosis.case import Case
from gradlens.reports.analysis import Evidence
from gradlens.reports.base import Cause


class NormAfterClipping(CauseCheck):
    """The logged gradient norms were measured after clipping.

    What it measures
    ----------------
    The share of norms within 0.2 % below the threshold, the density just below that band, and whether any norm
    exceeds the threshold. PyTorch scales clipped gradients by C / (norm + 1e-6), so their norm afterwards is C less
    a rounding.

    Why it matters
    --------------
    A norm after clipping never exceeds the threshold, whatever the gradients do. Clip rates, spikes, tails and
    threshold advice drawn from it are meaningless: a run that explodes every step logs a quiet constant.

    Threshold
    ---------
    At least 1 % of 50 norms or more within 0.2 % of C, five times the density below the band, none above C by more
    than 0.1 %. A tenth of the norms or more within 0.2 % below their maximum proves it at that value, whatever threshold
    was given. Our own limits: labelled runs have at most .2 % there without and at least 43 % with the fault.

    When it is wrong
    ----------------
    Clip rates below 1 % leave no visible bunch; then the norms are called unknown. A regularizer that normalises
    gradients would look the same.

    What to try
    -----------
    Log the value that clip_grad_norm_ returns: it is the norm before clipping.

    References
    ----------
    PyTorch documentation of torch.nn.utils.clip_grad_norm_.
    """

    code = "GL001"
    name = "norm-after-clipping"
    cause: ClassVar[Cause | None] = "postclip_logged"
    needs = frozenset({"norm"})
    advice = "log the value returned by clip_grad_norm_, the norm before clipping"
    reference = "https://pytorch.org/docs/stable/generated/torch.nn.utils.clip_grad_norm_.html"

    def message(self, case: Case) -> str:
        """The reason of the verdict."""
        return case.provenance.reason

    def facts(self, case: Case) -> Iterator[Evidence]:
        """The shares the verdict rests on."""
        yield from case.provenance.evidence

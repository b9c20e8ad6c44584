"""GL003: the gradient norm is a constant placeholder."""

from __future__ import annotations

from collections.abc import Iterator

from gradlens.checks.base import Check
from gradlens.diagnosis.case import Case
from gradlens.reports.analysis import Finding
from gradlens.reports.base import Severity


class PlaceholderNorm(Check):
    """The gradient norm is a constant placeholder.

    What it measures
    ----------------
    Whether at least ten finite norms are all the same number, usually 0.

    Why it matters
    --------------
    Megatron-LM and torchtitan print a norm of 0.000 where clipping is off and none was computed. Taken at face
    value it looks like vanishing gradients.

    Threshold
    ---------
    All norms equal; a measured norm of a changing batch never is.

    When it is wrong
    ----------------
    A clipped norm logged after clipping at a rate of 100 % is constant as well, up to rounding.

    What to try
    -----------
    Turn on the computation of the norm: in most trainers, set a clipping threshold that is never reached.

    References
    ----------
    Console logs of Megatron-LM and torchtitan.
    """

    code = "GL003"
    name = "placeholder-norm"
    needs = frozenset({"norm"})
    advice = "set a clipping threshold that is never reached, so that the trainer computes the norm"

    def check(self, case: Case) -> Iterator[Finding]:
        """Yield one note where the norm is a placeholder; none where a loss that does not move shows that its 0 was measured."""
        if case.provenance.placeholder and not any(fact.code == "GL514" for fact in case.facts):
            yield self.finding(Severity.NOTE, case.provenance.reason, *case.provenance.evidence)

"""GL408: elements of gradients that fp16 cannot hold."""

from __future__ import annotations

from gradlens.checks.base import FactCheck


class BeyondFp16(FactCheck):
    """Elements of gradients that fp16 cannot hold.

    What it measures
    ----------------
    Whether histograms of gradients have elements in buckets beyond 65,504, the largest number of fp16.

    Why it matters
    --------------
    In fp16 such an element is infinite, and so is every norm that it is part of.

    Threshold
    ---------
    One element in a bucket that lies beyond as a whole. A warning where the run is known to use fp16, a note elsewhere.

    When it is wrong
    ----------------
    Histograms that were taken before unscaling hold the loss scale too; the warning is right for them as well, since
    that is what overflows.

    What to try
    -----------
    Use bfloat16, or let the loss scaler lower its scale.

    References
    ----------
    Micikevicius et al., Mixed precision training (2018).
    """

    code = "GL408"
    name = "beyond-fp16"
    advice = "use bfloat16, or let a loss scaler lower the scale until no element overflows"

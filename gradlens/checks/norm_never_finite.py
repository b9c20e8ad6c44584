"""GL406: no gradient norm is finite although the loss is."""

from __future__ import annotations

from gradlens.checks.base import FactCheck


class NormNeverFinite(FactCheck):
    """No gradient norm is finite although the loss is.

    What it measures
    ----------------
    Whether every logged norm is NaN or infinite while losses are finite.

    Why it matters
    --------------
    The norm is computed wrong, or each step overflows and is skipped. Training may be well, but nothing about
    gradients can be judged.

    Threshold
    ---------
    All norms. No choice of ours.

    When it is wrong
    ----------------
    Never: it states what was logged.

    What to try
    -----------
    Compute the norm after unscaling, in float32, over the parameters that have gradients.

    References
    ----------
    PyTorch documentation of clip_grad_norm_ (error_if_nonfinite).
    """

    code = "GL406"
    name = "norm-never-finite"
    needs = frozenset({"loss"})
    advice = "compute the norm after unscaling, in float32"

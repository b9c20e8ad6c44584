"""Student's t distribution and the tail of the binomial, by `scipy.special`.

Imported where they are called: only the gate and `compare` need them, and loading scipy takes longer than `analyze` of a
short log.
"""

from __future__ import annotations

import math


def student_sf(t: float, df: float) -> float:
    """Return P(T > t) for Student's t with ``df`` degrees of freedom, which need not be whole.

    Infinite ``df`` is the normal distribution; ``t`` may be infinite; a NaN gives NaN.
    """
    from scipy.special import ndtr, stdtr

    return float(ndtr(-t) if math.isinf(df) else stdtr(df, -t))


def student_quantile(p: float, df: float) -> float:
    """Return the t that is exceeded with probability ``1 - p``, for p strictly between 0 and 1."""
    from scipy.special import ndtri, stdtrit

    return float(ndtri(p) if math.isinf(df) else stdtrit(df, p))


def binomial_sf(count: int, n: int, p: float) -> float:
    """Return P(N >= count) of a binomial count, which is the incomplete beta function I_p(count, n - count + 1)."""
    from scipy.special import betainc

    if count <= 0 or count > n:
        return float(count <= 0)
    return float(betainc(count, n - count + 1, p))

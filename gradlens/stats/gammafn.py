"""The gamma distribution and the derivatives of ln Gamma, without scipy; see ``normal.py`` for why."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from gradlens.stats.normal import normal_sf

if TYPE_CHECKING:
    from numpy.typing import NDArray

LARGE_SHAPE = 1e5


def digamma(a: float) -> float:
    """Return the derivative of ln Gamma at a > 0 by upward recursion and the asymptotic series."""
    total = 0.0
    while a < 8.0:
        total -= 1.0 / a
        a += 1.0
    s = 1.0 / (a * a)
    series = s * (1.0 / 12.0 - s * (1.0 / 120.0 - s * (1.0 / 252.0 - s * (1.0 / 240.0 - s / 132.0))))
    return total + math.log(a) - 0.5 / a - series


def trigamma(a: float) -> float:
    """Return the second derivative of ln Gamma at a > 0."""
    total = 0.0
    while a < 8.0:
        total += 1.0 / (a * a)
        a += 1.0
    s = 1.0 / (a * a)
    return total + (1.0 + 0.5 / a + s * (1.0 / 6.0 - s * (1.0 / 30.0 - s * (1.0 / 42.0 - s / 30.0)))) / a


def gamma_survival(a: float, x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return P(X > x) for X gamma distributed with shape a and scale 1.

    The power series below a + 1 and the continued fraction above it (Abramowitz and Stegun 6.5.29 and 6.5.31). Shapes
    above 1e5 use the cube-root normal approximation of Wilson and Hilferty (1931), which is then better than 1e-7.

    Parameters
    ----------
    a : float
        Shape, positive.
    x : float64[n]
        Non-negative values.
    """
    x = np.maximum(np.asarray(x, dtype=np.float64), 0.0)
    if a > LARGE_SHAPE:
        return normal_sf(((x / a) ** (1.0 / 3.0) - (1.0 - 1.0 / (9.0 * a))) * 3.0 * math.sqrt(a))
    out = np.ones_like(x)
    low = (x > 0.0) & (x < a + 1.0)
    high = x >= a + 1.0
    out[low] = 1.0 - _series(a, x[low])
    out[high] = _fraction(a, x[high])
    return np.clip(out, 0.0, 1.0)


def _front(a: float, x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return x^a e^-x / Gamma(a) without overflow."""
    return np.asarray(np.exp(a * np.log(x) - x - math.lgamma(a)))


def _series(a: float, x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return P(X <= x) by its power series, for x below a + 1."""
    if x.size == 0:
        return x
    term = np.full_like(x, 1.0 / a)
    total = term.copy()
    top = a
    # Terms fall like x / (a + k): a few hundred are enough for shapes up to 1e5.
    for _ in range(20_000):
        top += 1.0
        term *= x / top
        total += term
        if float(np.max(term / total)) < 1e-16:
            break
    return total * _front(a, x)


def _fraction(a: float, x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return P(X > x) by Lentz's continued fraction, for x from a + 1 on."""
    if x.size == 0:
        return x
    b = x + 1.0 - a
    c = np.full_like(x, np.inf)
    d = 1.0 / b
    h = d.copy()
    for k in range(1, 20_000):
        factor = -k * (k - a)
        b = b + 2.0
        # For x from a + 1 on both are at least x + 1 + k before they are inverted, so neither is ever 0.
        d = 1.0 / (factor * d + b)
        c = b + factor / c
        delta = c * d
        h = h * delta
        if float(np.max(np.abs(delta - 1.0))) < 1e-15:
            break
    return h * _front(a, x)

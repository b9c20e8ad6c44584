"""Whether norms bunch just below a value, as norms after clipping do.

PyTorch multiplies clipped gradients by C / (norm + 1e-6), so their norms land just below C, or on it after rounding, and none
lies above. The same band serves both questions: whether norms bunch below a threshold that is given, and whether they bunch
below their own maximum, which then is the threshold.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Width of the band below C in which clipped norms lie, as a share of C: wide enough for norms printed with three digits.
BAND = 2e-3
BAND_IN_WORDS = f"{100 * BAND:g} %"
#: Norms above C by less than this share of it may be rounding.
ROUNDING = 1e-3
#: Norms that it takes to see a band.
MIN_NORMS = 50
#: Share of the norms in the band below a threshold that is given, and times the density just below the band, that prove
#: norms after clipping. Our own limits.
SHARE_BELOW_GIVEN, CONTRAST = 0.01, 5.0
#: Share of the norms in the band below their maximum that proves a threshold. No smooth distribution puts a tenth of its mass
#: there. Our own limit: of the 1,477 labelled runs, printed in full or with three digits, none has it without the fault.
SHARE_BELOW_MAXIMUM = 0.1
#: Norms that end at a value above this one are stuck there, as those of gradients that add up and come to a stop: nobody clips at it. Our
#: own limit.
MAX_THRESHOLD = 1e6


def bunching(norm: NDArray[np.float64], threshold: float) -> tuple[float, float]:
    """The share of norms in the band below a threshold, and how many times the density just below it that is.

    The density is that of the 6 % below the threshold without the band; with nothing there the contrast is infinite (0 where
    the band is empty too).
    """
    low, high = threshold * (1 - BAND), threshold * (1 + ROUNDING)
    share = float(np.mean((norm >= low) & (norm <= high)))
    below = float(np.mean((norm >= threshold * 0.94) & (norm < low))) * BAND / (0.06 - BAND)
    return share, share / below if below > 0 else (np.inf if share > 0 else 0.0)


def bunched_maximum(norm: NDArray[np.float64]) -> float | None:
    """The maximum of the norms where they bunch just below it, as norms after clipping do; None otherwise.

    Needs 50 finite norms, none above a million, of which a tenth lie within the band below the maximum, others that do not, and values that
    are printed finely enough to tell: norms rounded to 0.1 bunch everywhere. The value is rounded to four digits, since the 1e-6
    of PyTorch's formula keeps the logged ones below the set one.
    """
    finite = norm[np.isfinite(norm) & (norm > 0)]
    if len(finite) < MIN_NORMS:
        return None
    top = float(finite.max())
    if top > MAX_THRESHOLD:
        return None
    share = float((finite >= top * (1 - BAND)).mean())
    if share < SHARE_BELOW_MAXIMUM or float(finite.min()) > 0.99 * top:
        return None
    different = np.unique(finite)
    if len(different) < 2:
        return None  # a hundredth of the smallest double is that double
    unit = float(np.diff(different).min())
    if unit > BAND * top and np.allclose(different / unit, np.round(different / unit), rtol=0, atol=0.01):
        return None
    return float(f"{top:.4g}")

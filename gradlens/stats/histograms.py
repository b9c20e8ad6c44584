"""What lies in the far buckets of histograms."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def share_beyond(histograms: Iterable[tuple[NDArray[np.float64], NDArray[np.float64]]], limit: float) -> float | None:
    """The share of elements whose size exceeds a limit, all histograms together; None where they hold no element.

    Parameters
    ----------
    histograms : iterable of (float64[k+1], float64[k])
        Edges of the buckets in ascending order, and counts. A bucket that the limit cuts counts by the part of its width beyond
        it; edges may be infinite.
    limit : float
        A positive size.
    """
    total = beyond = 0.0
    for edges, counts in histograms:
        total += float(counts.sum())
        with np.errstate(over="ignore"):
            width = np.maximum(edges[1:] - edges[:-1], np.finfo(np.float64).tiny)
        with np.errstate(over="ignore", invalid="ignore"):
            above = np.maximum((edges[1:] - limit) / width, 0.0) + np.maximum((-limit - edges[:-1]) / width, 0.0)
        # Of an infinite width nearly all lies beyond.
        beyond += float(np.dot(counts, np.where(np.isinf(width), 1.0, np.minimum(above, 1.0))))
    return beyond / total if total else None

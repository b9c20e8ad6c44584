"""Fewer points of a long series without losing its extremes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def extremes(value: NDArray[np.float64], most: int, keep: NDArray[np.int64] | None = None) -> NDArray[np.int64]:
    """Positions of at most about `most` values: the lowest and the highest of each of `most` / 2 equal stretches.

    A curve through them covers the same area as one through all values wherever a stretch is narrower than a pixel, and
    a single spike in a million values is one of them.

    Parameters
    ----------
    value : float64[n]
        Finite values in order. Of ties in a stretch the first counts.
    most : int
        At least 4. The first and the last value are always in, and come on top.
    keep : int64[k], optional
        Positions that have to be in, too.

    Returns
    -------
    int64[m]
        Ascending, each once; all of them where there are no more than `most`.
    """
    n = len(value)
    if n <= most:
        return np.arange(n)
    count = max(most // 2, 2)
    size = -(-n // count)
    rows = -(-n // size)
    padded = np.full(rows * size, value[-1])
    padded[:n] = value
    table = padded.reshape(rows, size)
    start = np.arange(rows, dtype=np.int64) * size
    parts = [start + table.argmin(axis=1), start + table.argmax(axis=1), np.array([0, n - 1])]
    if keep is not None:
        parts.append(keep)
    found: NDArray[np.int64] = np.unique(np.concatenate(parts))
    return found[found < n]

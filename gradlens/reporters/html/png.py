"""A map of numbers as a PNG in a data URI, for still pictures."""

from __future__ import annotations

import base64
import struct
import zlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Nine colours of viridis (Smith and van der Walt 2015), dark to bright; between them straight lines.
VIRIDIS = ("#440154", "#472d7b", "#3b528b", "#2c728e", "#21918c", "#28ae80", "#5ec962", "#addc30", "#fde725")
#: Where something was not finite, and where nothing was logged.
BAD, NOTHING = (198, 40, 40, 255), (0, 0, 0, 0)


def heat_uri(value: NDArray[np.float64]) -> tuple[str, float, float] | None:
    """The map with its smallest and largest positive value; None without one.

    Parameters
    ----------
    value : float64[rows, k]
        Drawn by logarithm; infinite values are red, NaN and what is not positive is left open. The first row is on top.
    """
    usable = np.isfinite(value) & (value > 0)
    if not usable.any():
        return None
    log = np.log(np.where(usable, value, 1.0))
    low, high = float(log[usable].min()), float(log[usable].max())
    place = (log - low) / ((high - low) or 1.0) * (len(VIRIDIS) - 1)
    stops = np.array([[int(c[i : i + 2], 16) for i in (1, 3, 5)] for c in VIRIDIS], dtype=float)
    cells = np.zeros((*value.shape, 4), dtype=np.uint8)
    for channel in range(3):
        cells[..., channel] = np.interp(place, np.arange(len(VIRIDIS)), stops[:, channel])
    cells[..., 3] = 255
    cells[~usable] = NOTHING
    cells[np.isinf(value)] = BAD
    return _uri(cells), float(np.exp(low)), float(np.exp(high))


def _uri(cells: NDArray[np.uint8]) -> str:
    height, width, _ = cells.shape
    rows = np.concatenate((np.zeros((height, 1), dtype=np.uint8), cells.reshape(height, width * 4)), axis=1)
    header = struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows.tobytes(), 9)), (b"IEND", b""))
    parts = [b"\x89PNG\r\n\x1a\n"]
    for kind, body in chunks:
        parts.append(struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)))
    return "data:image/png;base64," + base64.b64encode(b"".join(parts)).decode("ascii")

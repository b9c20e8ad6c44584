"""Columns of pyarrow tables as numpy arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def arrays_of(column: Any) -> tuple[NDArray[np.float64], NDArray[np.bool_] | None]:
    """The values of a float64 column and which are there (None for all), from its buffers: `to_numpy` loads pandas.

    The values may be pyarrow's own memory: do not write to them; keeping a part keeps all of it.
    """
    values, present = [], []
    for chunk in column.chunks:
        bitmap, data = chunk.buffers()
        part = slice(chunk.offset, chunk.offset + len(chunk))
        values.append(np.frombuffer(data, np.float64)[part])
        if column.null_count:
            bits = np.ones(part.stop, np.bool_)
            if bitmap is not None:
                bits = np.unpackbits(np.frombuffer(bitmap, np.uint8), bitorder="little")[: part.stop].astype(np.bool_)
            present.append(bits[part])
    value = values[0] if len(values) == 1 else np.concatenate([np.empty(0), *values])
    return value, np.concatenate(present) if present else None

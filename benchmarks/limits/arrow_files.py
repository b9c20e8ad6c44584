"""Arrow and Parquet files that say they hold more than they do, or unpack to far more than their size."""

from __future__ import annotations

import struct
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.limits.measuring import Source

#: A number of rows that stands nowhere else in the head of a batch.
_ROWS = 1237


def _table(rows: int) -> Any:
    import numpy as np
    import pyarrow as pa

    step = np.arange(rows)
    return pa.table({"step": step, "loss": 2.0 / (1.0 + step / 50.0), "grad_norm": np.full(rows, 0.5)})


def _stream(table: Any, compression: str | None = None) -> bytes:
    import pyarrow as pa

    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(compression=compression)) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())


def _written(folder: Path, data: bytes, name: str = "run.arrow") -> Source:
    path = folder / name
    path.write_bytes(data)
    return Source(("analyze", str(path)), len(data) / 1e6)


def _lengths(folder: Path, scale: float, *, rows: int) -> Source:
    """A stream whose batch and columns claim more or fewer rows than they have."""
    del scale
    data = _stream(_table(_ROWS))
    return _written(folder, data.replace(struct.pack("<q", _ROWS), struct.pack("<q", rows), 4))


def _places(folder: Path, scale: float, *, start: int, size: int) -> Source:
    """A stream whose buffer of numbers is said to be elsewhere."""
    del scale
    whole = _ROWS * 8
    known = struct.pack("<qq", 0, whole)
    return _written(folder, _stream(_table(_ROWS)).replace(known, struct.pack("<qq", start, size), 1))


def _unpacked(folder: Path, scale: float, *, said: int) -> Source:
    """A packed stream whose buffers are said to unpack to so many bytes."""
    del scale
    return _written(
        folder, _stream(_table(_ROWS), "zstd").replace(struct.pack("<q", _ROWS * 8), struct.pack("<q", said))
    )


def _zeros(folder: Path, scale: float) -> Source:
    """A Feather file of a gigabyte of zeros."""
    import numpy as np
    import pyarrow as pa
    from pyarrow import feather

    rows = max(1000, int(40_000_000 * scale))
    zeros = np.zeros(rows)
    path = folder / "run.feather"
    feather.write_feather(pa.table({"step": zeros, "loss": zeros, "grad_norm": zeros}), path, compression="zstd")
    return Source(("analyze", str(path)), path.stat().st_size / 1e6)


def _long_text(folder: Path, scale: float) -> Source:
    """Rows of one number that is spelled with half a million digits, which the file holds once: 100 GB of text.

    It counts with its numbers.
    """
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = max(1000, int(200_000 * scale))
    loss = pa.DictionaryArray.from_arrays(pa.array(np.zeros(rows, np.int32)), ["1." + "0" * 500_000])
    path = folder / "run.parquet"
    pq.write_table(pa.table({"step": np.arange(rows), "loss": loss}), path, compression="zstd")
    return Source(("analyze", str(path)), 16 * rows / 1e6)


SOURCES: dict[str, Callable[[Path, float], Source]] = {
    "Arrow: a batch of a trillion rows": partial(_lengths, rows=10**12),
    "Arrow: a batch of 2^63 - 1 rows": partial(_lengths, rows=2**63 - 1),
    "Arrow: a batch of -1 rows": partial(_lengths, rows=-1),
    "Arrow: a batch of a thousand rows too many": partial(_lengths, rows=_ROWS + 1000),
    "Arrow: a buffer before its batch": partial(_places, start=-8, size=_ROWS * 8),
    "Arrow: a buffer of 2^62 bytes": partial(_places, start=0, size=2**62),
    "Arrow: buffers that unpack to 2^62 bytes": partial(_unpacked, said=2**62),
    "Arrow: buffers that unpack to -5 bytes": partial(_unpacked, said=-5),
    "bomb: Feather, zeros": _zeros,
    "bomb: Parquet, one long text in each row": _long_text,
}

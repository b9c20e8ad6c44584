"""A small whole log of every format, from the writers of the tests, plain and packed."""

from __future__ import annotations

import gzip
import tempfile
from functools import cache
from pathlib import Path
from typing import NamedTuple

from tests.readers.console_examples_more import ALL as EXAMPLES
from tests.readers.writers import ROWS_OF, WRITERS

#: Rows of a log that can be judged, and of one that only has to be read, which costs a fraction of the time.
ROWS, FEW_ROWS = 40, 8


class Sample(NamedTuple):
    """A log: the name of its format, a name for the file, and its bytes."""

    format: str
    file: str
    data: bytes


@cache
def samples(rows: int = ROWS) -> tuple[Sample, ...]:
    """One or more samples of each format; those of trainers' consoles are as short as they are."""
    found = []
    for name, write in WRITERS.items():
        with tempfile.TemporaryDirectory() as folder:
            written = write(ROWS_OF(rows), Path(folder))
            files = sorted(p for p in written.rglob("*") if p.is_file()) if written.is_dir() else [written]
            found += [Sample(name, path.name, path.read_bytes()) for path in files if path.stat().st_size]
    for name, examples in EXAMPLES.items():
        found += [Sample("console", f"{name}.log", example.text.encode()) for example in examples]
    plain = {sample.format: sample for sample in found}
    found += _arrow(rows)
    found += [
        Sample(name, f"{plain[name].file}.gz", gzip.compress(plain[name].data, mtime=0))
        for name in ("jsonl", "csv", "console", "tensorboard")
    ]
    return tuple(found)


def _arrow(rows: int) -> list[Sample]:
    """Tables in other files than the plain Parquet file of the writers: streams, packed files, texts of numbers."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns: dict[str, list[float | str | None]] = {name: [] for name in ("step", "loss", "grad_norm", "lr")}
    for row in ROWS_OF(rows):
        for name, column in columns.items():
            column.append(row.get(name))
    texts = pa.array([None if value is None else str(value) for value in columns["grad_norm"]])
    table = pa.table({**columns, "grad_norm": texts, "lr": pa.array(columns["lr"]).dictionary_encode()})
    found = []
    for file, make, compression in (
        ("run.arrow", pa.ipc.new_stream, None), ("packed.arrow", pa.ipc.new_stream, "zstd"),
        ("run.feather", pa.ipc.new_file, "lz4"),
    ):  # fmt: skip
        sink = pa.BufferOutputStream()
        with make(sink, table.schema, options=pa.ipc.IpcWriteOptions(compression=compression)) as writer:
            writer.write_table(table)
        found.append(Sample("parquet", file, sink.getvalue().to_pybytes()))
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, row_group_size=max(rows // 2, 1))
    return [*found, Sample("parquet", "texts.parquet", sink.getvalue().to_pybytes())]

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
    found += [
        Sample(name, f"{plain[name].file}.gz", gzip.compress(plain[name].data, mtime=0))
        for name in ("jsonl", "csv", "console", "tensorboard")
    ]
    return tuple(found)

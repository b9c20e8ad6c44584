"""One run under a random mixture of changes that lose nothing: the same report but for source and notices.

What each change does alone is in `test_same_report.py`.
"""

from __future__ import annotations

import gzip
import json
import random
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

import gradlens
from tests.readers.test_same_report import JUDGED, ROWS, plain, report_of, without
from tests.readers.writers import WRITERS

#: What may be done to the file of a format: to the order of its rows, to the names of its columns, to its bytes.
ANY_ORDER = frozenset({"shuffled", "reversed"})
TEXT = frozenset({"junk", "crlf", "bom", "utf-16", "packed"})
CHANGES = {
    "jsonl": ANY_ORDER | TEXT | {"resumed", "renamed", "turned"},
    "csv": ANY_ORDER | TEXT | {"resumed", "renamed", "turned"},
    "json": ANY_ORDER | {"resumed", "renamed", "turned", "crlf", "bom", "packed"},
    "hf-trainer-state": {"resumed", "crlf", "packed"},
    "wandb-csv": {"crlf", "bom", "packed"},
    "text-columns": {"junk", "crlf", "bom", "packed", "turned"},
    "console": TEXT | {"resumed"},
    "tensorboard": {"resumed", "renamed", "split", "packed"},
    "wandb": {"resumed", "renamed"},
    "trackio": {"renamed"},
    "mlflow": {"renamed", "turned"},
    "mlflow-sqlite": {"renamed", "turned"},
    "parquet": {"resumed", "renamed", "turned"},
}
NAMES = {"loss": "train/loss", "grad_norm": "gnorm", "lr": "learning_rate"}
JUNK = {
    "jsonl": (
        "Connection reset by peer",
        "",
        "wandb: syncing",
        '{"step": 12, "loss": 1.2',
        "Traceback (most recent call last):",
    ),
    "csv": ("", "Connection reset by peer"),
    "text-columns": ("", "# a remark"),
    "console": ("", "WARNING: a worker is slow", "  warnings.warn(", "[rank0]: NCCL version 2.19"),
}
#: Junk that holds no number is not a record of any console, and what a comment or an empty line says is nobody's loss.
SILENT = frozenset({"", "# a remark"})


#: How a line of junk is told of.
TOLD_AS = {"jsonl": "malformed-record", "csv": "short-row"}


class Mixture(NamedTuple):
    format: str
    changes: frozenset[str]
    seed: int


@st.composite
def mixtures(draw):
    name = draw(st.sampled_from(sorted(CHANGES)))
    changes = frozenset(draw(st.sets(st.sampled_from(sorted(CHANGES[name])), min_size=1)))
    if {"bom", "utf-16"} <= changes:
        changes -= {"bom"}
    return Mixture(name, changes, draw(st.integers(0, 1 << 20)))


def rows_of(mixture, noise):
    rows = ROWS
    if "resumed" in mixture.changes:
        cut = noise.randint(30, len(ROWS) - 1)
        rows = [*ROWS[:cut], *ROWS[cut - noise.randint(1, 25) :]]
    rows = [dict(row) for row in rows]
    if "shuffled" in mixture.changes:
        noise.shuffle(rows)
    if "reversed" in mixture.changes:
        rows.reverse()
    if "renamed" in mixture.changes:
        rows = [{NAMES.get(key, key): value for key, value in row.items()} for row in rows]
    if "turned" in mixture.changes:
        rows = [dict(reversed(row.items())) for row in rows]
    return rows


def written(mixture, folder):
    """Write the mixture; the path, and how many lines of junk should be told of."""
    noise = random.Random(mixture.seed)
    rows, told = rows_of(mixture, noise), 0
    if "split" in mixture.changes:
        cut = noise.randint(20, len(rows) - 20)
        WRITERS[mixture.format](rows[:cut], folder)
        WRITERS[mixture.format](rows[cut:], folder, start=1.8e9)
        path = folder / "tb"
    else:
        path = WRITERS[mixture.format](rows, folder)
    files = [path] if path.is_file() else [p for p in sorted(path.rglob("*")) if p.is_file()]
    for file in files:
        data, lost = changed(mixture, file.read_bytes(), noise)
        told += lost
        file.write_bytes(data)
        if "packed" in mixture.changes:
            packed = file.with_name(f"{file.name}.gz")
            packed.write_bytes(gzip.compress(data, mtime=0))
            file.unlink()
            path = packed if path == file else path
    return path, told


def changed(mixture, data, noise):
    told = 0
    if "junk" in mixture.changes:
        lines = data.decode().split("\n")
        for _ in range(noise.randint(1, 8)):
            junk = noise.choice(JUNK[mixture.format])
            told += junk not in SILENT
            lines.insert(noise.randint(20, len(lines) - 1), junk)
        data = "\n".join(lines).encode()
    if "crlf" in mixture.changes:
        data = data.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    if "bom" in mixture.changes:
        data = b"\xef\xbb\xbf" + data
    if "utf-16" in mixture.changes:
        data = data.decode().encode("utf-16")
    return data, told


@cache
def wanted():
    with TemporaryDirectory() as folder:
        return plain(report_of(WRITERS["jsonl"](ROWS, Path(folder))))


@settings(max_examples=80, deadline=None)
@given(mixtures())
def test_a_mixture_of_changes_that_lose_nothing(mixture):
    once = wanted()
    with TemporaryDirectory() as folder:
        path, told = written(mixture, Path(folder))
        got = plain(report_of(path))
        (run,) = gradlens.read(path)
    if "resumed" in mixture.changes:
        # Rows that are merely logged twice change no verdict; that they are is a note.
        assert without(got, JUDGED) == without(once, JUDGED)
        assert got["verdict"] == once["verdict"]
        assert got["diagnosis"]["cause"] == once["diagnosis"]["cause"]
        assert [f for f in got["findings"] if f["code"] != "GL007"] == once["findings"]
    else:
        assert json.dumps(got, sort_keys=True) == json.dumps(once, sort_keys=True)
    if mixture.format in TOLD_AS:
        assert sum(n.count for n in run.notices if n.code == TOLD_AS[mixture.format]) == told

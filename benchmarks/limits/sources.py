"""What is given to the program: each function makes one source in a folder, smaller by `scale`."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import json
import lzma
import os
import sqlite3
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import IO, Any

from benchmarks.limits import arrow_files
from benchmarks.limits.measuring import Source

Make = Callable[[Path, float], Source]
_GB, _MB = 1 << 30, 1 << 20
_ROWS = 300


def row(i: int) -> dict[str, Any]:
    """A row of a run that learns."""
    return {"step": i, "loss": 2 / (1 + i / 50), "grad_norm": 0.5 + i % 7 / 10}


def jsonl(rows: Iterator[dict[str, Any]] | None = None) -> bytes:
    """Rows as JSON lines; of a short healthy run, if none are given."""
    return "".join(json.dumps(r) + "\n" for r in (rows or map(row, range(_ROWS)))).encode()


def _source(path: Path, mb: float | None = None, *more: str) -> Source:
    return Source(("analyze", str(path), *more), path.stat().st_size / 1e6 if mb is None else mb)


def _filled(handle: IO[bytes], piece: bytes, size: float) -> None:
    """Write a piece again and again until there are so many bytes."""
    block = piece * max(1, _MB // len(piece))
    for _ in range(max(1, int(size / len(block)))):
        handle.write(block)


def _long_line(folder: Path, scale: float, *, name: str, before: bytes, piece: bytes, after: bytes = b"\n") -> Source:
    path = folder / name
    with path.open("wb") as handle:
        handle.write(before)
        _filled(handle, piece, _GB * scale)
        handle.write(after)
    return _source(path)


def _document(folder: Path, scale: float) -> Source:
    path = folder / "history.json"
    with path.open("wb") as handle:
        handle.write(b"[")
        size = i = 0
        while size < _GB * scale:
            part = b"".join(json.dumps(row(i + j)).encode() + b", " for j in range(1000))
            size, i = size + handle.write(part), i + 1000
        handle.write(json.dumps(row(i)).encode() + b"]")
    return _source(path)


def _many(scale: float, most: int = 1_000_000) -> list[str]:
    return [f"c{i}" for i in range(max(10, int(most * scale)))]


def _wide_csv(folder: Path, scale: float) -> Source:
    names, path = _many(scale), folder / "wide.csv"
    with path.open("w", encoding="utf-8") as handle:
        handle.write(",".join(["step", "loss", *names]) + "\n")
        for i in range(3):
            handle.write(f"{i},1.5" + ",1" * len(names) + "\n")
    return _source(path)


def _wide_jsonl(folder: Path, scale: float) -> Source:
    path = folder / "wide.jsonl"
    path.write_bytes(jsonl(row(i) | dict.fromkeys(_many(scale), 1) for i in range(3)))
    return _source(path)


def _new_keys(folder: Path, scale: float) -> Source:
    """Every record has keys of its own: a million in all."""
    path, each = folder / "keys.jsonl", max(1, int(1000 * scale))
    path.write_bytes(jsonl(row(i) | {f"k{i}_{j}": 1 for j in range(each)} for i in range(1000)))
    return _source(path)


def _wide_document(folder: Path, scale: float) -> Source:
    path = folder / "history.json"
    path.write_text(json.dumps({"loss": [3, 2, 1], **{name: [1, 2, 3] for name in _many(scale)}}))
    return _source(path)


def _wide_console(folder: Path, scale: float) -> Source:
    path = folder / "wide.log"
    words = " | ".join(f"{name}: 1.5" for name in _many(scale))
    path.write_text("".join(f"step {i} | loss: {2 / (1 + i)} | {words}\n" for i in range(2)))
    return _source(path)


def _wide_parquet(folder: Path, scale: float) -> Source:
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = folder / "wide.parquet"
    columns = {"step": [0, 1, 2], "loss": [3.0, 2.0, 1.0], **{key: [1.0, 2.0, 3.0] for key in _many(scale)}}
    pq.write_table(pa.table(columns), path)
    return _source(path)


def _wide_events(folder: Path, scale: float) -> Source:
    """A TensorBoard file with a million tags; the checksums are those of an empty record of the reader's own writer."""
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.summary.writer.event_file_writer import EventFileWriter

    writer = EventFileWriter(str(folder), max_queue_size=1000)
    for name in ["loss", *_many(scale)]:
        writer.add_event(Event(step=1, summary=Summary(value=[Summary.Value(tag=name, simple_value=1.0)])))
    for i in range(50):
        writer.add_event(Event(step=i + 2, summary=Summary(value=[Summary.Value(tag="loss", simple_value=1.0)])))
    writer.close()
    return _source(next(folder.glob("*tfevents*")))


def _packed(
    folder: Path, scale: float, *, how: str, piece: bytes, size: float = _GB, name: str = "run.jsonl"
) -> Source:
    """An archive of a short run and then a piece again and again; it counts with what it unpacks to, at most what is free."""
    if how == "zip":
        path = folder / "run.zip"
        with (
            zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive,
            archive.open(name, "w", force_zip64=True) as file,
        ):
            file.write(jsonl())
            _filled(file, piece, size * scale)
        return _source(path)
    path = folder / f"{name}.{how}"
    with _writers()[how](path) as handle:
        handle.write(jsonl())
        _filled(handle, piece, size * scale)
    # What unpacks to more than 256 MiB and 300 times its size is refused, so no more than that is read.
    return _source(
        path, min(size * scale, max(256 * _MB, 300 * path.stat().st_size)) / 1e6 if how in {"gz", "zst"} else None
    )


def _writers() -> dict[str, Callable[[Path], Any]]:
    def zst(path: Path) -> Any:
        import zstandard

        return zstandard.open(path, "wb")

    return {
        "gz": partial(gzip.open, mode="wb"),
        "zst": zst,
        "bz2": partial(bz2.open, mode="wb"),
        "xz": partial(lzma.open, mode="wb"),
    }


def _parquet_of_one_value(folder: Path, scale: float) -> Source:
    """Half a billion equal rows, which take a few kilobytes."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = folder / "run.parquet"
    part = pa.table(
        {"step": np.zeros(5_000_000, np.int64), "loss": np.ones(5_000_000), "grad_norm": np.ones(5_000_000)}
    )
    with pq.ParquetWriter(path, part.schema, compression="zstd") as writer:
        for _ in range(max(1, int(100 * scale))):
            writer.write_table(part, row_group_size=5_000_000)
    return _source(path)


def _endless_view(folder: Path, scale: float) -> Source:
    """A SQLite store whose table of metrics is a view that has no end."""
    del scale
    path = folder / "project.db"
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.executescript(
            "CREATE TABLE configs (run_name, config);"
            "CREATE VIEW metrics AS WITH RECURSIVE c(step) AS (SELECT 1 UNION ALL SELECT step + 1 FROM c)"
            " SELECT step, step AS rowid, 'r' AS run_name, '{\"loss\": 1}' AS metrics FROM c;"
        )
    return _source(path)


def _nested(folder: Path, scale: float, *, name: str, opening: str, closing: str = "") -> Source:
    path, depth = folder / name, max(10, int(100_000 * scale))
    text = opening * depth + ("1" + closing * depth if closing else "")
    path.write_bytes(
        jsonl() + text.encode() + b"\n" + jsonl(row(_ROWS + i) for i in range(_ROWS))
        if name.endswith("l")
        else text.encode()
    )
    return _source(path)


def _steps(folder: Path, scale: float, *, times: float) -> Source:
    del scale
    path = folder / "run.jsonl"
    path.write_bytes(jsonl(row(i) | {"step": i * times} for i in range(_ROWS)))
    return _source(path)


def _lengths(folder: Path, scale: float) -> Source:
    """TensorBoard's records with a length of 2^63."""
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.summary.writer.event_file_writer import EventFileWriter

    del scale
    writer = EventFileWriter(str(folder))
    for i in range(_ROWS):
        writer.add_event(Event(step=i, summary=Summary(value=[Summary.Value(tag="loss", simple_value=2 / (1 + i))])))
    writer.close()
    path = next(folder.glob("*tfevents*"))
    data = bytearray(path.read_bytes())
    (first,) = struct.unpack_from("<Q", data)
    struct.pack_into("<Q", data, first + 16, 1 << 63)
    path.write_bytes(data)
    return _source(path)


def _folder(folder: Path, scale: float, *, name: str, content: bytes, most: int = 100_000) -> Source:
    """One log among so many files."""
    count = max(10, int(most * scale))
    for i in range(count):
        (folder / name.format(i)).write_bytes(content)
    (folder / "run.jsonl").write_bytes(jsonl())
    return _source(folder, count * len(content) / 1e6)._replace(files=count)


def _circles(folder: Path, scale: float) -> Source:
    del scale
    (folder / "a").mkdir()
    (folder / "a" / "run.jsonl").write_bytes(jsonl())
    (folder / "a" / "again").symlink_to(folder / "a")
    (folder / "a" / "up").symlink_to(folder)
    (folder / "a" / "self.jsonl").symlink_to(folder / "a" / "self.jsonl")
    (folder / "b.jsonl").symlink_to(folder / "c.jsonl")
    (folder / "c.jsonl").symlink_to(folder / "b.jsonl")
    return _source(folder, 0.0)


def _deep(folder: Path, scale: float) -> Source:
    """Folders in folders, as deep as a path may be long."""
    del scale
    at = folder
    for _ in range(1900):
        at = at / "d"
        at.mkdir()
    (at / "run.jsonl").write_bytes(jsonl())
    return _source(folder, 0.0)


def _named(folder: Path, scale: float, *, path: str) -> Source:
    del folder, scale
    if not Path(path).exists():
        raise OSError(f"no {path} here")
    return Source(("analyze", path), 0.0)


def _endless_pipe(folder: Path, scale: float) -> Source:
    """A named pipe into which lines are written without end; the pipe itself may be as long as 1 GiB."""
    del scale
    pipe = folder / "pipe.jsonl"
    os.mkfifo(pipe)
    line = json.dumps(row(0))
    subprocess.Popen(
        ["sh", "-c", f"exec yes '{line}' > '{pipe}'"],
        start_new_session=True,
        stderr=subprocess.DEVNULL,
        stdin=subprocess.DEVNULL,
    )
    return Source(("analyze", str(pipe)), _GB / 1e6)


def _folder_as_file(folder: Path, scale: float) -> Source:
    del scale
    (folder / "run.jsonl").mkdir()
    return _source(folder / "run.jsonl", 0.0)


def _beside(folder: Path, scale: float, *, name: str, make: Callable[[Path, float], object]) -> Source:
    """A good log, and something else where its settings would be."""
    (folder / "run.jsonl").write_bytes(jsonl())
    make(folder / name, scale)
    path = folder / name
    return _source(folder / "run.jsonl", path.stat().st_size / 1e6 if path.is_file() else 0.0)


def _laughs(path: Path, scale: float) -> None:
    """Ten million million leaves in thirteen lines of aliases."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, max(3, int(13 * scale)))]
    path.write_text("\n".join(lines) + "\n")


def _laughing_maps(path: Path, scale: float) -> None:
    lines = ["a0: &a0 {lr: 1, b: 2}"]
    lines += [f"a{i}: &a{i} {{x: *a{i - 1}, y: *a{i - 1}}}" for i in range(1, max(3, int(40 * scale)))]
    path.write_text("\n".join(lines) + "\n")


def _long_settings(path: Path, scale: float) -> None:
    path.write_text("".join(f"setting_{i}: {i}\n" for i in range(int(90_000 * scale))))


def _with_option(folder: Path, scale: float, *, option: str, path: str, command: str = "analyze") -> Source:
    del scale
    (folder / "run.jsonl").write_bytes(jsonl())
    return Source((command, str(folder / "run.jsonl"), option, path), 0.0)


_LINE = partial(_long_line, before=jsonl())
_ZEROS, _ROW_AGAIN = bytes(_MB), json.dumps(row(_ROWS)).encode() + b"\n"

SOURCES: dict[str, Make] = {
    "line of 1 GB: a list of numbers in JSON lines": partial(_LINE, name="run.jsonl", piece=b"0.125, "),
    "line of 1 GB: cells of CSV": partial(_long_line, name="run.csv", before=b"step,loss\n0,1.5\n", piece=b"0.125,"),
    "line of 1 GB: words and numbers of a console": partial(
        _long_line, name="run.log", before=b"step 1 loss 2.0\n" * 99, piece=b"loss 2.0 at step "
    ),
    "line of 1 GB: one letter": partial(_long_line, name="run.txt", before=b"", piece=b"a", after=b""),
    "line of 1 GB: a JSON document of 14 million rows": _document,
    "a million columns: CSV": _wide_csv,
    "a million columns: JSON lines": _wide_jsonl,
    "a million columns: JSON lines, each record others": _new_keys,
    "a million columns: JSON document": _wide_document,
    "a million columns: console": _wide_console,
    "a million columns: Parquet": _wide_parquet,
    "a million columns: TensorBoard": _wide_events,
    "bomb: gzip, zeros": partial(_packed, how="gz", piece=_ZEROS),
    "bomb: gzip, one row again and again": partial(_packed, how="gz", piece=_ROW_AGAIN),
    "bomb: gzip, rows of a JSON document": partial(_packed, how="gz", piece=b" [", name="run.json"),
    "bomb: zstd, zeros": partial(_packed, how="zst", piece=_ZEROS),
    "bomb: zstd, one row again and again": partial(_packed, how="zst", piece=_ROW_AGAIN),
    "bomb: bzip2, zeros": partial(_packed, how="bz2", piece=_ZEROS),
    "bomb: xz, zeros": partial(_packed, how="xz", piece=_ZEROS),
    "bomb: zip, zeros": partial(_packed, how="zip", piece=_ZEROS),
    "bomb: Parquet, half a billion equal rows": _parquet_of_one_value,
    **arrow_files.SOURCES,
    "bomb: SQLite, a view without end": _endless_view,
    "nesting of 100,000: lists in JSON lines": partial(_nested, name="run.jsonl", opening="["),
    "nesting of 100,000: objects in JSON lines": partial(_nested, name="run.jsonl", opening='{"a":', closing="}"),
    "nesting of 100,000: lists in JSON": partial(_nested, name="run.json", opening="[", closing="]"),
    "nesting of 100,000: objects in JSON": partial(_nested, name="run.json", opening='{"loss":', closing="}"),
    "steps up to 3e17": partial(_steps, times=10**15),
    "steps up to 3e302": partial(_steps, times=1e300),
    "steps up to 1e308": partial(_steps, times=1e308 / _ROWS),
    "steps of 2^63": partial(_steps, times=2**63),
    "a record of 2^63 bytes: TensorBoard": _lengths,
    "100,000 files: notes and one log": partial(_folder, name="note{}.txt", content=b"nothing\n"),
    "100,000 files: empty logs and one log": partial(_folder, name="run{}.jsonl", content=b""),
    "100,000 files: damaged logs and one log": partial(_folder, name="run{}.jsonl", content=b'{"step": 1, "loss": \n'),
    "links in circles": _circles,
    "1,900 folders in each other": _deep,
    "/dev/zero": partial(_named, path="/dev/zero"),
    "/dev/stdin, closed": partial(_named, path="/dev/stdin"),
    "/proc/self/mem": partial(_named, path="/proc/self/mem"),
    "/proc": partial(_named, path="/proc"),
    "a pipe without end": _endless_pipe,
    "a folder that is called run.jsonl": _folder_as_file,
    "settings beside the log: a link to /dev/zero": partial(
        _beside, name="config.yaml", make=lambda p, _: p.symlink_to("/dev/zero")
    ),
    "settings beside the log: a pipe that nobody writes": partial(
        _beside, name="config.json", make=lambda p, _: os.mkfifo(p)
    ),
    "settings beside the log: YAML, lists of aliases": partial(_beside, name="config.yaml", make=_laughs),
    "settings beside the log: YAML, maps of aliases": partial(_beside, name="config.yaml", make=_laughing_maps),
    "settings beside the log: YAML of 90,000 settings": partial(_beside, name="config.yaml", make=_long_settings),
    "settings beside the log: nested": partial(
        _beside, name="config.json", make=lambda p, _: p.write_text("[" * 100_000)
    ),
    "--config /dev/zero": partial(_with_option, option="--config", path="/dev/zero"),
    "--baseline /dev/zero": partial(_with_option, option="--baseline", path="/dev/zero", command="gate"),
    "--baseline /proc/self/mem": partial(_with_option, option="--baseline", path="/proc/self/mem", command="gate"),
}


def make(title: str, folder: Path, scale: float) -> Source | None:
    """The source of a title; None where this machine cannot have it."""
    try:
        return SOURCES[title](folder, scale)
    except (ImportError, OSError) as error:
        print(f"{title}: {error}", file=sys.stderr)
        return None

"""JSON lines: one JSON object a line, with the tokens and habits of real training logs."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np

from gradlens.errors import MalformedLogError
from gradlens.progress import track
from gradlens.readers.base import Column, NoticeBook, RawRun, Reader, ReadOptions
from gradlens.readers.json_blocks import BlockParser, Table
from gradlens.readers.text_blocks import blocks, in_order

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import BinaryIO

    from numpy.typing import NDArray

    from gradlens.source import Source


class JsonLinesReader(Reader):
    """One JSON object a line; nested objects become `outer/inner` names."""

    name = "jsonl"

    def sniff(self, source: Source) -> float:
        lines = [line for line in source.head_text.splitlines()[:20] if line.strip()]
        if not lines:
            return 0.0
        good = sum(1 for line in lines if line.lstrip().startswith("{") and line.rstrip().endswith("}"))
        return 0.5 if good and good >= len(lines) - 2 else 0.0

    def read(self, sources: Sequence[Source], options: ReadOptions) -> list[RawRun]:
        (source,) = sources
        book, joiner, config = NoticeBook(), TableJoiner(options), dict[str, Any]()
        parser = BlockParser()
        n_lines = 0
        with open_text(source) as handle, track(source.name, source.size) as progress:
            for table in in_order(parser.parse, blocks(handle), source.size):
                for problem in table.problems:
                    where = f"line {n_lines + problem.line + 1}"
                    book.add(problem.code, problem.message, where, problem.count)
                config.update(table.config)
                joiner.add(table)
                n_lines += table.n_lines
                progress(handle.tell())
        if joiner.n_rows == 0:
            raise MalformedLogError(f"{source.name}: no record with a number in {n_lines} lines")
        return [RawRun(columns=joiner.columns(), n_rows=joiner.n_rows, config=config, notices=book.notices())]


def open_text(source: Source) -> BinaryIO:
    """The bytes of a text log as UTF-8 without a byte order mark."""
    start = source.head[:4]
    if start[:2] in {b"\xff\xfe", b"\xfe\xff"}:
        return io.BytesIO(source.read_bytes().decode("utf-16", errors="replace").encode())
    handle = source.open()
    if start.startswith(b"\xef\xbb\xbf"):
        handle.read(3)
    return handle


class TableJoiner:
    """Joins the tables of blocks into the columns of a log."""

    def __init__(self, options: ReadOptions) -> None:
        self._options = options
        self._values: dict[str, list[NDArray[np.float64]]] = {}
        self._rows: dict[str, list[NDArray[np.int64]]] = {}
        self._counts: dict[str, int] = {}
        self._is_wanted: dict[str, bool] = {}
        self.n_rows = 0

    def add(self, table: Table) -> None:
        """Append the rows of one block."""
        for name, (value, row) in table.columns.items():
            if name not in self._is_wanted:
                self._is_wanted[name] = self._options.wanted(name)
            if not self._is_wanted[name]:
                continue
            if name not in self._values:
                self._values[name], self._rows[name], self._counts[name] = [], [], 0
            self._values[name].append(np.ascontiguousarray(value))
            # Rows are kept as ranges where a block has them all, and only joined if some block has not.
            self._rows[name].append(_range(self.n_rows, table.n_rows) if row is None else row + self.n_rows)
            self._counts[name] += len(value)
        self.n_rows += table.n_rows

    def columns(self) -> tuple[Column, ...]:
        """The columns; may be called once."""
        found = []
        for name in list(self._values):
            rows = self._rows.pop(name)
            is_whole = self._counts[name] == self.n_rows
            found.append(
                Column(
                    name=name,
                    value=np.concatenate(self._values.pop(name)),
                    row=None if is_whole else np.concatenate(rows),
                )
            )
        return tuple(found)


def _range(first: int, count: int) -> NDArray[np.int64]:
    return np.arange(first, first + count, dtype=np.int64)

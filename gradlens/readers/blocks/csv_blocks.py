"""Blocks of separated values to columns: lines with as many cells as the header all at once, others one at a time."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from gradlens.readers.base import parse_number
from gradlens.readers.blocks import text_blocks
from gradlens.readers.blocks.block_table import Problem, Table
from gradlens.readers.blocks.decimal_commas import DecimalCommas
from gradlens.readers.blocks.decimals import parse_decimals
from gradlens.readers.blocks.text_blocks import lines_of
from gradlens.readers.blocks.tokens import distinct

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from gradlens.readers.blocks.text_blocks import Block

_RETURN, _QUOTE = (ord(c) for c in '\r"')
_CACHED = 1 << 16
_BLANK = b" \t\r\n\v\f\0"
csv.field_size_limit(1 << 24)


class Header(NamedTuple):
    """The names of the columns, the line they came from, and what separates them."""

    names: tuple[str, ...]
    line: bytes
    separator: str


class QuotedLinesError(Exception):
    """A quoted cell that goes on in the next line, or other names from some line on: such a file cannot be read in blocks."""


def is_header(cells: Sequence[str], names: Sequence[str]) -> bool:
    """Whether a line is one of names: all different, no numbers, at least two and half of them known from `names`."""
    given = {cell.strip() for cell in cells}
    if len(given) < len(cells) or "" in given or any(parse_number(cell) is not None for cell in given):
        return False
    return len(given & set(names)) >= max(2, len(given) / 2)


def _cells(text: str, separator: str) -> list[str] | None:
    """The cells of one line; None where the csv module refuses it, as it does a stray carriage return."""
    try:
        return next(csv.reader([text], delimiter=separator), [])
    except csv.Error:
        return None


class CsvBlockParser:
    """Parses the blocks below one header."""

    in_threads = False

    def __init__(self, header: Header, commas: DecimalCommas) -> None:
        self._header = header
        self._commas = commas
        self._cells: dict[bytes, float | None] = {}
        cells = _cells(header.line.decode("utf-8", errors="replace"), header.separator) or []
        self._named = np.array([bool(cell.strip()) for cell in cells], np.int64)

    @staticmethod
    def block_size() -> int:
        """The size of block it is fastest with."""
        return text_blocks.BLOCK

    def parse(self, block: Block) -> Table:
        """The table of one block.

        Raises
        ------
        QuotedLinesError
            A line with an odd number of quotes.
        """
        text, width = block.text, len(self._header.names)
        marks, first_mark, counts, starts, ends, has_open_end = lines_of(text, ord(self._header.separator))
        has_quotes = _check_quotes(text, ends)
        # Line ends of two bytes.
        ends = ends - ((text[ends - 1] == _RETURN) & (ends > starts))
        is_regular = (counts == width - 1) & (ends > starts)
        builder = _Rows(len(ends), width)
        lines = np.flatnonzero(is_regular)
        if len(lines):
            # One row per column, so that a column's values lie together.
            first, last = np.empty((width, len(lines)), np.int64), np.empty((width, len(lines)), np.int64)
            places = marks[first_mark[lines] + np.arange(width - 1)[:, None]]
            first[0], first[1:] = starts[lines], places + 1
            last[:-1], last[-1] = places, ends[lines]
            if has_quotes:
                is_good = _unquote(text, first, last)
                is_regular[lines[~is_good]] = False
                lines, first, last = lines[is_good], first[:, is_good], last[:, is_good]
            self._take(builder, lines, text, first, last)
        for line in np.flatnonzero(~is_regular & (ends > starts)).tolist():
            is_cut = block.is_last and has_open_end and line == len(ends) - 1
            self._take_odd(builder, line, text[starts[line] : ends[line]].tobytes(), is_cut=is_cut)
        for line in builder.lines_without_number(starts < ends):
            if text[starts[line] : ends[line]].tobytes() == self._header.line:
                message = "the header line again, in mid-file"
                builder.problems.append(Problem("repeated-header", message, line, 1))
                builder.texts -= self._named
            elif is_header(
                _cells(
                    text[starts[line] : ends[line]].tobytes().decode("utf-8", errors="replace"), self._header.separator
                )
                or (),
                self._header.names,
            ):
                raise QuotedLinesError
        return builder.table(self._header.names)

    def _take(
        self,
        builder: _Rows,
        lines: NDArray[np.int64],
        text: NDArray[np.uint8],
        first: NDArray[np.int64],
        last: NDArray[np.int64],
    ) -> None:
        """Regular lines: cells at `first`, `last`, both int64[width, n]."""
        text, changed = self._commas.with_points(text, first, last)
        start, end = first.ravel(), last.ravel()
        value, is_present = parse_decimals(text, start, end)
        rest = np.flatnonzero(~is_present & (end > start))
        for token, which in distinct(text, start[rest], end[rest]):
            number, places = self._cell(token), rest[which]
            if number is not None:
                value[places], is_present[places] = number, True
            elif token.strip(_BLANK):
                np.add.at(builder.texts, places // len(lines), 1)
        changed = changed[is_present[changed]]
        if len(changed):
            line = int((lines[changed % len(lines)]).min())
            builder.problems.append(Problem("decimal-comma", self._commas.message, line, len(changed)))
        builder.take(lines, value.reshape(first.shape), is_present.reshape(first.shape))

    def _take_odd(self, builder: _Rows, line: int, raw: bytes, *, is_cut: bool) -> None:
        """A line with more or fewer separators than the header."""
        text = raw.decode("utf-8", errors="replace").replace("\0", "")
        cells = _cells(text, self._header.separator)
        if cells is None:
            builder.problems.append(Problem("malformed-record", "not a row of the table, left out", line, 1))
            return
        if not any(cell.strip() for cell in cells):
            return
        width = len(self._header.names)
        if len(cells) < width and is_cut:
            builder.problems.append(Problem("truncated-record", "the last line is cut off, left out", line, 1))
            return
        if len(cells) < width:
            builder.problems.append(Problem("short-row", "rows with fewer cells than the header has names", line, 1))
        elif len(cells) > width:
            message = "rows with more cells than the header has names; the extra cells were left out"
            builder.problems.append(Problem("long-row", message, line, 1))
        for column, cell in enumerate(cells[:width]):
            pointed = self._commas.with_point(column, cell)
            number = self._cell(pointed.encode())
            if number is not None:
                if pointed != cell:
                    builder.problems.append(Problem("decimal-comma", self._commas.message, line, 1))
                builder.values[column, line], builder.is_present[column, line] = number, True
            else:
                builder.texts[column] += bool(cell.strip())

    def _cell(self, token: bytes) -> float | None:
        if token not in self._cells:
            if len(self._cells) >= _CACHED:
                self._cells.clear()
            number = parse_number(token.decode("utf-8", errors="replace").replace("\0", ""))
            self._cells[token] = number
            return number
        return self._cells[token]


class _Rows:
    """The lines of a block as float64[width, n]."""

    def __init__(self, n_lines: int, width: int) -> None:
        self.values = np.empty((width, n_lines))
        self.is_present = np.zeros((width, n_lines), np.bool_)
        self.problems: list[Problem] = []
        self.texts = np.zeros(width, np.int64)

    def take(self, lines: NDArray[np.int64], value: NDArray[np.float64], is_present: NDArray[np.bool_]) -> None:
        """The cells of some lines: both [width, len(lines)]."""
        if len(lines) == self.values.shape[1]:
            self.values, self.is_present = value, is_present
        else:
            self.values[:, lines], self.is_present[:, lines] = value, is_present

    def lines_without_number(self, is_line: NDArray[np.bool_]) -> list[int]:
        lines: list[int] = np.flatnonzero(is_line & ~self.is_present.any(axis=0)).tolist()
        return lines

    def table(self, names: tuple[str, ...]) -> Table:
        """The columns in the order of the header; lines without a number are not rows."""
        n_lines = self.values.shape[1]
        table = Table(n_lines=n_lines, problems=sorted(self.problems, key=lambda problem: problem.line))
        table.texts.update({name: int(n) for name, n in zip(names, self.texts, strict=True) if n})
        if n_lines and self.is_present.all():
            table.n_rows = n_lines
            table.columns.update((name, (value, None)) for name, value in zip(names, self.values, strict=True))
            return table
        is_row = self.is_present.any(axis=0)
        table.n_rows = int(np.count_nonzero(is_row))
        row_of_line = np.cumsum(is_row) - 1
        has_all = self.is_present.sum(axis=1) == table.n_rows
        for name, value, is_present, is_whole in zip(names, self.values, self.is_present, has_all, strict=True):
            if is_whole and table.n_rows == n_lines > 0:
                table.columns[name] = (value, None)
            elif is_present.any():
                table.columns[name] = (value[is_present], None if is_whole else row_of_line[is_present])
        return table


def _unquote(text: NDArray[np.uint8], first: NDArray[np.int64], last: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Leave the quotes around cells out of their places, and tell the lines where every cell has both or none."""
    opens = (text.take(first, mode="clip") == _QUOTE) & (last > first)
    closes = (text[last - 1] == _QUOTE) & (last > first)
    is_quoted = opens & closes & (last - first >= 2)
    first += is_quoted
    last -= is_quoted
    is_good: NDArray[np.bool_] = ((opens == closes) & (opens == is_quoted)).all(axis=0)
    return is_good


def _check_quotes(text: NDArray[np.uint8], ends: NDArray[np.int64]) -> bool:
    """Whether there are quotes; raises where a line has an odd number of them."""
    is_quote = text == _QUOTE
    if not is_quote.any():
        return False
    quotes = np.flatnonzero(is_quote)
    if (np.diff(np.searchsorted(quotes, ends), prepend=0) & 1).any():
        raise QuotedLinesError
    return True

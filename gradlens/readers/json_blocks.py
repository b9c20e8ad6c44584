"""Blocks of JSON lines to columns: lines of one template all at once, every other line by `json.loads`.

The result is that of `json.loads` for each line and `numbers_in` for each record, which the tests hold it to.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from gradlens.readers import text_blocks
from gradlens.readers.base import as_float
from gradlens.readers.block_table import Problem, Table
from gradlens.readers.decimals import PADDING, parse_decimals
from gradlens.readers.json_template import SETTINGS_KEYS, Slots, Template, find_slots, template_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

    from gradlens.readers.text_blocks import Block

#: Templates that are tried in one block; lines of more kinds than that are parsed one at a time.
_MOST_TEMPLATES = 8
#: Fewer lines are not worth the array operations of a template.
_WORTHWHILE = 8
_NEWLINE, _COMMA, _QUOTE = (ord(c) for c in '\n,"')
_NUMBER = re.compile(rb"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][-+]?\d+)?")
STRING_NUMBER = "string-number"


def numbers_in(
    record: Mapping[str, Any], config: dict[str, Any], prefix: str = ""
) -> Iterator[tuple[str, float, bool]]:
    """The numbers of a record by `outer/inner` name, and whether each was written as text; settings go to `config`."""
    for key, value in record.items():
        if isinstance(value, dict):
            if not prefix and key in SETTINGS_KEYS:
                config.update(value)
            else:
                yield from numbers_in(value, config, f"{prefix}{key}/")
        else:
            number = as_float(value)
            if number is not None:
                yield f"{prefix}{key}", number, isinstance(value, str)


class BlockParser:
    """Parses the blocks of one log; the templates found in one block serve the next."""

    def __init__(self) -> None:
        self._templates: list[Template] = []
        self._scalars: dict[bytes, _Scalar] = {}

    @staticmethod
    def block_size() -> int:
        """The size of block it is fastest with."""
        return text_blocks.BLOCK

    def parse(self, block: Block) -> Table:
        """The table of one block."""
        lines = _lines_of(block)
        builder = _Builder(len(lines.ends))
        left = np.flatnonzero(lines.starts < lines.ends)
        for template in list(self._templates):
            left = self._take(template, builder, lines, left)
        for _ in range(_MOST_TEMPLATES):
            if len(left) < _WORTHWHILE:
                break
            new = template_of(lines.raw(left[0]))
            if new is None:
                self._slow(builder, lines, left[:1])
                left = left[1:]
                continue
            before = len(left)
            left = self._take(new, builder, lines, left)
            if before - len(left) >= _WORTHWHILE and len(self._templates) < _MOST_TEMPLATES:
                self._templates.append(new)
        self._slow(builder, lines, left)
        return builder.table()

    def _take(self, template: Template, builder: _Builder, lines: _Lines, left: NDArray[np.int64]) -> NDArray[np.int64]:
        """Parse those of the lines `left` that have the template; the ones that have not."""
        fits: NDArray[np.bool_] = lines.n_commas[left] == template.n_commas
        which: NDArray[np.int64] = left[fits]
        if not len(which):
            return left
        commas = lines.commas[lines.first_comma[which, None] + np.arange(template.n_commas)]
        slots = find_slots(template, lines.text, lines.starts[which], lines.ends[which], commas)
        values, is_present, is_text, is_good = self._values(lines.text, slots)
        if is_good.all():
            builder.add(template.names, which, values, is_present, is_text)
            other: NDArray[np.int64] = left[~fits]
            return other
        builder.add(template.names, which[is_good], values[is_good], is_present[is_good], is_text[is_good])
        return np.sort(np.concatenate((left[~fits], which[~is_good])))

    def _values(
        self, text: NDArray[np.uint8], slots: Slots
    ) -> tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_], NDArray[np.bool_]]:
        """Values, which are numbers, which of these were text, and which lines could be read: [n, slots] and [n]."""
        shape = slots.starts.shape
        first, last = slots.starts.ravel(), slots.ends.ravel()
        good = slots.fits.copy()
        inside = np.repeat(good, shape[1])
        if not good.all():
            # Their places mean nothing, but must lie within the text.
            first, last = np.where(inside, first, PADDING), np.where(inside, last, PADDING)
        value, is_present = parse_decimals(text, first, last)
        is_text = np.zeros(len(first), np.bool_)
        rest = np.flatnonzero(~is_present & inside)
        if len(rest):
            is_quoted = (
                (text[first[rest]] == _QUOTE) & (text[last[rest] - 1] == _QUOTE) & (last[rest] - first[rest] > 2)
            )
            quoted = rest[is_quoted]
            inner, is_inner = parse_decimals(text, first[quoted] + 1, last[quoted] - 1)
            at = quoted[is_inner]
            value[at], is_present[at], is_text[at] = inner[is_inner], True, True
            for place in np.setdiff1d(rest, at, assume_unique=True).tolist():
                scalar = self._scalar(text[first[place] : last[place]].tobytes())
                if scalar.is_number:
                    value[place], is_present[place], is_text[place] = scalar.value, True, scalar.is_text
                elif not scalar.is_valid:
                    good[place // shape[1]] = False
        return value.reshape(shape), is_present.reshape(shape), is_text.reshape(shape), good

    def _scalar(self, token: bytes) -> _Scalar:
        known = self._scalars.get(token)
        if known is None:
            known = _scalar(token)
            if len(self._scalars) < 1 << 16:
                self._scalars[token] = known
        return known

    @staticmethod
    def _slow(builder: _Builder, lines: _Lines, which: NDArray[np.int64]) -> None:
        for line in which.tolist():
            builder.add_line(line, lines.raw(line), is_cut=lines.is_cut and line == len(lines.ends) - 1)


class _Lines(NamedTuple):
    """The lines of a block, and where their commas are."""

    text: NDArray[np.uint8]
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]
    commas: NDArray[np.int64]
    first_comma: NDArray[np.int64]
    n_commas: NDArray[np.int64]
    is_cut: bool

    def raw(self, line: int) -> bytes:
        return self.text[self.starts[line] : self.ends[line]].tobytes()


def _lines_of(block: Block) -> _Lines:
    text = block.text
    ends = np.flatnonzero(text == _NEWLINE)
    has_open_end = len(text) > PADDING and text[-1] != _NEWLINE
    if has_open_end:
        ends = np.append(ends, len(text))
    starts = np.empty_like(ends)
    starts[:1] = PADDING
    starts[1:] = ends[:-1] + 1
    commas = np.flatnonzero(text == _COMMA)
    edges = np.searchsorted(commas, ends)
    n_commas = np.diff(edges, prepend=0)
    return _Lines(text, starts, ends, commas, edges - n_commas, n_commas, block.is_last and has_open_end)


class _Scalar(NamedTuple):
    value: float = 0.0
    is_number: bool = False
    is_text: bool = False
    is_valid: bool = True


def _scalar(token: bytes) -> _Scalar:
    """One value of a record as JSON reads it."""
    if _NUMBER.fullmatch(token):
        return _Scalar(value=float(token), is_number=True)
    try:
        value = json.loads(token.decode("utf-8", errors="replace"))
    except (ValueError, RecursionError):
        return _Scalar(is_valid=False)
    number = as_float(value)
    if isinstance(value, (dict, list)):
        return _Scalar(is_valid=False)
    return _Scalar() if number is None else _Scalar(number, is_number=True, is_text=isinstance(value, str))


class _Builder:
    """Puts the lines of a block, which come template by template, into columns in the order of the file."""

    def __init__(self, n_lines: int) -> None:
        self.n_lines = n_lines
        self._pieces: dict[str, list[tuple[NDArray[np.int64], NDArray[np.float64]]]] = {}
        self._first: dict[str, tuple[int, int]] = {}
        self._singles: dict[str, tuple[list[int], list[float]]] = {}
        self._problems: list[Problem] = []
        self._config: dict[str, Any] = {}

    def add(
        self,
        names: tuple[str, ...],
        lines: NDArray[np.int64],
        values: NDArray[np.float64],
        is_present: NDArray[np.bool_],
        is_text: NDArray[np.bool_],
    ) -> None:
        """Lines of one template."""
        if not len(lines):
            return
        has_all: NDArray[np.bool_] = np.logical_and.reduce(is_present, axis=0)
        has_text: NDArray[np.bool_] = np.logical_or.reduce(is_text, axis=0)
        for number, name in enumerate(names):
            column, at = values[:, number], lines
            if not has_all[number]:
                present = is_present[:, number]
                if not present.any():
                    continue
                column, at = column[present], lines[present]
            self._pieces.setdefault(name, []).append((at, column))
            self._meet(name, int(at[0]), number)
            if has_text[number]:
                written = lines[is_text[:, number]]
                self._text_number(name, int(written[0]), len(written))

    def add_line(self, line: int, raw: bytes, *, is_cut: bool) -> None:
        """One line by `json.loads`."""
        text = raw.decode("utf-8", errors="replace").strip().strip("\0")
        if not text:
            return
        try:
            record = json.loads(text)
        except (ValueError, RecursionError) as error:
            if is_cut:
                self._problems.append(Problem("truncated-record", "the last line is cut off, left out", line, 1))
            else:
                message = f"not a JSON object, left out: {error}"
                self._problems.append(Problem("malformed-record", message, line, 1))
            return
        if not isinstance(record, dict):
            self._problems.append(Problem("malformed-record", "not a JSON object, left out", line, 1))
            return
        row = {name: (number, is_text) for name, number, is_text in numbers_in(record, self._config)}
        for order, (name, (number, is_text)) in enumerate(row.items()):
            lines, values = self._singles.setdefault(name, ([], []))
            lines.append(line)
            values.append(number)
            self._meet(name, line, order)
            if is_text:
                self._text_number(name, line, 1)

    def _meet(self, name: str, line: int, order: int) -> None:
        place = (line, order)
        if place < self._first.get(name, (self.n_lines, 0)):
            self._first[name] = place

    def _text_number(self, name: str, line: int, count: int) -> None:
        message = f"numbers written as text, read as numbers (first: {name})"
        self._problems.append(Problem(STRING_NUMBER, message, line, count))

    def table(self) -> Table:
        """The columns in the order in which their names first came; lines without a number are no rows."""
        for name, (lines, values) in self._singles.items():
            piece = (np.array(lines, np.int64), np.array(values, np.float64))
            self._pieces.setdefault(name, []).append(piece)
        has_number = np.zeros(self.n_lines, np.bool_)
        for pieces in self._pieces.values():
            for lines_of_piece, _ in pieces:
                has_number[lines_of_piece] = True
        row_of_line = np.cumsum(has_number) - 1
        n_rows = int(row_of_line[-1]) + 1 if self.n_lines else 0
        table = Table(n_lines=self.n_lines, n_rows=n_rows, config=self._config)
        table.problems = sorted(self._problems, key=lambda problem: problem.line)
        for name in sorted(self._pieces, key=self._first.__getitem__):
            pieces = self._pieces[name]
            at = np.concatenate([lines for lines, _ in pieces])
            value = np.concatenate([values for _, values in pieces])
            if len(pieces) > 1:
                order = np.argsort(at, kind="stable")
                at, value = at[order], value[order]
            table.columns[name] = (value, None if len(at) == n_rows else row_of_line[at])
        return table

"""Blocks of JSON lines to columns: lines of one template all at once, every other line by `json.loads`.

The result is that of `json.loads` for each line and `values_in` for each record, which the tests hold it to.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from gradlens.readers.base import MAX_COLUMNS, REPEATED_KEY, as_float, told_repeated, too_many_columns, values_of_list
from gradlens.readers.blocks.block_table import Problem, Table
from gradlens.readers.blocks.decimals import PADDING, parse_decimals
from gradlens.readers.blocks.glued import glued_places, told
from gradlens.readers.blocks.json_template import SETTINGS_KEYS, Slots, Template, find_slots, template_of
from gradlens.readers.blocks.marks import take_marks
from gradlens.readers.blocks.text_blocks import Lines, lines_of
from gradlens.readers.blocks.tokens import distinct

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

    from gradlens.readers.blocks.text_blocks import Block

#: Templates that are tried in one block; lines of more kinds than that are parsed one at a time.
_MAX_TEMPLATES = 8
#: Fewer lines are not worth the array operations of a template.
_WORTHWHILE = 8
_COMMA, _QUOTE, _NEWLINE = (ord(c) for c in ',"\n')
_NUMBER = re.compile(rb"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][-+]?\d+)?")
STRING_NUMBER = "string-number"


def values_in(
    record: Mapping[str, Any], config: dict[str, Any], prefix: str = ""
) -> Iterator[tuple[str, float | None, bool]]:
    """The numbers of a record by `outer/inner` name, and whether each was written as text; settings go to `config`.

    Text that is not a number, and a list where a number belongs, come as None.
    """
    for key, value in record.items():
        if isinstance(value, dict):
            if not prefix and key in SETTINGS_KEYS:
                config.update(value)
            else:
                yield from values_in(value, config, f"{prefix}{key}/")
        elif isinstance(value, list):
            yield from values_of_list(f"{prefix}{key}", value)
        else:
            number, is_text = as_float(value), isinstance(value, str)
            if number is not None or (is_text and value.strip()):
                yield f"{prefix}{key}", number, is_text


class BlockParser:
    """Parses the blocks of one log, whose name is given; the templates found in one block serve the next."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._templates: list[Template] = []
        self._scalars: dict[bytes, _Scalar] = {}

    def parse(self, block: Block) -> Table:
        """The table of one block."""
        places = glued_places(block.text)
        if not places:
            return self._parse(block)
        parted = np.insert(block.text, places, np.uint8(_NEWLINE))
        return told(self._parse(block._replace(text=parted)), block.text, places)

    def _parse(self, block: Block) -> Table:
        at = lines_of(block.text, _COMMA)
        lines = _Lines(block.text, at, block.is_last and at.is_open)
        for line in np.flatnonzero(at.n_marks > MAX_COLUMNS).tolist():
            # As many fields, and no list of numbers: to parse them takes a hundred times the memory of the line.
            if lines.raw(line).count(b'":') > MAX_COLUMNS:
                raise too_many_columns(self._name)
        builder = _Builder(len(at.ends))
        left = np.flatnonzero(at.starts < at.ends)
        for template in list(self._templates):
            left = self._take(template, builder, lines, left)
        for _ in range(_MAX_TEMPLATES):
            if len(left) < _WORTHWHILE:
                break
            new = template_of(lines.raw(left[0]))
            if new is None:
                self._slow(builder, lines, left[:1])
                left = left[1:]
                continue
            before = len(left)
            left = self._take(new, builder, lines, left)
            if before - len(left) >= _WORTHWHILE and len(self._templates) < _MAX_TEMPLATES:
                self._templates.append(new)
        self._slow(builder, lines, left)
        return builder.table()

    def _take(self, template: Template, builder: _Builder, lines: _Lines, left: NDArray[np.int64]) -> NDArray[np.int64]:
        """Parse those of the lines `left` that have the template; the ones that have not."""
        fits: NDArray[np.bool_] = lines.at.n_marks[left] == template.n_commas
        which: NDArray[np.int64] = left if fits.all() else left[fits]
        if not len(which):
            return left
        commas = lines.commas_of(which, template.n_commas)
        slots = find_slots(template, lines.text, lines.at.starts[which], lines.at.ends[which], commas)
        found = self._values(lines.text, slots)
        if found.is_good.all():
            builder.add(template, which, found)
            other: NDArray[np.int64] = left[~fits]
            return other
        builder.add(template, which[found.is_good], found.good_ones())
        return np.sort(np.concatenate((left[~fits], which[~found.is_good])))

    def _values(self, text: NDArray[np.uint8], slots: Slots) -> _Values:
        """The values in the slots of lines that have a template."""
        shape = slots.starts.shape
        first, last = slots.starts, slots.ends
        good = slots.fits.copy()
        if not good.all():
            # The places of other lines mean nothing, but must lie within the text.
            first, last = np.where(good, first, PADDING), np.where(good, last, PADDING)
        first, last = first.ravel(), last.ravel()
        value, is_present = parse_decimals(text, first, last)
        is_text = np.zeros(len(first), np.bool_)
        rest = np.flatnonzero(~is_present & (first < last))
        if len(rest):
            is_quoted = (
                (text[first[rest]] == _QUOTE) & (text[last[rest] - 1] == _QUOTE) & (last[rest] - first[rest] > 2)
            )
            quoted = rest[is_quoted]
            inner, is_inner = parse_decimals(text, first[quoted] + 1, last[quoted] - 1)
            at = quoted[is_inner]
            value[at], is_present[at], is_text[at] = inner[is_inner], True, True
            others = np.setdiff1d(rest, at, assume_unique=True)
            for token, which in distinct(text, first[others], last[others]):
                scalar, places = self._scalar(token), others[which]
                is_text[places] = scalar.is_text
                if scalar.is_number:
                    value[places], is_present[places] = scalar.value, True
                elif not scalar.is_valid:
                    good[places % shape[1]] = False
        return _Values(value.reshape(shape), is_present.reshape(shape), is_text.reshape(shape), good)

    def _scalar(self, token: bytes) -> _Scalar:
        known = self._scalars.get(token)
        if known is None:
            known = _scalar(token)
            if len(self._scalars) < 1 << 16:
                self._scalars[token] = known
        return known

    def _slow(self, builder: _Builder, lines: _Lines, which: NDArray[np.int64]) -> None:
        for line in which.tolist():
            builder.add_line(line, lines.raw(line), is_cut=lines.is_cut and line == len(lines.at.ends) - 1)
            if builder.n_names > MAX_COLUMNS:
                raise too_many_columns(self._name)


class _Values(NamedTuple):
    """Values, which of them are numbers, which were text: [slots, n]; and which lines could be read: [n]."""

    value: NDArray[np.float64]
    is_present: NDArray[np.bool_]
    is_text: NDArray[np.bool_]
    is_good: NDArray[np.bool_]

    def good_ones(self) -> _Values:
        good = self.is_good
        return _Values(self.value[:, good], self.is_present[:, good], self.is_text[:, good], good[good])


def _repeated(text: str) -> list[str]:
    """The keys of an object of the record that has one of them twice; empty where none has."""
    found: list[str] = []

    def look(pairs: list[tuple[str, object]]) -> None:
        keys = [key for key, _ in pairs]
        if len(set(keys)) < len(keys):
            found.extend(keys)

    json.loads(text, object_pairs_hook=look)
    return found


class _Lines(NamedTuple):
    """The lines of a block, separated by commas."""

    text: NDArray[np.uint8]
    at: Lines
    is_cut: bool

    def commas_of(self, which: NDArray[np.int64], n_commas: int) -> NDArray[np.int64]:
        """The places of the commas of lines that have `n_commas` each: int64[n, n_commas]."""
        marks = self.at.marks
        if len(which) * (n_commas + 1) == len(marks):
            # All lines of the block.
            return marks.reshape(-1, n_commas + 1)[:, :-1]
        commas: NDArray[np.int64] = marks[self.at.first_mark[which, None] + np.arange(n_commas)]
        return commas

    def raw(self, line: int) -> bytes:
        return self.text[self.at.starts[line] : self.at.ends[line]].tobytes()


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
    is_text = isinstance(value, str) and bool(value.strip())
    return _Scalar(is_text=is_text) if number is None else _Scalar(number, is_number=True, is_text=is_text)


class _Builder:
    """Puts the lines of a block, which come template by template, into columns in the order of the file."""

    def __init__(self, n_lines: int) -> None:
        self.n_lines = n_lines
        self._pieces: dict[str, list[tuple[NDArray[np.int64], NDArray[np.float64]]]] = {}
        self._first: dict[str, tuple[int, int]] = {}
        self._singles: dict[str, tuple[list[int], list[float]]] = {}
        self._problems: list[Problem] = []
        self._config: dict[str, Any] = {}
        self._texts: Counter[str] = Counter()
        self._marks: list[tuple[str, dict[str, Any], int]] = []

    def add(self, template: Template, lines: NDArray[np.int64], found: _Values) -> None:
        """Lines of one template."""
        if not len(lines):
            return
        self._texts.update(dict.fromkeys(template.texts, len(lines)))
        has_all: NDArray[np.bool_] = np.logical_and.reduce(found.is_present, axis=1)
        has_text: NDArray[np.bool_] = np.logical_or.reduce(found.is_text, axis=1)
        for number, name in enumerate(template.names):
            column, at, written = found.value[number], lines, found.is_text[number]
            if not has_all[number]:
                present = found.is_present[number]
                if has_text[number]:
                    self._texts[name] += int(np.count_nonzero(written & ~present))
                    written = written & present
                if not present.any():
                    continue
                column, at = column[present], lines[present]
            self._pieces.setdefault(name, []).append((at, column))
            self._meet(name, int(at[0]), number)
            if has_text[number] and written.any():
                self._text_number(name, int(lines[written][0]), int(np.count_nonzero(written)))

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
        # A colon behind a quote for each key; more of them where objects are nested, or where a key stands twice.
        if text.count('":') + text.count('" :') > len(record) and (keys := _repeated(text)):
            self._problems.append(Problem(REPEATED_KEY, told_repeated(keys), line, 1))
        self._marks += [(key, mark, line) for key, mark in take_marks(record)]
        found = list(values_in(record, self._config))
        row = {name: (number, is_text) for name, number, is_text in found if number is not None}
        lost = {name: is_text for name, number, is_text in found if number is None and name not in row}
        self._texts.update(name for name, is_text in lost.items() if is_text)
        for name in (name for name, is_text in lost.items() if not is_text):
            self._problems.append(Problem("unreadable-value", f"{name} is a list, not a number, left out", line, 1))
        for order, (name, (number, is_text)) in enumerate(row.items()):
            lines, values = self._singles.setdefault(name, ([], []))
            lines.append(line)
            values.append(number)
            self._meet(name, line, order)
            if is_text:
                self._text_number(name, line, 1)

    @property
    def n_names(self) -> int:
        """How many columns it has so far."""
        return len(self._first)

    def _meet(self, name: str, line: int, order: int) -> None:
        place = (line, order)
        if place < self._first.get(name, (self.n_lines, 0)):
            self._first[name] = place

    def _text_number(self, name: str, line: int, count: int) -> None:
        message = f"numbers written as text, read as numbers (first: {name})"
        self._problems.append(Problem(STRING_NUMBER, message, line, count))

    def table(self) -> Table:
        """The columns in the order in which their names first came; lines without a number are not rows."""
        for name, (lines, values) in self._singles.items():
            piece = (np.array(lines, np.int64), np.array(values, np.float64))
            self._pieces.setdefault(name, []).append(piece)
        has_number = np.zeros(self.n_lines, np.bool_)
        for lines_of_piece in {id(at): at for pieces in self._pieces.values() for at, _ in pieces}.values():
            has_number[lines_of_piece] = True
        row_of_line = np.cumsum(has_number) - 1
        n_rows = int(row_of_line[-1]) + 1 if self.n_lines else 0
        table = Table(
            n_lines=self.n_lines, n_rows=n_rows, config=self._config, texts=self._texts, marks=self._marks
        )  # fmt: skip
        table.problems = sorted(self._problems, key=lambda problem: problem.line)
        for name in sorted(self._pieces, key=self._first.__getitem__):
            (at, value), *others = self._pieces[name]
            if others:
                at = np.concatenate((at, *(lines for lines, _ in others)))
                value = np.concatenate((value, *(values for _, values in others)))
                order = np.argsort(at, kind="stable")
                at, value = at[order], value[order]
            table.columns[name] = (value, None if len(at) == n_rows else row_of_line[at])
        return table

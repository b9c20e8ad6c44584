"""Records of one shape: what was cut once by the patterns of `text.py` is cut again by a single pattern.

Trainers print each record with the same words around other numbers. From a record that was cut the slow way a pattern
is made that holds its words as they are, numbers where there were numbers, and digits where there were digits in text
that belongs to no field. Text that this pattern matches whole would be cut at the same places, since the patterns for
fields treat all digits alike and all numbers alike: the names are those of the first record, and the
numbers are read as ever. Everything else is cut the slow way.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from gradlens import vocabulary
from gradlens.readers.base import NoticeBook
from gradlens.readers.console.grammar import Fields
from gradlens.readers.console.text import OPENING, Pair, number_of, pairs_in

_PLAIN = re.compile(r"[-+]?[.\d][-+.\deE]*")
_DIGITS = re.compile(r"\d+")
#: Shapes that are tried on a record, and records that may fit none before no more are learnt.
_MAX_SHAPES, _PATIENCE = 8, 64


class _Shape(NamedTuple):
    pattern: re.Pattern[str]
    names: tuple[str, ...]
    #: Numbers that are words (`nan`), by their place among the names.
    words: tuple[tuple[int, float], ...]
    #: Whether every slot holds what `float` reads.
    is_plain: bool


class Cutter:
    """Cuts the fields of records of one kind of line."""

    def __init__(self, fields: Fields) -> None:
        self._fields = fields
        self._shapes: list[_Shape] = []
        self._misses = 0

    def cut(self, body: str, book: NoticeBook) -> tuple[tuple[str, ...], list[float]]:
        """The names of the fields in the text of a record, and their numbers."""
        for place, shape in enumerate(self._shapes):
            match = shape.pattern.fullmatch(body)
            if match is not None:
                values = _values(shape, match)
                if values is not None:
                    if place:
                        self._shapes.insert(0, self._shapes.pop(place))
                    return shape.names, values
        found = self._slowly(body, book)
        return tuple(found), list(found.values())

    def _slowly(self, body: str, book: NoticeBook) -> dict[str, float]:
        found: dict[str, float] = {}
        pairs = []
        can_learn = len(self._shapes) < _MAX_SHAPES and self._misses < _PATIENCE
        self._misses += 1
        for pair in pairs_in(body, self._fields):
            value = None if pair.key in found else number_of(pair.token)
            pairs.append((pair, value))
            if pair.key in found:
                continue
            if value is not None:
                found[pair.key] = value
            elif (
                vocabulary.rank_of("loss", pair.key) is not None
                or vocabulary.rank_of("grad_norm", pair.key) is not None
            ):
                book.add("unreadable-value", f"{pair.key} is not a number, left out: {pair.token[:40]!r}")
                can_learn = False
        if can_learn and found:
            self._shapes.append(_shape(body, pairs))
        return found


def _values(shape: _Shape, match: re.Match[str]) -> list[float] | None:
    values: list[float]
    try:
        if shape.is_plain:
            values = list(map(float, match.groups()))
        else:
            found = [number_of(token) for token in match.groups()]
            values = [number for number in found if number is not None]
            if len(values) < len(found):
                return None
    except ValueError:
        return None
    for place, number in shape.words:
        values.insert(place, number)
    return values


def _shape(body: str, pairs: list[tuple[Pair, float | None]]) -> _Shape:
    parts, names, words, at, is_plain = [], list[str](), list[tuple[int, float]](), 0, True
    for pair, value in pairs:
        parts.append(_with_other_digits(body[at : pair.start]))
        label = body[pair.start : pair.value_start]
        # The number may be padded to a width.
        stripped = label.rstrip(" ")
        parts.append(re.escape(stripped) + (" *" if stripped[-1:] in {":", "="} else re.escape(label[len(stripped) :])))
        at = pair.end
        if value is None:
            parts.append(_with_other_digits(pair.token))
            continue
        slot = _plain_slot(pair.token, value)
        if slot is not None:
            parts.append(slot)
        elif any(c.isdigit() for c in pair.token):
            parts.append(f"({_with_other_digits(pair.token)})")
            is_plain = False
        else:
            parts.append(re.escape(pair.token))
            words.append((len(names), value))
        names.append(pair.key)
    parts.append(_with_other_digits(body[at:]))
    return _Shape(re.compile("".join(parts)), tuple(names), tuple(words), is_plain)


def _plain_slot(token: str, value: float) -> str | None:
    """The pattern of tokens like this one whose number `float` reads, as it stands between brackets and a unit."""
    number = token.lstrip(OPENING)
    match = _PLAIN.match(number)
    if match is None or "/" in token or "," in token:
        return None
    try:
        if float(match[0]) != value:
            return None
    except ValueError:
        return None
    before, unit = token[: len(token) - len(number)], number[match.end() :]
    return f"{re.escape(before)}({_PLAIN.pattern}){_with_other_digits(unit)}"


def _with_other_digits(text: str) -> str:
    return _DIGITS.sub(r"\\d+", re.escape(text))

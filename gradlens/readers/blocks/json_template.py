"""What the lines of a JSON-lines log have in common: the same bytes around values of changing width."""

from __future__ import annotations

import json
import re
from bisect import bisect_left
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from gradlens.frozen import frozen
from gradlens.readers.base import parse_number
from gradlens.readers.blocks.marks import MARK_KEYS
from gradlens.vocabulary import is_measure, rank_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Where a record holds the settings of the run instead of measurements.
SETTINGS_KEYS = frozenset({"config", "args", "hparams", "hyperparameters", "cfg"})
_KEY = re.compile(r'[ \t\r]*"((?:[^"\\]|\\.)*)"[ \t\r]*:[ \t\r]*')
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
_ATOM = re.compile(r"[-+.0-9A-Za-z]+")
_FLAT_LIST = re.compile(r"\[[ \t\r]*[-+.0-9A-Za-z]+(?:[ \t\r]*,[ \t\r]*[-+.0-9A-Za-z]+){0,999}[ \t\r]*\]")
_GAP = re.compile(r"[ \t\r]*([,}])")
_COMMA = ord(",")
_MAX_DEPTH = 8
_decoder = json.JSONDecoder()


class _Slot(NamedTuple):
    name: str
    start: int
    end: int


@frozen(eq=False)
class Template:
    """Lines that differ only in their values.

    Attributes
    ----------
    names
        The name of the value in each slot, `outer/inner` for nested objects.
    literals
        The bytes before each slot, from the end of the one before (or the start of the line).
    commas, after
        Each slot but the last ends a fixed number of bytes (`after`) before a certain comma of the line.
    n_commas
        How many commas a line has.
    tail
        The bytes from the last slot to the end of the line.
    texts
        Names whose value is a text that is part of the bytes around the slots.
    """

    names: tuple[str, ...]
    literals: tuple[bytes, ...]
    commas: tuple[int, ...]
    after: tuple[int, ...]
    n_commas: int
    tail: bytes
    texts: tuple[str, ...]


class Slots(NamedTuple):
    """Where the values of the lines stand: int64[n_slots, n_lines], and which lines fit the template: bool[n_lines]."""

    starts: NDArray[np.int64]
    ends: NDArray[np.int64]
    fits: NDArray[np.bool_]


def template_of(line: bytes) -> Template | None:
    """The template of a line that is a JSON object, or None where lines like it are better parsed one at a time."""
    # Latin-1 keeps one character per byte, so that places in the text are places in the line.
    text = line.decode("latin-1")
    try:
        json.loads(line.decode("utf-8", errors="replace"))
        texts: list[str] = []
        slots, end = _scan(text, 0, texts)
    except (ValueError, RecursionError):
        return None
    names = tuple(slot.name for slot in slots)
    if not slots or text[end:].strip(" \t\r") or len({*names, *texts}) < len(names) + len(texts):
        return None
    places = [at for at, byte in enumerate(line) if byte == _COMMA]
    next_comma = [bisect_left(places, slot.end) for slot in slots[:-1]]
    edges = [0, *(slot.end for slot in slots)]
    return Template(
        names=names,
        literals=tuple(line[edge : slot.start] for edge, slot in zip(edges, slots, strict=False)),
        commas=tuple(next_comma),
        after=tuple(places[comma] - slot.end for comma, slot in zip(next_comma, slots, strict=False)),
        n_commas=len(places),
        tail=line[slots[-1].end :],
        texts=tuple(texts),
    )


def _scan(text: str, at: int, texts: list[str], prefix: str = "", depth: int = 0) -> tuple[list[_Slot], int]:
    """The scalars of the object at `at`, and where it ends.

    Lists (but for those of learning rates), and strings with a comma in them, are not slots: they are part of the bytes
    around, which must not change. The names of such strings are added to `texts`.
    """
    if text[at : at + 1] != "{" or depth > _MAX_DEPTH:
        raise ValueError("no object")
    slots: list[_Slot] = []
    at += 1
    while True:
        key = _KEY.match(text, at)
        if key is None:
            raise ValueError("no key")
        name = prefix + json.loads(f'"{key[1].encode("latin-1").decode("utf-8", errors="replace")}"')
        at = key.end()
        if text[at : at + 1] == "{":
            if name in SETTINGS_KEYS or name in MARK_KEYS:
                raise ValueError("settings")
            inner, at = _scan(text, at, texts, f"{name}/", depth + 1)
            slots += inner
        else:
            end = _end_of_value(text, at)
            slots += _slots_of_value(name, text, at, end, texts)
            at = end
        gap = _GAP.match(text, at)
        if gap is None:
            raise ValueError("no end")
        at = gap.end()
        if gap[1] == "}":
            return slots, at


def _slots_of_value(name: str, text: str, start: int, end: int, texts: list[str]) -> list[_Slot]:
    """The slot of a scalar, or those of the entries of a list of learning rates, as `values_of_list` names them."""
    if text[start] == "[" and is_measure(name):
        if not _FLAT_LIST.fullmatch(text, start, end) or rank_of("lr", name) is None:
            raise ValueError("a list of something else")
        entries = _ATOM.finditer(text, start + 1, end - 1)
        return [_Slot(f"{name}/{place}", *entry.span()) for place, entry in enumerate(entries)]
    if text[start] != "[" and "," not in text[start:end]:
        return [_Slot(name, start, end)]
    if text[start] == '"':
        texts.append(name)
    return []


def _end_of_value(text: str, at: int) -> int:
    """Where the list, string or other scalar at `at` ends."""
    first = text[at : at + 1]
    if first == "[":
        return _decoder.raw_decode(text, at)[1]
    atom = (_STRING if first == '"' else _ATOM).match(text, at)
    if atom is None:
        raise ValueError("no value")
    if "," in atom[0] and parse_number(atom[0].strip('"')) is not None:
        raise ValueError("a number with a comma in it")
    return atom.end()


def find_slots(
    template: Template,
    text: NDArray[np.uint8],
    lines: NDArray[np.int64],
    line_ends: NDArray[np.int64],
    commas: NDArray[np.int64],
) -> Slots:
    """The slots of lines that have as many commas as the template.

    Parameters
    ----------
    lines, line_ends
        int64[n], where the lines begin and end.
    commas
        int64[n, n_commas], the places of their commas.
    """
    shape = (len(template.names), len(lines))
    starts, ends = np.empty(shape, np.int64), np.empty(shape, np.int64)
    for number, (comma, after) in enumerate(zip(template.commas, template.after, strict=True)):
        np.subtract(commas[:, comma], after, out=ends[number])
    np.subtract(line_ends, len(template.tail), out=ends[-1])
    before = [lines, *ends]
    for number, literal in enumerate(template.literals):
        np.add(before[number], len(literal), out=starts[number])
    # Slots that follow each other lie within their line; where they do not, no place may be used unchecked.
    fits: NDArray[np.bool_] = np.logical_and.reduce(starts < ends, axis=0)
    if not fits.all():
        before = [np.clip(at, 0, line_ends) for at in before]
    for at, literal in zip(before, (*template.literals, template.tail), strict=True):
        fits &= _stands(text, at, literal)
    return Slots(starts, ends, fits)


def _stands(text: NDArray[np.uint8], at: NDArray[np.int64], literal: bytes) -> NDArray[np.bool_]:
    """Whether `literal` stands at each place of the text, none of which lies outside."""
    size = len(literal)
    if not 0 < size <= len(text):
        return np.full(len(at), size == 0)
    windows = np.ndarray((len(text) - size + 1,), f"V{size}", text, 0, (1,))
    found = windows[np.minimum(at, len(windows) - 1)]
    # All of them at once, which is the rule; one at a time takes five times as long.
    if found.tobytes() == literal * len(at):
        return np.ones(len(at), np.bool_)
    stands: NDArray[np.bool_] = found.view(f"S{size}") == literal
    return stands

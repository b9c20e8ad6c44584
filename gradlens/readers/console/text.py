"""The text of console logs: colours and carriage returns; and a record's text cut into fields."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from gradlens.readers.base import as_float, parse_number
from gradlens.readers.console.grammar import NUMBER, VALUE, Fields

_AFTER_ESCAPE = r"(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b\n]{0,200}(?:\x07|\x1b\\)|[()][A-Z0-9]|[=>78cM])"
#: The escape first: `re` then searches for that byte alone.
_ANSI = rf"\x1b{_AFTER_ESCAPE}(?:\x1b{_AFTER_ESCAPE})*"
#: Two numbers glued by a change of colour are two numbers (a coloured diff): the mark keeps them unreadable.
_GLUED = re.compile(rf"\x1b(?<=[\d.]\x1b){_AFTER_ESCAPE}(?:\x1b{_AFTER_ESCAPE})*(?=[\d.])")
_COLOUR = re.compile(_ANSI)
#: A norm as mathematicians write it: `|grad| = 0.5`, `||g||_2: 0.5`, `‖∇L‖ 0.5`. A table has blanks or its border in these places.
_BARS = re.compile(
    r"(?:\|{1,2}|‖)(?:[Gg]rads?|[Gg]radients?|g|∇\w{0,8})(?:\|{1,2}|‖)(?:_?2|_F)?(?=\s{0,3}[=:]|\s{1,3}[-+]?\.?\d|\s{1,3}(?:nan|inf)\b)"
)
#: What launchers put in front of each line: `[default0]:`, `[rank0]:`, `(Worker pid=12)`, `0: `.
LAUNCHER = re.compile(
    r"^(?:\[(?:default|rank)?\d+\]:? ?|\([\w. :=-]{1,60}pid=\d+[^)\n]{0,60}\) ?|\d{1,4}: )+", re.MULTILINE
)
_NUMBER = re.compile(NUMBER)
_UNIT = re.compile(r"[A-Za-z%/µ]*(?:[\s()\[\],'\";].*)?$", re.DOTALL)
#: Keys begin where words do, and end: tried from each letter of a word on, a long word would take the square of its length.
_SEP = r"(?:\s*+[:=]\s*+|\s++)"
_WORDS = re.compile(rf"(?<![A-Za-z_])(?P<key>[A-Za-z_][\w./@%#-]{{0,200}}+){_SEP}(?P<value>{VALUE})")
_PHRASES = re.compile(
    rf"(?<![A-Za-z_])(?P<key>[A-Za-z_][\w./-]{{0,200}}+(?:[ ][A-Za-z_][\w./()-]{{0,200}}+){{0,2}}){_SEP}(?P<value>{VALUE})"
)
_SEGMENT = re.compile(rf"^[\s(]*+(?P<key>[A-Za-z](?:[^|:=\n]*?[^\s|:=])??){_SEP}(?P<value>{VALUE})")
#: A number may be wrapped so many times: `tensor(array(0.5))`.
_MAX_WRAPPERS = 4
#: What may stand before the number of a value.
OPENING = "[('\"{ "
_BETWEEN = re.compile(r"[|,]\s")
_DICT = re.compile(r"['\"](?P<key>[^'\"\n]{1,200})['\"]\s*:\s*(?P<value>'[^'\n]*'|\"[^\"\n]*\"|[^,}\n]+)")


def clean(text: str) -> str:
    """Text without colours, NULs and carriage returns.

    A progress bar that overwrote itself becomes lines, and a norm in bars (`|grad|`) a name.
    """
    if "\x1b" in text:
        text = _COLOUR.sub("", _GLUED.sub("¦", text))
    if "\0" in text:
        text = text.replace("\0", "")
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    if "|" in text or "‖" in text:
        text = _BARS.sub("grad_norm", text)
    return text


def number_of(token: str) -> float | None:
    """The number at the start of a token, with a unit, brackets or quotes around it; None where there is none."""
    for _ in range(_MAX_WRAPPERS + 1):
        try:
            return float(token) if "_" not in token else None
        except ValueError:
            pass
        token = token.lstrip(OPENING)
        if "/" in token and (counted := parse_number(token.rstrip("'\"})] "))) is not None:
            return counted  # "17/438"
        match = _NUMBER.match(token)
        if match is not None:
            return parse_number(match[0].replace(",", "")) if _UNIT.match(token, match.end()) else None
        # np.float64(0.72), tensor(0.72, device=...): the wrapper's name says nothing.
        head, _, token = token.partition("(")
        if not token or not head.replace(".", "").replace("_", "").isalnum():
            return None
    return None


class Pair(NamedTuple):
    """A field in the text of a record: its name, its value as written, and where it and its value stand."""

    key: str
    token: str
    start: int
    value_start: int
    end: int


def pairs_in(body: str, shape: Fields) -> Iterator[Pair]:
    """The fields in the text of a record."""
    if shape is Fields.DICT:
        found = ((0, m) for m in _DICT.finditer(body))
    elif shape is Fields.PIPES:
        edges = [0, *(m.end() for m in _BETWEEN.finditer(body))]
        ends = [*(m.start() for m in _BETWEEN.finditer(body)), len(body)]
        parts = ((at, _SEGMENT.match(body[at:end])) for at, end in zip(edges, ends, strict=True))
        found = ((at, m) for at, m in parts if m)
    else:
        found = ((0, m) for m in (_PHRASES if shape is Fields.PHRASES else _WORDS).finditer(body))
    for at, m in found:
        yield Pair(m["key"].strip(), m["value"], at + m.start(), at + m.start("value"), at + m.end("value"))


def json_fields(body: str) -> Iterator[tuple[str, float]]:
    """The numbers of a record that is a JSON object; nested ones as `outer/inner`."""
    try:
        record, _ = json.JSONDecoder().raw_decode(body.lstrip())
    except (ValueError, RecursionError):
        return
    if isinstance(record, dict):
        yield from _numbers(record, "")


def _numbers(record: Mapping[str, object], prefix: str) -> Iterator[tuple[str, float]]:
    for key, value in record.items():
        if isinstance(value, dict):
            yield from _numbers(value, f"{prefix}{key}/")
            continue
        number = number_of(value) if isinstance(value, str) else as_float(value)
        if number is not None:
            yield f"{prefix}{key}", number

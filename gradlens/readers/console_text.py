"""The text of console logs: colours, carriage returns and encodings; and a record's text cut into fields."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from gradlens import vocabulary
from gradlens.readers.base import NoticeBook, parse_number
from gradlens.readers.grammars import NUMBER, VALUE, Fields

_ANSI = r"(?:\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b\n]{0,200}(?:\x07|\x1b\\)|\x1b[()][A-Z0-9]|\x1b[=>78cM])+"
#: Two numbers glued by a change of colour are two numbers (a coloured diff): the mark keeps them unreadable.
_GLUED = re.compile(rf"(?<=[\d.]){_ANSI}(?=[\d.])")
_COLOUR = re.compile(_ANSI)
#: What launchers put in front of each line: `[default0]:`, `[rank0]:`, `(Worker pid=12)`, `0: `.
LAUNCHER = re.compile(
    r"^(?:\[(?:default|rank)?\d+\]:? ?|\([\w. :=-]{1,60}pid=\d+[^)\n]{0,60}\) ?|\d{1,4}: )+", re.MULTILINE
)
_NUMBER = re.compile(NUMBER)
_UNIT = re.compile(r"[A-Za-z%/µ]*(?:[\s()\[\],'\";].*)?$", re.DOTALL)
_WORDS = re.compile(rf"(?P<key>[A-Za-z_][\w./@%#-]*)(?:\s*[:=]\s*|\s+)(?P<value>{VALUE})")
_PHRASES = re.compile(
    rf"(?P<key>[A-Za-z_][\w./-]*(?:[ ][A-Za-z_][\w./()-]*){{0,2}})\s*(?:[:=]\s*|\s)(?P<value>{VALUE})"
)
_SEGMENT = re.compile(rf"^[\s(]*(?P<key>[A-Za-z][^|:=\n]*?)\s*(?:[:=]\s*|\s)\s*(?P<value>{VALUE})")
_DICT = re.compile(r"['\"](?P<key>[^'\"\n]{1,200})['\"]\s*:\s*(?P<value>'[^'\n]*'|\"[^\"\n]*\"|[^,}\n]+)")


def decode(data: bytes) -> str:
    """Text of any of the usual encodings; bytes that do not fit become U+FFFD."""
    if data[:2] in {b"\xff\xfe", b"\xfe\xff"}:
        return data.decode("utf-16", errors="replace")
    return data.decode("utf-8-sig", errors="replace")


def clean(text: str) -> str:
    """Text without colours, NULs and carriage returns; a progress bar that overwrote itself becomes lines."""
    if "\x1b" in text:
        text = _COLOUR.sub("", _GLUED.sub("¦", text))
    if "\0" in text:
        text = text.replace("\0", "")
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    return text


def number_of(token: str) -> float | None:
    """The number at the start of a token, with a unit, brackets or quotes around it; None where there is none."""
    try:
        return float(token) if "_" not in token else None
    except ValueError:
        pass
    token = token.lstrip("[('\"{ ")
    if "/" in token and (counted := parse_number(token.rstrip("'\"})] "))) is not None:
        return counted  # "17/438"
    match = _NUMBER.match(token)
    if match is None:
        head, parenthesis, rest = token.partition("(")
        # np.float64(0.72), tensor(0.72, device=...): the wrapper's name says nothing.
        return number_of(rest) if parenthesis and head.replace(".", "").replace("_", "").isalnum() else None
    return float(match[0].replace(",", "")) if _UNIT.match(token, match.end()) else None


def cut(body: str, shape: Fields, book: NoticeBook) -> Iterator[tuple[str, float]]:
    if shape is Fields.JSON:
        yield from _json_fields(body)
        return
    if shape is Fields.DICT:
        pairs = _DICT.finditer(body[: body.find("}") if "}" in body else len(body)])
    elif shape is Fields.PIPES:
        pairs = (m for part in re.split(r"[|,]\s", body) for m in [_SEGMENT.match(part)] if m)
    else:
        pairs = (_PHRASES if shape is Fields.PHRASES else _WORDS).finditer(body)
    seen = set()
    for pair in pairs:
        key = pair["key"].strip()
        if key in seen:
            continue
        value = number_of(pair["value"])
        if value is None:
            if vocabulary.rank_of("loss", key) is not None or vocabulary.rank_of("grad_norm", key) is not None:
                book.add("unreadable-value", f"{key} is not a number, left out: {pair['value'][:40]!r}")
            continue
        seen.add(key)
        yield key, value


def _json_fields(body: str) -> Iterator[tuple[str, float]]:
    try:
        record, _ = json.JSONDecoder().raw_decode(body.lstrip())
    except (ValueError, RecursionError):
        return
    if not isinstance(record, dict):
        return
    for key, value in record.items():
        if isinstance(value, bool):
            continue
        number = (
            float(value) if isinstance(value, (int, float)) else number_of(value) if isinstance(value, str) else None
        )
        if number is not None:
            yield key, number

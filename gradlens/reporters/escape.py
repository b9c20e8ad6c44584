"""Names from logs are untrusted: what could act on a terminal is made visible before it is shown."""

from __future__ import annotations

import unicodedata
from html import escape


def for_terminal(text: str) -> str:
    r"""`text` without control characters: escapes, carriage returns and direction marks become `\x1b`-like text."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(c if c == " " or unicodedata.category(c)[0] not in "CZ" else _visible(c) for c in text)


def for_html(text: str) -> str:
    """The same, with what could be markup or end an attribute escaped."""
    return escape(for_terminal(text))


def _visible(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")

"""The rough shape of a log, told from its first bytes without loading a reader.

Loading every reader to ask whether a file is its own takes longer than reading most logs. What this module is sure of
leaves only the readers of that shape to be asked; everything else is "other", about which all are asked.
"""

from __future__ import annotations

JSON_LINES, TABLE, OTHER = "json-lines", "table", "other"
_SEEN = 1 << 16
_LINES = 20
_NUMERIC = frozenset(b'0123456789+-.eE,;\t"nNaAiIfFtTyY ')


def shape_of(head: bytes) -> str:
    """`json-lines`: several lines, each an object; `table`: separated values, numbers below one line of names."""
    lines = head[:_SEEN].removeprefix(b"\xef\xbb\xbf").split(b"\n")
    # The last line may be cut off by the end of the head.
    lines = [line.rstrip(b"\r") for line in lines[:-1]][:_LINES]
    if len(lines) < 2:
        return OTHER
    if all(line.startswith(b'{"') and line.endswith(b"}") for line in lines):
        return JSON_LINES
    for separator in (b",", b";", b"\t"):
        cells = lines[0].count(separator)
        if cells and b"{" not in lines[0] and all(_is_row(line, separator, cells) for line in lines[1:]):
            return TABLE
    return OTHER


def _is_row(line: bytes, separator: bytes, cells: int) -> bool:
    return line.count(separator) == cells and _NUMERIC.issuperset(line)

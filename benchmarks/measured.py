"""Tables of the docs that need logs which are not part of the repository: each is written by the benchmark that measures it."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent


def write(page: str, name: str, table: str) -> None:
    """Put a table between `<!-- measured: NAME -->` and `<!-- end -->` of a page.

    Raises
    ------
    ValueError
        The page has no such place.
    """
    path = ROOT / page
    text = path.read_text(encoding="utf-8")
    place = re.compile(rf"(<!-- measured: {re.escape(name)} -->\n).*?(<!-- end -->)", re.DOTALL)
    if not place.search(text):
        raise ValueError(f"{page}: no place for {name}")
    path.write_text(place.sub(lambda m: m[1] + table + m[2], text), encoding="utf-8")

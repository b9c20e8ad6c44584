"""Tables whose cells come from anywhere: all of them are escaped."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from gradlens.reporters.escape import for_html


def prose(text: str) -> str:
    """A sentence as the command line prints it, made for a page: arrows, and commands between backticks as code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", for_html(text.replace(" -> ", " → ")))


def table(head: Sequence[str], rows: Iterable[Sequence[str]], *, numbers_from: int) -> str:
    """A table that scrolls sideways where it is too wide; its first column names the row, those from `numbers_from` are figures."""
    css = [' class="n"' if place >= numbers_from else "" for place in range(len(head))]
    heads = "".join(f"<th{c}>{for_html(cell)}</th>" for c, cell in zip(css, head, strict=True))
    body = "".join(
        "<tr>"
        f'<th scope="row">{for_html(row[0])}</th>'
        + "".join(f"<td{c}>{for_html(cell)}</td>" for c, cell in zip(css[1:], row[1:], strict=True))
        + "</tr>"
        for row in rows
    )
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{for_html(head[0] or head[1])}">'
        f'<table class="wide"><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table></div>'
    )

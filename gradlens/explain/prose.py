"""Docstrings as text for people: sections with plain headings, no markup, wrapped to the terminal."""

from __future__ import annotations

import re
import shutil
import textwrap
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

#: Sections of a docstring that only tell a programmer how to call it.
FOR_CALLERS = frozenset({"Parameters", "Returns", "Raises", "Yields", "Attributes", "Examples", "See Also"})
#: What a section says that has nothing to say.
EMPTY = frozenset({"", "None."})
MIN_WIDTH, MAX_WIDTH = 60, 100
_HEADING = re.compile(r"^(\S.*)\n(-{3,}|={3,})$", re.MULTILINE)
_ITEM = re.compile(r"(?:[*-]|\d+\.) ")


@dataclass(frozen=True, slots=True)
class Section:
    """A heading, empty for what comes before the first, and the text below it."""

    title: str
    text: str


def sections_of(docstring: str) -> tuple[Section, ...]:
    """The sections of a docstring in order, without those for callers and without empty ones."""
    pieces = _HEADING.split(docstring)
    found = [Section("", pieces[0].strip())]
    found += [Section(title.strip(), text.strip()) for title, text in zip(pieces[1::3], pieces[3::3], strict=True)]
    return tuple(section for section in found if section.text not in EMPTY and section.title not in FOR_CALLERS)


def plain(text: str) -> str:
    """Text without the marks of emphasis and code."""
    text = re.sub(r"``(.+?)``", r"\1", text, flags=re.DOTALL)
    text = re.sub(r"`([^`]+?)`", r"\1", text)
    return re.sub(r"(?<!\w)\*{1,2}(?=\S)([^*]+?)(?<=\S)\*{1,2}(?!\w)", r"\1", text)


def laid_out(sections: Iterable[Section]) -> str:
    """Sections below each other, each heading on a line of its own, their text wrapped and set in below it."""
    width = min(max(shutil.get_terminal_size().columns, MIN_WIDTH), MAX_WIDTH)
    blocks = []
    for section in sections:
        indent = "  " if section.title else ""
        blocks.append(
            "\n".join(([section.title] if section.title else []) + list(_wrapped(section.text, width, indent)))
        )
    return "\n\n".join(blocks)


def _wrapped(text: str, width: int, indent: str) -> Iterator[str]:
    """Paragraphs filled, items hanging; what is set in already stands as it is."""
    for place, paragraph in enumerate(re.split(r"\n\s*\n", text)):
        if place:
            yield ""
        if paragraph.startswith("  "):
            yield from paragraph.splitlines()
            continue
        for part in re.split(r"\n(?=(?:[*-]|\d+\.) )", paragraph):
            mark = _ITEM.match(part)
            hanging = indent + (" " * len(mark[0]) if mark else "")
            yield textwrap.fill(
                plain(" ".join(part.split())), width, initial_indent=indent, subsequent_indent=hanging,
                break_long_words=False, break_on_hyphens=False,
            )  # fmt: skip


def table(rows: Iterable[tuple[str, ...]]) -> str:
    """Rows of words in columns, set in so that they are not filled; the last column wraps below itself."""
    listed = [tuple(row) for row in rows]
    if not listed:
        return ""
    widths = [max(len(row[column]) for row in listed) for column in range(len(listed[0]) - 1)]
    lead = 2 + sum(widths) + 2 * len(widths)
    room = min(max(shutil.get_terminal_size().columns, MIN_WIDTH), MAX_WIDTH) - 2 - lead
    lines = []
    for row in listed:
        cells = "".join(f"{_aligned(cell, width)}  " for cell, width in zip(row, widths, strict=False))
        last = textwrap.wrap(plain(row[-1]), max(room, 24), break_long_words=False) or [""]
        lines += [f"  {cells}{last[0]}", *(" " * lead + line for line in last[1:])]
    return "\n".join(line.rstrip() for line in lines)


def _aligned(cell: str, width: int) -> str:
    """Numbers to the right, words to the left."""
    return cell.rjust(width) if cell[:1] in "+-" else cell.ljust(width)

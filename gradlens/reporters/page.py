"""Rich's renderables as a string: the one place that knows consoles."""

from __future__ import annotations

import io
from collections.abc import Iterable

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from gradlens.reporters.base import Screen
from gradlens.reporters.palette import color_system

#: What reads well on a terminal that knows no Unicode.
_PLAIN = str.maketrans({"–": "-", "×": "x", "…": "...", "σ": "sigma", "²": "^2", "η": "eta"})


def print_parts(parts: Iterable[RenderableType], screen: Screen) -> str:
    """The parts one below the other at the screen's width; plain, without trailing blanks, where it has no colour."""
    stream = io.StringIO()
    console = Console(
        file=stream,
        width=screen.width,
        force_terminal=screen.color,
        color_system=color_system() if screen.color else None,
        no_color=not screen.color,
        highlight=False,
        markup=False,
        emoji=False,
        legacy_windows=False,
    )
    for part in parts:
        console.print(part)
    text = "\n".join(line.rstrip() for line in stream.getvalue().splitlines()) + "\n"
    return text if screen.unicode else text.translate(_PLAIN).encode("ascii", "replace").decode("ascii")


def section(title: str, lines: Iterable[RenderableType]) -> RenderableType:
    """A title, lines indented below it, and a blank line."""
    return Group(Text(title, style="bold"), *(Padding(line, (0, 0, 0, 2)) for line in lines), Text())


def hanging(mark: Text, body: RenderableType) -> RenderableType:
    """A mark, and beside it a text whose further lines begin where its first does."""
    grid = Table.grid(padding=(0, 1))
    grid.add_column(no_wrap=True)
    grid.add_column(ratio=1)
    grid.add_row(mark, body)
    return grid

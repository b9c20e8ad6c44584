"""Rich's renderables as a string: the one place that knows consoles."""

from __future__ import annotations

import io
from collections.abc import Iterable

from rich.console import Console, RenderableType

from gradlens.reporters.base import Screen

#: What reads well on a terminal that knows no Unicode.
_PLAIN = str.maketrans({"–": "-", "×": "x", "…": "...", "σ": "sigma", "²": "^2", "η": "eta"})


def print_parts(parts: Iterable[RenderableType], screen: Screen) -> str:
    """The parts one below the other at the screen's width; plain, without trailing blanks, where it has no colour."""
    stream = io.StringIO()
    console = Console(
        file=stream,
        width=screen.width,
        force_terminal=screen.color,
        color_system="standard" if screen.color else None,
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

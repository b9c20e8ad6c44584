"""The picture of a run in a terminal: norm and loss as braille dots, one step axis below, what was clipped and found on it."""

from __future__ import annotations

import bisect
import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from gradlens.reporters.base import Screen
from gradlens.reporters.plot import draw, sparkline
from gradlens.reporters.wording import number
from gradlens.reports.analysis import Curve, RunReport
from gradlens.reports.base import Severity

if TYPE_CHECKING:
    from rich.console import RenderableType

#: Columns of the labels left and right of the curves, with the gaps.
_MARGIN = 22
_HEIGHTS = (("grad_norm", "norm", 4), ("loss", "loss", 3), ("val_loss", "val", 2))
#: Seen on black and on white alike.
_STYLES = {"grad_norm": "magenta", "loss": "blue", "val_loss": "cyan"}
_MAX_TICKS = 6


def picture(run: RunReport, screen: Screen) -> RenderableType | None:
    """The curves one below the other on one step axis, None where there is none."""
    curves = run.curves or {}
    axis = curves.get("grad_norm") or curves.get("loss")
    if axis is None or run.first_step is None or run.last_step is None or run.steps < 2:
        return None
    width = screen.width - _MARGIN
    table = Table.grid(padding=(0, 1))
    table.add_column(justify="right", no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    for key, label, height in _HEIGHTS:
        if key in curves:
            for row in _rows(run, key, label, height, curves[key], width, screen):
                table.add_row(*row)
    steps = _steps_of_columns(axis, width)
    clipped = _clipped(run, steps)
    if any(clipped):
        table.add_row(
            Text("clipped", style="dim"),
            Text(sparkline(clipped, unicode=screen.unicode), style="yellow"),
            Text("0–100 %", style="dim"),
        )
    marks = _marks(run, steps, screen)
    if marks is not None:
        table.add_row(Text("found", style="dim"), marks, Text())
    for line in _axis(axis, run, width, screen):
        table.add_row(*line)
    return table


def _rows(
    run: RunReport, key: str, label: str, height: int, curve: Curve, width: int, screen: Screen
) -> Iterator[tuple[Text, Text, Text]]:
    line = run.clipping.threshold if key == "grad_norm" and run.provenance.trusted else None
    plot = draw(curve, width=width, height=height, line=line, unicode=screen.unicode)
    if plot is None:
        return
    for row, dots in enumerate(plot.rows):
        left = number(plot.top) if row == 0 else number(plot.bottom) if row == height - 1 else ""
        right = f"C={number(line)}" if row == plot.line_row else f"{label}{' (log)' if plot.log else ''}" * (row == 0)
        yield Text(left, style="dim"), Text(dots, style=_STYLES[key]), Text(right, style="dim")


def _steps_of_columns(axis: Curve, width: int) -> list[int]:
    """The first step of each column of the picture; the bins of a curve share the width equally."""
    n = len(axis.first_step)
    return [axis.first_step[column * n // width] for column in range(width)]


def _clipped(run: RunReport, steps: Sequence[int]) -> list[float | None]:
    """The clip rate of the window into which each column falls."""
    windows = run.clipping.windows
    firsts = [window.first_step for window in windows]
    found: list[float | None] = []
    for step in steps:
        place = bisect.bisect_right(firsts, step) - 1
        found.append(windows[place].clip_rate if place >= 0 else None)
    return found


def _marks(run: RunReport, starts: Sequence[int], screen: Screen) -> Text | None:
    """A mark below each column that holds a step of a warning or an error."""
    cells = [" "] * len(starts)
    styles = [""] * len(starts)
    for finding in run.findings:
        if finding.severity is Severity.NOTE:
            continue
        for step in finding.steps:
            place = bisect.bisect_right(starts, step) - 1
            if place >= 0:
                cells[place] = "▲" if screen.unicode else "^"
                styles[place] = "red" if finding.severity is Severity.ERROR else "yellow"
    if not any(cell.strip() for cell in cells):
        return None
    text = Text()
    for cell, style in zip(cells, styles, strict=True):
        text.append(cell, style=style)
    return text


def round_ticks(first: float, last: float, most: int = _MAX_TICKS) -> list[int]:
    """At most `most` whole numbers from `first` to `last` at a distance of 1, 2 or 5 times a power of ten."""
    if not last > first:
        return [math.ceil(first)]
    power = 10 ** max(math.floor(math.log10((last - first) / most)), 0)
    for factor in (1, 2, 5, 10, 20, 50):
        gap = factor * power
        ticks = range(math.ceil(first / gap) * gap, math.floor(last) + 1, gap)
        if len(ticks) <= most:
            return list(ticks)
    return [math.ceil(first)]


def _axis(axis: Curve, run: RunReport, width: int, screen: Screen) -> Iterator[tuple[Text, Text, Text]]:
    """The axis with its ticks, and the steps below them."""
    n = len(axis.first_step)
    line = ["─" if screen.unicode else "-"] * width
    below = [" "] * width
    free = 0
    for tick in round_ticks(run.first_step or 0, run.last_step or 0):
        place = min((bisect.bisect_right(axis.first_step, tick) - 1) * width // n, width - 1)
        label = f"{tick:,}"
        begin = max(min(place - len(label) // 2, width - len(label)), 0)
        if place < 0 or begin < free:
            continue
        line[place] = "┴" if screen.unicode else "+"
        below[begin : begin + len(label)] = label
        free = begin + len(label) + 1
    yield Text(), Text("".join(line), style="dim"), Text()
    yield Text(), Text("".join(below), style="dim"), Text("step", style="dim")

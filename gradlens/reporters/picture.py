"""The picture of a run in a terminal: curves as braille dots, strips of what was clipped and of layers, marks of what was found.

All stand on one step axis below them.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from gradlens.reporters.base import Screen
from gradlens.reporters.escape import for_terminal
from gradlens.reporters.palette import AMBER, BLUE, RED, SEA, SEVERITY, TEAL, VIOLET
from gradlens.reporters.plot import draw, shades, sparkline
from gradlens.reporters.wording import number
from gradlens.reports.analysis import Curve, Finding, RunReport
from gradlens.reports.base import Severity
from gradlens.reports.picture import LayerMap

if TYPE_CHECKING:
    from rich.console import RenderableType

#: Columns of the labels left and right of the curves, with the gaps.
_MARGIN, _RIGHT = 22, 12
_HEIGHTS = (("grad_norm", "norm", 3), ("loss", "loss", 3))
_STYLES = {"grad_norm": VIOLET, "loss": BLUE}
_MAX_TICKS = 6
#: Rows of findings, and of layers: more layers share a row.
_MAX_FOUND, _MAX_LAYER_ROWS = 3, 6
#: The finding whose steps are where a later process took the run up again.
_RESUMED = "GL007"

Row = tuple[Text, Text, Text]


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
    for row in _every_row(run, axis, width, screen):
        table.add_row(*row)
    return table


def _every_row(run: RunReport, axis: Curve, width: int, screen: Screen) -> Iterator[Row]:
    known = run.curves or {}
    for key, label, height in _HEIGHTS:
        if key in known:
            yield from _rows(run, key, label, height, known[key], width, screen)
    steps = _steps_of_columns(axis, width)
    if "val_loss" in known:
        yield from _validation(known["val_loss"], steps, screen)
    if "lr" in known:
        yield from _rate(known["lr"], width, screen)
    clipped = _clipped(run, steps)
    if any(clipped):
        yield (
            Text("clipped", style="dim"),
            Text(sparkline(clipped, unicode=screen.unicode), style=AMBER),
            Text("0–100 %", style="dim"),
        )
    if run.layer_norms is not None:
        yield from _layers(run.layer_norms, steps, screen)
    yield from _bad(known, width, screen)
    yield from _found(run.findings, steps, screen)
    yield from _axis(axis, run, width, screen)


def _rows(run: RunReport, key: str, label: str, height: int, curve: Curve, width: int, screen: Screen) -> Iterator[Row]:
    line = run.clipping.threshold if key == "grad_norm" and run.provenance.trusted else None
    plot = draw(curve, width=width, height=height, line=line, unicode=screen.unicode)
    if plot is None:
        return
    for row, dots in enumerate(plot.rows):
        left = number(plot.top) if row == 0 else number(plot.bottom) if row == height - 1 else ""
        right = f"C={number(line)}" if row == plot.line_row else f"{label}{' (log)' if plot.log else ''}" * (row == 0)
        yield Text(left, style="dim"), Text(dots, style=_STYLES[key]), Text(right, style="dim")


def _validation(curve: Curve, steps: Sequence[int], screen: Screen) -> Iterator[Row]:
    """The validation loss between its lowest and its highest value, each until the next one; the verdict tells the numbers."""
    known = [(step, v) for step, v in zip(curve.first_step, curve.low, strict=True) if v is not None]
    if not known:
        return
    firsts = [step for step, _ in known]
    low, top = min(v for _, v in known), max(v for v in curve.high if v is not None)
    # A tenth of its size at least, so that noise stays small.
    span = max(top - low, 0.1 * abs(top)) or 1.0
    places = [bisect.bisect_left(firsts, end) - 1 for end in (*steps[1:], math.inf)]
    shares = [(known[place][1] - low) / span if place >= 0 else None for place in places]
    yield (
        Text("val", style="dim"),
        Text(sparkline(shares, unicode=screen.unicode), style=SEA),
        Text(f"best {number(low)}", style="dim"),
    )


def _rate(curve: Curve, width: int, screen: Screen) -> Iterator[Row]:
    """The learning rate as shares of its peak, where it changes."""
    top = max((v for v in curve.high if v is not None), default=0.0)
    low = min((v for v in curve.low if v is not None), default=0.0)
    if not top > 0 or low == top:
        return
    n = len(curve.high)
    values = [curve.median[x * n // width] for x in range(width)]
    shares = [None if v is None else max(v, 0.0) / top for v in values]
    yield (
        Text("rate", style="dim"),
        Text(sparkline(shares, unicode=screen.unicode), style=TEAL),
        Text(f"peak {number(top)}", style="dim"),
    )


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


def _layers(layers: LayerMap, steps: Sequence[int], screen: Screen) -> Iterator[Row]:
    """Norms of layers as shades from the smallest to the largest of the run, on a log scale; × where one is not finite."""
    edges = layers.edge.tolist()
    places = [min(max(bisect.bisect_right(edges, step) - 1, 0), len(edges) - 2) for step in steps]
    ends = [*(max(place, first + 1) for first, place in pairwise(places)), len(edges) - 1]
    groups = min(len(layers.names), _MAX_LAYER_ROWS)
    cuts = [len(layers.names) * k // groups for k in range(groups + 1)]
    rows = [
        [
            _largest(layers.value[first:last, begin:end].ravel().tolist())
            for begin, end in zip(places, ends, strict=True)
        ]
        for first, last in pairwise(cuts)
    ]
    for place, cells in enumerate(shades(rows, unicode=screen.unicode)):
        first, last = cuts[place], cuts[place + 1]
        name = layers.names[first] if last == first + 1 else f"{first + 1}–{last} of {len(layers.names)}"
        strip = Text(cells, style=VIOLET)
        strip.highlight_regex("[×x]+", RED)
        yield Text("layers" if place == 0 else "", style="dim"), strip, Text(_short(for_terminal(name)), style="dim")


def _largest(values: Iterable[float]) -> float | None:
    """The largest value, infinity where one is not finite; None where none was logged."""
    known = [v for v in values if not math.isnan(v)]
    return max(known, default=None)


def _short(name: str) -> str:
    """The end of a name, where layers differ."""
    return name if len(name) <= _RIGHT else f"…{name[1 - _RIGHT :]}"


def _cut(name: str) -> str:
    """The beginning of the name of a check, which says most."""
    return name if len(name) <= _RIGHT else f"{name[: _RIGHT - 1]}…"


def _bad(known: Mapping[str, Curve], width: int, screen: Screen) -> Iterator[Row]:
    """Where loss or norm are not finite."""
    cells = [" "] * width
    for key in ("loss", "grad_norm"):
        if (curve := known.get(key)) is not None:
            n = len(curve.nonfinite)
            for place, count in enumerate(curve.nonfinite):
                if count:
                    begin = place * width // n
                    for column in range(begin, max((place + 1) * width // n, begin + 1)):
                        cells[column] = "×" if screen.unicode else "x"
    if any(cell.strip() for cell in cells):
        yield Text("NaN, inf", style="dim"), Text("".join(cells), style=RED), Text()


def _found(findings: Iterable[Finding], starts: Sequence[int], screen: Screen) -> Iterator[Row]:
    """A row for each of the first findings that have steps, and one for where the run was taken up again."""
    serious = [f for f in findings if f.severity is not Severity.NOTE and f.steps]
    for finding in serious[:_MAX_FOUND]:
        cells = _marked(finding.steps, starts, "▲" if screen.unicode else "^")
        yield (
            Text(finding.code, style="dim"),
            Text(cells, style=SEVERITY[finding.severity]),
            Text(_cut(finding.name), style="dim"),
        )
    rest = [step for finding in serious[_MAX_FOUND:] for step in finding.steps]
    if rest:
        cells = _marked(rest, starts, "▲" if screen.unicode else "^")
        yield (
            Text("others", style="dim"),
            Text(cells, style=AMBER),
            Text(f"{len(serious) - _MAX_FOUND} more", style="dim"),
        )
    resumed = [step for finding in findings if finding.code == _RESUMED for step in finding.steps]
    if resumed:
        yield (
            Text("resumed", style="dim"),
            Text(_marked(resumed, starts, "┊" if screen.unicode else ":"), style=TEAL),
            Text(),
        )


def _marked(steps: Iterable[int], starts: Sequence[int], mark: str) -> str:
    """A mark in each column that holds one of the steps."""
    cells = [" "] * len(starts)
    for step in steps:
        place = bisect.bisect_right(starts, step) - 1
        if place >= 0:
            cells[place] = mark
    return "".join(cells)


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


def _axis(axis: Curve, run: RunReport, width: int, screen: Screen) -> Iterator[Row]:
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

"""Curves over a shared step axis as a small SVG, in colours that are seen on white and on black."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

WIDTH, LEFT, RIGHT, TOP, GAP = 760, 64, 12, 8, 14
HEIGHT, LOW_HEIGHT, FOOT = 110, 56, 34
#: Points of a curve: of each stretch its lowest and its highest value, so that no spike is lost.
POINTS = 240
INK, GRID, BAND, BAD = "#808890", "#80889050", "#d9822b38", "#c23030"
COLOURS = ("#3b82d0", "#d9822b", "#2e9e6b", "#9a6bd0")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Panel:
    """One plot: curves by name, each (steps, values); a level to mark; logarithmic where values allow and span a decade."""

    title: str
    curves: Sequence[tuple[str, NDArray[np.int64], NDArray[np.float64]]]
    level: tuple[str, float] | None = None
    low: bool = False
    linear: bool = False

    @property
    def height(self) -> int:
        """Pixels of the plot."""
        return LOW_HEIGHT if self.low else HEIGHT


@dataclass(frozen=True, slots=True)
class Scale:
    """Values to pixels from the top, on a linear or a logarithmic scale."""

    low: float
    high: float
    height: int
    log: bool

    def __call__(self, value: float) -> float:
        if self.log:
            share = (math.log10(value) - math.log10(self.low)) / (math.log10(self.high) - math.log10(self.low))
        else:
            share = (value - self.low) / (self.high - self.low)
        return round((1 - share) * self.height, 1)

    def ticks(self) -> Iterator[float]:
        """Round values: powers of ten, or some of a linear scale."""
        if self.log:
            first, last = math.ceil(math.log10(self.low) - 1e-9), math.floor(math.log10(self.high) + 1e-9)
            if last > first:
                yield from (10.0**power for power in range(first, last + 1, max(1, (last - first) // 3)))
                return
        each = 10.0 ** math.floor(math.log10(self.high - self.low))
        many = self.height / 25
        each *= next(times for times in (0.2, 0.5, 1.0, 2.0, 5.0) if (self.high - self.low) / (each * times) < many)
        yield from (place * each for place in range(math.ceil(self.low / each), math.floor(self.high / each) + 1))


def picture(title: str, caption: str, panels: Sequence[Panel], marks: Iterable[int]) -> str:
    """The SVG with its caption inside; `marks` are steps of findings, shaded through all panels."""
    first = min(int(steps[0]) for panel in panels for _, steps, _ in panel.curves if len(steps))
    last = max(int(steps[-1]) for panel in panels for _, steps, _ in panel.curves if len(steps))
    height = TOP + sum(panel.height + GAP for panel in panels) + FOOT

    def x(step: float) -> float:
        return round(LEFT + (step - first) / max(last - first, 1) * (WIDTH - LEFT - RIGHT), 1)

    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" font-size="12"'
            ' font-family="sans-serif">'
        ),
        f"<title>{escape(title)}</title>",
        f"<desc>{escape(caption)}</desc>",
    ]
    bottom = height - FOOT
    parts += [
        f'<rect x="{x(step) - 2:.1f}" y="{TOP}" width="4" height="{bottom - TOP - GAP}" fill="{BAND}"/>'
        for step in sorted(set(marks))
        if first <= step <= last
    ]
    top = TOP
    for panel in panels:
        parts += _drawn(panel, x, top)
        top += panel.height + GAP
    for step in round_steps(first, last):
        parts.append(f'<text x="{x(step)}" y="{bottom + 6}" text-anchor="middle" fill="{INK}">{step:,}</text>')
    parts.append(f'<text x="{WIDTH - RIGHT}" y="{bottom + 24}" text-anchor="end" fill="{INK}">step</text></svg>\n')
    return "\n".join(parts)


def round_steps(first: int, last: int) -> list[int]:
    """About six round steps."""
    rough = max((last - first) / 6, 1)
    power = 10 ** math.floor(math.log10(rough))
    each = next(int(power * times) for times in (1, 2, 5, 10) if power * times >= rough)
    return list(range(math.ceil(first / each) * each, last + 1, each))


def _drawn(panel: Panel, x: Callable[[float], float], top: int) -> Iterator[str]:
    scale = _scale(panel)
    yield f'<g transform="translate(0 {top})">'
    for value in scale.ticks():
        at = scale(value)
        yield f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at}" y2="{at}" stroke="{GRID}"/>'
        yield f'<text x="{LEFT - 6}" y="{at + 4:.1f}" text-anchor="end" fill="{INK}">{value:.3g}</text>'
    if panel.level and scale.low <= panel.level[1] <= scale.high:
        at = scale(panel.level[1])
        yield f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at}" y2="{at}" stroke="{BAD}" stroke-dasharray="6 4"/>'
        yield f'<text x="{WIDTH - RIGHT - 4}" y="{at - 4:.1f}" text-anchor="end" fill="{BAD}">{escape(panel.level[0])}</text>'
    for place, (_, steps, values) in enumerate(panel.curves):
        known = np.isfinite(values)
        for begin, end in _gaps(steps, known):
            wide = max(x(end) - x(begin), 1.5)
            yield f'<rect x="{x(begin)}" width="{wide:.1f}" y="0" height="{panel.height}" fill="{BAD}" opacity="0.35"/>'
        good = known & (values > 0) if scale.log else known
        points = " ".join(f"{x(step)},{scale(value)}" for step, value in thinned(steps[good], values[good]))
        yield f'<polyline points="{points}" fill="none" stroke="{COLOURS[place]}" stroke-width="1.3"/>'
    names = "".join(
        f'<tspan fill="{COLOURS[place]}">{"  " if place else ""}{escape(name)}</tspan>'
        for place, (name, *_) in enumerate(panel.curves)
    )
    yield f'<text x="{LEFT + 6}" y="12" xml:space="preserve">{names}</text></g>'


def _scale(panel: Panel) -> Scale:
    every = np.concatenate([values[np.isfinite(values)] for *_, values in panel.curves])
    if panel.level:
        every = np.append(every, panel.level[1])
    positive = every[every > 0]
    if (
        not panel.linear
        and len(positive)
        and len(positive) >= 0.9 * len(every)
        and positive.max() > 10 * positive.min()
    ):
        return Scale(float(positive.min()) / 1.1, float(positive.max()) * 1.1, panel.height, log=True)
    low, high = (float(every.min()), float(every.max())) if len(every) else (0.0, 1.0)
    room = (high - low) * 0.06 or abs(high) * 0.1 or 1.0
    # What is never negative has no axis below 0.
    return Scale(max(low - room, 0.0) if low >= 0 else low - room, high + room, panel.height, log=False)


def _gaps(steps: NDArray[np.int64], known: NDArray[np.bool_]) -> Iterator[tuple[int, int]]:
    """First and last step of each stretch of values that are not finite."""
    bad = np.flatnonzero(~known)
    for part in np.split(bad, np.flatnonzero(np.diff(bad) > 1) + 1) if len(bad) else ():
        yield int(steps[part[0]]), int(steps[part[-1]])


def thinned(steps: NDArray[np.int64], values: NDArray[np.float64]) -> Iterator[tuple[int, float]]:
    """The points of a curve, of a long one the lowest and the highest of each stretch in their order."""
    if len(steps) <= 2 * POINTS:
        yield from zip(steps.tolist(), values.tolist(), strict=True)
        return
    for part in np.array_split(np.arange(len(steps)), POINTS):
        for place in sorted({int(part[values[part].argmin()]), int(part[values[part].argmax()])}):
            yield int(steps[place]), float(values[place])

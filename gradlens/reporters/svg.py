"""A series as an SVG line with its range, for the HTML report."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

from gradlens.reporters.plot import quarter
from gradlens.reporters.wording import number
from gradlens.reports.analysis import Curve

WIDTH, HEIGHT, LEFT, BOTTOM = 720, 150, 58, 20


def chart(
    curve: Curve,
    *,
    title: str,
    css: str,
    last_step: int,
    line: float | None = None,
    marks: Sequence[int] = (),
    log_scale: bool = True,
) -> str:
    """One chart: the median as a line, the range of each bin as an area, log scale where the values span a decade.

    `line` draws the threshold, `marks` short ticks at steps (spikes). Text comes from numbers only, so nothing in it
    needs escaping but `title`, which the caller writes.
    """
    values = [v for v in (*curve.low, *curve.high) if v is not None]
    low, high = min(values), max(values)
    if line is not None and low > 0 and low / 30 < line < high * 30:
        low, high = min(low, line), max(high, line)
    log = log_scale and low > 0 and high / low > 10
    scale = math.log10 if log else quarter
    bottom, top = scale(low), scale(high)
    span = (top - bottom) or 1.0
    first = curve.first_step[0]
    steps = max(last_step - first, 1)

    def x(step: float) -> float:
        return round(LEFT + (step - first) / steps * (WIDTH - LEFT - 8), 1)

    def y(value: float) -> float:
        return round(8 + (top - scale(value)) / span * (HEIGHT - BOTTOM - 12), 1)

    parts = [
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{title}">',
        f'<text x="{LEFT}" y="{HEIGHT - 4}">{first:,}</text>',
        f'<text x="{WIDTH - 8}" y="{HEIGHT - 4}" text-anchor="end">step {last_step:,}</text>',
        f'<text x="{WIDTH / 2}" y="{HEIGHT - 4}" text-anchor="middle" class="title">{title}{" (log)" if log else ""}</text>',
    ]
    for value in _ticks(low, high, log=log):
        at = y(value)
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - 8}" y1="{at}" y2="{at}"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{at + 4}" text-anchor="end">{number(value)}</text>')
    for upper, lower, middle in _pieces(curve, x, y):
        parts.append(f'<polygon class="{css} range" points="{" ".join(upper + lower[::-1])}"/>')
        parts.append(f'<polyline class="{css}" points="{" ".join(middle)}"/>')
    parts += [
        f'<line class="bad" x1="{x(step)}" x2="{x(step)}" y1="8" y2="{HEIGHT - BOTTOM - 4}"/>'
        for step, bad in zip(curve.first_step, curve.nonfinite, strict=True)
        if bad
    ]
    parts += [f'<path class="mark" d="M{x(step)} 2 l-3 -2 h6 z" transform="translate(0 4)"/>' for step in marks]
    if line is not None and (not log or line > 0) and bottom <= scale(line) <= top:
        at = y(line)
        parts.append(f'<line class="threshold" x1="{LEFT}" x2="{WIDTH - 8}" y1="{at}" y2="{at}"/>')
        parts.append(f'<text class="threshold" x="{LEFT + 4}" y="{at - 4}">C = {number(line)}</text>')
    parts.append("</svg>")
    return "".join(parts)


def _pieces(
    curve: Curve, x: Callable[[float], float], y: Callable[[float], float]
) -> Iterator[tuple[list[str], list[str], list[str]]]:
    """The curve cut where bins are empty."""
    upper: list[str] = []
    lower: list[str] = []
    middle: list[str] = []
    for step, low, median, high in zip(curve.first_step, curve.low, curve.median, curve.high, strict=True):
        if low is None or median is None or high is None:
            if middle:
                yield upper, lower, middle
            upper, lower, middle = [], [], []
            continue
        at = x(step)
        upper.append(f"{at},{y(high)}")
        lower.append(f"{at},{y(low)}")
        middle.append(f"{at},{y(median)}")
    if middle:
        yield upper, lower, middle


def _ticks(low: float, high: float, *, log: bool) -> list[float]:
    if log:
        first, last = math.ceil(math.log10(low)), math.floor(math.log10(high))
        every = max(1, (last - first) // 4)
        powers = [10.0**p for p in range(first, last + 1, every)]
        return powers if len(powers) > 1 else [low, high]
    return [low, (low + high) / 2, high] if high > low else [low]

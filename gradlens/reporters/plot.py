"""A series as rows of braille dots: two dots across and four down a character, log scale where the range asks for it."""

from __future__ import annotations

import math
from collections.abc import Sequence

from gradlens.frozen import frozen
from gradlens.reports.analysis import Curve

#: Bits of the dots of one braille character, by column and row (Unicode chart U+2800).
_DOTS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))
_LINE = "╌"
BLOCKS = "▁▂▃▄▅▆▇█"
SHADES = "░▒▓█"


@frozen
class Plot:
    """Drawn rows, top first; `labels` stand left of the first and the last row, `line_row` is that of the threshold."""

    rows: tuple[str, ...]
    top: float
    bottom: float
    line_row: int | None
    log: bool


def draw(curve: Curve, *, width: int, height: int, line: float | None = None, unicode: bool = True) -> Plot | None:
    """Draw a curve, the bins' whole range so that one spike in a million steps stays visible; None without a value.

    `line` (the threshold) is drawn where it falls into the picture or close to it.
    """
    values = [v for v in (*curve.low, *curve.high) if v is not None and math.isfinite(v)]
    if not values:
        return None
    low, high = min(values), max(values)
    if line is not None and line > 0 and (low <= 0 or (high / 30 < line < high * 30 and low > 0)):
        low, high = min(low, line), max(high, line)
    log = low > 0 and high / low > 8
    scale = math.log if log else quarter
    bottom, top = scale(low), scale(high)
    span = (top - bottom) or 1.0
    dots = height * 4 - 1

    def level(value: float) -> int:
        return round((min(max(scale(value), bottom), top) - bottom) / span * dots)

    grid = [[0] * width for _ in range(height)]
    columns = width * 2
    n = len(curve.low)
    for x in range(columns):
        first, last = x * n // columns, max(x * n // columns + 1, (x + 1) * n // columns)
        lows = [v for v in curve.low[first:last] if v is not None]
        highs = [v for v in curve.high[first:last] if v is not None]
        if not lows or not highs:
            continue
        for y in range(level(min(lows)), level(max(highs)) + 1):
            up = dots - y
            grid[up // 4][x // 2] |= _DOTS[x % 2][up % 4]
    line_row = None
    if line is not None and line > 0 and bottom <= scale(line) <= top:
        line_row = (dots - level(line)) // 4
    rows = []
    for number, cells in enumerate(grid):
        empty = (_LINE if unicode else "-") if number == line_row else " "
        rows.append("".join((chr(0x2800 + bits) if unicode else "*") if bits else empty for bits in cells))
    return Plot(rows=tuple(rows), top=high, bottom=low, line_row=line_row, log=log)


def quarter(value: float) -> float:
    """A linear scale on which the distance of any two floats is finite."""
    return value / 4


def sparkline(values: Sequence[float | None], *, unicode: bool = True) -> str:
    """Shares from 0 to 1 as blocks; a space where there is none."""
    marks = BLOCKS if unicode else "_.-=+*#@"
    return "".join(" " if v is None else marks[min(int(v * len(marks)), len(marks) - 1)] for v in values)


def shades(rows: Sequence[Sequence[float | None]], *, unicode: bool = True) -> list[str]:
    """Rows of values as shades, on one log scale from the smallest positive value to the largest.

    A space where there is none, × (x) for infinity. Zero and what is below it have the lightest shade.
    """
    marks = SHADES if unicode else ".-+#"
    known = [v for row in rows for v in row if v is not None and 0 < v < math.inf]
    low, high = (math.log(min(known)), math.log(max(known))) if known else (0.0, 0.0)
    span = (high - low) or 1.0

    def mark(value: float | None) -> str:
        if value is None or math.isnan(value):
            return " "
        if math.isinf(value):
            return "×" if unicode else "x"
        share = (math.log(value) - low) / span if value > 0 else 0.0
        return marks[min(int(share * len(marks)), len(marks) - 1)]

    return ["".join(mark(value) for value in row) for row in rows]

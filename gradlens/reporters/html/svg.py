"""A drawing as a still picture: what is printed, and all that a page without scripts has."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from gradlens.reporters.escape import for_html
from gradlens.reporters.html.panels import STILL_POINTS, Band, Drawing, Line, Panel
from gradlens.reporters.html.png import heat_uri
from gradlens.reporters.html.scales import Scale
from gradlens.reporters.wording import number
from gradlens.stats.thinning import extremes

WIDTH, LEFT, RIGHT, GAP, TITLE, LANE = 820, 62, 12, 10, 18, 24
MAX_LANES = 8


def still(drawing: Drawing) -> str:
    """The drawing as SVG; text from the log is escaped."""
    across = Scale(low=drawing.first, high=drawing.last, start=LEFT, end=WIDTH - RIGHT, log=drawing.x_log)
    lanes = list(dict.fromkeys(band.lane for band in drawing.bands))[:MAX_LANES]
    parts, top = [], 4.0
    if drawing.legend:
        parts.append(_legend(drawing))
        top += 18.0 * len(_legend_rows(drawing))
    for lane in lanes:
        parts.append(_lane(lane, [band for band in drawing.bands if band.lane == lane], across, top))
        top += LANE
    for panel in drawing.panels:
        parts.append(_panel(panel, drawing, across, top + TITLE))
        top += TITLE + panel.height + GAP
    for tick in across.ticks(7):
        at = across(tick)
        label = f"{tick:,.0f}" if not drawing.x_log else _label(tick)
        anchor = "start" if at < LEFT + 20 else "end" if at > WIDTH - RIGHT - 20 else "middle"
        parts.append(f'<text x="{at}" y="{top + 8}" text-anchor="{anchor}">{label}</text>')
    parts.append(f'<text x="{(LEFT + WIDTH) / 2}" y="{top + 24}" text-anchor="middle">{drawing.x_title}</text>')
    label = for_html(f"{drawing.title}: {drawing.alt}")
    return f'<svg viewBox="0 0 {WIDTH} {top + 30:g}" role="img" aria-label="{label}">{"".join(parts)}</svg>'


def _label(tick: float) -> str:
    """A round value: without an exponent as long as it is short."""
    return f"{tick:g}" if 1e-4 <= abs(tick) < 1e-3 else number(tick)


def _legend_rows(drawing: Drawing) -> list[list[tuple[str, str]]]:
    keys = list(drawing.keys.items())
    return [keys[i : i + 3] for i in range(0, len(keys), 3)]


def _legend(drawing: Drawing) -> str:
    return "".join(
        f'<text class="{tone}" x="{LEFT + column * 250}" y="{14 + row * 18}">─ {for_html(name[-34:])}</text>'
        for row, keys in enumerate(_legend_rows(drawing))
        for column, (name, tone) in enumerate(keys)
    )


def _lane(lane: str, bands: list[Band], across: Scale, top: float) -> str:
    marks = "".join(
        f'<rect class="{band.tone}" x="{across(band.first)}" y="{top + 13:g}" height="7" '
        f'width="{max(across(band.last) - across(band.first), 2):g}"><title>{for_html(band.text)}</title></rect>'
        for band in bands
    )
    return f'<text x="{LEFT}" y="{top + 9:g}">{for_html(lane)}</text>{marks}'


def _panel(panel: Panel, drawing: Drawing, across: Scale, top: float) -> str:
    bottom = top + panel.height
    low, high, log = _range(panel)
    up = Scale(low=low, high=high, start=bottom, end=top, log=log)
    legend = "".join(
        f'<tspan class="{line.tone}" dx="8">{"●" if line.style == "dots" else "─"} {for_html(line.name)}</tspan>'
        for line in panel.lines
        if len(panel.lines) > 1 and not drawing.legend
    )
    scale = " (log)" if log and not panel.heat else ""
    parts = [f'<text x="{LEFT}" y="{top - 5:g}"><tspan class="title">{panel.title}{scale}</tspan>{legend}</text>']
    if panel.heat is not None:
        return "".join((*parts, _heat(panel, across, top)))
    parts += [
        f'<rect class="shade {band.tone}" x="{across(band.first)}" y="{top:g}" height="{panel.height}" '
        f'width="{max(across(band.last) - across(band.first), 1):g}"/>'
        for band in drawing.bands
        if band.shade
    ]
    for tick in up.ticks(max(3, panel.height // 34)):
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{up(tick)}" y2="{up(tick)}"/>')
        text = f"{tick * 100:g} %" if panel.percent else _label(tick)
        parts.append(f'<text x="{LEFT - 5}" y="{up(tick) + 4:g}" text-anchor="end">{text}</text>')
    for step in () if panel.bad is None else panel.bad[:: max(1, len(panel.bad) // 200)].tolist():
        parts.append(f'<line class="bad" x1="{across(step)}" x2="{across(step)}" y1="{top:g}" y2="{bottom:g}"/>')
    for bar in panel.bars:
        wide = max(across(bar.last) - across(bar.first) - 1, 1)
        parts.append(
            f'<rect class="bar" x="{across(bar.first)}" y="{up(bar.share)}" width="{wide:g}" '
            f'height="{max(bottom - up(bar.share), 0):g}"><title>{for_html(bar.name)}</title></rect>'
        )
    for line in panel.lines:
        parts += _curve(line, across, up)
    parts += _levels(panel, across, up, top, bottom)
    return "".join(parts)


def _levels(panel: Panel, across: Scale, up: Scale, top: float, bottom: float) -> Iterator[str]:
    for level in panel.levels:
        if up.low <= level.value <= up.high:
            at = up(level.value)
            yield f'<line class="level {level.tone}" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at}" y2="{at}"/>'
            yield f'<text class="{level.tone}" x="{WIDTH - RIGHT}" y="{at - 3:g}" text-anchor="end">{level.name}</text>'
    for place, upright in enumerate(panel.uprights):
        at = across(upright.at)
        yield f'<line class="level {upright.tone}" x1="{at}" x2="{at}" y1="{top:g}" y2="{bottom:g}"/>'
        anchor, shift = ("end", -4) if at > WIDTH / 2 else ("start", 4)
        yield (
            f'<text class="{upright.tone}" x="{at + shift}" y="{top + 12 + 14 * place:g}" '
            f'text-anchor="{anchor}">{upright.name}</text>'
        )


def _range(panel: Panel) -> tuple[float, float, bool]:
    """From where to where the axis goes, with the threshold where it lies close enough to be seen beside the values."""
    if panel.percent or not panel.lines:
        return 0.0, panel.top_share, False
    values = np.concatenate([line.y for line in panel.lines])
    low, high, log = float(values.min()), float(values.max()), panel.log_scale
    for level in panel.levels:
        if low > 0 and low / 30 < level.value < high * 30:
            low, high = min(low, level.value), max(high, level.value)
    most = sys.float_info.max
    if log:
        margin = (high / low) ** 0.04 if high / low < math.inf else 1.0
        return max(low / margin, math.ulp(0.0)), min(high * margin, most), True
    margin = (high / 2 - low / 2) * 0.08 or abs(high) * 0.05 or 1.0
    return max(low - (0.0 if 0 <= low < margin else margin), -most), min(high + margin, most), False


def _curve(line: Line, across: Scale, up: Scale) -> Iterator[str]:
    rows = extremes(line.y, STILL_POINTS)
    points = [(across(x), up(y)) for x, y in zip(line.x[rows].tolist(), line.y[rows].tolist(), strict=True)]
    if line.style == "dots":
        marks = "".join(f"M{x},{y}h0" for x, y in points)
        yield f'<path class="dots {line.tone}" d="{marks}"/>'
        return
    if line.style == "steps":
        # A value holds until the next one.
        points = [*(corner for a, b in pairwise(points) for corner in (a, (b[0], a[1]))), points[-1]]
    yield f'<polyline class="{line.tone} {line.style}" points="{" ".join(f"{x},{y}" for x, y in points)}"/>'


def _heat(panel: Panel, across: Scale, top: float) -> str:
    heat = panel.heat
    found = None if heat is None else heat_uri(heat.value)
    if heat is None or found is None:
        return ""
    uri, low, high = found
    left, right = across(float(heat.edge[0])), across(float(heat.edge[-1]))
    names = [(0, 8.0), (len(heat.names) - 1, float(panel.height) - 2)]
    labels = "".join(
        f'<text class="name" x="{LEFT - 5}" y="{top + y:g}" text-anchor="end"><title>{for_html(heat.names[i])}</title>{i + 1}</text>'
        for i, y in names
    )
    return (
        f'<image x="{left}" y="{top:g}" width="{right - left:g}" height="{panel.height}" preserveAspectRatio="none" '
        f'href="{uri}"/>{labels}'
        f'<text x="{WIDTH - RIGHT}" y="{top - 5:g}" text-anchor="end">{number(low)} (dark) to {number(high)} (bright)</text>'
    )

"""What is drawn, before anybody draws it: panels of lines on one axis, and bands across them.

`gradlens.reporters.html.svg` makes a still picture of a `Drawing`, `picture.js` one that zooms. Both show the same.
"""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from gradlens.frozen import frozen
from gradlens.reporters.escape import for_terminal
from gradlens.stats.thinning import extremes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

Style = Literal["line", "dashed", "dots", "steps"]
#: Largest over smallest value from which on a log axis serves.
SERVES_LOG = 10.0
LOWEST_PART = 0.02
#: A largest share below which an axis up to 100 % would show nothing.
SMALL_SHARE = 0.4
#: Points of a line in a still picture, which is no wider than that.
STILL_POINTS = 900
#: Bytes of a point in the data and in a still picture, and how many points a line may have, in order of preference.
_LIVE, _STILL = 11, 12
_POINTS = (5_000, 3_000, 2_000, 1_200, 800, 500, 300, 200, 120, 60)


@frozen(eq=False)
class Line:
    """A curve: float64[k] each, x rising. `tone` names a colour of the style sheet."""

    name: str
    tone: str
    x: NDArray[Any]
    y: NDArray[np.float64]
    style: Style = "line"


@frozen
class Level:
    """A horizontal line that names itself."""

    value: float
    name: str
    tone: str = "error"


@frozen
class Upright:
    """A vertical line that names itself."""

    at: float
    name: str
    tone: str = "ok"


@frozen
class Bar:
    """A share from `first` to `last`."""

    first: float
    last: float
    share: float
    name: str


@frozen(eq=False)
class Heat:
    """float64[rows, k] between `edge` (float64[k+1]), drawn by logarithm; infinite where something was not finite."""

    names: tuple[str, ...]
    edge: NDArray[np.float64]
    value: NDArray[np.float64]


@frozen(eq=False)
class Panel:
    """One row of the picture."""

    title: str
    height: int = 130
    lines: tuple[Line, ...] = ()
    levels: tuple[Level, ...] = ()
    uprights: tuple[Upright, ...] = ()
    bars: tuple[Bar, ...] = ()
    heat: Heat | None = None
    #: Steps with a NaN or an infinity.
    bad: NDArray[np.int64] | None = None
    log: bool | None = None
    percent: bool = False

    @property
    def log_scale(self) -> bool:
        """Whether the axis is logarithmic: as said, otherwise where all values are positive and all but the lowest span a decade."""
        if self.log is not None:
            return self.log
        values = [line.y for line in self.lines if len(line.y)]
        if not values or min(float(v.min()) for v in values) <= 0:
            return False
        # A single low value would spread the axis over decades of nothing.
        low = min(float(np.quantile(v, LOWEST_PART)) for v in values)
        return max(float(v.max()) for v in values) / low > SERVES_LOG

    @property
    def top_share(self) -> float:
        """How far the axis of shares goes: to all of them, unless all that is drawn is far below."""
        shares = [bar.share for bar in self.bars] + [float(line.y.max()) for line in self.lines if len(line.y)]
        largest = max(shares, default=1.0)
        return min(1.2 * largest, 1.0) if 0 < largest < SMALL_SHARE else 1.0


@frozen
class Band:
    """A stretch of steps that names itself, on a lane of its own and across the panels."""

    first: float
    last: float
    lane: str
    text: str
    tone: str
    shade: bool = True


@frozen(eq=False)
class Drawing:
    """Panels on one horizontal axis. `alt` says in words what is to be seen, `note` what was left out.

    `legend` names the lines once above all panels, which have the same lines.
    """

    key: str
    title: str
    panels: tuple[Panel, ...]
    first: float
    last: float
    alt: str
    bands: tuple[Band, ...] = ()
    x_title: str = "step"
    x_log: bool = False
    note: str = ""
    legend: bool = False

    @property
    def keys(self) -> dict[str, str]:
        """Name and tone of each line of all panels."""
        return {line.name: line.tone for panel in self.panels for line in panel.lines}

    def thinner(self, most: int) -> Drawing:
        """The same with at most about that many points in a line, none of its extremes lost."""

        def cut(line: Line) -> Line:
            rows = extremes(line.y, most)
            return line if len(rows) == len(line.y) else replace(line, x=line.x[rows], y=line.y[rows])

        panels = tuple(replace(panel, lines=tuple(cut(line) for line in panel.lines)) for panel in self.panels)
        return replace(self, panels=panels)

    def bytes(self, most: int) -> int:
        """About what the drawing takes in a page if its lines have at most that many points, as data and as a still picture."""
        found = 2_000 + 400 * len(self.bands)
        for panel in self.panels:
            found += sum(
                _LIVE * min(len(line.y), most) + _STILL * min(len(line.y), most, STILL_POINTS) for line in panel.lines
            )
            found += 200 * len(panel.bars) + (8 * panel.heat.value.size if panel.heat is not None else 0)
        return found


def fitting(drawings: Sequence[Drawing], budget: int) -> list[Drawing]:
    """The drawings with so many points that together they take no more than the budget, or with the fewest that make sense."""
    most = next((most for most in _POINTS if sum(d.bytes(most) for d in drawings) <= budget), _POINTS[-1])
    return [drawing.thinner(most) for drawing in drawings]


def packed(drawing: Drawing) -> dict[str, Any]:
    """The drawing as plain data for the script: columns as base64 of little-endian numbers, names without control characters."""
    return {
        "x": {"title": drawing.x_title, "log": drawing.x_log, "first": drawing.first, "last": drawing.last},
        "legend": [[tone, for_terminal(name)] for name, tone in drawing.keys.items()] if drawing.legend else [],
        "bands": [
            [b.first, b.last, for_terminal(b.lane), for_terminal(b.text), b.tone, int(b.shade)] for b in drawing.bands
        ],
        "panels": [_panel(panel) for panel in drawing.panels],
    }


def _panel(panel: Panel) -> dict[str, Any]:
    data: dict[str, Any] = {
        "title": panel.title,
        "height": panel.height,
        "log": panel.log_scale,
        "percent": panel.percent,
        "top": panel.top_share if panel.percent else None,
        "lines": [[for_terminal(li.name), li.tone, li.style, _column(li.x), _column(li.y)] for li in panel.lines],
        "levels": [[level.value, level.name, level.tone] for level in panel.levels],
        "uprights": [[upright.at, upright.name, upright.tone] for upright in panel.uprights],
        "bars": [[bar.first, bar.last, bar.share, bar.name] for bar in panel.bars],
        "bad": [] if panel.bad is None else panel.bad.tolist(),
    }
    if panel.heat is not None:
        heat = panel.heat
        data["heat"] = {
            "names": [for_terminal(name) for name in heat.names],
            "edge": _column(heat.edge),
            "value": _column(np.where(np.abs(heat.value) > np.finfo(np.float32).max, np.inf, heat.value).ravel()),
        }
    return data


def _column(value: NDArray[Any]) -> list[str]:
    """Kind and base64: steps as 32-bit whole numbers and values with seven digits where these suffice."""
    if np.issubdtype(value.dtype, np.integer) and len(value) and np.abs(value).max() < 2**31:
        kind, raw = "i", value.astype("<i4")
    else:
        size = np.abs(value[np.isfinite(value)])
        small = not len(size) or (size.max() < 1e37 and size[size > 0].min(initial=1.0) > 1e-37)
        # Whole numbers that stand for steps need all their digits.
        kind, raw = ("f", value.astype("<f4")) if small and value.dtype == np.float64 else ("d", value.astype("<f8"))
    return [kind, base64.b64encode(raw.tobytes()).decode("ascii")]

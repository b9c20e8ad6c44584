"""Small multiples: one loss as a line in a cell of a table."""

from __future__ import annotations

import math
from collections.abc import Sequence


def small(values: Sequence[float | None], what: str = "loss", css: str = "loss") -> str:
    """The values as a small line; its text alternative says from where to where it went. Empty with fewer than two values."""
    points = [(i, v) for i, v in enumerate(values) if v is not None and math.isfinite(v)]
    if len(points) < 2:
        return ""
    low, high = min(v for _, v in points), max(v for _, v in points)
    span = high / 2 - low / 2
    width = 116 / max(len(values) - 1, 1)
    line = " ".join(
        f"{2 + i * width:.1f},{26 - ((v / 2 - low / 2) / span if span else 0.5) * 24:.1f}" for i, v in points
    )
    label = f"{what} from {points[0][1]:.4g} to {points[-1][1]:.4g}"
    return f'<svg class="small" viewBox="0 0 120 28" role="img" aria-label="{label}"><polyline class="{css}" points="{line}"/></svg>'

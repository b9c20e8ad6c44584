"""The evidence: what a run shows, each sign graded from 0 (not at all) to 1 (plainly). One module per kind of sign."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from gradlens.diagnosis.signs import changes, clipping, course, events, log, norm, numerics, recorder, schedule, start
from gradlens.diagnosis.signs.base import PARTS, SIGNS, Ramp, Sign, is_measured

if TYPE_CHECKING:
    from gradlens.diagnosis.measured import Measured

__all__ = ["PARTS", "SIGNS", "Ramp", "Sign", "grade_all", "is_measured"]

#: The modules that fill the registers when they are imported.
MODULES = (log, numerics, norm, course, start, events, changes, schedule, clipping, recorder)

#: Rows below which only signs of any length are graded: a course, a level or a tail needs more.
FEW_ROWS = 20


def grade_all(measured: Measured) -> Mapping[str, float]:
    """Every sign's grade; what cannot be measured is 0, and so is nearly everything in a log of fewer than 20 rows."""
    few = len(measured) < FEW_ROWS
    # Logs hold anything: infinities and 1e300 give overflows and NaN, which grade 0.
    with np.errstate(all="ignore"):
        return {
            name: 0.0 if few and not entry.any_length else _clean(entry.grade(measured))
            for name, entry in SIGNS.items()
        }


def _clean(grade: float) -> float:
    return min(max(float(grade), 0.0), 1.0) if np.isfinite(grade) else 0.0

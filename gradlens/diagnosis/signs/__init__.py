"""The evidence: what a run shows, each sign graded from 0 (not at all) to 1 (plainly). One module a kind of sign."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from gradlens.diagnosis.signs import changes, clipping, course, events, log, norm, numerics, schedule, start
from gradlens.diagnosis.signs.base import SIGNS, Sign, is_measured, ramp

if TYPE_CHECKING:
    from gradlens.diagnosis.measured import Measured

__all__ = ["SIGNS", "Sign", "grade_all", "is_measured", "ramp"]

#: The modules that fill the register when they are imported.
MODULES = (log, numerics, norm, course, start, events, changes, schedule, clipping)

#: Rows below which only the signs of `ANY_LENGTH` are graded: a course, a level or a tail needs more.
FEW_ROWS = 20
#: Signs that a log of any length can show.
ANY_LENGTH = frozenset(
    {"steps_back", "ends_nonfinite", "scale_collapses", "zeros_after_nan", "shock_in_few_rows", "diverges_in_few_rows"}
)


def grade_all(measured: Measured) -> Mapping[str, float]:
    """Every sign's grade; what cannot be measured is 0, and so is nearly everything in a log of fewer than 20 rows."""
    few = len(measured) < FEW_ROWS
    # Logs hold anything: infinities and 1e300 give overflows and NaN, which grade 0.
    with np.errstate(all="ignore"):
        return {
            name: 0.0 if few and name not in ANY_LENGTH else _clean(entry.grade(measured))
            for name, entry in SIGNS.items()
        }


def _clean(grade: float) -> float:
    return min(max(float(grade), 0.0), 1.0) if np.isfinite(grade) else 0.0

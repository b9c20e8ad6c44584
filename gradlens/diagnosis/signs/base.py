"""What a sign is, and the register that the modules of this package fill.

A sign is a statement about the log that a reader can check by looking at it. The limits of the grades are physical where
that is possible (the rate jumps by half, a third of the descent is lost), otherwise our own, set on labelled runs; what a
sign is worth as evidence for a cause is learned (see `gradlens.diagnosis.weighing`). What a log cannot show grades 0.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from gradlens.diagnosis.features.norms import Norms
    from gradlens.diagnosis.measured import Measured


@dataclass(frozen=True, kw_only=True, slots=True)
class Sign:
    """One sign: `text` finishes the sentence "the log shows that ..."."""

    name: str
    text: str
    grade: Callable[[Measured], float]


SIGNS: dict[str, Sign] = {}


def sign(text: str) -> Callable[[Callable[[Measured], float]], Callable[[Measured], float]]:
    """Register a grading function as a sign of that meaning, under the function's name."""

    def register(grade: Callable[[Measured], float]) -> Callable[[Measured], float]:
        SIGNS[grade.__name__] = Sign(name=grade.__name__, text=text, grade=grade)
        return grade

    return register


def ramp(value: float | None, low: float, high: float) -> float:
    """0 up to `low`, 1 from `high` on, straight between; a falling ramp where low > high; 0 for what is not known."""
    if value is None or np.isnan(value):
        return 0.0
    return float(np.clip((value - low) / (high - low), 0.0, 1.0))


def rows_are_steps(measured: Measured) -> float:
    """How far neighbouring rows are neighbouring steps: 1 for a row every three steps or less, 0 from ten on."""
    return ramp(measured.signals.log_interval or 1.0, 10.0, 3.0)


def falls_beyond_loss(norms: Norms) -> float:
    """How far the norm falls from its start by more than the loss does: 0 where the loss falls 4.5 times as far, 1 from 1.3 on.

    The gradient of a squared error goes with its root, of any loss at most with the loss itself where that is far above its
    floor: norms that fall by less than the loss are those of a loss that began high, not of a network that amplifies.
    """
    if np.isnan(norms.loss_first_over_rest):
        return 1.0
    return ramp(max(norms.first_over_rest, norms.start_over_rest) - norms.loss_first_over_rest, -1.5, -0.3)


def is_measured(measured: Measured, sign: str) -> bool:
    """Whether the grade of a sign rests on something in the log: how norms grew is a mere guess where too few are finite."""
    return sign != "grows_before_death" or measured.norms is not None

"""Traits: some hundreds of generic numbers of a run's curves, which the learned opinion judges by.

They were not chosen to show any one fault. All are free of the units of loss, norm and rate, and of the first step.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from gradlens.diagnosis.traits.base import Curves, Traits
from gradlens.diagnosis.traits.course import course
from gradlens.diagnosis.traits.events import events
from gradlens.diagnosis.traits.numbers import numbers
from gradlens.diagnosis.traits.recorder import recorder

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Curves", "measure", "measure_recorder", "trait_names"]

#: What every log may have, and what only a log with the recorder's columns has.
USUAL: tuple[Callable[[Curves], Traits], ...] = (course, events, numbers)


def measure(curves: Curves) -> NDArray[np.float64]:
    """float64[k]: the traits of a run, NaN where the log does not have what a trait needs."""
    found: Traits = {}
    with np.errstate(all="ignore"):
        for part in (*USUAL, recorder):
            found |= part(curves)
    return np.array([found[name] for name in trait_names()], dtype=np.float64)


def measure_recorder(curves: Curves) -> frozenset[int]:
    """The places of the traits that rest on columns of the recorder."""
    return frozenset(trait_names().index(name) for name in recorder(curves))


@cache
def trait_names() -> tuple[str, ...]:
    """The traits in order."""
    with np.errstate(all="ignore"):
        nothing = Curves.nothing()
        return tuple(name for part in (*USUAL, recorder) for name in part(nothing))

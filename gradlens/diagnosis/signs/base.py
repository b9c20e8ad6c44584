"""What a sign is, and the registers that the modules of this package fill.

A sign is a statement about the log that a reader can check by looking at it. Its limits are the keyword defaults of the
function that grades it; its sentence and its docstring name them in braces, so that what is printed is what is applied. The
limits are physical where that is possible (the rate jumps by half, a third of the descent is lost), otherwise our own, set on
labelled runs; what a sign is worth as evidence for a cause is learned (see `gradlens.diagnosis.weighing`). What a log cannot
show grades 0.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, TypeVar

import numpy as np

from gradlens.frozen import frozen

if TYPE_CHECKING:
    from gradlens.diagnosis.measured import Measured

#: How limits are printed: as they are, in percent, or as the factors (or shares) whose natural or decimal logarithm is graded.
Unit = Literal["", "%", "ln", "ln%", "log10"]


@dataclass(frozen=True, slots=True)
class Ramp:
    """How a value is graded: 0 up to `none`, 1 from `full` on, straight between; falling values where `none` > `full`."""

    none: float
    full: float
    unit: Unit = ""

    def __call__(self, value: float | None) -> float:
        """The grade of a value; 0 for what is not known."""
        if value is None or np.isnan(value):
            return 0.0
        return float(np.clip((value - self.none) / (self.full - self.none), 0.0, 1.0))

    def __str__(self) -> str:
        """The limits in words: `75 to 40 %`, `4.7 to 8.2`."""
        none, full = (_in_words(limit, self.unit) for limit in (self.none, self.full))
        return f"{none} to {full}" + (" %" if "%" in self.unit else "")


def share(none: float, full: float) -> Ramp:
    """A ramp of a share, printed in percent."""
    return Ramp(none, full, "%")


def times(none: float, full: float) -> Ramp:
    """A ramp between two factors; what is graded is the natural logarithm of one."""
    return Ramp(float(np.log(none)), float(np.log(full)), "ln")


def log_share(none: float, full: float) -> Ramp:
    """A ramp between two shares, printed in percent; what is graded is the natural logarithm of one."""
    return Ramp(float(np.log(none)), float(np.log(full)), "ln%")


def percent(value: float) -> str:
    """A share in words: `35 %`."""
    return f"{_in_words(value, '%')} %"


def _in_words(limit: float, unit: Unit) -> str:
    shown = math.exp(limit) if "ln" in unit else 10.0**limit if unit == "log10" else limit
    shown *= 100.0 if "%" in unit else 1.0
    return f"{float(f'{shown:.3g}'):,.12g}"


@frozen
class Sign:
    """One sign.

    Attributes
    ----------
    name
        As the weights know it.
    text
        Finishes the sentence "the log shows that ..." and reads alone.
    grade
        From what was measured to a grade from 0 (not at all) to 1 (plainly).
    any_length
        Whether a log of fewer than 20 rows can show it.
    words
        The limits of the grade, and what else its sentence and its docstring name in braces.
    """

    name: str
    text: str
    grade: Callable[[Measured], float]
    any_length: bool
    words: Mapping[str, object]

    @property
    def explanation(self) -> str:
        """How it is graded and why, with the limits filled in."""
        return (inspect.getdoc(self.grade) or "").format(**self.words)


#: What is weighed, in the order of the modules.
SIGNS: dict[str, Sign] = {}
#: What only other signs are made of.
PARTS: dict[str, Sign] = {}

#: A function that grades: what was measured, then its limits by name.
Grading = TypeVar("Grading", bound=Callable[..., float])


def sign(text: str, *, any_length: bool = False, **words: object) -> Callable[[Grading], Grading]:
    """Register a grading function as a sign of that meaning, under the function's name.

    `text` and the docstring may name in braces the function's limits, which are its keyword defaults, and `words`.
    """
    return _registering(SIGNS, text, words, any_length=any_length)


def part(text: str, **words: object) -> Callable[[Grading], Grading]:
    """Register a grading function that other signs are made of and that no weight knows."""
    return _registering(PARTS, text, words, any_length=False)


def _registering(
    register: dict[str, Sign], text: str, words: Mapping[str, object], *, any_length: bool
) -> Callable[[Grading], Grading]:
    def registered(grade: Grading) -> Grading:
        known = {**(getattr(grade, "__kwdefaults__", None) or {}), **words}
        name = grade.__name__
        register[name] = Sign(
            name=name, text=text.format(**known), grade=grade, any_length=any_length, words=MappingProxyType(known)
        )
        return grade

    return registered


@part("neighbouring rows are neighbouring steps")
def rows_are_steps(measured: Measured, *, steps: Ramp = Ramp(10.0, 3.0)) -> float:
    """Judged by the logging interval: a row for every {steps} steps."""
    return steps(measured.signals.log_interval or 1.0)


@part("the norm falls from its start by more than the loss does")
def falls_beyond_loss(
    measured: Measured, *, further: Ramp = Ramp(-1.5, -0.3, "ln"), one_batch: Ramp = Ramp(0.0, 1.0, "ln")
) -> float:
    """The factor by which the norm falls is {further} times the factor by which the loss falls, {one_batch} where the data are one batch.

    The gradient of a squared error goes with its root, of any loss at most with the loss itself where that is far above its
    floor: norms that fall by less than the loss are those of a loss that began high, not of a network that amplifies. Without the
    noise of batches nothing else moves either, and a task that is solved takes both down alike.
    """
    norms = measured.norms
    if norms is None or np.isnan(norms.loss_first_over_rest):
        return 1.0
    beyond = max(norms.first_over_rest, norms.start_over_rest) - norms.loss_first_over_rest
    noisy = has_batch_noise(measured)
    return noisy * further(beyond) + (1.0 - noisy) * one_batch(beyond)


def is_measured(measured: Measured, sign: str) -> bool:
    """Whether the grade of a sign rests on something in the log: how norms grew is a mere guess where too few are finite."""
    return sign != "grows_before_death" or measured.norms is not None


def has_batch_noise(measured: Measured, *, jitter: Ramp = Ramp(0.3, 0.0)) -> float:
    """Whether the loss varies by the batch: 0 where its changes follow each other, with a correlation of {jitter} from row to row.

    A data set that is one batch has no batch noise: its loss is smooth, and each change is nearly the one before (a
    correlation of +1). The changes of a level with noise have one of -1/2. 1 where too few losses are finite.
    """
    correlation = measured.change_correlation
    return 1.0 if correlation is None else jitter(correlation)

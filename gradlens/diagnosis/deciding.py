"""Who names the cause: the signs, or signs and curves together.

A fact of the log comes before both. Otherwise the signs decide, with three exceptions where the joint judgement
(`gradlens.diagnosis.opinion`) has shown on families of runs that neither had seen that it is right far more often (docs/naming.md):

- *named*: the signs see trouble and are not sure of the cause, and signs and curves together say that another cause is likelier
  than all the rest. The trouble stays, the cause changes; but not from one cause of a shock to another, where the curves know no better.
- *calmed*: the signs see a rate too high or bad data, no fact supports it, together they call the run healthy, and so do the curves
  alone: the alarm becomes a note. These two make up half of the false alarms of the signs. Of an explosion, a missing warm-up or
  vanishing gradients the curves find too few for their calm to say anything.
- *warned*: no sign and no fact shows trouble, and together they are sure of a fault.

None of this where the run is unlike those that were learned from.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from gradlens.diagnosis.opinion import Joint
from gradlens.reports.base import Cause

Ruling = Literal["signs", "named", "calmed", "warned"]

#: Confidence of the signs from which on they stand, whatever the curves say.
SURE = 0.95
#: Joint confidence from which on it names another cause, calms an alarm, and warns of what no sign shows.
NAMES, CALMS, WARNS = 0.5, 0.7, 0.7
#: Confidence of the curves alone in a healthy run without which nothing is calmed: the joint one leans to healthy where the two disagree.
CALM_ALONE = 0.5
#: Alarms that can be calmed.
CALMED: frozenset[Cause] = frozenset({"lr_too_high", "bad_data"})
#: Causes that begin with the same shock of loss and norm: told apart by what comes after it, which the signs read as well.
SAME_SHOCK: frozenset[Cause] = frozenset({"bad_data", "data_shift", "adam_beta2_lag"})
#: Share of the traits of a run that may lie outside the middle 96 % of the runs learned from (one of these in a thousand has more),
#: and the share that may be missing.
MAX_OUTSIDE, MAX_MISSING = 0.4, 0.6
#: Confidence of the signs from which on they show a cause.
HINT = 0.15


def ruling(
    by_signs: Mapping[Cause, float], second: Joint | None, *, proven: bool, serious: bool, excluded: frozenset[Cause]
) -> Ruling:
    """Who decides on one run.

    `by_signs` are the confidences of the signs before any ceiling, without the causes that are `excluded`; `proven` says that a fact
    proves a cause, `serious` that a fact shows trouble.
    """
    if proven or second is None or is_unlike(second):
        return "signs"
    together = without(second.together, excluded)
    first, sure = likeliest(by_signs)
    cause, confidence = likeliest(together)
    if first == "healthy":
        return "warned" if cause != "healthy" and confidence >= WARNS and not serious else "signs"
    if sure >= SURE or cause == first:
        return "signs"
    if cause == "healthy":
        calm = confidence >= CALMS and second.alone.get("healthy", 0.0) >= CALM_ALONE
        return "calmed" if calm and first in CALMED and not serious else "signs"
    return "named" if confidence >= NAMES and not {first, cause} <= SAME_SHOCK else "signs"


def is_unlike(second: Joint) -> bool:
    """Whether a run is unlike those that the curves were learned from."""
    return second.outside > MAX_OUTSIDE or second.missing > MAX_MISSING


def without(confidence: Mapping[Cause, float], excluded: frozenset[Cause]) -> dict[Cause, float]:
    """The confidences of the causes that are left, adding up to one."""
    left = {cause: p for cause, p in confidence.items() if cause not in excluded or cause == "healthy"}
    total = sum(left.values())
    return {cause: p / total for cause, p in left.items()} if total > 0 else {"healthy": 1.0}


def likeliest(confidence: Mapping[Cause, float]) -> tuple[Cause, float]:
    """The first cause and its confidence."""
    return max(confidence.items(), key=lambda pair: pair[1])

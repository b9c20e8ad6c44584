"""Who names the cause: the signs, or signs and curves together.

A fact of the log comes before both. What it rules out is named by neither; what it only doubts, because such a cause seldom goes with
it, is not named by the signs, and its odds are lowered where both are joined. Otherwise the joint judgement
(`gradlens.diagnosis.opinion`) decides, which on families of runs that nothing had seen raises half the false alarms of the signs and
names more causes (docs/naming.md). It changes what the signs say in three ways:

- *named*: the signs see trouble, and together another cause is likeliest. The trouble stays, the cause changes; but not from one cause
  of a shock to another, where the curves know no better.
- *calmed*: the signs see trouble, no fact supports it, together they call the run healthy, and the curves alone do not say that it is
  something else: the alarm becomes a note.
- *warned*: no sign and no fact shows trouble, and together a fault is likeliest; a data shift, a weight penalty or bad data clearly so.

The signs decide alone where they are sure of a fault, and where the run is unlike those that were learned from.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from gradlens.diagnosis.opinion import Joint
from gradlens.reports.base import Cause

Ruling = Literal["signs", "named", "calmed", "warned"]

#: Confidence of the signs from which on they stand, whatever the curves say. Of 2,019 healthy runs of families unseen nine have such an
#: alarm.
SURE = 0.95
#: The confidence of the curves alone in a healthy run without which no alarm is calmed, and the higher one where they find too few of
#: the faults for their calm to say much: half of the explosions, missing warm-ups and vanishing gradients that are labelled. A weight
#: penalty that the signs show is never calmed: its share is measured where the recorder logs it.
CALM_ALONE = 0.2
CALM_HARD_TO_SEE: Mapping[Cause, float] = {
    "lr_too_high": 0.35, "exploding": 0.7, "no_warmup": 0.7, "vanishing": 0.7, "l2_contamination": 1.0,
}  # fmt: skip
#: The joint confidence without which no fault is warned of that no sign shows, where healthy runs have the same curves: data become
#: harder by themselves, gradients of many dimensions have smooth norms without a penalty, and a loss of practically nothing has spikes
#: of many times itself.
WARNS: Mapping[Cause, float] = {"data_shift": 0.7, "l2_contamination": 0.7, "bad_data": 0.7}
#: Causes that begin with the same shock of loss and norm: told apart by what comes after it, which the signs read as well.
SAME_SHOCK: frozenset[Cause] = frozenset({"bad_data", "data_shift", "adam_beta2_lag"})
#: Share of the traits of a run that may lie outside the middle 96 % of the runs learned from (one of these in a thousand has more),
#: and the share that may be missing.
MAX_OUTSIDE, MAX_MISSING = 0.4, 0.6
#: The joint confidence from which on the next cause is named where a fact rules out the first.
NEXT_BEST = 0.2
#: What the odds of a cause are divided by where a fact doubts it.
DOUBT = 3.0
#: Confidence of the signs from which on they show a cause.
HINT = 0.15


def ruling(
    by_signs: Mapping[Cause, float], second: Joint | None, *, proven: bool, serious: bool,
    excluded: frozenset[Cause], doubted: frozenset[Cause] = frozenset(),
) -> Ruling:  # fmt: skip
    """Who decides on one run.

    `by_signs` are the confidences of the signs before any ceiling, without the causes that are `excluded` or `doubted`; `proven` says that
    a fact proves a cause, `serious` that a fact shows trouble.
    """
    if second is None or is_unlike(second):
        return "signs"
    first, sure = likeliest(by_signs)
    cause, confidence = likeliest(without(second.together, excluded, doubted))
    if proven or cause == first or (first != "healthy" and sure >= SURE):
        return "signs"
    if cause == "healthy":
        is_calm = second.alone.get("healthy", 0.0) >= CALM_HARD_TO_SEE.get(first, CALM_ALONE)
        return "calmed" if is_calm and not serious else "signs"
    if first == "healthy":
        return "signs" if confidence < WARNS.get(cause, 0.0) else "named" if serious else "warned"
    return "signs" if {first, cause} <= SAME_SHOCK else "named"


def is_unlike(second: Joint) -> bool:
    """Whether a run is unlike those that the curves were learned from."""
    return second.outside > MAX_OUTSIDE or second.missing > MAX_MISSING


def without(
    confidence: Mapping[Cause, float], excluded: frozenset[Cause], doubted: frozenset[Cause] = frozenset()
) -> dict[Cause, float]:
    """The confidences of the causes that are left, adding up to one; those of causes that a fact doubts are divided by `DOUBT` first.

    Where the first cause is among the excluded, what these had goes to `healthy`, unless the next cause had a fifth by itself: a fact
    explains what was seen by something harmless, and what is left is no better explained by a cause that nothing speaks for.
    """
    gone = sum(p for cause, p in confidence.items() if cause in excluded and cause != "healthy")
    left = {
        cause: p / DOUBT if cause in doubted else p
        for cause, p in confidence.items()
        if cause not in excluded or cause == "healthy"
    }
    next_best = max((p for cause, p in left.items() if cause != "healthy"), default=0.0)
    if likeliest(confidence)[0] in excluded - {"healthy"} and next_best < NEXT_BEST:
        left["healthy"] = left.get("healthy", 0.0) + gone
    total = sum(left.values())
    return {cause: p / total for cause, p in left.items()} if total > 0 else {"healthy": 1.0}


def likeliest(confidence: Mapping[Cause, float]) -> tuple[Cause, float]:
    """The first cause and its confidence."""
    return max(confidence.items(), key=lambda pair: pair[1])

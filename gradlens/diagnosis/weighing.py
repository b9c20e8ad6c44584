"""How sure the diagnosis is of each cause: a table of weights that a reader can add up by hand.

Each cause has a score: a bias plus, for each of its few signs, the sign's grade times a weight. Its share is exp(score) over
the sum of all exp(score), with `healthy` at score 0. Which sign may speak for or against which cause was fixed by hand; the
size of the weights was learned from labelled runs (`benchmarks/diagnosis`, `weights.json`), and the confidence was checked on
families of runs that the weights had not seen.

The share is shifted where the log calls for it. Where the curves decide or agree (`gradlens.diagnosis.deciding`), the confidence that
they give takes its place. Of a run in trouble, a part of every cause goes to the learning rate for what
the signs leave unexplained; causes whose evidence is thin have a ceiling, and what is cut off goes to `healthy`; where little
was logged `healthy` has a ceiling too, and what is cut off there goes to all others alike. A fact of the log that proves a
cause goes before any weight.

`gradlens analyze --verbose` shows the sum for a run, `gradlens explain CAUSE` the signs of a cause with their weights, and
`gradlens explain SIGN` what a sign says and how it is graded.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import cast

from gradlens.frozen import frozen
from gradlens.reports.base import Cause

#: Of a run in trouble, the share of the confidence kept for what the signs leave unexplained. It goes to the learning rate,
#: which was behind more than a third of the labelled runs that were named wrongly by weights that had not seen their family.
UNEXPLAINED = 0.05
#: Why the curves change a share.
CURVES = "the course of the curves, judged together with the signs"


@frozen
class Weights:
    """The learned table: a bias and the weights of its signs for each cause."""

    bias: Mapping[Cause, float]
    signs: Mapping[Cause, Mapping[str, float]]


@frozen
class Argument:
    """One sign that speaks for (positive) or against (negative) a cause: its grade, its weight, what they add to the score."""

    sign: str
    grade: float
    weight: float
    contribution: float


@frozen
class Ceiling:
    """How confident a log allows us to be in a cause, and why no more."""

    at: float
    why: str


@frozen
class Weighed:
    """How the confidence of one cause came about.

    `score` is the bias and all contributions, `share` exp(score) over the sum of all exp(score), and the share and all shifts
    add up to the confidence.
    """

    bias: float
    score: float
    share: float
    ceiling: float | None
    shifts: tuple[tuple[str, float], ...]


@frozen
class Beliefs:
    """The causes by confidence, likeliest first, what spoke for or against each, largest first, and how it was added up."""

    ranking: tuple[tuple[Cause, float], ...]
    arguments: Mapping[Cause, tuple[Argument, ...]]
    weighed: Mapping[Cause, Weighed]

    @property
    def cause(self) -> Cause:
        """The likeliest cause."""
        return self.ranking[0][0]

    def of(self, cause: Cause) -> float:
        """The confidence of one cause."""
        return dict(self.ranking).get(cause, 0.0)


class _Ledger:
    """The confidence of every cause, and each shift of it with its reason."""

    def __init__(self, shares: Mapping[Cause, float]) -> None:
        self.confidence = dict(shares)
        self.shifts: dict[Cause, list[tuple[str, float]]] = {cause: [] for cause in shares}

    def shift(self, why: str, confidence: Mapping[Cause, float]) -> None:
        """Take over other confidences, and note by how much each differs."""
        for cause, value in confidence.items():
            if value != self.confidence[cause]:
                self.shifts[cause].append((why, value - self.confidence[cause]))
        self.confidence = dict(confidence)


@cache
def load_weights() -> Weights:
    """The table that ships with the package."""
    data = json.loads(Path(__file__).with_name("weights.json").read_text(encoding="utf-8"))
    table = cast("dict[Cause, dict[str, float]]", data["weights"])
    return Weights(bias=cast("dict[Cause, float]", data["bias"]), signs=table)


def weigh(
    evidence: Mapping[str, float],
    *,
    ceilings: Mapping[Cause, Ceiling] | None = None,
    weights: Weights | None = None,
    excluded: frozenset[Cause] = frozenset(),
    by_curves: Mapping[Cause, float] | None = None,
) -> Beliefs:
    """The confidence of each cause, given the grades of the signs; those `excluded` are weighed as if there were none such.

    `by_curves` is what the second opinion says, where that counts: it takes the place of the shares, and the difference is noted as a
    shift. `ceilings` limit the confidence of causes whose evidence is too thin for more; what is cut off goes to `healthy`. What is
    cut off there goes to all others alike, and only so much that what came first stays first.
    """
    table = load_weights() if weights is None else weights
    arguments = {
        cause: _arguments(signs, evidence)
        for cause, signs in table.signs.items()
        if cause not in excluded or cause == "healthy"
    }
    scores = {cause: table.bias[cause] + _sum_in_order(table.signs[cause], arguments[cause]) for cause in arguments}
    highest = max(scores.values())
    powers = {cause: math.exp(score - highest) for cause, score in scores.items()}
    total = sum(powers.values())
    shares = {cause: power / total for cause, power in powers.items()}
    ledger = _Ledger(shares)
    if by_curves is None:
        _keep_unexplained(ledger)
    else:
        _hear_the_curves(ledger, by_curves)
    limits = dict(ceilings or {})
    most_healthy = limits.pop("healthy", None)
    for cause, ceiling in limits.items():
        _lower_to(ledger, cause, ceiling)
    if most_healthy is not None:
        _lower_healthy_to(ledger, most_healthy)
    ranking = sorted(ledger.confidence.items(), key=lambda pair: -pair[1])
    known = ceilings or {}
    weighed = {
        cause: Weighed(
            bias=table.bias[cause],
            score=scores[cause],
            share=shares[cause],
            ceiling=known[cause].at if cause in known else None,
            shifts=tuple(ledger.shifts[cause]),
        )
        for cause in scores
    }
    return Beliefs(ranking=tuple(ranking), arguments=arguments, weighed=weighed)


def _arguments(signs: Mapping[str, float], evidence: Mapping[str, float]) -> tuple[Argument, ...]:
    """The signs of one cause that are seen, the largest contribution first."""
    found = [
        Argument(sign=name, grade=grade, weight=weight, contribution=weight * grade)
        for name, weight in signs.items()
        if (grade := evidence.get(name, 0.0)) > 0 and weight != 0
    ]
    return tuple(sorted(found, key=lambda a: -abs(a.contribution)))


def _sum_in_order(signs: Mapping[str, float], arguments: tuple[Argument, ...]) -> float:
    """The sum of all contributions, in the order of the table, so that it is the same to the last bit in every version."""
    added = {a.sign: a.contribution for a in arguments}
    return sum(added[name] for name in signs if name in added)


def _keep_unexplained(ledger: _Ledger) -> None:
    confidence = ledger.confidence
    if max(confidence, key=confidence.__getitem__) == "healthy" or "lr_too_high" not in confidence:
        return
    changed = {cause: p * (1 - UNEXPLAINED) for cause, p in confidence.items()}
    changed["lr_too_high"] += UNEXPLAINED
    why = f"{UNEXPLAINED:.0%} of every cause goes to the learning rate, for what the signs leave unexplained"
    ledger.shift(why.replace("%", " %", 1), changed)


def _hear_the_curves(ledger: _Ledger, by_curves: Mapping[Cause, float]) -> None:
    for cause in by_curves:
        ledger.confidence.setdefault(cause, 0.0)
        ledger.shifts.setdefault(cause, [])
    ledger.shift(CURVES, {cause: by_curves.get(cause, 0.0) for cause in ledger.confidence})


def _lower_to(ledger: _Ledger, cause: Cause, ceiling: Ceiling) -> None:
    excess = ledger.confidence.get(cause, 0.0) - ceiling.at
    if excess > 0:
        healthy = ledger.confidence["healthy"] + excess
        ledger.shift(ceiling.why, {**ledger.confidence, cause: ceiling.at, "healthy": healthy})


def _lower_healthy_to(ledger: _Ledger, ceiling: Ceiling) -> None:
    confidence = ledger.confidence
    others = len(confidence) - 1
    lead = confidence["healthy"] - max((p for cause, p in confidence.items() if cause != "healthy"), default=0.0)
    excess = min(confidence["healthy"] - ceiling.at, 0.99 * lead * others / (others + 1))
    if excess > 0 and others:
        ledger.shift(
            ceiling.why, {c: p - excess if c == "healthy" else p + excess / others for c, p in confidence.items()}
        )

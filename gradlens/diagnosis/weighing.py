"""Evidence -> how likely each cause is: a table of weights that a reader can add up by hand.

Each cause has a score: a bias plus, for each of its few signs, the sign's grade times a weight. Confidence is
exp(score) over the sum of all exp(score), with `healthy` at score 0. Which sign may speak for or against which cause was
fixed by hand; the size of the weights was learned from labelled runs (`benchmarks/diagnosis`, `weights.json`), and the
confidence was checked on families of runs that the weights had not seen.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import cast

from gradlens.reports.base import Cause

#: Of a run in trouble, the share of the confidence kept for what the signs leave unexplained. It goes to the learning rate,
#: which was behind more than a third of the labelled runs that were named wrongly by weights that had not seen their family.
UNEXPLAINED = 0.05


@dataclass(frozen=True, kw_only=True, slots=True)
class Weights:
    """The learned table: a bias and the weights of its signs for each cause."""

    bias: Mapping[Cause, float]
    signs: Mapping[Cause, Mapping[str, float]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Argument:
    """One sign that speaks for (positive) or against (negative) a cause: its grade and what it adds to the score."""

    sign: str
    grade: float
    contribution: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Beliefs:
    """The causes by confidence, likeliest first, and what spoke for or against each, largest first."""

    ranking: tuple[tuple[Cause, float], ...]
    arguments: Mapping[Cause, tuple[Argument, ...]]

    @property
    def cause(self) -> Cause:
        """The likeliest cause."""
        return self.ranking[0][0]

    def of(self, cause: Cause) -> float:
        """The confidence of one cause."""
        return dict(self.ranking).get(cause, 0.0)


@cache
def load_weights() -> Weights:
    """The table that ships with the package."""
    data = json.loads(files("gradlens.diagnosis").joinpath("weights.json").read_text(encoding="utf-8"))
    table = cast("dict[Cause, dict[str, float]]", data["weights"])
    return Weights(bias=cast("dict[Cause, float]", data["bias"]), signs=table)


def weigh(
    evidence: Mapping[str, float], *, ceilings: Mapping[Cause, float] | None = None, weights: Weights | None = None
) -> Beliefs:
    """The confidence of each cause, given the grades of the signs.

    `ceilings` limit the confidence of causes whose evidence is too thin for more; what is cut off goes to `healthy`. What is
    cut off there goes to all others alike, and only so much that what came first stays first.
    """
    table = load_weights() if weights is None else weights
    scores: dict[Cause, float] = {}
    arguments: dict[Cause, tuple[Argument, ...]] = {}
    for cause, signs in table.signs.items():
        found = [
            Argument(sign=name, grade=evidence.get(name, 0.0), contribution=weight * evidence.get(name, 0.0))
            for name, weight in signs.items()
            if evidence.get(name, 0.0) > 0 and weight != 0
        ]
        arguments[cause] = tuple(sorted(found, key=lambda a: -abs(a.contribution)))
        scores[cause] = table.bias[cause] + sum(a.contribution for a in found)
    highest = max(scores.values())
    powers = {cause: math.exp(score - highest) for cause, score in scores.items()}
    total = sum(powers.values())
    confidence = {cause: power / total for cause, power in powers.items()}
    if max(confidence, key=confidence.__getitem__) != "healthy" and "lr_too_high" in confidence:
        confidence = {cause: p * (1 - UNEXPLAINED) for cause, p in confidence.items()}
        confidence["lr_too_high"] += UNEXPLAINED
    limits = dict(ceilings or {})
    most_healthy = limits.pop("healthy", 1.0)
    for cause, ceiling in limits.items():
        excess = confidence[cause] - ceiling
        if excess > 0:
            confidence[cause] = ceiling
            confidence["healthy"] += excess
    others = len(confidence) - 1
    lead = confidence["healthy"] - max(p for cause, p in confidence.items() if cause != "healthy")
    excess = min(confidence["healthy"] - most_healthy, 0.99 * lead * others / (others + 1))
    if excess > 0:
        confidence = {c: p - excess if c == "healthy" else p + excess / others for c, p in confidence.items()}
    ranking = sorted(confidence.items(), key=lambda pair: -pair[1])
    return Beliefs(ranking=tuple(ranking), arguments=arguments)

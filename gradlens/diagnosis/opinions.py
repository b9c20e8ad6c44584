"""The opinions in words: what the signs say, what the curves say, and what both would say together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from gradlens.diagnosis.opinion import Joint
from gradlens.diagnosis.weighing import Beliefs
from gradlens.reports.analysis import Opinion, Ranked
from gradlens.reports.base import Cause

#: How many causes of each opinion are reported.
MAX_RANKED = 3


def opinions_of(beliefs: Beliefs, second: Joint | None) -> Iterator[Opinion]:
    """Each opinion, the signs first; none where the signs stand alone."""
    if second is None:
        return
    yield Opinion(source="signs", ranking=_first(dict(beliefs.ranking)))
    yield Opinion(source="curves", ranking=_first(second.alone))
    yield Opinion(source="together", ranking=_first(second.together))


def decided(beliefs: Beliefs, second: Joint | None) -> str:
    """One sentence on who decided, and whether the other agrees.

    >>> decided(Beliefs(ranking=(("healthy", 0.9),), arguments={}, weighed={}), None)
    'The signs decided alone: the log has no course of a loss to judge, or too few rows of it.'
    """
    if second is None:
        return "The signs decided alone: the log has no course of a loss to judge, or too few rows of it."
    cause, p = beliefs.ranking[0]
    (by_curves, q), (both, r) = likeliest(second.alone), likeliest(second.together)
    if by_curves == cause:
        return f"Signs and curves agree on {words(cause)} ({p:.0%} and {q:.0%})."
    told = f"The signs decided for {words(cause)} ({p:.0%}); the curves alone say {words(by_curves)} ({q:.0%})"
    return f"{told}, and both together {words(both)} ({r:.0%}): take the verdict with care."


def likeliest(confidence: Mapping[Cause, float]) -> tuple[Cause, float]:
    """The first cause and its confidence."""
    return max(confidence.items(), key=lambda pair: pair[1])


def words(cause: Cause) -> str:
    """A cause as a person would write it."""
    return cause.replace("_", " ")


def _first(confidence: Mapping[Cause, float]) -> tuple[Ranked, ...]:
    ordered = sorted(confidence.items(), key=lambda pair: -pair[1])
    return tuple(Ranked(cause=cause, confidence=p) for cause, p in ordered[:MAX_RANKED])

"""The opinions in words: what the signs say, what the curves say, what both say together, and who decided."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from gradlens.diagnosis.opinion import Joint
from gradlens.diagnosis.weighing import Beliefs
from gradlens.reports.analysis import Opinion, Ranked
from gradlens.reports.base import Cause

#: How many causes of each opinion are reported.
MAX_RANKED = 3


def opinions_of(by_signs: Beliefs, second: Joint | None) -> Iterator[Opinion]:
    """Each opinion, the signs first; none where the signs stand alone."""
    if second is None:
        return
    yield Opinion(source="signs", ranking=_first(dict(by_signs.ranking)))
    yield Opinion(source="curves", ranking=_first(second.alone))
    yield Opinion(source="together", ranking=_first(second.together))


def decided(by_signs: Beliefs, second: Joint | None, cause: Cause, *, proven: bool = False) -> str:
    """One sentence on what decided for the named cause, and whether the other opinion agrees.

    >>> decided(Beliefs(ranking=(("healthy", 0.9),), arguments={}, weighed={}), None, "healthy")
    'The signs decided alone: the log has no course of a loss to judge, or too few rows of it.'
    """
    if proven:
        return f"A fact of the log decided for {words(cause)}."
    if second is None:
        return "The signs decided alone: the log has no course of a loss to judge, or too few rows of it."
    first, p = by_signs.ranking[0]
    by_curves, q = likeliest(second.alone)
    both, _ = likeliest(second.together)
    if first == by_curves == both:
        return f"Signs and curves agree on {words(both)} ({p:.0%} and {q:.0%})."
    told = f"signs say {words(first)} ({p:.0%}), curves {words(by_curves)} ({q:.0%})"
    if both == first:
        return f"The signs decided against the curves: {told}."
    if both == by_curves:
        return f"The curves decided against the signs: {told}."
    return f"Neither decided alone: {told}, both together {words(both)}."


def likeliest(confidence: Mapping[Cause, float]) -> tuple[Cause, float]:
    """The first cause and its confidence."""
    return max(confidence.items(), key=lambda pair: pair[1])


def words(cause: Cause) -> str:
    """A cause as a person would write it."""
    return cause.replace("_", " ")


def _first(confidence: Mapping[Cause, float]) -> tuple[Ranked, ...]:
    ordered = sorted(confidence.items(), key=lambda pair: -pair[1])
    return tuple(Ranked(cause=cause, confidence=p) for cause, p in ordered[:MAX_RANKED])

"""The opinions in words: what the signs say, what the curves say, and who decided."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from gradlens.diagnosis.deciding import UNCHANGED, Ruling, is_unlike, likeliest
from gradlens.diagnosis.opinion import SecondOpinion
from gradlens.diagnosis.weighing import Beliefs
from gradlens.diagnosis.words import cause_in_words
from gradlens.reports.analysis import Opinion, Ranked
from gradlens.reports.base import Cause

#: How many causes of each opinion are reported.
MAX_RANKED = 3


def opinions_of(by_signs: Beliefs, second: SecondOpinion | None) -> Iterator[Opinion]:
    """Each opinion, the signs first; none where the signs stand alone."""
    if second is None:
        return
    yield Opinion(source="signs", ranking=_first(dict(by_signs.ranking)))
    yield Opinion(source="curves", ranking=_first(second.learned))


def decided(
    by_signs: Beliefs, second: SecondOpinion | None, ruling: Ruling = "signs", *, proven: Cause | None = None
) -> str:
    """One sentence on who decided, and whether the other agrees; `proven` is the cause that a fact of the log names.

    >>> decided(Beliefs(ranking=(("healthy", 0.9),), arguments={}, weighed={}), None)
    'The signs decided alone: the log has no course of a loss to judge, or too few rows of it.'
    """
    if proven is not None:
        told = [
            f"the signs say {_surely(dict(by_signs.ranking))}",
            *([] if second is None else [f"the curves {_surely(second.learned)}"]),
        ]
        return f"A fact of the log decided for {cause_in_words(proven)}; on their own, {' and '.join(told)}."
    if second is None:
        return "The signs decided alone: the log has no course of a loss to judge, or too few rows of it."
    return _decided_without_fact(by_signs, second, ruling)


def _decided_without_fact(by_signs: Beliefs, second: SecondOpinion, ruling: Ruling) -> str:
    cause, p = by_signs.ranking[0]
    (by_curves, q), named = likeliest(second.learned), likeliest(second.cautious)[0]
    if ruling == "calmed":
        return f"The curves show no fault, so that there is no alarm: the signs alone say {cause_in_words(cause)} ({p:.0%})."
    if ruling not in UNCHANGED:
        r = second.learned.get(named, 0.0)
        return f"The curves decided for {cause_in_words(named)} ({r:.0%}): the signs alone say {cause_in_words(cause)} ({p:.0%})."
    if by_curves == cause:
        return f"Signs and curves agree on {cause_in_words(cause)} ({p:.0%} and {q:.0%})."
    if is_unlike(second):
        return f"The signs decided for {cause_in_words(cause)} ({p:.0%}): the run is unlike those that the curves were learned from."
    told = (
        f"The signs decided for {cause_in_words(cause)} ({p:.0%}); the curves say {cause_in_words(by_curves)} ({q:.0%})"
    )
    return f"{told}: take the verdict with care."


def _surely(confidence: Mapping[Cause, float]) -> str:
    cause, p = likeliest(confidence)
    return f"{cause_in_words(cause)} ({p:.0%})"


def _first(confidence: Mapping[Cause, float]) -> tuple[Ranked, ...]:
    ordered = sorted(confidence.items(), key=lambda pair: -pair[1])
    return tuple(Ranked(cause=cause, confidence=p) for cause, p in ordered[:MAX_RANKED])

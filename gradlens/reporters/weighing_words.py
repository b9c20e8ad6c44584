"""How each confidence of a diagnosis was added up, line by line, so that it can be done again by hand."""

from __future__ import annotations

from collections.abc import Iterator

from gradlens.reporters import wording
from gradlens.reporters.wording import percent
from gradlens.reports.analysis import Diagnosis, Ranked

#: Causes whose sum is written out although no sign speaks for or against them.
ALWAYS = 3


def sums_shown(diagnosis: Diagnosis) -> Iterator[tuple[Ranked, bool]]:
    """Each ranked cause, and whether its sum is worth writing out: of the others the bias is all there is."""
    for place, ranked in enumerate(diagnosis.ranking):
        yield ranked, place < ALWAYS or bool(ranked.signs)


def weighing_rows(ranked: Ranked) -> Iterator[tuple[str, str]]:
    """A number and what it is, from the bias to the confidence; nothing for a cause that is decided without weights."""
    if ranked.bias is not None:
        yield f"{ranked.bias:+.2f}", "bias"
    for sign in ranked.signs:
        yield f"{sign.added:+.2f}", f"{sign.text} (grade {sign.grade:.2f} × weight {sign.weight:g}, {sign.sign})"
    if ranked.score is not None:
        yield f"= {ranked.score:.2f}", "score"
        yield percent(ranked.share), "its share: exp(score) over the sum of exp(score) of all causes"
    for shift in ranked.shifts:
        yield f"{'+' if shift.by > 0 else '-'}{percent(abs(shift.by))}", shift.why
    if ranked.shifts:
        yield f"= {wording.sureness(ranked.confidence)}", "confidence"
    if ranked.ceiling is not None and ranked.ceiling < 1:
        yield percent(ranked.ceiling), "the most that this log allows for this cause"


def scores_line(diagnosis: Diagnosis) -> str:
    """The scores of all causes, the highest first."""
    titles = {str(cause): title for cause, title in wording.TITLES.items()}
    ordered = sorted(diagnosis.scores.items(), key=lambda pair: -pair[1])
    return ", ".join(f"{titles.get(cause, cause)} {score:.2f}" for cause, score in ordered)


def opinion_lines(diagnosis: Diagnosis) -> Iterator[str]:
    """What each judge says, a line each."""
    for opinion in diagnosis.opinions:
        named = ", ".join(f"{wording.TITLES[r.cause]} {wording.sureness(r.confidence)}" for r in opinion.ranking)
        yield f"{opinion.source}: {named}"

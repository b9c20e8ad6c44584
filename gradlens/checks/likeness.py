"""GL011: the curves look like those of a known fault, and no sign shows why."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from gradlens.checks.base import Check, by_signs_alone
from gradlens.diagnosis.case import Case
from gradlens.diagnosis.words import cause_in_words
from gradlens.reports.analysis import Evidence, Finding
from gradlens.reports.base import Severity


class Likeness(Check):
    """The curves look like those of a known fault, and no sign shows why.

    What it measures
    ----------------
    Some hundreds of generic numbers of the curves of loss, norm and rate, judged by decision trees and a small network that were
    learned from thousands of labelled trainings of tiny models.

    Why it matters
    --------------
    Some faults show in no single place: a rate a little too high, a missing warm-up, targets that are partly wrong. Their
    runs still differ from healthy ones in many small ways at once.

    Threshold
    ---------
    The curves name the cause and decide on the run (`--verbose` says who decided and why), the signs alone give it less than
    15 %, and no fact proves it.

    When it is wrong
    ----------------
    On kinds of training that are unlike all that was learned from. Where the numbers of the curves say so, the signs decide alone,
    but not every such run shows it.

    What to try
    -----------
    The experiment that the report names: it would settle the question.

    References
    ----------
    docs/naming.md has the error rates on families of runs that were not learned from.
    """

    code = "GL011"
    name = "likeness"
    advice = "settle it by the experiment that is named before changing anything"

    def check(self, case: Case) -> Iterator[Finding]:
        """Yield one finding where the curves alone speak for the named cause."""
        if not case.seen_in_curves_only or case.second is None:
            return
        cause = case.beliefs.cause
        like = (
            "with a fault that is none of the list" if cause == "unknown" else f"with the fault {cause_in_words(cause)}"
        )
        found = self.finding(
            Severity.WARNING,
            f"the curves look like those of runs {like}, though no single sign shows it",
            Evidence(label="confidence of this cause", value=case.beliefs.of(cause)),
            by_signs_alone(case, cause),
            Evidence(label="confidence by the curves before caution", value=case.second.learned.get(cause, 0.0)),
        )
        yield replace(found, cause=cause)

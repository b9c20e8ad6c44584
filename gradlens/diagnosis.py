"""The ranked causes of a run, in words."""

from __future__ import annotations

from gradlens.checks.case import Case
from gradlens.report import CheckResult, Diagnosis, Finding, Ranked


def diagnose(case: Case, findings: tuple[Finding, ...], results: tuple[CheckResult, ...]) -> Diagnosis:
    """The ranking with the facts behind each cause."""
    del results
    ranking = tuple(
        Ranked(cause=cause, confidence=p, because=tuple(f.message for f in findings if f.cause == cause))
        for cause, p in case.beliefs.ranking
    )
    return Diagnosis(cause=ranking[0].cause, confidence=ranking[0].confidence, ranking=ranking)

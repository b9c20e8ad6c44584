"""A fact as one line, for tables of what is said: all but its words."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gradlens.diagnosis.facts.base import Fact
    from gradlens.reports.analysis import Evidence


def line(fact: Fact) -> str:
    """Code, severity, cause (with `?` the one that is named where the weighing sees none), confidence, outcome, steps, evidence."""
    cause = f"{fact.cause} {fact.confidence:g}" if fact.cause else f"{fact.otherwise}?"
    outcome = f"{fact.outcome} from {fact.since_step}" if fact.outcome else "-"
    steps = " ".join(map(str, fact.steps)) or "-"
    return " | ".join((fact.code, fact.severity.value, cause, outcome, steps, *map(_evidence, fact.evidence)))


def _evidence(evidence: Evidence) -> str:
    value = f"{evidence.value:.4g}" if isinstance(evidence.value, float) else str(evidence.value)
    least = "" if evidence.threshold is None else f" of {evidence.threshold:g}"
    return f"{value}{least}" + ("" if evidence.n is None else f" in {evidence.n}")


def lines(facts: tuple[Fact, ...]) -> list[str]:
    """The lines of several facts."""
    return [line(fact) for fact in facts]

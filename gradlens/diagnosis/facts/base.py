"""What a fact is: something that the log states by itself, so that no weighing is needed to say it."""

from __future__ import annotations

from collections.abc import Callable

from gradlens.diagnosis.measured import Measured
from gradlens.frozen import frozen
from gradlens.reports.analysis import Evidence
from gradlens.reports.base import Cause, Outcome, Severity


@frozen
class Fact:
    """One fact about a run.

    Attributes
    ----------
    code
        The check that reports it, `SILENT` where none does.
    severity
        What it amounts to. A run with a fact of severity warning or error is never called clear.
    message, advice
        One line that names column, step and extent, and what to do.
    cause
        The cause that it proves, None where it leaves the cause to the weighing.
    confidence
        The confidence in that cause.
    otherwise
        The cause that is named where the weighing sees none.
    outcome, since_step
        What became of the run by it, if it says so, and from which step on.
    rules_out
        Causes that cannot be named beside it: the arithmetic of the log excludes them.
    doubts
        Causes that seldom go with it, though they can: the signs do not name them beside it, and the curves only where they are sure.
    unnamed
        Causes that nothing in the log shows: where the weighing finds one, there is a problem, and it is not called by that name.
    steps
        The steps to look at, most important first.
    """

    code: str
    severity: Severity
    message: str
    advice: str
    cause: Cause | None = None
    confidence: float = 0.9
    otherwise: Cause = "unknown"
    outcome: Outcome | None = None
    since_step: int | None = None
    rules_out: frozenset[Cause] = frozenset()
    doubts: frozenset[Cause] = frozenset()
    unnamed: frozenset[Cause] = frozenset()
    evidence: tuple[Evidence, ...] = ()
    steps: tuple[int, ...] = ()


#: The code of facts that only exclude causes: no check reports them.
SILENT = ""
#: The causes that blame single batches: ruled out where those that stand out are as they should be.
OF_BATCHES: frozenset[Cause] = frozenset({"bad_data", "clip_too_loose", "adam_beta2_lag"})


def silent(message: str, *rules_out: Cause) -> Fact:
    """A fact that only excludes causes."""
    return Fact(code=SILENT, severity=Severity.NOTE, message=message, advice="", rules_out=frozenset(rules_out))


#: One module of this package finds facts of one kind.
Finder = Callable[[Measured], tuple[Fact, ...]]

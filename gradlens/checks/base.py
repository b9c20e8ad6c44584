"""What a check is.

A check looks at one `Case` and yields findings. It declares what it needs, and the engine skips it with the reason where
the log lacks that. Its docstring is the page that `gradlens explain CODE` prints, so it has these sections: What it
measures, Why it matters, Threshold, When it is wrong, What to try, References.

A `CauseCheck` stands for one cause of the diagnosis. It warns only where the weighed evidence names that cause first, and
leaves a note where the cause is a serious runner-up, so that findings and diagnosis never disagree. All other checks
describe: they leave notes.
"""

from __future__ import annotations

import inspect
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from typing import ClassVar

from gradlens.diagnosis.case import Case
from gradlens.diagnosis.deciding import HINT, UNCHANGED
from gradlens.diagnosis.facts import Fact
from gradlens.diagnosis.signs import PARTS, SIGNS, is_measured
from gradlens.reports.analysis import MAX_STEPS_LISTED, Evidence, Finding
from gradlens.reports.base import Cause, Severity

SECTIONS = ("What it measures", "Why it matters", "Threshold", "When it is wrong", "What to try", "References")

#: What a check may need, and the reason given where the log lacks it.
NEEDS: dict[str, str] = {
    "loss": "the log has no loss",
    "norm": "the log has no gradient norm",
    "lr": "the log has no learning rate",
    "loss_scale": "the log has no loss scale",
    "val_loss": "the log has no validation loss",
    "layers": "the log has no norms of single layers",
    "probes": "the log has no loss of a batch before and after its own update",
    "threshold": "the run did not clip",
    "trusted_norm": "the norms cannot be trusted (see provenance)",
    "rows": "fewer than 60 rows: too short to judge",
    "steps": "the log keeps too few steps to see single batches",
}


_LIMIT = re.compile(r"\{(\w+)\.(\w+)(?::(\w+))?\}")


def _limit_in_words(named: re.Match[str]) -> str:
    """The limit of a sign that is named as `{sign.limit}` or `{sign.limit:format}`; the text itself where there is none."""
    sign = SIGNS.get(named[1]) or PARTS.get(named[1])
    return named[0] if sign is None or named[2] not in sign.words else format(sign.words[named[2]], named[3] or "")


class Check(ABC):
    """One thing to look for. The name says what is wrong; the code is stable and never reused."""

    code: ClassVar[str]
    name: ClassVar[str]
    #: The cause that the findings speak for; None where they only describe.
    cause: ClassVar[Cause | None] = None
    needs: ClassVar[frozenset[str]] = frozenset()
    advice: ClassVar[str] = ""
    reference: ClassVar[str] = ""

    @abstractmethod
    def check(self, case: Case) -> Iterator[Finding]:
        """Yield what was found."""

    def finding(
        self, severity: Severity, message: str, *evidence: Evidence, steps: tuple[int, ...] = (), advice: str = ""
    ) -> Finding:
        """A finding of this check."""
        return Finding(
            code=self.code,
            name=self.name,
            severity=severity,
            message=message,
            cause=self.cause,
            evidence=evidence,
            steps=steps,
            advice=advice or self.advice,
            reference=self.reference,
        )

    def stated(self, fact: Fact) -> Finding:
        """A fact as a finding of this check."""
        return Finding(
            code=self.code,
            name=self.name,
            severity=fact.severity,
            message=fact.message,
            cause=fact.cause,
            evidence=fact.evidence,
            steps=fact.steps,
            advice=fact.advice or self.advice,
            reference=self.reference,
        )

    @classmethod
    def documentation(cls) -> str:
        """The docstring, with the limits of signs filled in that it names in braces: `{sign.limit}`."""
        return _LIMIT.sub(_limit_in_words, inspect.getdoc(cls) or "")

    @classmethod
    def summary(cls) -> str:
        """The first line of the docstring."""
        return (inspect.getdoc(cls) or "").partition("\n")[0]


class FactCheck(Check):
    """A check that only reports facts, which are decided in `gradlens.diagnosis.facts`."""

    def check(self, case: Case) -> Iterator[Finding]:
        """Yield nothing more: the engine reports the facts."""
        del case
        yield from ()


class CauseCheck(Check):
    """A check that stands for one cause, with the severity that the weighed evidence allows."""

    severity: ClassVar[Severity] = Severity.WARNING

    def check(self, case: Case) -> Iterator[Finding]:
        """Yield one finding where the cause is the likeliest or a serious runner-up."""
        if self.cause is None:
            return
        belief = case.beliefs.of(self.cause)
        first = case.cause == self.cause
        # What a check says rests on the signs: of a cause that only the curves show GL011 speaks.
        if case.seen_in_curves_only if first else not self._is_hinted(case):
            return
        severity = (Severity.ERROR if self.fatal(case) else self.severity) if first else Severity.NOTE
        message = self.message(case)
        if case.ruling == "calmed" and case.by_signs.cause == self.cause:
            message = f"{message}; no alarm, since the curves as a whole look like those of healthy runs"
        elif not first and case.cause != "healthy":
            message = f"less likely: {message}"
        by_signs = () if case.ruling in UNCHANGED else (by_signs_alone(case, self.cause),)
        yield self.finding(
            severity,
            message,
            *self.facts(case),
            Evidence(label="confidence of this cause", value=belief),
            *by_signs,
            steps=steps_at(case, self.rows(case)),
            advice=self.advise(case),
        )

    def _is_hinted(self, case: Case) -> bool:
        """Whether a sign speaks for the cause: in a short log every cause that is left has confidence, some without any."""
        return (
            self.cause is not None
            and case.by_signs.of(self.cause) >= HINT
            and any(argument.contribution > 0 for argument in case.by_signs.arguments.get(self.cause, ()))
        )

    def advise(self, case: Case) -> str:
        """What to do; the advice of the check unless a run calls for another."""
        del case
        return self.advice

    @abstractmethod
    def message(self, case: Case) -> str:
        """One line: what the log shows."""

    def facts(self, case: Case) -> Iterator[Evidence]:
        """The signs that speak for the cause, as graded."""
        arguments = case.beliefs.arguments.get(self.cause, ()) if self.cause else ()
        for argument in arguments:
            if argument.contribution > 0 and is_measured(case, argument.sign):
                yield Evidence(label=SIGNS[argument.sign].text, value=round(argument.grade, 2))

    def rows(self, case: Case) -> Iterable[int]:
        """The rows to look at, most important first."""
        del case
        return ()

    def fatal(self, case: Case) -> bool:
        """Whether the run is lost rather than harmed."""
        del case
        return False


def by_signs_alone(case: Case, cause: Cause) -> Evidence:
    """What the signs give a cause on which they do not decide alone."""
    return Evidence(label="confidence by the signs alone", value=case.by_signs.of(cause))


def steps_at(case: Case, rows: Iterable[int], most: int = MAX_STEPS_LISTED) -> tuple[int, ...]:
    """The steps of some rows of a case, at most that many."""
    return tuple(int(case.signals.step[row]) for row in list(rows)[:most] if 0 <= row < len(case))

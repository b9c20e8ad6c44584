"""What a check is.

A check looks at one `Case` and yields findings. It declares what it needs, and the engine skips it with the reason where
the log lacks that. Its docstring is the page that `gradlens explain CODE` prints, so it has these sections: What it
measures, Why it matters, Threshold, When it is wrong, What to try, References.

A finding's severity is a proposal: how much it matters if its cause is the right one. The engine lowers it to a note
where the weighed evidence names another cause or none.
"""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import ClassVar

from gradlens.checks.case import Case
from gradlens.report import Cause, Evidence, Finding, Severity

SECTIONS = ("What it measures", "Why it matters", "Threshold", "When it is wrong", "What to try", "References")

#: What a check may need, and the reason given where the log lacks it.
NEEDS: dict[str, str] = {
    "loss": "the log has no loss",
    "norm": "the log has no gradient norm",
    "lr": "the log has no learning rate",
    "loss_scale": "the log has no loss scale",
    "layers": "the log has no norms of single layers",
    "threshold": "the run did not clip",
    "trusted_norm": "the norms cannot be trusted (see provenance)",
    "rows": "fewer than 60 rows: too short to judge",
    "steps": "the log keeps too few steps to see single batches",
}


class Check(ABC):
    """One thing to look for. The name is the bad thing; the code is stable and never reused."""

    code: ClassVar[str]
    name: ClassVar[str]
    #: The cause that the findings speak for; None where they only describe.
    cause: ClassVar[Cause | None] = None
    needs: ClassVar[frozenset[str]] = frozenset()
    advice: ClassVar[str] = ""
    reference: ClassVar[str] = ""

    @abstractmethod
    def look(self, case: Case) -> Iterator[Finding]:
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

    @classmethod
    def page(cls) -> str:
        """The page of this check, from its docstring."""
        title = f"{cls.code}  {cls.name}"
        return f"{title}\n{'=' * len(title)}\n\n{inspect.getdoc(cls) or ''}"

    @classmethod
    def summary(cls) -> str:
        """The first line of the docstring."""
        return (inspect.getdoc(cls) or "").partition("\n")[0]

"""What happened in a run that is being followed, one event at a time."""

from __future__ import annotations

from typing import Any, Literal

from gradlens.frozen import frozen
from gradlens.reports.base import Severity

Kind = Literal[
    "finding", "again", "gone", "spike", "nonfinite", "silent", "grows-again", "rotated", "restarted", "done",
]  # fmt: skip


@frozen
class Event:
    """One thing that somebody may want to know.

    Attributes
    ----------
    kind
        `finding` (a check speaks for the first time, or at a higher level than before),
        `again` (it found more steps), `gone` (it takes that back), `spike`,
        `nonfinite`, `silent` (the log does not grow), `grows-again`, `rotated`, `restarted`, `done`.
    run
        The name of the run, from the log or its path: untrusted.
    level
        How much it matters.
    message
        One line.
    code
        Of the check, "" where none is behind it.
    step
        Where it happened, the first of `steps`; None where it has no place.
    steps
        All the steps that it names, in order.
    """

    kind: Kind
    run: str
    level: Severity
    message: str
    code: str = ""
    steps: tuple[int, ...] = ()

    @property
    def step(self) -> int | None:
        """The first of the steps."""
        return self.steps[0] if self.steps else None

    def to_dict(self) -> dict[str, Any]:
        """Plain data, as a hook gets it."""
        return {
            "kind": self.kind,
            "run": self.run,
            "level": self.level.value,
            "code": self.code or None,
            "message": self.message,
            "step": self.step,
            "steps": list(self.steps),
        }

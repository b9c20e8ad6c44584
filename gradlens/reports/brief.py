"""The brief document: what a script or an agent needs of a report, in under 3 kB per run.

`gradlens/schemas/brief-1.json` is generated from these classes. Keys keep their order and are always present; a list that was
cut has a count of what is missing beside it, a text that was cut has `...` where the rest was.
"""

from __future__ import annotations

from gradlens.frozen import frozen
from gradlens.reports.base import Cause, Interval, Outcome, Severity, Status, ThresholdSource

SCHEMA_VERSION = 1


@frozen
class BriefCause:
    """The likeliest cause with its confidence, from 0 to 1."""

    name: Cause
    confidence: float


@frozen
class BriefFinding:
    """A finding. `steps` are in order, the first and the last ones where there are many; `steps_cut` counts the others."""

    code: str
    name: str
    severity: Severity
    message: str
    steps: tuple[int, ...]
    steps_cut: int


@frozen
class BriefNotJudged:
    """What the log does not allow to judge, why not, and what to log or pass."""

    what: str
    why: str
    remedy: str


@frozen
class BriefClipping:
    """The share of steps clipped at `threshold`; null where it is not known or the norms say nothing about it."""

    rate: float | None
    threshold: float | None
    threshold_source: ThresholdSource


@frozen
class BriefAdvice:
    """The suggested threshold and the share of steps it would clip; `abstained` says why there is none."""

    threshold: float | None
    interval: Interval | None
    expected_rate: float | None
    abstained: str | None


@frozen
class BriefRun:
    """One run. `findings_before` counts the findings left out because all their steps lie before `since`."""

    run: str
    status: Status
    outcome: Outcome
    headline: str
    since_step: int | None
    first_step: int | None
    last_step: int | None
    cause: BriefCause
    findings: tuple[BriefFinding, ...]
    findings_cut: int
    findings_before: int
    actions: tuple[str, ...]
    actions_cut: int
    not_judged: tuple[BriefNotJudged, ...]
    not_judged_cut: int
    clipping: BriefClipping
    advice: BriefAdvice


@frozen
class Brief:
    """The document of `gradlens analyze --format brief`. `since` is the step given with `--since`."""

    schema_version: int
    gradlens_version: str
    since: int | None
    runs: tuple[BriefRun, ...]

"""The result of a gate, from which every output is made.

`GateReport.to_dict()` is the JSON document; `gradlens/schemas/gate-1.json` describes it. A reporter needs nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any, Literal

from gradlens.frozen import frozen
from gradlens.reports.base import Cause, Interval, Severity, plain_data
from gradlens.reports.picture import BESIDE, SidePicture
from gradlens.run import Notice

SCHEMA_VERSION = 1

#: `skipped` is for what the runs do not have (no clipping, no loss column); it never decides the gate.
Outcome = Literal["pass", "fail", "inconclusive", "skipped"]
Verdict = Literal["pass", "fail", "inconclusive"]


@frozen
class MetricResult:
    """One metric of the candidates against the baselines.

    `change` is candidate minus baseline for rates and losses, and candidate over baseline for ratios; `interval` and
    `tolerance` are on the same scale, `tolerance` the bound that the change must pass to matter.
    """

    name: str
    title: str
    outcome: Outcome
    reason: str
    unit: Literal["share", "ratio", "loss", "per_1000", "count"]
    candidate: float | None = None
    baseline: float | None = None
    change: float | None = None
    interval: Interval | None = None
    tolerance: float | None = None
    p_value: float | None = None
    p_adjusted: float | None = None
    p_permutation: float | None = None
    n_effective: float | None = None
    method: Literal["", "blocks", "runs", "counts", "limit", "rank"] = ""
    #: First and last step of the stretch that is worst, where there is one.
    worst_steps: tuple[int, int] | None = None
    advice: str = ""


@frozen
class LimitResult:
    """One absolute limit on one candidate."""

    name: str
    title: str
    outcome: Outcome
    reason: str
    run: str
    value: float | None
    limit: float
    advice: str = ""


@frozen
class GateRun:
    """A run that took part."""

    role: Literal["candidate", "baseline"]
    id: str
    source: str
    format: str
    steps: int
    first_step: int
    last_step: int
    log_interval: float | None
    threshold: float | None
    threshold_source: str
    provenance: str
    clip_rate: float | None
    nonfinite: int


@frozen
class LikelyCause:
    """What the diagnosis of a candidate says; only where it is not healthy."""

    run: str
    cause: Cause
    confidence: float
    summary: str = ""


@frozen
class GateReport:
    """The whole verdict. `compared_steps` are the first and last step that all runs share."""

    gradlens_version: str
    outcome: Verdict
    headline: str
    metrics: tuple[MetricResult, ...]
    limits: tuple[LimitResult, ...]
    runs: tuple[GateRun, ...]
    compared_steps: tuple[int, int] | None
    notices: tuple[Notice, ...]
    causes: tuple[LikelyCause, ...]
    settings: Mapping[str, Any]
    #: Where the baselines were read from, for annotations and SARIF locations.
    baseline_sources: tuple[str, ...] = ()
    schema_version: int = SCHEMA_VERSION
    #: What a page draws; no part of the JSON document.
    picture: SidePicture | None = field(default=None, metadata=BESIDE)

    @property
    def results(self) -> tuple[MetricResult | LimitResult, ...]:
        """Limits, then metrics."""
        return (*self.limits, *self.metrics)

    @property
    def failed(self) -> tuple[MetricResult | LimitResult, ...]:
        """What made the gate red: limits first."""
        return tuple(r for r in self.results if r.outcome == "fail")

    @property
    def inconclusive(self) -> tuple[MetricResult | LimitResult, ...]:
        """What could not be judged."""
        return tuple(r for r in self.results if r.outcome == "inconclusive")

    def to_dict(self) -> dict[str, Any]:
        """The JSON document: plain dicts, lists and numbers; non-finite numbers are None."""
        document: dict[str, Any] = plain_data(self)
        return {"schema_version": document.pop("schema_version"), **document}


SEVERITY_OF: Mapping[Outcome, Severity] = {
    "fail": Severity.ERROR,
    "inconclusive": Severity.WARNING,
    "pass": Severity.NOTE,
    "skipped": Severity.NOTE,
}

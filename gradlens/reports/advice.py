"""The output model of `suggest-threshold`: plain frozen data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from gradlens.frozen import frozen
from gradlens.reports.analysis import ExpectedClipping, Provenance
from gradlens.reports.base import Interval, plain_data
from gradlens.version import __version__

Mode = Literal["safety_net", "step_limiter"]


@frozen
class WhatIf:
    """One threshold or policy replayed on the logged norms; `label` says why it is in the table."""

    label: str
    threshold: float | None
    clip_rate: float | None
    skip_rate: float | None
    shrink_factor: float | None
    spikes_caught: int
    spikes: int
    steps_lost: int


@frozen
class Advice:
    """A suggested threshold for one run.

    Attributes
    ----------
    threshold, interval
        The number and its 95 % interval, rounded to three digits; None where `abstained` says why.
    mode
        `safety_net` (99 % quantile of the detrended norms: for spikes) or `step_limiter` (90 %).
    level
        The current median norm, also where no threshold is given.
    drift
        Largest over smallest level of the stretch that was used.
    expected
        What it clips of the latest norms, the stretch that it is meant for. The rates of `what_if` are over all norms.
    policy
        The moving policy to use instead where it abstains.
    what_if, policies
        Fixed thresholds and moving policies replayed, first-order.
    snippets
        What to paste, by framework.
    """

    run: str
    threshold: float | None
    interval: Interval | None
    mode: Mode
    quantile: float
    abstained: str | None
    level: float | None
    drift: float | None
    n: int
    first_step: int | None
    method: str
    expected: ExpectedClipping
    policy: str
    provenance: Provenance
    what_if: tuple[WhatIf, ...] = ()
    policies: tuple[WhatIf, ...] = ()
    snippets: Mapping[str, str]
    note: str
    gradlens_version: str = __version__

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        document: dict[str, Any] = plain_data(self)
        return document

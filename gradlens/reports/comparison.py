"""The result of `gradlens compare`, from which every output is made."""

from __future__ import annotations

from dataclasses import field
from typing import Any, Literal

from gradlens.frozen import frozen
from gradlens.reports.base import Interval, plain_data
from gradlens.reports.picture import BESIDE, SidePicture
from gradlens.run import Notice

SCHEMA_VERSION = 1


@frozen
class ComparedRun:
    """The figures of one run, over all of its steps."""

    id: str
    source: str
    format: str
    steps: int
    first_step: int
    last_step: int
    threshold: float | None
    threshold_source: str
    provenance: str
    clip_rate: float | None
    median_norm: float | None
    p99_norm: float | None
    norm_spread: float | None
    final_loss: float | None
    loss_spikes: int | None
    norm_spikes: int | None
    nonfinite: int
    learning_rate: float | None


@frozen
class Fingerprint:
    """A factor between the norms or losses of two runs that a known mistake would leave, and how far the ratio is from it."""

    factor: str
    value: float
    meaning: str
    off_by: float


@frozen
class Pair:
    """One run against the first.

    `norm_ratio` is the geometric mean over shared steps; `loss_change` the mean difference, `equal_loss` whether it is within
    `loss_tolerance`, and `loss_differs` whether its interval excludes zero all the same. `loss_factor` is the constant factor
    between the losses, None where there is none. `same_data` whether both saw
    the same batches. `identical_until` is the last shared step up to which loss and norm agree to six digits, `parts_at`
    the first step from which the curves differ by more than their noise; None where there is no such step.
    """

    run: str
    against: str
    shared_steps: int
    first_step: int | None
    last_step: int | None
    norm_ratio: float | None
    norm_ratio_interval: Interval | None
    loss_change: float | None
    loss_change_interval: Interval | None
    equal_loss: bool | None
    same_data: bool
    identical_until: int | None
    parts_at: int | None
    parts_in: Literal["loss", "grad_norm"] | None
    fingerprints: tuple[Fingerprint, ...]
    verdict: str
    loss_tolerance: float | None = None
    loss_differs: bool = False
    loss_factor: Fingerprint | None = None


@frozen
class ComparisonReport:
    """Runs side by side: the figures of each, and each against the first."""

    gradlens_version: str
    runs: tuple[ComparedRun, ...]
    pairs: tuple[Pair, ...]
    notices: tuple[Notice, ...] = ()
    schema_version: int = SCHEMA_VERSION
    #: What a page draws; no part of the JSON document.
    picture: SidePicture | None = field(default=None, metadata=BESIDE)

    def to_dict(self) -> dict[str, Any]:
        """The JSON document: plain dicts, lists and numbers; non-finite numbers are None."""
        document: dict[str, Any] = plain_data(self)
        return {"schema_version": document.pop("schema_version"), **document}

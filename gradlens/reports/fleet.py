"""The output model of `gradlens fleet show`: what ails many runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gradlens.frozen import frozen
from gradlens.reports.base import Interval, plain_data
from gradlens.version import __version__


@frozen
class Count:
    """How many of `total` runs share something: a cause, a status, a reason. `interval` is the 95 % one of the share (Wilson)."""

    what: str
    runs: int
    total: int
    share: float
    interval: Interval
    examples: tuple[str, ...] = ()


@frozen
class FleetRun:
    """One run in a list, with the curves of loss and norm as a few numbers.

    `settings` are the values of `FleetOverview.settings`; `copy_of` and `continues` name other runs; `page` is where its report
    lies, relative to the page of the fleet.
    """

    name: str
    source: str
    status: str | None
    outcome: str | None
    cause: str | None
    confidence: float | None
    headline: str
    since_step: int | None = None
    loss_curve: tuple[float | None, ...] = ()
    norm_curve: tuple[float | None, ...] = ()
    settings: tuple[Any, ...] = ()
    copy_of: str | None = None
    continues: str | None = None
    page: str | None = None
    error: str | None = None


@frozen
class Change:
    """A run whose verdict is another than in the table before; None where it was, or is, not there."""

    name: str
    before: str | None
    now: str | None


@frozen
class Group:
    """The runs with the same values of the settings asked for (`--by`); `trouble` counts those with a problem.

    A number with many values is grouped into ranges, whose names are texts such as "5 to 13".
    """

    settings: Mapping[str, Any]
    runs: int
    trouble: int
    rate: float
    interval: Interval
    causes: tuple[Count, ...]


@frozen
class Onset:
    """The value of a numeric setting from which runs have problems.

    Attributes
    ----------
    setting, value, interval
        The smallest value on the troubled side of the best cut, and the values that the data cannot tell from it.
    rises
        Whether trouble lies above the cut (a rate too high) or below it (a warm-up too short).
    quiet, troubled
        The share of runs with a problem on either side.
    p_value
        By permutation of the runs; None with too few runs for a cut.
    told_from_chance
        Whether chance alone hardly makes such a cut: a p-value of at most .05.
    """

    setting: str
    value: float
    interval: Interval
    rises: bool
    quiet: Count
    troubled: Count
    p_value: float | None
    told_from_chance: bool


@frozen
class SeedAdvice:
    """The threshold advice over runs of one configuration: the median of their thresholds and its range over runs."""

    settings: Mapping[str, Any]
    runs: int
    threshold: float
    lowest: float
    highest: float


@frozen(eq=False)
class FleetOverview:
    """What ails a fleet, on one screen. `settings` are those that differ between its runs, for the list of all."""

    table: str
    runs: int
    unread: int
    not_logs: int
    copies: int
    continued: int
    statuses: tuple[Count, ...]
    causes: tuple[Count, ...]
    worst: tuple[FleetRun, ...]
    errors: tuple[Count, ...]
    changes: tuple[Change, ...]
    by: tuple[str, ...] = ()
    groups: tuple[Group, ...] = ()
    onsets: tuple[Onset, ...] = ()
    advice: tuple[SeedAdvice, ...] = ()
    settings: tuple[str, ...] = ()
    all_runs: tuple[FleetRun, ...] = ()
    gradlens_version: str = __version__
    schema_version: int = 1

    def to_dict(self) -> dict[str, Any]:
        """The JSON document: plain dicts, lists and numbers."""
        document: dict[str, Any] = plain_data(self)
        return {"schema_version": document.pop("schema_version"), **document}

"""What ails a fleet: counts, the worst runs, what changed, which settings lead to trouble."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np

from gradlens.errors import UsageError
from gradlens.fleet.row import COLUMNS, SETTINGS, Row
from gradlens.reports.fleet import Change, Count, FleetOverview, FleetRun, Group, Onset, SeedAdvice
from gradlens.stats.clipping import wilson_interval
from gradlens.stats.onset import find_onset

MAX_WORST, MAX_EXAMPLES, MAX_SETTINGS = 10, 3, 4
#: A number with more distinct values than this is grouped into so many ranges of about as many runs each.
MAX_VALUES, RANGES = 8, 5
#: p-value up to which a cut is told from chance.
LEVEL = 0.05
#: How bad an outcome is, the worst first; within one, errors come before warnings and sure causes before unsure ones.
_OUTCOMES = ("nonfinite", "diverged", "not_learning", "ended_worse", "stalled", "unknown", "learned")
_STATUSES = ("problem", "insufficient", "clear")
#: Settings that may differ between seeds of one configuration.
_NOT_SEED = ("optimizer", "learning_rate", "warmup_steps", "lr_schedule", "weight_decay", "batch_size", "precision")


def overview(
    rows: Sequence[Row],
    table: str,
    *,
    not_logs: int = 0,
    changes: Iterable[Sequence[str | None]] = (),
    by: Sequence[str] = (),
    pages: Mapping[str, str] = MappingProxyType({}),
) -> FleetOverview:
    """The overview of the rows of a table.

    Copies of a run count once. `changes` are name, verdict before and verdict now; `by` are columns whose values group the
    runs, `pages` where the reports of single runs lie, by name.

    Raises
    ------
    UsageError
        A column of `by` that the table does not have.
    """
    _require_columns(by)
    copies = [row for row in rows if row.get("copy_of")]
    read = [row for row in rows if row.get("error") is None and not row.get("copy_of")]
    failed = [row for row in rows if row.get("error") is not None]
    settings = _varied(read)
    return FleetOverview(
        table=table,
        runs=len(read),
        unread=len(failed),
        not_logs=not_logs,
        copies=len(copies),
        continued=sum(1 for row in read if row.get("continues")),
        statuses=_counts(read, "status", len(read), order=_STATUSES),
        causes=_counts([r for r in read if r["status"] == "problem"], "cause", len(read)),
        worst=tuple(_run(row) for row in sorted(read, key=badness)[:MAX_WORST] if row["status"] == "problem"),
        errors=_reasons(failed),
        changes=tuple(Change(name=str(name), before=before, now=now) for name, before, now in changes),
        by=tuple(by),
        groups=_groups(read, by),
        onsets=tuple(found for key in by if (found := _onset(read, key)) is not None),
        advice=_advice(read),
        settings=settings,
        all_runs=tuple(_run(row, settings, pages) for row in (*sorted(read, key=badness), *failed, *copies)),
    )


def _require_columns(by: Sequence[str]) -> None:
    names = [name for name, kind, _ in COLUMNS if not kind.startswith("list")]
    for key in by:
        if key not in names:
            raise UsageError(f"--by {key}: no such column in the table", hint="choose from " + ", ".join(names))


def badness(row: Row) -> tuple[Any, ...]:
    """The sort key that puts the worst run first."""
    outcome = row.get("outcome") or "unknown"
    return (
        row.get("status") != "problem",
        _OUTCOMES.index(outcome) if outcome in _OUTCOMES else len(_OUTCOMES),
        {"error": 0, "warning": 1}.get(str(row.get("worst")), 2),
        -(row.get("confidence") or 0.0),
        str(row["name"]),
    )


def _count(what: str, rows: Sequence[Row], total: int) -> Count:
    share = len(rows) / total if total else 0.0
    return Count(
        what=what,
        runs=len(rows),
        total=total,
        share=share,
        interval=wilson_interval(share, total) if total else (0.0, 1.0),
        examples=tuple(str(row["name"]) for row in sorted(rows, key=badness)[:MAX_EXAMPLES]),
    )


def _counts(rows: Sequence[Row], column: str, total: int, order: Sequence[str] = ()) -> tuple[Count, ...]:
    by_value: dict[str, list[Row]] = {}
    for row in rows:
        by_value.setdefault(str(row[column]), []).append(row)
    counts = [_count(value, members, total) for value, members in by_value.items()]
    place = {value: i for i, value in enumerate(order)}
    return tuple(sorted(counts, key=lambda c: (place.get(c.what, len(order)), -c.runs, c.what)))


def _reasons(failed: Sequence[Row]) -> tuple[Count, ...]:
    """Errors by what they say, the path at their beginning left out."""
    by_reason: dict[str, list[Row]] = {}
    for row in failed:
        message = str(row["error"])
        for name in (str(row["source"]), str(row["name"])):
            message = message.removeprefix(f"{name}: ")
        by_reason.setdefault(message, []).append(row)
    found = [
        Count(
            what=reason, runs=len(members), total=len(failed), share=len(members) / len(failed), interval=(0.0, 1.0),
            examples=tuple(str(r["name"]) for r in members[:MAX_EXAMPLES]),
        )
        for reason, members in by_reason.items()
    ]  # fmt: skip
    return tuple(sorted(found, key=lambda c: (-c.runs, c.what)))


def _varied(rows: Sequence[Row]) -> tuple[str, ...]:
    """The settings that have more than one value, a missing one counted: those that differ most first, at most four."""
    values = {key: {row.get(key) for row in rows} for key in SETTINGS}
    found = [key for key in SETTINGS if len(values[key]) > 1]
    return tuple(sorted(found, key=lambda key: (-len(values[key]), SETTINGS.index(key)))[:MAX_SETTINGS])


def _run(row: Row, settings: Sequence[str] = (), pages: Mapping[str, str] = MappingProxyType({})) -> FleetRun:
    return FleetRun(
        name=str(row["name"]), source=str(row["source"]), status=row.get("status"), outcome=row.get("outcome"),
        cause=row.get("cause"), confidence=row.get("confidence"), headline=row.get("headline") or "",
        since_step=row.get("since_step"), loss_curve=tuple(row.get("loss_curve") or ()),
        norm_curve=tuple(row.get("grad_norm_curve") or ()), settings=tuple(row.get(key) for key in settings),
        copy_of=row.get("copy_of"), continues=row.get("continues"), page=pages.get(str(row["name"])),
        error=row.get("error"),
    )  # fmt: skip


def _groups(rows: Sequence[Row], by: Sequence[str]) -> tuple[Group, ...]:
    if not by:
        return ()
    ranges = {key: _ranges([row.get(key) for row in rows]) for key in by}
    members: dict[tuple[int, ...], list[Row]] = {}
    labels: dict[tuple[int, ...], tuple[Any, ...]] = {}
    for row in rows:
        found = [ranges[key][row.get(key)] for key in by]
        place = tuple(order for order, _ in found)
        members.setdefault(place, []).append(row)
        labels[place] = tuple(label for _, label in found)
    groups = []
    for place in sorted(members):
        runs = members[place]
        bad = [row for row in runs if row["status"] == "problem"]
        groups.append(
            Group(
                settings=dict(zip(by, labels[place], strict=True)),
                runs=len(runs),
                trouble=len(bad),
                rate=len(bad) / len(runs),
                interval=wilson_interval(len(bad) / len(runs), len(runs)),
                causes=_counts(bad, "cause", len(runs)),
            )
        )
    return tuple(groups)


def _ranges(values: Sequence[Any]) -> dict[Any, tuple[int, Any]]:
    """The place and the label of every value: itself, or of a number with many values the range it is in.

    A range ends where its share of the runs is reached and never between equal values; a missing value comes last.
    """
    known = [v for v in values if v is not None]
    distinct = sorted(set(known), key=lambda v: (isinstance(v, str), v))
    found: dict[Any, tuple[int, Any]] = {None: (len(distinct), None)}
    if len(distinct) <= MAX_VALUES or not all(isinstance(v, (int, float)) for v in distinct):
        return found | {value: (place, value) for place, value in enumerate(distinct)}
    count, seen, parts = Counter(known), 0, [[distinct[0]]]
    for value in distinct:
        if seen >= len(parts) * len(known) / RANGES:
            parts.append([])
        if value not in parts[-1]:
            parts[-1].append(value)
        seen += count[value]
    for place, part in enumerate(parts):
        label = f"{part[0]:g} to {part[-1]:g}" if len(part) > 1 else part[0]
        found |= dict.fromkeys(part, (place, label))
    return found


def _onset(rows: Sequence[Row], key: str) -> Onset | None:
    """The cut of one setting, None where it is not a number, does not vary, or there are too few runs."""
    numbered = [row for row in rows if isinstance(row.get(key), (int, float)) and not isinstance(row.get(key), bool)]
    if not numbered:
        return None
    values = np.array([float(row[key]) for row in numbered])
    trouble = np.array([row["status"] == "problem" for row in numbered])
    cut = find_onset(values, trouble)
    if cut is None:
        return None
    above = [row for row in numbered if float(row[key]) >= cut.value]
    below = [row for row in numbered if float(row[key]) < cut.value]
    bad_side, good_side = (above, below) if cut.rises else (below, above)

    def side(members: Sequence[Row]) -> Count:
        return _count(key, [row for row in members if row["status"] == "problem"], len(members))

    return Onset(
        setting=key, value=cut.value, interval=(cut.low, cut.high), rises=cut.rises, quiet=side(good_side),
        troubled=side(bad_side), p_value=cut.p_value,
        told_from_chance=cut.p_value <= LEVEL,
    )  # fmt: skip


def _advice(rows: Sequence[Row]) -> tuple[SeedAdvice, ...]:
    """The threshold over runs of one configuration: at least three without a problem that have advice of their own."""
    members: dict[tuple[Any, ...], list[float]] = {}
    for row in rows:
        if row["status"] != "problem" and row.get("suggested_threshold") is not None:
            members.setdefault(tuple(row.get(k) for k in _NOT_SEED), []).append(float(row["suggested_threshold"]))
    return tuple(
        SeedAdvice(
            settings={k: v for k, v in zip(_NOT_SEED, values, strict=True) if v is not None},
            runs=len(found), threshold=statistics.median(found), lowest=min(found), highest=max(found),
        )
        for values, found in sorted(members.items(), key=lambda pair: (-len(pair[1]), str(pair[0])))
        if len(found) >= 3
    )  # fmt: skip


def verdict_of(row: Mapping[str, Any]) -> str:
    """A row's verdict in a word or two, for the list of changes."""
    if row.get("error") is not None:
        return "unread"
    return str(row["cause"]) if row.get("status") == "problem" else str(row.get("status"))


def changes_between(before: Iterable[Row], now: Iterable[Row]) -> list[list[str | None]]:
    """Name, verdict before and verdict now of every run whose verdict is another; new and gone runs with None."""
    old = {str(row["name"]): verdict_of(row) for row in before}
    new = {str(row["name"]): verdict_of(row) for row in now}
    return [[name, old.get(name), new.get(name)] for name in sorted({*old, *new}) if old.get(name) != new.get(name)]


def summary_counts(rows: Iterable[Row]) -> Counter[str]:
    """How many rows are of each status; those that could not be read count as `unread`."""
    return Counter("unread" if row.get("error") is not None else str(row.get("status")) for row in rows)

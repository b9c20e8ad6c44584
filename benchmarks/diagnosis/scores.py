"""Shares that matter, with intervals, from joint answers on labelled runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.diagnosis.opinion import CAUSES, HEALTHY, accepted_of
from gradlens.stats.clipping import wilson_interval

if TYPE_CHECKING:
    from benchmarks.diagnosis.table import Table

    Array = np.ndarray[Any, np.dtype[np.float64]]
    Bools = np.ndarray[Any, np.dtype[np.bool_]]

Labels = Sequence[Mapping[str, Any]]


def shown(part: int, whole: int) -> str:
    """A share with its 95 % interval; of runs as if they were independent, which runs of a family are not."""
    if whole == 0:
        return "-"
    low, high = wilson_interval(part / whole, whole)
    return f"{part / whole:.1%} ({low:.0%} to {high:.0%})"


def counts(table: Table, p: Array) -> dict[str, tuple[int, int]]:
    """How many of how many: false alarms, detected, named, named in three, harmful detected, harmful named."""
    accepted, first = accepted_of(table), p.argmax(axis=1)
    right = accepted[np.arange(len(table)), first] > 0
    three = np.take_along_axis(accepted, np.argsort(-p, axis=1)[:, :3], axis=1).max(axis=1) > 0
    healthy = np.array([label["expected"] == "healthy" for label in table.labels])
    harmful = ~healthy & np.array([bool(label["harmful"]) for label in table.labels])
    called = first != HEALTHY

    def of(what: Bools, among: Bools) -> tuple[int, int]:
        return int((what & among).sum()), int(among.sum())

    return {
        "false alarms": of(called, healthy),
        "detected": of(called, ~healthy),
        "named": of(right, ~healthy),
        "named in three": of(three, ~healthy),
        "harmful detected": of(called, harmful),
        "harmful named": of(right, harmful),
    }


def brier(table: Table, p: Array) -> float:
    """The mean squared difference between the confidence of the first cause and being right."""
    right = accepted_of(table)[np.arange(len(table)), p.argmax(axis=1)] > 0
    return float(np.mean((p.max(axis=1) - right) ** 2)) if len(table) else float("nan")


def line(table: Table, p: Array) -> str:
    """Everything in one line, for a terminal."""
    shares = " ".join(f"{name} {part / max(whole, 1):.3f}" for name, (part, whole) in counts(table, p).items())
    return f"{len(table)} runs: {shares} Brier {brier(table, p):.3f}"


def by(table: Table, p: Array, keys: Sequence[str]) -> list[tuple[str, int, str, str, str]]:
    """Rows by some key of each run: runs, false alarms, detected, named."""
    rows: list[tuple[str, int, str, str, str]] = []
    for key in sorted(set(keys), key=_natural):
        chosen = np.flatnonzero(np.array(keys) == key)
        found = counts(table.chosen(chosen), p[chosen])
        alarms, detected, named = (shown(*found[name]) for name in ("false alarms", "detected", "named"))
        rows.append((key, len(chosen), alarms, detected, named))
    return rows


def _natural(key: str) -> tuple[float, str]:
    digits = "".join(c for c in key.split(" ", maxsplit=1)[0] if c.isdigit())
    return (float(digits) if digits else 0.0, key)


def by_cause(table: Table, p: Array) -> list[tuple[str, int, str, str, str]]:
    """Rows by the expected cause: runs, detected, named, and what they were taken for."""
    accepted, first = accepted_of(table), p.argmax(axis=1)
    right = accepted[np.arange(len(table)), first] > 0
    rows: list[tuple[str, int, str, str, str]] = []
    for cause in CAUSES:
        mine = np.array([label["expected"] == cause for label in table.labels])
        if not mine.any():
            continue
        taken = Counter(CAUSES[i] for i in first[mine & ~right])
        words = ", ".join(f"{name} {n}" for name, n in taken.most_common(5))
        detected = "" if cause == "healthy" else shown(int((first[mine] != HEALTHY).sum()), int(mine.sum()))
        rows.append((cause, int(mine.sum()), detected, shown(int(right[mine].sum()), int(mine.sum())), words))
    return rows

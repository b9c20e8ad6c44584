"""Records of gradlens's own recorder that are not rows: what it did, and histograms of gradients."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from gradlens.run import HistogramSeries

if TYPE_CHECKING:
    from gradlens.readers.base import NoticeBook

#: The keys of these records, whose values are objects.
MARK_KEYS = frozenset({"recorder", "histogram"})
#: What happened, by event, in words; `{}` takes the number of steps or the cause.
_WORDS: Mapping[str, tuple[str, str]] = {
    "started-again": ("recorder-restarted", "the recorder was started again and appended to its log"),
    "step-skipped": ("recorder-skipped-step", "steps that the recorder left out, as it was told to"),
    "alert": ("recorder-alert", "alarms that the recorder raised while the run was going on"),
    "stop-asked": ("recorder-stop", "the recorder asked the run to stop"),
    "failed": ("recorder-failed", "something could not be recorded"),
}


def take_marks(record: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Remove from a record what the recorder wrote for itself; a foreign object under such a key stays."""
    found = []
    for key in MARK_KEYS & record.keys():
        value = record[key]
        if isinstance(value, dict) and (isinstance(value.get("event"), str) or _is_histogram(value)):
            found.append((key, record.pop(key)))
    return found


def _is_histogram(value: Mapping[str, Any]) -> bool:
    limits, counts = value.get("limits"), value.get("counts")
    return (
        isinstance(value.get("name"), str)
        and isinstance(value.get("step"), int)
        and isinstance(limits, list)
        and isinstance(counts, list)
        and len(limits) == len(counts) + 1
        and all(isinstance(x, (int, float)) and math.isfinite(x) for x in (*limits, *counts))
    )


def notice_marks(marks: Iterable[tuple[str, Mapping[str, Any], str]], book: NoticeBook) -> None:
    """A notice for each kind of event, with where it first stands."""
    for _, mark, where in marks:
        event = _WORDS.get(str(mark.get("event")))
        if event is not None:
            code, words = event
            detail = mark.get("reason") or mark.get("cause") or mark.get("what")
            book.add(code, f"{words}{f' (first: {str(detail)[:80]})' if detail else ''}", where)


def histograms_of(marks: Iterable[tuple[str, Mapping[str, Any], str]]) -> tuple[HistogramSeries, ...]:
    """The histograms by name, in the order written."""
    by_name: dict[str, list[Mapping[str, Any]]] = {}
    for key, mark, _ in marks:
        if key == "histogram":
            by_name.setdefault(str(mark["name"]), []).append(mark)
    return tuple(
        HistogramSeries(
            name=name,
            step=np.array([h["step"] for h in found], dtype=np.int64),
            limits=tuple(np.array(h["limits"], dtype=np.float64) for h in found),
            counts=tuple(np.array(h["counts"], dtype=np.float64) for h in found),
        )
        for name, found in by_name.items()
    )

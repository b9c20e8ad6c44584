"""Progress bars: the count of the training's own is the step of records that print none."""

from __future__ import annotations

import re
from array import array
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

_BAR = re.compile(r"(?<!\d)(\d{1,12})/(\d{1,12}) \[")


class ProgressBars:
    """The bars between the records of a log. Of those with the same total between two records only the last counts."""

    def __init__(self) -> None:
        self._since: dict[int, int] = {}
        self._latest: int | None = None
        self._before: Counter[int] = Counter()
        self._n_records = 0
        #: By total: the records before which a bar moved, and its count there.
        self._moves: dict[int, tuple[array[int], array[float]]] = {}

    def add(self, text: str, begin: int, end: int, records: Sequence[tuple[int, bool]]) -> None:
        """Take the bars that begin in a stretch of text, and its records: where each begins, whether it has a loss."""
        bars = [(m.end(), int(m[1]), int(m[2])) for m in _bars(text, begin, end)]
        if self._latest is None and not bars:
            self._n_records += len(records)
            return
        at = 0
        for start, has_loss in records:
            at = self._pass(bars, at, start)
            self._record(has_loss=has_loss)
        self._pass(bars, at, len(text))

    def _pass(self, bars: Sequence[tuple[int, int, int]], at: int, place: int) -> int:
        """Take the bars from number `at` on that end up to a place; the number of the next one."""
        while at < len(bars) and bars[at][0] <= place:
            _, count, self._latest = bars[at]
            self._since[self._latest] = count
            at += 1
        return at

    def _record(self, *, has_loss: bool) -> None:
        for total, count in self._since.items():
            rows, counts = self._moves.setdefault(total, (array("q"), array("d")))
            rows.append(self._n_records)
            counts.append(count)
        self._since.clear()
        # Evaluation and tokenising have separate bars: training's is the one that stands before the records.
        if has_loss and self._latest is not None:
            self._before[self._latest] += 1
        self._n_records += 1

    def steps(self) -> tuple[NDArray[np.float64], NDArray[np.bool_]] | None:
        """The steps of all records, and which have one; None where no bar stands before records with a loss."""
        if not self._before:
            return None
        rows, counts = self._moves[self._before.most_common(1)[0][0]]
        at = np.searchsorted(np.frombuffer(rows, np.int64), np.arange(self._n_records), side="right")
        return np.frombuffer(counts)[at - 1], at > 0


def _bars(text: str, begin: int, end: int) -> Iterator[re.Match[str]]:
    """The bars that begin in a stretch of text."""
    if " [" in text:
        for match in _BAR.finditer(text, begin):
            if match.start() >= end:
                return
            yield match

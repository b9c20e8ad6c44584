"""The records of a console log: their fields, where they stand and the steps that they print."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING

import numpy as np

from gradlens.readers.base import Column
from gradlens.readers.grouped_rows import GroupedRows

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

_NAN = float("nan")


class Records:
    """What the records of a log hold, in numbers of eight bytes: an object for each would take several times as many.

    `starts` are their places in the text.
    """

    def __init__(self) -> None:
        self.fields = GroupedRows()
        self.starts = array("q")
        self._steps = array("d")
        self._is_placed = bytearray()
        #: Epoch and batch of a counter that restarts with each epoch, where its length is not printed.
        self._counted, self._counters = array("q"), array("d")

    def __len__(self) -> int:
        return len(self.starts)

    def add(
        self,
        start: int,
        names: tuple[str, ...],
        values: list[float],
        step: float | None,
        counter: tuple[float, float] | None,
    ) -> None:
        """Append one record; `counter` is its epoch and batch, if its step follows from them alone."""
        if counter is not None:
            self._counted.append(len(self.starts))
            self._counters.extend(counter)
        self.fields.add(names, values)
        self.starts.append(start)
        self._steps.append(_NAN if step is None else step)
        self._is_placed.append(step is not None)

    def step(self, row: int) -> float | None:
        """The step of one record."""
        return self._steps[row] if self._is_placed[row] else None

    def place(self, row: int, step: float) -> None:
        """Give one record per step."""
        self._steps[row], self._is_placed[row] = step, True

    def place_all(self, steps: NDArray[np.float64], is_placed: NDArray[np.bool_]) -> None:
        """Give all records other steps, or none: float64[n], bool[n]."""
        self._steps, self._is_placed = array("d", steps.tobytes()), bytearray(is_placed.tobytes())

    def counters(self, first: int, after: int) -> Iterator[tuple[int, float, float]]:
        """The records of a stretch that have no step but an epoch and a batch: row, epoch, batch."""
        for place, row in enumerate(self._counted):
            if first <= row < after and not self._is_placed[row]:
                yield row, self._counters[2 * place], self._counters[2 * place + 1]

    def steps(self, first: int, after: int) -> Column:
        """The steps of a stretch of records as a column."""
        is_placed = np.frombuffer(self._is_placed, np.bool_)[first:after]
        steps = np.frombuffer(self._steps)[first:after]
        if is_placed.all():
            return Column(name="step", value=steps.copy())
        return Column(name="step", value=steps[is_placed], row=np.flatnonzero(is_placed))

    def columns(self, first: int, after: int, steps: Column) -> tuple[Column, ...]:
        """The columns of a stretch of records: their steps, where there are any, and their fields."""
        return self.fields.columns(first, after, steps)

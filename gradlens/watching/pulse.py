"""What the newest rows say by themselves, before anything is judged: spikes, and values that are not finite."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from gradlens.diagnosis.features.curves import rounding_step
from gradlens.reporters.wording import number
from gradlens.reports.base import Severity
from gradlens.run import Run, Series
from gradlens.stats.spikes import GAP, find_spikes
from gradlens.watching.events import Event

#: Rows before the new ones that tell their level and their noise.
CONTEXT = 2000
#: Spikes that noise makes by chance in this many rows. Our own choice.
FALSE_ALARMS = 0.1
#: Times the level below which a spike is no news.
MIN_SIZE = 1.5
#: Steps of the rounding of a log that a spike must exceed: with few digits noise is hidden until it rounds up. Our own choice.
MIN_STEPS = 5
_LABELS = {"loss": "loss", "grad_norm": "norm"}


class Pulse:
    """Looks at each row once."""

    def __init__(self) -> None:
        self._seen: dict[str, int] = {}
        self._latest: dict[str, int] = {}
        self._is_bad: dict[str, bool] = {}

    def look(self, run: Run) -> list[Event]:
        """The events in the rows that are new since the last look; the first look only learns where the log stands."""
        return [event for key, series in _watched(run).items() for event in self._in(run.id, key, series)]

    def _in(self, run: str, key: str, series: Series) -> Iterator[Event]:
        n, before = len(series), self._seen.get(key)
        self._seen[key] = n
        if before is None or n <= before:
            self._is_bad[key] = n > 0 and not bool(np.isfinite(series.value[-1]))
            return
        yield from self._nonfinite(run, key, series, before)
        yield from self._spikes(run, key, series, before)

    def _nonfinite(self, run: str, key: str, series: Series, before: int) -> Iterator[Event]:
        """The first of values that are not finite, once until they are finite again."""
        bad = ~np.isfinite(series.value[before:])
        if bad.any() and not self._is_bad.get(key, False):
            row = before + int(np.argmax(bad))
            yield Event(
                kind="nonfinite", run=run, level=Severity.NOTE, steps=(int(series.step[row]),),
                message=f"{_LABELS[key]} {_word(float(series.value[row]))}",
            )  # fmt: skip
        self._is_bad[key] = bool(bad[-1])

    def _spikes(self, run: str, key: str, series: Series, before: int) -> Iterator[Event]:
        begin = max(before - CONTEXT, 0)
        recent = series.value[begin:]
        table = find_spikes(recent, false_alarms=FALSE_ALARMS)
        rounding = rounding_step(recent[np.isfinite(recent)]) if table.spikes else 0.0
        for spike in table.spikes:
            row, last = begin + spike.index, self._latest.get(key)
            is_known = row < before or (last is not None and row <= last + GAP)
            is_small = (
                table.scale == "log" and spike.size < MIN_SIZE
            ) or spike.value - spike.level <= MIN_STEPS * rounding
            if is_known or is_small:
                continue
            self._latest[key] = row
            size = f"{number(spike.size)} times its level" if table.scale == "log" else f"level {number(spike.level)}"
            yield Event(
                kind="spike", run=run, level=Severity.NOTE, steps=(int(series.step[row]),),
                message=f"{_LABELS[key]} {number(spike.value)}, {size}",
            )  # fmt: skip


def _watched(run: Run) -> Mapping[str, Series]:
    return {key: series for key in _LABELS if (series := getattr(run, key)) is not None}


def _word(value: float) -> str:
    return "is NaN" if np.isnan(value) else "is infinite"

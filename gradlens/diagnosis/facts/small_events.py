"""Rows in which loss and norm stand out together by so little that no batch can be to blame.

Where the noise is tiny, as that of means or of large batches is, a change of one percent stands out of it by many deviations. A batch
that is wrong costs about as much as one did before anything was learned.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gradlens.diagnosis.facts.base import OF_BATCHES, Fact
from gradlens.diagnosis.measured import Measured
from gradlens.diagnosis.words import counted, figure
from gradlens.reports.analysis import Evidence
from gradlens.reports.base import Severity

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gradlens.diagnosis.features.events import Event

#: Times its level below which a norm, and a loss, rise by little: of 22 labelled runs with bad batches the mildest has 2.3 and 1.8.
#: Our own choice.
MAX_NORM, MAX_LOSS = 1.3, 1.1
#: Share of what a batch cost before anything was learned below which no batch is wrong: of 21 labelled runs with bad batches the worst of
#: each costs 0.84 of it or more. Our own choice.
CHEAP = 0.5
#: Places in which norms rise by so many times, where the level of the loss is that share of the start, from which on no example that is
#: still answered wrongly is to blame. Our own choice.
MIN_PLACES, MIN_TIMES, FAR = 3, 8.0, 0.2


def find(measured: Measured) -> tuple[Fact, ...]:
    """A note where loss and norm stand out together only ever by little, or at little cost."""
    events = (*measured.events, *measured.bursts)
    if not events or not measured.loss.logarithmic:
        return ()
    cost = max(float(np.nanmax(measured.signals.loss[event.first : event.last + 1])) for event in events)
    rows = [event.first for event in events]
    if is_shaken(measured, rows, [event.norm_ratio for event in events]):
        return ()
    return _by_little(measured, events) or at_little_cost(measured, rows, cost)


def at_little_cost(measured: Measured, rows: Sequence[int], cost: float) -> tuple[Fact, ...]:
    """A note where no batch that stands out costs what each one did before training; `rows` are where they begin.

    Where a run is logged from its start, that is known. A task that is nearly solved has examples that are still answered wrongly now
    and then: few in a batch, and far above the others.
    """
    s, p = measured.signals, measured.progress
    if p is None or not costs_little(measured, cost):
        return ()
    return (
        Fact(
            code="GL301",
            severity=Severity.NOTE,
            message=f"in {counted(len(rows), 'place')} loss and norm stand out together, but no batch there costs more than "
            f"{figure(cost)}, and every batch cost {figure(p.start)} before anything was learned",
            advice="nothing: a batch that is wrong costs as much as one did then",
            rules_out=OF_BATCHES,
            steps=tuple(int(s.step[row]) for row in rows[:8]),
            evidence=(Evidence(label="highest loss there over the start", value=cost / p.start, threshold=CHEAP),),
        ),
    )


def is_shaken(measured: Measured, rows: Sequence[int], times: Sequence[float]) -> bool:
    """Whether norms rise many times, in several places, while the loss is far from nothing: the model is thrown off each time."""
    p = measured.progress
    if p is None or len(rows) < MIN_PLACES:
        return False
    level = float(np.median(np.exp(measured.loss.level[list(rows)])))
    return float(np.median(times)) >= MIN_TIMES and level >= FAR * p.start


def costs_little(measured: Measured, cost: float) -> bool:
    """Whether a loss is far below that of the first rows, which are those of an untrained model."""
    p = measured.progress
    return p is not None and measured.signals.from_the_start and p.start > 0 and cost < CHEAP * p.start


def _by_little(measured: Measured, events: tuple[Event, ...]) -> tuple[Fact, ...]:
    norm = max(event.norm_ratio for event in events)
    loss = max(_loss_ratio(measured, event) for event in events)
    if not (norm < MAX_NORM and loss < MAX_LOSS):
        return ()
    return (
        Fact(
            code="GL301",
            severity=Severity.NOTE,
            message=f"in {counted(len(events), 'place')} loss and norm stand out together, but by little: the loss by at "
            f"most {100 * (loss - 1):.1f} %, the norm by at most {100 * (norm - 1):.0f} %",
            advice="nothing: a batch that is wrong costs more",
            rules_out=OF_BATCHES,
            steps=tuple(int(measured.signals.step[event.first]) for event in events[:8]),
        ),
    )


def _loss_ratio(measured: Measured, event: Event) -> float:
    """The highest loss of an event over the level at it."""
    rows = slice(event.first, event.last + 1)
    above = measured.loss.value[rows] - measured.loss.level[rows]
    return float(np.exp(np.nanmax(above))) if np.isfinite(above).any() else 1.0

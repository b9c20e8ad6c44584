"""Restarts of the learning rate that are meant: named in the configuration, or on the beat, each round ending lower than the one before.

An accident, a scheduler that was not restored or has the wrong length, does not come back every few hundred steps without costing
anything.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np

from gradlens.diagnosis.facts.base import OF_BATCHES, Fact
from gradlens.diagnosis.features.curves import block_medians
from gradlens.diagnosis.measured import Measured
from gradlens.diagnosis.words import counted
from gradlens.reports.base import Cause, Severity

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Jumps without which a beat proves nothing, and how far rounds, or how much longer each is than the last, may differ. Our own choice.
MIN_JUMPS, REGULAR = 3, 0.05
#: Rounds from which they are many and short: the later ones are then compared with the earlier ones, below each with the one before.
MAX_ROUNDS = 8
#: Rows at the end of a round of which its loss is told, as a share of it and at least.
END, MIN_END = 0.2, 5
#: Length of the last round over the one before from which on it has come to its end.
WHOLE = 0.9
OF_SCHEDULES: frozenset[Cause] = frozenset({"lr_restart", "schedule_mismatch"})
#: Rows from a restart within which a rise of the loss belongs to it.
NEAR = 5
#: How schedulers are called that restart on purpose.
NAMES = ("restart", "cycl", "sgdr")


def find(measured: Measured) -> tuple[Fact, ...]:
    """A note about restarts that are meant and cost nothing in the end."""
    jumps = [row for row, _ in measured.schedule.jumps]
    if not jumps or not costs_nothing(measured, jumps):
        return ()
    named = is_named(measured)
    if not named and not on_the_beat(measured.signals.step, jumps):
        return ()
    step = measured.signals.step
    why = f"as the configuration says ({measured.config.lr_schedule})" if named else "on the beat"
    return (
        Fact(
            code="GL203",
            severity=Severity.NOTE,
            message=f"the learning rate restarts {counted(len(jumps), 'time')}, {why}, first at step {int(step[jumps[0]]):,}; "
            f"{how_it_went(jumps)}",
            advice="nothing, if these warm restarts are meant; otherwise give the scheduler the number of steps of the whole run",
            rules_out=OF_SCHEDULES | (OF_BATCHES if _rises_with_them(measured, jumps) else frozenset()),
            steps=tuple(int(step[row]) for row in jumps[:8]),
        ),
    )


def _rises_with_them(measured: Measured, jumps: list[int]) -> bool:
    """Whether the strongest sudden rise of the loss begins within a few rows of a restart, and no single row stands out."""
    near = any(abs(measured.loss_step.row - row) <= NEAR for row in jumps)
    return near and not measured.events and not measured.bursts


def is_named(measured: Measured) -> bool:
    """Whether the configuration names a schedule that restarts on purpose."""
    name = (measured.config.lr_schedule or "").lower()
    return any(word in name for word in NAMES)


def on_the_beat(step: NDArray[np.int64], jumps: list[int]) -> bool:
    """Whether at least three restarts come at equal distances from the start on, or each by the same factor later.

    Of many, the first round may differ: where rounds are short, only some of the restarts are told apart.
    """
    if len(jumps) < MIN_JUMPS:
        return False
    rounds = np.diff(np.concatenate((step[:1], step[jumps]))).astype(np.float64)
    return _is_even(rounds) or (len(jumps) >= MAX_ROUNDS and _is_even(rounds[1:]))


def how_it_went(jumps: list[int]) -> str:
    """What `costs_nothing` found, in words."""
    if len(jumps) < MAX_ROUNDS:
        return "the loss ends each round lower than the one before"
    return "the later rounds stay below the earlier ones"


def _is_even(rounds: NDArray[np.float64]) -> bool:
    growth = rounds[1:] / np.maximum(rounds[:-1], 1.0)
    return bool(np.ptp(growth) <= REGULAR * growth.mean() and growth.mean() >= 1.0 - REGULAR)


def costs_nothing(measured: Measured, jumps: list[int]) -> bool:
    """Whether the loss means something and ends each round lower than the one before, or stays below where short rounds began."""
    if not measured.loss_descends:
        return False
    if len(jumps) < MAX_ROUNDS:
        return _each_round_ends_lower(measured.signals.loss, jumps)
    loss = measured.signals.loss[np.isfinite(measured.signals.loss)]
    if len(loss) < MAX_ROUNDS:
        return False
    level, half = block_medians(loss, MAX_ROUNDS), MAX_ROUNDS // 2
    return bool(level[half:].max() <= np.median(level[:half]))


def _each_round_ends_lower(loss: NDArray[np.float64], jumps: list[int]) -> bool:
    """Whether the loss ends each round below the end of the one before, as far as its noise tells."""
    ends: list[tuple[float, float]] = []
    for first, after in zip([0, *jumps], [*jumps, len(loss)], strict=True):
        last = loss[after - max(int(END * (after - first)), MIN_END) : after] if after - first > MIN_END else loss[:0]
        last = last[np.isfinite(last)]
        if len(last) >= MIN_END:
            middle = float(np.median(last))
            ends.append((middle, 2.0 * 1.2533 * 1.4826 * float(np.median(np.abs(last - middle))) / np.sqrt(len(last))))
    begins = [0, *jumps, len(loss)]
    # A last round that is shorter has not come to its end.
    complete = ends[:-1] if len(ends) > 2 and begins[-1] - begins[-2] < WHOLE * (begins[-2] - begins[-3]) else ends
    return len(ends) >= 2 and all(b - a <= error for (a, error), (b, _) in itertools.pairwise(complete))

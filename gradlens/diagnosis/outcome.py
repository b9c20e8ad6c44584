"""What became of a run: a matter of fact, decided before any cause is weighed.

`nonfinite` where loss or norm is not finite from some step to the end, `not_learning` where the loss is constant, the norm
exactly 0 or the rate 0, `diverged` from two and a half times the start on, `ended_worse` where less than three fifths of the
descent is kept or the loss stands far above its lowest level for good, `stalled` where nothing came down, `learned`
otherwise, and `unknown` for a loss whose course means nothing. The step is the one from which on that holds.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from gradlens.diagnosis.facts import Fact
from gradlens.diagnosis.facts.smoothed import WANDERS
from gradlens.diagnosis.features.progress import FELL_SHARE, Progress
from gradlens.diagnosis.measured import Measured
from gradlens.frozen import frozen
from gradlens.reports.base import Outcome

#: Which outcome counts where facts state several.
PRECEDENCE: tuple[Outcome, ...] = ("nonfinite", "not_learning", "diverged", "ended_worse", "stalled")
#: Share of the descent that is still there at the end, below which a run ended worse than it was.
MIN_KEPT = 0.6
#: Descent in deviations of the loss between rows, and as a share of its start, from which something was learned. Our own choice.
MIN_IN_NOISE, MIN_RELATIVE = 1.5, 0.02
#: How many times its start a smoothed loss must reach to have diverged.
MIN_DIVERGED = 2.5


@frozen
class RunOutcome:
    """What became of a run, and the step from which on that holds, None where it dates from none."""

    word: Outcome
    since_step: int | None = None


def outcome_of(measured: Measured, facts: Iterable[Fact]) -> RunOutcome:
    """The outcome: what a fact states, otherwise what the course of the loss shows.

    `unknown` where the loss is not logged, is too short (fewer than 30 finite values), or means nothing by its course.
    """
    facts = tuple(facts)
    stated = {fact.outcome: fact for fact in reversed(facts) if fact.outcome is not None}
    for word in PRECEDENCE:
        if word in stated:
            return RunOutcome(word=word, since_step=stated[word].since_step)
    p = measured.progress
    if p is None:
        return RunOutcome(word="unknown")
    if measured.numerics.dead_from is not None:
        return RunOutcome(word="nonfinite", since_step=int(measured.signals.step[measured.numerics.dead_from]))
    # A running mean begins at the loss of one batch, and its rises are noise.
    wanders = any(fact.doubts == WANDERS for fact in facts)
    return RunOutcome(word="learned" if wanders and p.relative >= FELL_SHARE else _by_course(p, wanders=wanders))


def _by_course(p: Progress, *, wanders: bool) -> Outcome:
    if not wanders and p.explosion > np.log(MIN_DIVERGED) and p.end > p.start:
        return "diverged"
    if (p.in_noise < MIN_IN_NOISE or p.relative < MIN_RELATIVE) and not p.plainly_fell:
        return "stalled"
    return "ended_worse" if p.kept < MIN_KEPT else "learned"

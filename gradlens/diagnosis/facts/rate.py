"""A learning rate of zero, and schedules that are longer or shorter than the run."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from gradlens.diagnosis.facts import planned
from gradlens.diagnosis.facts.base import Fact, silent
from gradlens.diagnosis.measured import Measured
from gradlens.diagnosis.words import counted, percent
from gradlens.reports.analysis import Evidence
from gradlens.reports.base import Cause, Severity

if TYPE_CHECKING:
    from numpy.typing import NDArray

MIN_ROWS = 10
#: Share of its peak up to which a rate moves no weight in seven digits: it counts as zero. Our own choice.
NOTHING = 1e-6
#: Share of the rows that a rate must be zero for at the end: a decay to zero ends there, and a few rows may follow.
#: Our own choice.
MIN_SHARE = 0.1
#: Rate over its peak that is the end of a schedule, where it leaves next to nothing: planned floors are a tenth. Our own choice.
FLOOR = 0.06
#: Rate over its peak that counts as zero in words; how far it must come up again; rows over which a rise, or a fall, is gradual.
ZERO, BACK, GRADUAL = 1e-3, 0.3, 8
#: Rows of a rise over those of the fall before it, from which on the one mirrors the other.
MIRRORED = 0.2
#: Share of the rows that a rate is left at its floor, beyond planned tails. Our own choice.
MIN_TAIL = 0.3
#: Largest part of a decay that one row of a gradual one makes: decays by steps are planned with their floors.
MAX_DROP = 0.34
#: Share of the run that a warm-up takes which leaves no time to come down again.
MAX_WARMUP = 0.8
#: Rows of a warm-up that never ends, and by how much the rate rises in it, before it is worth a warning. Our own choice.
MIN_WARMUP, MIN_RISE = 100, 2.0
NO_STEP_TAKEN: frozenset[Cause] = frozenset(
    {"lr_too_high", "no_warmup", "vanishing", "adam_beta2_lag", "lr_restart", "clip_too_tight"}
)


def find(measured: Measured) -> tuple[Fact, ...]:
    """At most one fact about the rate: zero throughout, zero from some step on, a wrap, a warm-up to the end."""
    s = measured.signals
    rows = np.flatnonzero(np.isfinite(s.lr))
    rate = s.lr[rows]
    if len(rate) < MIN_ROWS or (rate < 0).any():
        return ()
    rate = np.where(rate <= NOTHING * rate.max(), 0.0, rate)
    step = s.step[rows]
    if not rate.any():
        return (_throughout(measured, step),)
    # A rate that rises to the last row is a warm-up in a run that goes on.
    wraps = partial(_wraps, measured, rows)
    ends = partial(_from_some_step, exactly=not s.lr[rows[-1]] > 0)
    for one in (ends, wraps, _ended_early, *(() if measured.is_unfinished else (_never_warm,))):
        fact = one(step, rate)
        if fact is not None:
            return (fact,)
    if measured.is_unfinished and _never_warm(step, rate) is not None:
        return (silent("the rate rises to the last row, and the training goes on after it", "schedule_mismatch"),)
    return ()


def _throughout(measured: Measured, step: NDArray[np.int64]) -> Fact:
    p = measured.progress
    trained = p is not None and p.in_noise > 6.0 and p.relative > 0.1
    severity, cause = (Severity.NOTE, None) if trained else (Severity.ERROR, "lr_zero")
    also = (
        ", yet the loss comes down: another group of parameters, or another column, has the rate that trains"
        if trained
        else ""
    )
    return Fact(
        code="GL204",
        severity=severity,
        cause="lr_zero" if cause else None,
        confidence=0.95,
        outcome=None if trained else "not_learning",
        since_step=None if trained else int(step[0]),
        message=f"the learning rate is 0 in all {len(step):,} rows, from step {step[0]:,} to {step[-1]:,}{also}",
        advice="print optimizer.param_groups[0]['lr']; look for a scheduler that is stepped before its start, a "
        "warm-up of zero steps, or an "
        "integer division in the schedule",
        rules_out=frozenset() if trained else NO_STEP_TAKEN,
        steps=(int(step[0]),),
        evidence=(Evidence(label="rows with a rate of 0", value=len(step), n=len(step)),),
    )


def _from_some_step(step: NDArray[np.int64], rate: NDArray[np.float64], *, exactly: bool) -> Fact | None:
    last = int(np.flatnonzero(rate)[-1])
    rows = len(rate) - last - 1
    if rows < max(MIN_ROWS, MIN_SHARE * len(rate)):
        return None
    since = int(step[last + 1])
    faded = bool(rate[last] <= 0.1 * rate.max())
    how, word = "has decayed to" if faded else "drops to", "0" if exactly else "less than a millionth of its peak"
    return Fact(
        code="GL204",
        severity=Severity.WARNING,
        cause="schedule_mismatch" if faded else "lr_zero",
        confidence=0.9,
        message=f"the learning rate {how} {word} at step {since:,} and stays there to the end, for {rows:,} rows "
        f"({percent(rows / len(rate))} of the run): "
        "nothing is learned after it" + (", the schedule ends long before the run" if faded else ""),
        advice=f"give the scheduler the number of steps of the whole run (it now ends at step {since:,} of "
        f"{int(step[-1]):,}); with gradient "
        "accumulation or several devices, count optimizer steps",
        rules_out=NO_STEP_TAKEN if last < MIN_SHARE * len(rate) else frozenset(),
        steps=(since,),
        evidence=(
            Evidence(
                label="share of the rows with a rate of 0", value=rows / len(rate), threshold=MIN_SHARE, n=len(rate)
            ),
        ),
    )


def _wraps(
    measured: Measured, rows: NDArray[np.intp], step: NDArray[np.int64], rate: NDArray[np.float64]
) -> Fact | None:
    turns = _turns(rate)
    if not turns:
        return None
    relative = rate / rate.max()
    low_word = "0" if relative[turns[0]] <= ZERO else f"{percent(float(relative[turns[0]]))} of its peak"
    high = float(relative[turns[0] :].max())
    named = ", ".join(f"{int(step[t]):,}" for t in turns[:4])
    what = (
        f"the learning rate falls to {low_word} and rises again as gradually, to {percent(high)}, "
        f"{counted(len(turns), 'time')}, from step {named}"
    )
    evidence = (Evidence(label="rises from 0", value=len(turns), n=len(rate)),)
    at = [int(rows[t]) for t in turns]
    if _is_cyclic(measured, at):
        if planned.find(measured):
            return None  # the rises are steep enough to be told as restarts
        return Fact(
            code="GL205",
            severity=Severity.NOTE,
            message=f"{what}: a cycle, and {planned.how_it_went(at)}",
            advice=f"nothing, if a cyclic rate is meant; otherwise set the scheduler's length to the steps of the run, {int(step[-1]):,}",
            rules_out=planned.OF_SCHEDULES,
            steps=tuple(int(step[t]) for t in turns[:8]),
            evidence=evidence,
        )
    return Fact(
        code="GL205",
        severity=Severity.WARNING,
        cause="schedule_mismatch",
        confidence=0.85,
        message=f"{what}: the schedule is shorter than the run and wraps round",
        advice=f"set the scheduler's length (T_max, num_training_steps) to the steps of the run, {int(step[-1]):,}, "
        f"not {int(step[turns[0]]):,}; "
        "or end the run there",
        # A restart is a jump; this rate has none.
        rules_out=frozenset({"lr_restart"}),
        steps=tuple(int(step[t]) for t in turns),
        evidence=evidence,
    )


def _is_cyclic(measured: Measured, turns: list[int]) -> bool:
    """Whether a rate that goes up and down many times does so on the beat and costs nothing, or a cycle is what was asked for.

    A cosine that is asked for more steps than it has turns some times; one that turns all the time was meant to, or the run does not
    mind.
    """
    meant = planned.is_named(measured) or (
        len(turns) >= planned.MAX_ROUNDS and planned.on_the_beat(measured.signals.step, turns)
    )
    return meant and planned.costs_nothing(measured, turns)


def _turns(rate: NDArray[np.float64]) -> list[int]:
    """The rows at which a rate has come down and begins to rise as gradually as it fell."""
    relative = rate / rate.max()
    peak = int(np.argmax(relative >= 0.99))
    turns: list[int] = []
    row = peak
    while row < len(relative):
        low = np.flatnonzero(relative[row:] <= FLOOR)
        if not len(low):
            break
        at = row + int(low[0])
        back = np.flatnonzero(relative[at:] >= BACK)
        if not len(back):
            break
        top = at + int(back[0])
        lowest = at + int(np.flatnonzero(relative[at:top] <= relative[at:top].min() + 1e-6)[-1])
        fell = lowest - (row + int(np.flatnonzero(relative[row:lowest] >= BACK)[-1]))
        # A warm restart jumps up within a row, or warms up within a few, and is meant; a cosine that is asked for more
        # steps than it has rises as it fell.
        if top - lowest >= max(GRADUAL, MIRRORED * fell):
            turns.append(lowest)
        row = top
    return turns


def _ended_early(step: NDArray[np.int64], rate: NDArray[np.float64]) -> Fact | None:
    """A gradual decay that has ended long before the run, which goes on at the constant rate that was left."""
    peak = float(rate.max())
    moves = np.flatnonzero(np.abs(np.diff(rate)) > 1e-3 * rate[-1])
    end = int(moves[-1]) + 1 if len(moves) else 0
    left, tail = float(rate[-1]) / peak, len(rate) - end
    high = np.flatnonzero(rate[:end] >= 0.99 * peak)
    top = int(high[-1]) if len(high) else end
    falls = -np.diff(rate[top : end + 1])
    if not 0.0 < left <= FLOOR or tail < max(MIN_TAIL * len(rate), MIN_ROWS) or len(falls) < GRADUAL:
        return None
    if float(falls.max()) > MAX_DROP * peak or (falls < 0.0).any():
        return None
    since = int(step[end])
    return Fact(
        code="GL205",
        severity=Severity.WARNING,
        cause="schedule_mismatch",
        confidence=0.8,
        message=f"the learning rate has come down to {percent(left, 1)} of its peak at step {since:,} and stays there to the end, "
        f"for {tail:,} rows ({percent(tail / len(rate))} of the run): the schedule ends long before the run",
        advice=f"give the scheduler the number of steps of the whole run (it now ends at step {since:,} of {int(step[-1]):,}); "
        "with gradient accumulation or several devices, count optimizer steps",
        steps=(since,),
        evidence=(
            Evidence(
                label="share of the rows after the decay", value=tail / len(rate), threshold=MIN_TAIL, n=len(rate)
            ),
        ),
    )


def _never_warm(step: NDArray[np.int64], rate: NDArray[np.float64]) -> Fact | None:
    top = int(np.argmax(rate))
    rises = np.diff(rate[: top + 1])
    if len(rate) < MIN_WARMUP or (rises < -1e-9 * rate.max()).any() or not rate[0] * MIN_RISE < rate[top]:
        return None
    if top < MAX_WARMUP * (len(rate) - 1):
        return None  # the warm-up was over by then, or the rate stood still
    if top < len(rate) - 1:
        return _late_peak(step, rate, top)
    return Fact(
        code="GL205",
        severity=Severity.WARNING,
        cause="schedule_mismatch",
        confidence=0.7,
        message=f"the learning rate rises to the very end, from {rate[0]:.3g} at step {int(step[0]):,} to "
        f"{rate[-1]:.3g} at step {int(step[-1]):,}: the "
        "warm-up is longer than the run",
        advice=f"shorten the warm-up to at most a tenth of the run (about {int(step[-1] - step[0]) // 10:,} "
        "steps), or train longer",
        steps=(int(step[-1]),),
        evidence=(
            Evidence(
                label="rate at the end over that at the start",
                value=float(rate[-1] / max(rate[0], 1e-300)),
                threshold=MIN_RISE,
                n=len(rate),
            ),
        ),
    )


def _late_peak(step: NDArray[np.int64], rate: NDArray[np.float64], top: int) -> Fact:
    """A warm-up that takes nearly all of the run."""
    at, last = int(step[top]), int(step[-1])
    share = top / (len(rate) - 1)
    return Fact(
        code="GL205",
        severity=Severity.WARNING,
        cause="schedule_mismatch",
        confidence=0.7,
        message=f"the learning rate rises to step {at:,} of {last:,}, from {rate[0]:.3g} to {rate[top]:.3g}: the warm-up takes "
        f"{percent(share)} of the run",
        advice=f"shorten the warm-up to at most a tenth of the run (about {int(step[-1] - step[0]) // 10:,} steps)",
        steps=(at,),
        evidence=(Evidence(label="share of the run in warm-up", value=share, threshold=MAX_WARMUP, n=len(rate)),),
    )

"""Columns that stand still: no gradient, no loss, or neither.

A norm that is exactly 0 means that nothing reaches the weights, or that nothing was measured. Which of the two, the loss tells: one that
comes down was trained, one that never changes was not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gradlens.diagnosis.facts.base import Fact
from gradlens.diagnosis.facts.chance import NEAR_CHANCE, guessed_classes
from gradlens.diagnosis.features.curves import rounding_step
from gradlens.diagnosis.measured import Measured
from gradlens.diagnosis.signs.numerics import scale_collapses, zeros_after_nan
from gradlens.diagnosis.words import counted
from gradlens.reports.analysis import Evidence
from gradlens.reports.base import Cause, Severity

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Rows that a column must hold for its standing still to mean anything, and of a stretch to its end. Our own choice.
MIN_ROWS, MIN_TAIL = 10, 5
#: A loss that jumps to exactly 0 came from at least this share of its first value; one that comes down to 0 comes
#: from less.
MIN_JUMP = 0.02
#: Values before a tail of zeros that tell whether it was reached, and last digits that their median may be at most. Our own choice.
LAST_DIGITS, MAX_DIGITS = 3, 3.0
#: Share of the last digit by which rounded values may miss its multiples, and the multiple up to which float32 tells.
OFF_GRID, MAX_ON_GRID = 0.02, 1000.0
#: Share of the descent that is kept, below which the loss had lost what was learned before the gradients ended. Our own choice.
MAX_KEPT = 0.5
#: Share of the rows that a loss is one number at the end, and last digits by which it changed from row to row before. Our own choice.
MIN_CONSTANT, MIN_DIGITS = 0.1, 5.0
#: Norm over loss below which gradients are there, but too small to move weights: beyond the seven digits of float32.
TINY = 1e-6
NOTHING_MOVES: frozenset[Cause] = frozenset(
    {
        "vanishing",
        "lr_too_high",
        "no_warmup",
        "bad_data",
        "loss_scale_collapse",
        "exploding",
        "clip_too_tight",
        "data_shift",
        "batch_size_change",
        "l2_contamination",
        "postclip_logged",
    }
)


def find(measured: Measured) -> tuple[Fact, ...]:
    """At most one fact: a loss that turns exactly 0, a norm that is or turns exactly 0, a loss that never changes, or not any more."""
    for one in (_loss_turns_zero, _norm_turns_zero, _norm_is_zero, _loss_constant, _loss_turns_constant):
        fact = one(measured)
        if fact is not None:
            return (fact,)
    return ()


def tail_of_zeros(value: NDArray[np.float64]) -> int | None:
    """The first of the zeros at the end of float64[n], None where there are fewer than five or nothing else before them."""
    others = np.flatnonzero(value != 0)
    if not len(others) or others[-1] + 1 > len(value) - MIN_TAIL:
        return None
    return int(others[-1]) + 1


def reached(value: NDArray[np.float64], at: int) -> bool:
    """Whether float64[n], 0 from a row on, came down to it: its last values before are of the size of the last digit that is written.

    What is smaller than half of that digit is written as 0, too. False where values are not rounded.
    """
    known = np.abs(value[:at][np.isfinite(value[:at]) & (value[:at] != 0)])
    step = rounding_step(value[np.isfinite(value)])
    # A single value is a multiple of itself and tells of no digit.
    if len(np.unique(known)) < 2 or not step > 0 or np.median(known[-LAST_DIGITS:]) > MAX_DIGITS * step:
        return False
    digits = known / step
    digits = digits[digits <= MAX_ON_GRID]
    return bool((np.abs(digits - np.round(digits)) < OFF_GRID).all())


def _loss_turns_zero(measured: Measured) -> Fact | None:
    s = measured.signals
    rows = np.flatnonzero(s.has_loss)
    at = tail_of_zeros(s.loss[rows])
    if at is None or at < MIN_TAIL or not measured.loss_descends:
        return None
    before = s.loss[rows[max(at - 20, 0) : at]]
    before = before[np.isfinite(before)]
    known = s.loss[rows][np.isfinite(s.loss[rows])]
    # A loss that comes down to 0, or is often 0 on the way (a margin that every example keeps), has reached it by
    # training.
    if (
        not len(before)
        or np.median(before) < MIN_JUMP * abs(known[0])
        or (before == 0).any()
        or reached(s.loss[rows], at)
    ):
        return None
    since = int(s.step[rows[at]])
    return stopped(
        since,
        confidence=0.85,
        message=f"the loss falls from {np.median(before):.3g} to exactly 0 from one row to the next, from step "
        f"{since:,} to the end "
        f"({counted(len(rows) - at, 'row')}): a hidden NaN written as 0, or labels that are all masked",
        advice="print loss, labels and mask of one batch after this step; a loss of exactly 0 has no gradient, so "
        "nothing is learned",
        evidence=Evidence(label="losses of exactly 0 at the end", value=len(rows) - at, n=len(rows)),
    )


def _norm_turns_zero(measured: Measured) -> Fact | None:
    s = measured.signals
    rows = np.flatnonzero(s.has_norm)
    at = tail_of_zeros(s.norm[rows])
    if (
        at is None
        or zeros_after_nan(measured)
        or _still_falls(measured, int(rows[at]))
        or _fitted(measured, int(rows[at]))
        or reached(s.norm[rows], at)
        or _solved(measured, int(rows[at]))
    ):
        return None
    since = int(s.step[rows[at]])
    if scale_collapses(measured) > 0.0 or int(s.bad_norm[: rows[at]].sum()) >= MIN_TAIL:
        return _underflow(measured, since, len(rows) - at)
    agent = not measured.loss_descends
    why = (
        "all advantages are equal (reward_std 0), so there is no learning signal"
        if agent
        else "no gradient reaches the weights"
    )
    return stopped(
        since,
        confidence=0.9,
        message=f"the gradient norm is exactly 0 from step {since:,} to the end ({counted(len(rows) - at, 'row')}): "
        f"{why}",
        advice="look at reward_std and frac_reward_zero_std: where every answer to a prompt earns the same, all "
        "advantages are 0; use harder "
        "or other prompts, or more samples for each"
        if agent
        else "print the loss and the norm of each layer for one batch; look for a detached loss, frozen weights, "
        "masked labels or dead units",
        rules_out=NOTHING_MOVES - {"lr_too_high"} if _lost_before(measured) else NOTHING_MOVES,
        evidence=Evidence(label="norms of exactly 0 at the end", value=len(rows) - at, n=len(rows)),
    )


def _fitted(measured: Measured, row: int) -> bool:
    """Whether the loss has come down to next to nothing by a row, and stays: its gradient goes to 0 with it, by rounding exactly."""
    loss = measured.signals.loss
    known, after = loss[np.isfinite(loss)], loss[row:][np.isfinite(loss[row:])]
    if not len(after) or not known.min() >= 0 or (known == 0).all() or not measured.loss_descends:
        return False
    start = float(np.median(known[:3]))
    before = loss[max(row - 20, 0) : row]
    came_down = float(np.nanmedian(before)) < MIN_JUMP * start if np.isfinite(before).any() else False
    return came_down and float(np.quantile(after, 0.9)) < MIN_JUMP * start


def _lost_before(measured: Measured) -> bool:
    """Whether the loss had lost what was learned when the gradients ended: steps that were too long may have thrown it there."""
    p = measured.progress
    return p is not None and p.kept < MAX_KEPT


def _underflow(measured: Measured, since: int, zeros: int) -> Fact:
    """Zeros after norms that overflowed: the loss scale was halved at each overflow, until nothing of a gradient was left in fp16."""
    scale = measured.numerics.last_scale
    down = f"the loss scale has come down to {scale:.3g}" if np.isfinite(scale) else "each overflow halves a loss scale"
    return Fact(
        code="GL514",
        severity=Severity.ERROR,
        otherwise="loss_scale_collapse",
        outcome="not_learning",
        since_step=since,
        message=f"the gradient norm is exactly 0 from step {since:,} to the end ({counted(zeros, 'row')}), after overflows: {down}, "
        "and gradients underflow to 0",
        advice="find the first step that overflows and the layer it comes from; use bfloat16, or keep that part in float32",
        rules_out=NOTHING_MOVES - {"loss_scale_collapse"},
        steps=(since,),
        evidence=(
            Evidence(label="norms of exactly 0 at the end", value=zeros, n=int(measured.signals.has_norm.sum())),
        ),
    )


def _solved(measured: Measured, row: int) -> bool:
    """Whether the loss, too, is exactly 0 from a row on and was often 0 before: a margin that every example keeps."""
    loss = measured.signals.loss
    after, before = loss[row:], loss[max(row - 20, 0) : row]
    after = after[np.isfinite(after)]
    return measured.loss_descends and len(after) > 0 and not after.any() and bool((before == 0).any())


def _still_falls(measured: Measured, row: int) -> bool:
    """Whether the loss goes on falling after a row by more than noise: then the norm was no longer measured."""
    loss = measured.signals.loss[row:]
    loss = loss[np.isfinite(loss)]
    if not measured.loss_descends or len(loss) < 2 * MIN_ROWS:
        return False
    third = len(loss) // 3
    noise = float(np.median(np.abs(np.diff(loss)))) / 0.9539
    return bool(float(np.median(loss[:third]) - np.median(loss[-third:])) > 6.0 * noise / np.sqrt(third))


def _norm_is_zero(measured: Measured) -> Fact | None:
    s = measured.signals
    norm, loss = s.norm[s.has_norm], s.loss[np.isfinite(s.loss)]
    if len(norm) < MIN_ROWS or norm.any() or len(loss) < MIN_ROWS or not measured.loss_descends:
        return None
    first = int(s.step[np.argmax(s.has_norm)])
    constant = bool((loss == loss[0]).all())
    p = measured.progress
    # A loss that is noisy about one level may be that of an untrained model; one that comes down was trained.
    if not constant and (p is None or p.in_noise > 6.0 or p.relative > 0.02):
        return None
    what = (
        f"is {loss[0]:.6g} to the last digit"
        if constant
        else f"does not come down ({p.start if p else 0:.4g} to {p.end if p else 0:.4g})"
    )
    return stopped(
        first,
        confidence=0.95 if constant else 0.7,
        message=f"the gradient norm is exactly 0 in all {len(norm):,} rows and the loss {what}: not learning, no "
        "gradient reaches the weights",
        advice="check that the loss is not detached, that the parameters require gradients and are those of the "
        "optimizer, and that the labels "
        "are not all masked",
        evidence=Evidence(label="norms of exactly 0", value=len(norm), n=len(norm)),
    )


def _loss_constant(measured: Measured) -> Fact | None:
    s = measured.signals
    loss = s.loss[np.isfinite(s.loss)]
    if len(loss) < MIN_ROWS or not measured.loss_descends or (loss != loss[0]).any() or s.bad_loss.any():
        return None
    first = int(s.step[np.argmax(s.has_loss)])
    zero = loss[0] == 0
    norm = s.norm[np.isfinite(s.norm)]
    fades = len(norm) >= MIN_ROWS and 0.0 < float(np.median(norm)) < TINY * abs(float(loss[0]))
    small = f", with norms of about {float(np.median(norm)):.1g}: gradients are there, but vanish" if fades else ""
    return stopped(
        first,
        cause="vanishing" if fades else "not_learning",
        confidence=0.85,
        message=f"the loss is {'exactly 0' if zero else f'the constant {loss[0]:.6g}'} in all {len(loss):,} rows: "
        f"not learning{small}",
        advice="print loss, labels and the norm of each layer for one batch before and after an update",
        rules_out=NOTHING_MOVES - {"vanishing"} if fades else NOTHING_MOVES,
        evidence=Evidence(label="different losses", value=1, n=len(loss)),
    )


def stopped(
    since: int, *, message: str, advice: str, confidence: float, evidence: Evidence, cause: Cause = "not_learning",
    rules_out: frozenset[Cause] = NOTHING_MOVES,
) -> Fact:  # fmt: skip
    """The fact that nothing is learned from a step on."""
    return Fact(
        code="GL514", severity=Severity.ERROR, cause=cause, confidence=confidence, outcome="not_learning", since_step=since,
        message=message, advice=advice, rules_out=rules_out, steps=(since,), evidence=(evidence,),
    )  # fmt: skip


def constant_from(value: NDArray[np.float64]) -> int:
    """The first row from which on float64[n], not empty, is one number to the end."""
    others = np.flatnonzero(value != value[-1])
    return int(others[-1]) + 1 if len(others) else 0


def last_digit(value: NDArray[np.float64]) -> float:
    """The place of the last decimal that float64[n] is written with; a tiny one where they are not rounded."""
    for places in range(10):
        scaled = value * 10.0**places
        if np.allclose(scaled, np.round(scaled), rtol=0.0, atol=1e-6):
            return 10.0**-places
    return 1e-10 * float(np.abs(value).max())


def _loss_turns_constant(measured: Measured) -> Fact | None:
    """A loss that varied from row to row and is one number from some row to the end."""
    s = measured.signals
    rows = np.flatnonzero(s.has_loss)
    loss = s.loss[rows]
    if len(loss) < 2 * MIN_TAIL or not np.isfinite(loss).all() or not measured.loss_descends or loss[-1] == 0:
        return None
    at = constant_from(loss)
    if at < MIN_TAIL or len(loss) - at < max(MIN_TAIL, MIN_CONSTANT * len(loss)):
        return None
    change = np.abs(np.diff(loss[:at]))
    # A loss that settles comes to rest in ever smaller steps; this one moved by many of the last digit.
    if float(np.median(change[-20:])) < MIN_DIGITS * last_digit(loss):
        return None
    since = int(s.step[rows[at]])
    classes = guessed_classes(float(loss[-1]), NEAR_CHANCE)
    guesses = f", which is ln {classes:,}, what guessing gives" if classes else ""
    return stopped(
        since,
        confidence=0.8,
        message=f"the loss is exactly {loss[-1]:.6g} from step {since:,} to the end ({counted(len(loss) - at, 'row')}){guesses}, where it "
        f"changed by about {float(np.median(change[-20:])):.2g} from row to row before: whatever the batch, the output is the same",
        advice="print the outputs for two different batches: dead or saturated units give the same for both; go back to a checkpoint "
        f"from before step {since:,}",
        rules_out=NOTHING_MOVES - {"lr_too_high", "vanishing"},
        evidence=Evidence(label="equal losses at the end", value=len(loss) - at, n=len(loss)),
    )

"""A loss that no update changes: one number from its first rows on, or the same numbers at each pass over the data.

What is constant from a later row on, and norms of exactly 0, are told by `facts/dead.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gradlens.diagnosis.facts import dead
from gradlens.diagnosis.facts.base import Fact
from gradlens.diagnosis.facts.dead import (
    MIN_DIGITS,
    MIN_ROWS,
    MIN_TAIL,
    NOTHING_MOVES,
    constant_from,
    last_digit,
    reached,
    stopped,
)
from gradlens.diagnosis.measured import Measured
from gradlens.diagnosis.words import counted
from gradlens.reports.analysis import Evidence

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Share of the constant by which the last loss before it differs at least: what settles comes to rest in small steps. Our own choice.
MIN_STEP = 0.02
#: -ln of the smallest normal float32: what a softmax loss costs where the probability of the right answer underflows.
UNDERFLOW, NEAR = 87.3365, 0.01
#: Rows of a pass, and different losses in it, from which it is no play of rounding; the most lengths of a pass that are tried.
MIN_PASS, MIN_KINDS, MAX_TRIED = 3, 3, 200
#: Rows at the end that show of most lengths at once that they are none.
LAST_ROWS = 64
#: Share of the rows, and passes, that the same losses come again for, to the end. Our own choice.
MIN_SHARE, MIN_PASSES = 0.5, 3


def find(measured: Measured) -> tuple[Fact, ...]:
    """At most one fact, of a loss that is finite throughout and whose course means something."""
    s = measured.signals
    rows = np.flatnonzero(s.has_loss)
    loss = s.loss[rows]
    if len(loss) < MIN_ROWS or not np.isfinite(loss).all() or not measured.loss_descends:
        return ()
    fact = _one_number(measured, rows, loss) or _same_again(measured, rows, loss)
    return (fact,) if fact is not None and not dead.find(measured) else ()


def _one_number(measured: Measured, rows: NDArray[np.intp], loss: NDArray[np.float64]) -> Fact | None:
    """A loss that is one number from one of its first rows on, and was far from it before."""
    at = constant_from(loss)
    if not 0 < at < MIN_TAIL or len(loss) - at < MIN_ROWS:
        return None
    level, before = float(loss[-1]), float(loss[at - 1])
    if level == 0.0:
        if reached(loss, at) or not loss[:at].max() > 0:
            return None
        why = "a hidden NaN written as 0, or labels that are all masked"
    else:
        if abs(before - level) < max(MIN_DIGITS * last_digit(loss[: at + 1]), MIN_STEP * abs(level)):
            return None
        why = (
            "-ln of the smallest float, so the probability of the right answer has underflowed: the outputs are huge, or NaN inside"
            if abs(level - UNDERFLOW) < NEAR
            else "whatever the batch, the output is the same"
        )
    since = int(measured.signals.step[rows[at]])
    return stopped(
        since,
        confidence=0.8,
        message=f"the loss is exactly {level:.6g} from step {since:,} to the end ({counted(len(loss) - at, 'row')}), after {before:.4g} in "
        f"the row before: {why}",
        advice="print loss, labels and outputs of two different batches; the first updates may have thrown the weights: begin again with "
        "a tenth of the learning rate and a warm-up",
        rules_out=NOTHING_MOVES - {"lr_too_high", "vanishing"},
        evidence=Evidence(label="equal losses at the end", value=len(loss) - at, n=len(loss)),
    )


def _same_again(measured: Measured, rows: NDArray[np.intp], loss: NDArray[np.float64]) -> Fact | None:
    """Losses that come again at each pass over the data, to the last digit: the same batches cost the same."""
    length, same = repeating(loss)
    if not length:
        return None
    since = int(measured.signals.step[rows[len(loss) - same]])
    return stopped(
        since,
        confidence=0.9,
        message=f"the same {length:,} losses come again and again, to the last digit, from step {since:,} to the end "
        f"({counted(same, 'row')}): the same batches cost the same at each pass, so no update changes the weights",
        advice="check that the optimizer was made from the parameters that are trained, that these require gradients (adapters that are "
        "merged or frozen do not), and that the rate is not 0",
        evidence=Evidence(label="losses that come again", value=same, n=len(loss)),
    )


def repeating(loss: NDArray[np.float64]) -> tuple[int, int]:
    """The length of a pass after which the losses float64[n] come again, and the rows at the end that are such; (0, 0) for none."""
    n = len(loss)
    for length in np.flatnonzero(loss[-1 - MIN_PASS :: -1] == loss[-1])[:MAX_TRIED] + MIN_PASS:
        if n < MIN_PASSES * length:
            break
        last = min((MIN_PASSES - 1) * length, LAST_ROWS)
        if not np.array_equal(loss[-last:], loss[-last - length : -length]):
            continue
        differ = np.flatnonzero(loss[length:] != loss[:-length])
        same = n - (int(differ[-1]) + 1 if len(differ) else 0)
        if same >= max(MIN_PASSES * length, MIN_SHARE * n) and len(np.unique(loss[-length:])) >= MIN_KINDS:
            return int(length), same
    return 0, 0

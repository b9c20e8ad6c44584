"""Signs in the columns of a recorder; a log without them shows none of these."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gradlens.diagnosis.signs.base import Ramp, share, sign, times
from gradlens.diagnosis.signs.events import damage_after_shock

if TYPE_CHECKING:
    from gradlens.diagnosis.measured import Measured


@sign("the weights have grown to {growth} times their first norm")
def weights_grow(measured: Measured, *, growth: Ramp = times(3.5, 8.0)) -> float:
    """The largest weight norm over the first.

    Steps that are too long leave large weights behind: noise that does not average out moves them outwards. Of healthy
    labelled runs one in twenty reaches 4.5 times, of those with a rate that is too high more than half six times.
    """
    return growth(measured.recorded.growth)


@sign("the weights hold their size: they grow to at most {growth} times their first norm")
def weights_hold(measured: Measured, *, growth: Ramp = times(1.35, 1.1)) -> float:
    """The largest weight norm over the first, against steps that are too long.

    Of labelled runs with a rate that is too high one in twenty stays below 1.2 times.
    """
    return growth(measured.recorded.growth)


@sign("updates are {part} of the weights")
def updates_long(measured: Measured, *, part: Ramp = share(0.04, 0.15)) -> float:
    """The 95th percentile of the norm of an update over that of the weights.

    About a thousandth is usual for the median; an update of a tenth changes what a layer computes. Of healthy labelled runs
    one in twenty reaches 3.5 %, by the first steps of small networks.
    """
    return part(measured.recorded.long_update_ratio)


@sign("the loss of a batch is higher after its own update in {steps} of the probed steps")
def own_batch_worse(measured: Measured, *, steps: Ramp = share(0.25, 0.6)) -> float:
    """`loss_after` against `loss_before` of the same batch.

    No batch and no change of data can do that: the step went too far along a direction that goes downhill for this very
    batch. Single ones happen with momentum and near the edge of stability.
    """
    return steps(measured.recorded.own_batch_worse)


@sign("the rate times the curvature along the step is {edge}, where 2 is the edge of stability")
def step_beyond_edge(measured: Measured, *, edge: Ramp = Ramp(1.6, 2.2)) -> float:
    """The median over probed steps of 2(ΔL - g·Δ) / -g·Δ.

    For plain gradient descent that is eta·h, h the curvature along the step: from 2 on a step ends higher than it began
    (`gradlens explain recorder`).
    """
    return edge(measured.recorded.edge)


@sign("steps stay short of the edge: the rate times the curvature along them is below {edge}")
def step_within_edge(measured: Measured, *, edge: Ramp = Ramp(1.2, 0.6)) -> float:
    """The same median, against a rate that is too high."""
    return edge(measured.recorded.edge)


@sign("after a shock that harms the loss the RMS of g²/v stays {times_lower} times lower")
def second_moment_holds_shock(measured: Measured, *, times_lower: Ramp = times(1.3, 2.5)) -> float:
    """The level of the column before its highest row against the level after it, together with damage to the loss.

    Near 1 the second moment fits the gradients. Gradients of rare features shock it in healthy runs too; only damage makes
    that a fault.
    """
    return times_lower(measured.recorded.lag_drop) * damage_after_shock(measured)


@sign("the second moment keeps up: the RMS of g²/v falls by less than {times_lower} times after any shock")
def second_moment_keeps_up(measured: Measured, *, times_lower: Ramp = times(1.35, 1.1)) -> float:
    """The same, against a lag of the second moment; only where every row or so has the column."""
    known = measured.recorded.lag_drop
    return times_lower(known) if _is_dense(measured, "rms_ratio") else 0.0


@sign("only {share_of_data} of what the optimizer acts on comes from the data, the rest from a coupled penalty")
def penalty_dominates(measured: Measured, *, share_of_data: Ramp = share(0.7, 0.45)) -> float:
    """The norm of the gradient without the penalty over that with it, the median of all rows."""
    return share_of_data(measured.recorded.data_share)


@sign("the batch size changes {factor} times or more, and stays there")
def batch_size_steps(measured: Measured, *, factor: Ramp = times(1.5, 2.0)) -> float:
    """The levels on both sides of its largest lasting change."""
    change = measured.recorded.batch_change
    return factor(abs(change)) if np.isfinite(change) else 0.0


@sign("the batch size never changes")
def batch_size_stays(measured: Measured) -> float:
    """Against a change of the batch size, whatever the noise does."""
    return float(measured.recorded.batch_change == 0.0)


@sign("the same batches come again at the bad rows")
def bad_batches_repeat(measured: Measured, *, min_rows: int = 2) -> float:
    """At least {min_rows} rows that stand out have one batch identifier, and it came at no ordinary row.

    A batch that is bad at every visit is bad data; one that was harmless at another visit is not.
    """
    ids = measured.recorded.batch_id
    rows = [row for event in measured.events for row in range(event.first, event.last + 1) if np.isfinite(ids[row])]
    if len(rows) < min_rows:
        return 0.0
    bad, count = np.unique(ids[rows], return_counts=True)
    again = bad[count >= min_rows]
    ordinary = np.setdiff1d(np.arange(len(ids)), rows)
    always = [number for number in again if not np.any(ids[ordinary] == number)]
    return float(bool(always))


def _is_dense(measured: Measured, role: str) -> bool:
    """Whether nearly every row has the column."""
    from gradlens import vocabulary

    name = vocabulary.choose(role, measured.run.series)
    return name is not None and len(measured.run.series[name]) > len(measured) / 2

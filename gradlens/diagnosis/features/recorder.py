"""What the columns of a recorder decide: weights, updates, second moments, penalty, the batch and its loss after a step.

`gradlens.Recorder` writes them; a log from anywhere may hold them, on every row or on every tenth. All norms are L2 over
all trained parameters and all ranks.

weight_norm
    Before the update. Growth separates a rate that is too high (noise that does not average out moves weights outwards)
    from vanishing gradients and tight clipping, in which they hardly move.
update_norm
    Of the change that the optimizer made. About a thousandth of the weights is usual; a tenth changes what a layer computes.
rms_ratio
    The root of the mean of g²/v, v the bias-corrected second moment before this update. Near 1 the second moment fits the
    gradients, above 2 it lags (Wortsman et al. 2023), far below 1 it still holds a shock: beta2 is the cause, not the data.
    The gradient is that before clipping; where the threshold is known, the diagnosis takes the clipped one.
data_norm, penalized_norm
    The gradient without a coupled weight penalty, and with it. Below 70 % data the norm is contaminated.
loss_before, loss_after, grad_dot_update
    Of one batch around its own update: what the loss did, and what first order says. The rest is curvature along the step,
    h = 2(ΔL - g·Δ)/‖Δ‖²; with plain gradient descent eta·h from 2 on ends higher than it began. No batch and no change of
    data can do that, so it tells a rate that is too high from both, and names the rate that would be safe.
batch_size, tokens
    Of the step, over all ranks. A change explains a change of the noise; a size that never changes rules it out.
batch_id
    A number for each batch. Bad rows that have the same one again are bad data.
grad_norm/<layer>
    Tells exploding from vanishing and names the layer.
loss_scale, skipped
    Overflows that recover from a scale that collapses.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from gradlens.frozen import frozen

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: The quantities, by the names of their columns.
COLUMNS = (
    "weight_norm", "update_norm", "rms_ratio", "data_norm", "penalized_norm", "loss_before", "loss_after", "grad_dot_update",
    "batch_size", "tokens", "batch_id",
)  # fmt: skip
#: Values of a column from which its course can be told.
MIN_VALUES = 8
#: Probed steps from which a share of them says something.
MIN_PROBES = 5
#: Rows of a level: on each side of a change of the batch size, or of the second moment.
LEVEL = 8


@frozen(eq=False)
class Recorded:
    """Dimensionless facts of the recorder's columns.

    Attributes
    ----------
    has_any
        Whether the log has any of the columns.
    growth
        ln of the largest weight norm over the first, and `growth_at_end` of the last over the first.
    update_ratio, long_update_ratio
        Median and 95th percentile of the norm of an update over that of the weights.
    lag_drop
        ln of the level of the RMS of g²/v before a shock over that after it, both sides of `lag_row`: how much the second
        moment still holds of the shock.
    lag_row
        The row of that shock, or None.
    data_share
        Median share of the data in what the optimizer acts on, beside a coupled penalty; NaN without one.
    own_batch_worse
        Share of probed steps after which the loss of their own batch was higher.
    edge
        Median of eta·h of the probed steps that go downhill, h being the curvature along the step: at 2 the step ends where
        the loss is as high as where it began.
    safe_rate
        The rate at which the step would end at the lowest point of its own parabola, the latest median; NaN if unknown.
    n_probes
        Probed steps.
    batch_change
        ln of the level of the batch size after its largest lasting change over that before, 0.0 if it never changes.
    batch_change_row
        The row from which it differs, or None.
    batch_id
        float64[n], the number of each row's batch.
    """

    has_any: bool
    growth: float
    growth_at_end: float
    update_ratio: float
    long_update_ratio: float
    lag_drop: float
    lag_row: int | None
    data_share: float
    own_batch_worse: float
    edge: float
    safe_rate: float
    n_probes: int
    batch_change: float
    batch_change_row: int | None
    batch_id: NDArray[np.float64]


def recorded_of(
    column: Mapping[str, NDArray[np.float64]],
    *,
    norm: NDArray[np.float64],
    rate: NDArray[np.float64],
    loss: NDArray[np.float64],
    threshold: float | None,
) -> Recorded:
    """The facts of the columns that there are.

    Parameters
    ----------
    column
        By the names of `COLUMNS`, float64[n] each, NaN where nothing was logged.
    norm, rate, loss
        float64[n], those of the run.
    threshold
        The clipping threshold, None for none: second moments only ever saw clipped gradients.
    """
    nothing = np.full(len(norm), np.nan)
    get = {name: column.get(name, nothing) for name in COLUMNS}
    growth, at_end = _growth(get["weight_norm"])
    ratio = get["update_norm"] / get["weight_norm"]
    ratio = ratio[np.isfinite(ratio)]
    enough = len(ratio) >= MIN_VALUES
    seen = get["rms_ratio"] * (1.0 if not threshold else np.minimum(1.0, threshold / norm))
    drop, lag_row = _lag(seen)
    acted_on = np.where(np.isfinite(get["penalized_norm"]), get["penalized_norm"], norm)
    worse, edge, safe_rate, n_probes = _own_batch(get, loss, rate)
    size = get["batch_size"] if np.isfinite(get["batch_size"]).any() else get["tokens"]
    change, change_row = _batch_change(size)
    return Recorded(
        has_any=bool(column),
        growth=growth,
        growth_at_end=at_end,
        update_ratio=float(np.median(ratio)) if enough else np.nan,
        long_update_ratio=float(np.quantile(ratio, 0.95)) if enough else np.nan,
        lag_drop=drop,
        lag_row=lag_row,
        data_share=_median(get["data_norm"] / acted_on) if np.isfinite(get["data_norm"]).any() else np.nan,
        own_batch_worse=worse,
        edge=edge,
        safe_rate=safe_rate,
        n_probes=n_probes,
        batch_change=change,
        batch_change_row=change_row,
        batch_id=get["batch_id"],
    )


def _growth(weights: NDArray[np.float64]) -> tuple[float, float]:
    known = weights[np.isfinite(weights) & (weights > 0)]
    if len(known) < MIN_VALUES:
        return np.nan, np.nan
    end = float(np.median(known[-max(len(known) // 20, 3) :]))
    return float(np.log(known.max() / known[0])), float(np.log(end / known[0]))


def _lag(ratio: NDArray[np.float64]) -> tuple[float, int | None]:
    """The largest fall of the level of g²/v at a row that stands out above both sides."""
    row = np.flatnonzero(np.isfinite(ratio) & (ratio > 0))
    if len(row) < 3 * LEVEL:
        return np.nan, None
    size = np.log(ratio[row])
    windows = np.lib.stride_tricks.sliding_window_view(size, LEVEL)
    level = np.median(windows, axis=1)
    # The first window is that of Adam's first steps, in which v holds hardly more than g² itself.
    at = np.arange(2 * LEVEL, len(size) - LEVEL)
    drop, height = level[at - LEVEL] - level[at + 1], size[at] - level[at - LEVEL]
    drop = np.where(height > np.log(3.0), drop, -np.inf)
    best = int(np.argmax(drop)) if len(drop) else 0
    if not len(drop) or not np.isfinite(drop[best]):
        return 0.0, None
    return float(drop[best]), int(row[at[best]])


def _own_batch(
    get: Mapping[str, NDArray[np.float64]], loss: NDArray[np.float64], rate: NDArray[np.float64]
) -> tuple[float, float, float, int]:
    """How the loss of a batch answered its own update.

    Second order along the step: change = slope + curvature/2 with slope = g·Δ and curvature = ΔᵀHΔ = eta²gᵀHg for plain
    gradient descent, so eta·h = curvature / -slope. The parabola's lowest point lies at 1/(eta·h) of the step.
    """
    before = get["loss_before"] if np.isfinite(get["loss_before"]).any() else loss
    probed = np.isfinite(get["loss_after"]) & np.isfinite(before)
    if probed.sum() < MIN_PROBES:
        return np.nan, np.nan, np.nan, int(probed.sum())
    change, slope = (get["loss_after"] - before)[probed], get["grad_dot_update"][probed]
    worse = float(np.mean(change > 0))
    downhill = np.isfinite(slope) & (slope < 0)
    if downhill.sum() < MIN_PROBES:
        return worse, np.nan, np.nan, int(probed.sum())
    bent = 2.0 * (change[downhill] - slope[downhill]) / -slope[downhill]
    late = bent[-max(len(bent) // 4, MIN_PROBES) :]
    rates = rate[probed][downhill][-len(late) :]
    safe = _median(np.where(late > 0, rates / np.maximum(late, 1e-12), np.nan))
    return worse, float(np.median(bent)), safe, int(probed.sum())


def _batch_change(size: NDArray[np.float64]) -> tuple[float, int | None]:
    """The largest change of the batch size that lasts: the median of `LEVEL` rows on each side."""
    row = np.flatnonzero(np.isfinite(size) & (size > 0))
    if len(row) < 2 * LEVEL:
        return np.nan, None
    log = np.log(size[row])
    level = np.median(np.lib.stride_tricks.sliding_window_view(log, LEVEL), axis=1)
    change = level[LEVEL:] - level[:-LEVEL]
    best = int(np.argmax(np.abs(change)))
    if change[best] == 0.0:
        return 0.0, None
    # Of the rows around, the first that has the new level.
    near = log[best : best + 2 * LEVEL]
    first = int(np.argmax(np.abs(near - level[best]) > abs(change[best]) / 2))
    return float(change[best]), int(row[best + first])


def _median(values: NDArray[np.float64]) -> float:
    """The median of the finite values, NaN without any."""
    finite = values[np.isfinite(values)]
    return float(np.median(finite)) if len(finite) else np.nan

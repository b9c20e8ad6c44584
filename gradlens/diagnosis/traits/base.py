"""What traits are measured on: the curves of a run on one axis, and the few operations that all traits share."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from gradlens.frozen import frozen

Array = NDArray[np.float64]
Traits = dict[str, float]

#: Columns of the recorder that traits rest on.
RECORDED = (
    "weight_norm", "update_norm", "rms_ratio", "data_norm", "loss_before", "loss_after", "grad_dot_update", "batch_size", "skipped",
)  # fmt: skip


@frozen(eq=False)
class Curves:
    """The curves of one run, float64[n] each, NaN where nothing was logged.

    Attributes
    ----------
    loss, norm, rate, scale, held_out
        Training loss, gradient norm, learning rate, loss scale, validation loss.
    threshold
        The clipping threshold; NaN where nobody knows it, infinite where the run did not clip.
    interval
        The median distance between rows in steps.
    restarts
        How often the log goes back.
    layers
        (layers, 3): the median log norm of each layer at the start, in the middle and at the end, in the order of the model.
    recorded
        The columns of the recorder by name; empty where there are none.
    """

    loss: Array
    norm: Array
    rate: Array
    scale: Array
    held_out: Array
    threshold: float
    interval: float
    restarts: int
    layers: Array
    recorded: Mapping[str, Array]

    @classmethod
    def nothing(cls) -> Curves:
        """A log without rows: it has the names of all traits."""
        none = np.empty(0)
        return cls(
            loss=none, norm=none, rate=none, scale=none, held_out=none, threshold=np.nan, interval=1.0, restarts=0,
            layers=np.empty((0, 3)), recorded={},
        )  # fmt: skip

    def __len__(self) -> int:
        return len(self.loss)


def windows(values: Array, count: int) -> Array:
    """float64[count, m]: the values in equal windows; with fewer values than windows each is repeated; NaN without any."""
    n = len(values)
    if n == 0:
        return np.full((count, 1), np.nan)
    if n < count:
        return values[(np.arange(count) * n) // count][:, None]
    width = n // count
    # What does not fit goes to the start, so that the end of the run is always seen.
    return values[n - width * count :].reshape(count, width)


def middle(values: Array) -> Array:
    """The median of the finite values along the last axis, NaN where there are none. Sorting puts NaN last."""
    values = np.where(np.isfinite(values), values, np.nan)
    ordered = np.sort(values, axis=-1)
    known = np.count_nonzero(~np.isnan(values), axis=-1)
    low, high = np.maximum(known - 1, 0) // 2, np.maximum(known // 2, 0)
    high = np.minimum(high, values.shape[-1] - 1)
    taken = (
        np.take_along_axis(ordered, np.expand_dims(low, -1), -1)
        + np.take_along_axis(ordered, np.expand_dims(high, -1), -1)
    ) / 2
    found: Array = np.where(known > 0, taken[..., 0], np.nan)
    return found


def median(values: Array) -> float:
    """The median of the finite values, NaN without any."""
    values = np.sort(values[np.isfinite(values)])
    half = len(values) // 2
    # numpy's own median takes several times as long for so few values.
    return float(values[half] if len(values) % 2 else (values[half - 1] + values[half]) / 2) if len(values) else np.nan


def spread(values: Array) -> float:
    """1.4826 times the median absolute deviation of the finite values."""
    return 1.4826 * median(np.abs(values - median(values)))


def logs(values: Array) -> Array:
    """The natural logarithm of positive finite values, NaN of others."""
    good = np.isfinite(values) & (values > 0)
    return np.where(good, np.log(np.where(good, values, 1.0)), np.nan)


def named(prefix: str, values: Array | tuple[float, ...], limit: float = 12.0) -> Traits:
    """Traits of one kind, numbered, cut off at a limit on both sides."""
    return {f"{prefix}{i}": float(v) for i, v in enumerate(np.clip(values, -limit, limit))}


def filled(values: Array) -> Array:
    """The values with each that is not finite replaced by the last finite one before it, the first ones by the first finite one."""
    good = np.isfinite(values)
    if good.all() or not good.any():
        return values
    at = np.maximum.accumulate(np.where(good, np.arange(len(values)), -1))
    at = np.where(at < 0, int(np.argmax(good)), at)
    found: Array = values[at]
    return found


def running_median(values: Array, width: int) -> Array:
    """A rough running level: medians of blocks of a quarter of the width, over five blocks, joined by straight lines."""
    n = len(values)
    block = max(width // 4, 1)
    count = max(n // block, 1)
    blocks = middle(windows(values, count))
    padded = np.concatenate([blocks[:1], blocks[:1], blocks, blocks[-1:], blocks[-1:]])
    level = middle(np.lib.stride_tricks.sliding_window_view(padded, 5))
    rest = n - block * count
    at = rest + block * (np.arange(count) + 0.5) - 0.5
    found: Array = np.interp(np.arange(n), at, filled(level))
    return found

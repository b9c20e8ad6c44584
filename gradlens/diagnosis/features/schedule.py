"""What the learning-rate column says: warm-up, jumps, replayed stretches, the rate at any row."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gradlens.frozen import frozen

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: A rise of the rate between two rows that no schedule makes by itself (see GL203).
JUMP = 1.3
#: Rows over which a stretch of the schedule must repeat exactly to count as replayed.
REPLAY_ROWS = 20
MAX_JUMPS = 50


@frozen(eq=False)
class Schedule:
    """The learning rate of a run.

    Attributes
    ----------
    known
        Whether the log has a rate that is positive somewhere.
    relative
        float64[n]: rate over its highest value; NaN where unknown.
    warmup_rows
        Rows until the rate first reaches 99 % of the highest rate of its first rise; 0 where it starts there. None where
        the rate is not known.
    starts_high
        The first rate is at least half of the highest one, and the rate is known.
    jumps
        Rows at which the rate jumps up by `JUMP` or more after the warm-up, with the ratio.
    replayed
        Rows at which the schedule goes back to an earlier value and repeats it from there, but not to its peak: what a
        resume from a checkpoint does.
    constant
        The rate never falls below 90 % of its peak after the warm-up.
    """

    known: bool
    relative: NDArray[np.float64]
    warmup_rows: int | None
    starts_high: bool
    jumps: tuple[tuple[int, float], ...]
    replayed: tuple[int, ...]
    constant: bool

    def falls_near(self, row: int) -> bool:
        """Whether the rate falls by 15 % or more within the few rows around this one, as step decay does."""
        near = self.relative[max(row - 5, 0) : row + 6]
        return len(near) > 1 and bool((near[1:] < 0.85 * near[:-1]).any())


def schedule_of(lr: NDArray[np.float64]) -> Schedule:
    """The schedule from the rate at each row, float64[n]."""
    finite = np.flatnonzero(np.isfinite(lr) & (lr >= 0))
    if len(finite) < 2 or not lr[finite].max() > 0:
        return Schedule(
            known=False, relative=np.full(len(lr), np.nan), warmup_rows=None, starts_high=False, jumps=(),
            replayed=(), constant=False,
        )  # fmt: skip
    rate = lr[finite]
    relative = lr / rate.max()
    warm = _first_rise(rate)
    jumps = _jumps(rate, warm)
    return Schedule(
        known=True,
        relative=relative,
        warmup_rows=int(finite[warm]),
        starts_high=warm <= 2 and bool(rate[0] >= 0.5 * rate[: max(len(rate) // 10, 3)].max()),
        jumps=tuple((int(finite[row]), ratio) for row, ratio in jumps),
        replayed=tuple(int(finite[row]) for row in _replayed(rate, warm)),
        constant=bool(rate[warm:].min() >= 0.9 * rate.max()),
    )


def _first_rise(rate: NDArray[np.float64]) -> int:
    """The row at which the first rise ends: the first that is not passed by more than 1 % in the next tenth of the run."""
    ahead = max(len(rate) // 10, 5)
    # The highest rate of the next rows, by running maxima from both ends of blocks of that length.
    blocks = -(-len(rate) // ahead) + 1
    padded = np.full(blocks * ahead, -np.inf)
    padded[: len(rate)] = rate
    table = padded.reshape(blocks, ahead)
    right = np.maximum.accumulate(table[:, ::-1], axis=1)[:, ::-1].ravel()
    left = np.maximum.accumulate(table, axis=1).ravel()
    row = np.arange(len(rate))
    highest = np.maximum(right[row], left[np.minimum(row + ahead - 1, len(left) - 1)])
    return int(np.argmax((rate >= 0.99 * highest) & (rate > 0)))


def _jumps(rate: NDArray[np.float64], warm: int) -> list[tuple[int, float]]:
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = rate[1:] / rate[:-1]
    # A first warm-up step, or a warm-up that is logged rarely, multiplies the rate too; only jumps after it count.
    at = np.flatnonzero((ratio >= JUMP) & (np.arange(1, len(rate)) > warm)) + 1
    jumps: list[tuple[int, float]] = []
    for row in at[:MAX_JUMPS]:
        # A second warm-up rises for many rows: its first row stands for it.
        if jumps and row - jumps[-1][0] <= max(3, len(rate) // 50):
            continue
        top = float(rate[row : row + max(3, len(rate) // 20)].max())
        before = float(rate[row - 1])
        jumps.append((int(row), min(top / before, 1e6) if before > 0 else 1e6))
    return jumps


def _replayed(rate: NDArray[np.float64], warm: int) -> list[int]:
    """Rows where the rate goes on as it already did from an earlier, lower-than-peak value on."""
    found: list[int] = []
    rises = np.flatnonzero((np.diff(rate) > 0) & (np.arange(1, len(rate)) > warm)) + 1
    for row in rises[:200]:
        stretch = rate[row : row + REPLAY_ROWS]
        if len(stretch) < REPLAY_ROWS or stretch[0] >= 0.98 * rate.max() or np.ptp(stretch) == 0:
            continue
        for start in np.flatnonzero(rate[: row - REPLAY_ROWS] == stretch[0])[-5:]:
            if start > warm and np.array_equal(rate[start : start + REPLAY_ROWS], stretch):
                found.append(int(row))
                break
    return found

"""The run as the analysis sees it: loss, norm, learning rate and loss scale on one time axis.

A run keeps everything as written. Here restarts are resolved (the later attempt wins from its first step on, since that
is the training that went on), exact repeats are dropped, and series with other steps are laid on the axis of the norm.
What was set aside stays visible as `restarts` and counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gradlens.run import Run, Series

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Restart:
    """The log went back: at `index` of the resolved axis the run went on from `step`, after having reached `reached`."""

    index: int
    step: int
    reached: int
    superseded: int


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Signals:
    """Aligned arrays of one run, all of length n, in order of strictly rising step.

    Attributes
    ----------
    step
        int64[n].
    loss, norm, lr, loss_scale
        float64[n]; NaN both where NaN was logged and where nothing was: `has_loss` and `has_norm` tell which.
    has_loss, has_norm
        bool[n]: a value (finite or not) was logged at this step.
    restarts
        Where the log went back.
    duplicates
        Rows that repeated a step without going back.
    log_interval
        The median distance between rows in steps, 1.0 where every step is logged; None with fewer than two rows.
    irregular
        Share of distances that differ from the median one.
    """

    step: NDArray[np.int64]
    loss: NDArray[np.float64]
    norm: NDArray[np.float64]
    lr: NDArray[np.float64]
    loss_scale: NDArray[np.float64]
    has_loss: NDArray[np.bool_]
    has_norm: NDArray[np.bool_]
    restarts: tuple[Restart, ...]
    duplicates: int
    log_interval: float | None
    irregular: float

    def __len__(self) -> int:
        return len(self.step)

    @property
    def from_the_start(self) -> bool:
        """Whether the axis begins where the log does, and not with a later attempt that counted its steps anew."""
        return not any(restart.index == 0 for restart in self.restarts)


def signals_of(run: Run) -> Signals:
    """The signals of a run; the axis is that of the norm together with that of the loss."""
    given = {"loss": run.loss, "norm": run.grad_norm, "lr": run.lr, "loss_scale": run.loss_scale}
    main = [s for s in (given["norm"], given["loss"]) if s is not None and len(s)]
    order = max(main, key=len).step if main else np.empty(0, dtype=np.int64)
    restarts, duplicates = find_restarts(order)
    resolved = {name: _resolve(series) for name, series in given.items()}
    norm_step, loss_step = resolved["norm"][0], resolved["loss"][0]
    same = len(loss_step) == 0 or np.array_equal(norm_step, loss_step)
    step = norm_step if same else _merged(norm_step, loss_step)
    placed = {name: _place(step, *pair) for name, pair in resolved.items()}
    gaps = np.diff(step)
    interval = float(np.median(gaps)) if len(gaps) else None
    return Signals(
        step=step,
        loss=placed["loss"][0],
        norm=placed["norm"][0],
        lr=_hold(step, *resolved["lr"]),
        loss_scale=_hold(step, *resolved["loss_scale"]),
        has_loss=placed["loss"][1],
        has_norm=placed["norm"][1],
        restarts=_with_index(restarts, step),
        duplicates=duplicates,
        log_interval=interval,
        irregular=float(np.mean(gaps != interval)) if len(gaps) else 0.0,
    )


def _merged(a: NDArray[np.int64], b: NDArray[np.int64]) -> NDArray[np.int64]:
    """The different steps of both, rising; numpy's union takes ten times as long on millions of them."""
    both = np.sort(np.concatenate((a, b)))
    return both[np.concatenate(([True], np.diff(both) > 0))] if len(both) else both


def find_restarts(step: NDArray[np.int64]) -> tuple[list[Restart], int]:
    """Where steps go back, and how many rows merely repeat the step before (in the order written; `index` is the row)."""
    if len(step) < 2:
        return [], 0
    change = np.diff(step)
    duplicates = int(np.count_nonzero(change == 0))
    reached = np.maximum.accumulate(step)
    restarts = [
        Restart(
            index=int(at) + 1,
            step=int(step[at + 1]),
            reached=int(reached[at]),
            superseded=int(np.count_nonzero(step[: at + 1] >= step[at + 1])),
        )
        for at in np.flatnonzero(change < 0)
    ]
    return restarts, duplicates


def _with_index(restarts: list[Restart], step: NDArray[np.int64]) -> tuple[Restart, ...]:
    return tuple(
        Restart(index=int(np.searchsorted(step, r.step)), step=r.step, reached=r.reached, superseded=r.superseded)
        for r in restarts
    )


def _resolve(series: Series | None) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Strictly rising steps: a row counts only if no later row has the same or an earlier step."""
    if series is None or len(series) == 0:
        return np.empty(0, dtype=np.int64), np.empty(0)
    step, value = series.step, series.value
    if len(step) < 2 or bool(np.all(step[1:] > step[:-1])):
        return step, value
    # The smallest step still to come; a row at or beyond it was superseded by a restart.
    to_come = np.minimum.accumulate(step[::-1])[::-1]
    keep = np.append(step[:-1] < to_come[1:], True)
    return step[keep], value[keep]


def _place(
    step: NDArray[np.int64], at: NDArray[np.int64], value: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    if len(at) == len(step) and np.array_equal(at, step):
        return value, np.ones(len(step), dtype=bool)
    placed, has = np.full(len(step), np.nan), np.zeros(len(step), dtype=bool)
    if len(at):
        where = np.minimum(np.searchsorted(step, at), len(step) - 1)
        hit = step[where] == at
        placed[where[hit]], has[where[hit]] = value[hit], True
    return placed, has


def _hold(step: NDArray[np.int64], at: NDArray[np.int64], value: NDArray[np.float64]) -> NDArray[np.float64]:
    """The last value logged at or before each step: a learning rate stays what it is until the next one is logged."""
    if len(at) == 0:
        return np.full(len(step), np.nan)
    if len(at) == len(step) and np.array_equal(at, step):
        return value
    where = np.searchsorted(at, step, side="right") - 1
    held: NDArray[np.float64] = np.where(where >= 0, value[np.maximum(where, 0)], np.nan)
    return held

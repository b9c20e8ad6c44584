"""The run as the analysis sees it: loss, norm, learning rate and loss scale on one time axis.

A run keeps everything as written. Here restarts are resolved (the later attempt wins from its first step on, since that
is the training that went on), misplaced rows are put in order, repeats are dropped, and series with other steps are laid on
the axis of the norm; `gradlens.signals.attempts` tells which is which. What was set aside stays visible as `restarts` and `order`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from gradlens.frozen import frozen
from gradlens.run import Notice, Run, Series
from gradlens.signals.attempts import Order, Restart, order_of
from gradlens.signals.starts import fresh_starts

if TYPE_CHECKING:
    from numpy.typing import NDArray


@frozen(eq=False)
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
        Where the log went back and a later attempt took over; `index` is a row of this axis.
    order
        What became of the rows of the longer one of loss and norm, as they were written.
    nonfinite_left_out
        Losses and norms that are NaN or infinite in rows that repeat a step or were set aside.
    nonfinite_replaced
        The same in rows of attempts that later ones superseded.
    hidden_nan
        Losses of exactly 0 beside a NaN norm that are NaN here: the trainer wrote 0 instead (`logging_nan_inf_filter`).
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
    order: Order
    nonfinite_left_out: int
    nonfinite_replaced: int
    hidden_nan: int
    log_interval: float | None
    irregular: float

    def __len__(self) -> int:
        return len(self.step)

    @property
    def bad_loss(self) -> NDArray[np.bool_]:
        """bool[n]: a loss was logged that is NaN or infinite."""
        return self.has_loss & ~np.isfinite(self.loss)

    @property
    def bad_norm(self) -> NDArray[np.bool_]:
        """bool[n]: a norm was logged that is NaN or infinite."""
        return self.has_norm & ~np.isfinite(self.norm)

    @property
    def from_the_start(self) -> bool:
        """Whether the axis begins where the log does, and not with a later attempt that restarted its step count."""
        return not any(restart.index == 0 and not restart.fresh for restart in self.restarts)

    @property
    def resumes(self) -> tuple[Restart, ...]:
        """The restarts that carry a training on, without those that begin one from scratch."""
        return tuple(restart for restart in self.restarts if not restart.fresh)


def signals_of(run: Run) -> Signals:
    """The signals of a run; the axis is that of the norm together with that of the loss."""
    given = {"loss": run.loss, "norm": run.grad_norm, "lr": run.lr, "loss_scale": run.loss_scale}
    main = main_series(run)
    written = main.step if main is not None else np.empty(0, dtype=np.int64)
    order = with_starts(order_of(written), run)
    orders = {name: _order_of(series, written, order) for name, series in given.items()}
    resolved = {name: _resolve(series, orders[name]) for name, series in given.items()}
    norm_step, loss_step = resolved["norm"][0], resolved["loss"][0]
    same = len(loss_step) == 0 or np.array_equal(norm_step, loss_step)
    step = norm_step if same else _merged(norm_step, loss_step)
    placed = {name: _place(step, *pair) for name, pair in resolved.items()}
    loss, hidden = _without_hidden_nan(*placed["loss"], *placed["norm"])
    gaps, interval = np.diff(step), interval_of(step)
    return Signals(
        step=step,
        loss=loss,
        norm=placed["norm"][0],
        lr=_forward_fill(step, *resolved["lr"]),
        loss_scale=_forward_fill(step, *resolved["loss_scale"]),
        has_loss=placed["loss"][1],
        has_norm=placed["norm"][1],
        restarts=tuple(replace(r, index=int(np.searchsorted(step, r.step))) for r in order.restarts),
        order=order,
        nonfinite_left_out=sum(_nonfinite(given[name], orders[name].left_out) for name in ("loss", "norm")),
        nonfinite_replaced=sum(_nonfinite(given[name], orders[name].replaced) for name in ("loss", "norm")),
        hidden_nan=hidden,
        log_interval=interval,
        irregular=float(np.mean(gaps != interval)) if len(gaps) else 0.0,
    )


def _without_hidden_nan(
    loss: NDArray[np.float64], has_loss: NDArray[np.bool_], norm: NDArray[np.float64], has_norm: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], int]:
    """The losses with NaN where a 0 stands for one, and how many: exactly 0 beside a NaN norm, in a loss that is not always 0."""
    hidden = has_loss & (loss == 0) & has_norm & np.isnan(norm)
    count = int(np.count_nonzero(hidden))
    others = has_loss & ~hidden
    if not count or not others.any() or not loss[others].any():
        return loss, 0
    return np.where(hidden, np.nan, loss), count


def main_series(run: Run) -> Series | None:
    """The longer one of norm and loss, the norm where both are as long; None where both are missing or empty."""
    known = [series for series in (run.grad_norm, run.loss) if series is not None and len(series)]
    return max(known, key=len) if known else None


def with_starts(order: Order, run: Run) -> Order:
    """The order of a run's longer series, in which the restarts that begin from scratch are marked."""
    main = main_series(run)
    if main is None or not order.restarts:
        return order
    loss = run.loss
    value = loss.value if loss is not None and np.array_equal(loss.step, main.step) else main.value
    fresh = fresh_starts(main.step, value, order.restarts)
    return replace(
        order, restarts=tuple(replace(r, fresh=is_fresh) for r, is_fresh in zip(order.restarts, fresh, strict=True))
    )


def interval_of(step: NDArray[np.int64]) -> float | None:
    """The median distance between steps; None with fewer than two."""
    return float(np.median(np.diff(step))) if len(step) > 1 else None


def _merged(a: NDArray[np.int64], b: NDArray[np.int64]) -> NDArray[np.int64]:
    """The different steps of both, ascending; numpy's union takes ten times as long on millions of them."""
    both = np.sort(np.concatenate((a, b)))
    return both[np.concatenate(([True], np.diff(both) > 0))] if len(both) else both


def _order_of(series: Series | None, written: NDArray[np.int64], order: Order) -> Order:
    """The order of a series; `order` is that of the steps `written` of the main series."""
    if series is None or np.array_equal(series.step, written):
        return order
    return order_of(series.step, order.restarts)


def _resolve(series: Series | None, order: Order) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Strictly rising steps of a series and their values."""
    if series is None or len(series) == 0:
        return np.empty(0, dtype=np.int64), np.empty(0)
    if len(order.rows) == len(series) and order.misplaced == 0:
        return series.step, series.value
    return series.step[order.rows], series.value[order.rows]


def _nonfinite(series: Series | None, rows: NDArray[np.int64]) -> int:
    """The values that are not finite in these rows of a series."""
    return 0 if series is None else int(np.count_nonzero(~np.isfinite(series.value[rows])))


def laid_out(signals: Signals, series: Series | None) -> NDArray[np.float64]:
    """The values of a further series at the steps of the axis, float64[n]; NaN where it has none there.

    The attempts of the axis are its attempts, and of a step that it repeats the last value counts.
    """
    if series is None or not len(series) or not len(signals):
        return np.full(len(signals), np.nan)
    return _place(signals.step, *in_order(signals, series))[0]


def in_order(signals: Signals, series: Series | None) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Strictly rising steps of a series and its values there, attempts resolved as on the axis; empty where it is None."""
    if series is None or not len(series):
        return _resolve(None, signals.order)
    return _resolve(series, order_of(series.step, signals.order.restarts))


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


def _forward_fill(step: NDArray[np.int64], at: NDArray[np.int64], value: NDArray[np.float64]) -> NDArray[np.float64]:
    """The last value logged at or before each step: a learning rate stays what it is until the next one is logged."""
    if len(at) == 0:
        return np.full(len(step), np.nan)
    if len(at) == len(step) and np.array_equal(at, step):
        return value
    where = np.searchsorted(at, step, side="right") - 1
    held: NDArray[np.float64] = np.where(where >= 0, value[np.maximum(where, 0)], np.nan)
    return held


def notices_of(signals: Signals) -> Iterator[Notice]:
    """What laying the series on one axis set aside or put in order, each row in one count only."""
    order = signals.order
    aborted = [restart for restart in order.restarts if restart.fresh]
    if aborted:
        first = aborted[0]
        yield Notice(
            code="earlier-starts",
            message=f"starts from scratch in front of this one (the first reached step {first.reached:,}): "
            f"{sum(restart.superseded for restart in aborted):,} rows of them are not used",
            count=len(aborted),
        )
    resumed = [restart for restart in order.restarts if not restart.fresh]
    if resumed:
        first = resumed[0]
        yield Notice(
            code="restarts-resolved",
            message=f"steps go back (first from {first.reached:,} to {first.step:,}): the later attempt is used, "
            f"{sum(restart.superseded for restart in resumed):,} earlier rows are not",
            count=len(resumed),
        )
    if signals.nonfinite_left_out:
        yield Notice(
            code="nonfinite-left-out",
            message="losses or norms that are NaN or infinite in rows that repeat a step or were set aside: not "
            "judged, but the "
            "gate counts them",
            count=signals.nonfinite_left_out,
        )
    if order.writers > 1:
        yield Notice(
            code="interleaved-rows",
            message=f"steps are written {order.writers} times in turn, as by several ranks: the last row of each step is "
            "used, these rows are not",
            count=order.repeated,
        )
        return
    if order.overlap:
        yield Notice(
            code="overlapping-rows",
            message="steps go back regularly, by the same number each time: the passes of one update overlap with "
            "the next; the last row "
            "of a step is judged",
            count=order.overlap,
        )
        return
    if order.repeated:
        yield Notice(
            code="repeated-steps",
            message="rows that repeat a step: the last one is used",
            count=order.repeated,
        )
    if order.misplaced:
        yield Notice(
            code="rows-sorted",
            message="rows written after a later step without a new attempt: put in order",
            count=order.misplaced,
        )
    if len(order.stray_steps):
        begun = f"; the last {order.begun} may be a new attempt that has just begun" if order.begun else ""
        yield Notice(
            code="stray-rows",
            message=f"rows far behind the step reached, which nothing continues (the first has step "
            f"{int(order.stray_steps[0]):,}): not used{begun}",
            count=len(order.stray_steps),
        )

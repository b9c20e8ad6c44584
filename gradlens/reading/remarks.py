"""What a reader's user should know about the series of a run: placeholders, hidden values, restarts, sampling."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gradlens.readers.base import NoticeBook
from gradlens.run import Series

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Distances between steps that differ from the usual one before a log counts as sampled. Our own; a resumed or
#: validated run has a few unusual distances, a sampled download mostly unusual ones.
IRREGULAR_SHARE = 0.1
#: Share of distances that are falls from which rows are out of order rather than resumed.
MANY_FALLS = 0.05


def remark(loss: Series | None, norm: Series | None, scale: Series | None, book: NoticeBook) -> None:
    """Notices about the recognised series of one run."""
    if norm is not None:
        _placeholders(norm, loss, book)
        book.add(
            "negative-norm",
            f"{norm.name} goes below 0, which a norm never does: is it another quantity, or a logarithm?",
            count=int(np.count_nonzero(norm.value < 0)),
        )
    if scale is not None and len(scale) and bool(np.all(scale.value <= 0)):
        book.add(
            "placeholder-loss-scale",
            f"{scale.name} is {scale.value[0]:g} throughout: no loss scale is in use",
            count=len(scale),
        )
    if loss is not None and norm is not None:
        _hidden_nans(loss, norm, book)
    main = max((s for s in (norm, loss) if s is not None), key=len, default=None)
    if main is not None and len(main) > 1:
        _axis(main, book)


def _placeholders(norm: Series, loss: Series | None, book: NoticeBook) -> None:
    finite = norm.value[np.isfinite(norm.value)]
    if len(finite) >= 2 and len(finite) == len(norm) and not finite.any():
        moving = loss is not None and len(np.unique(loss.value)) > 1
        why = (
            " while the loss moves: it was not measured"
            if moving
            else ": not measured, or no gradient reached the weights"
        )
        book.add(
            "placeholder-norm",
            f"{norm.name} is 0 throughout{why}",
            count=len(norm),
        )


def _hidden_nans(loss: Series, norm: Series, book: NoticeBook) -> None:
    """A loss of exactly 0 beside a norm of NaN: the trainer replaced a NaN (logging_nan_inf_filter)."""
    if len(loss) == len(norm) and np.array_equal(loss.step, norm.step):
        count = int(np.count_nonzero((loss.value == 0) & np.isnan(norm.value)))
    else:
        count = len(np.intersect1d(loss.step[loss.value == 0], norm.step[np.isnan(norm.value)]))
    book.add("hidden-nan", f"{loss.name} is 0 where {norm.name} is NaN: the trainer hides NaN losses", count=count)


def _axis(main: Series, book: NoticeBook) -> None:
    step = main.step
    change = np.diff(step)
    back = int(np.count_nonzero(change < 0))
    if back:
        ordered = np.unique(step)
        at = int(np.flatnonzero(change < 0)[0])
        book.add(
            "steps-go-backwards",
            f"steps go back, first from {step[at]} to {step[at + 1]}: a resume, a second start or rows out of order; every point was kept",
            where=f"point {at + 2}",
            count=back,
        )
        book.add(
            "overlapping-steps",
            "points at steps that were already logged",
            count=len(step) - len(ordered),
        )
        if back > MANY_FALLS * len(change):
            # The analysis puts them in order: the distances are those of the ordered steps.
            change = np.diff(ordered)
    repeated = _repeats(step, main.value)
    book.add(
        "duplicate-records",
        f"points of {main.name} that repeat the step and the value of the point before",
        count=repeated,
    )
    positive = change[change > 0]
    if len(positive) < 4:
        return
    interval = float(np.median(positive))
    odd = int(np.count_nonzero(positive != interval))
    if odd > IRREGULAR_SHARE * len(positive) and len(positive) >= 20:
        book.add(
            "irregular-steps",
            f"the distance between steps varies ({int(positive.min())} to {int(positive.max())}): "
            "a sampled download, or not every step was logged",
            count=odd,
        )
    elif interval > 1 and odd <= IRREGULAR_SHARE * len(positive):
        book.add("log-interval", f"one point every {interval:g} steps", count=len(main))


def _repeats(step: NDArray[np.int64], value: NDArray[np.float64]) -> int:
    same = (step[1:] == step[:-1]) & ((value[1:] == value[:-1]) | (np.isnan(value[1:]) & np.isnan(value[:-1])))
    return int(np.count_nonzero(same))

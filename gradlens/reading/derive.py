"""Series made from other series: roots of squared norms, scales from their logarithm, losses from likelihoods, totals from layers.

Each derived series gets a name that says how it was made, stands beside its source, and is announced by a notice.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np

from gradlens import vocabulary
from gradlens.readers.base import NoticeBook
from gradlens.run import Series

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: The order of the norm in `grad_2.0_norm/<layer>` (Lightning); other spellings mean the 2-norm.
_ORDER = re.compile(r"grad_(?P<order>[0-9.]+|inf)_norm")
#: A total and the root of its layers' squares that differ by more than this share are not the same quantity.
TOLERANCE = 0.01


def derive(table: Mapping[str, Series], layers: Mapping[str, Series], book: NoticeBook) -> dict[str, Series]:
    """The derived series by role; empty where the log has the quantities themselves.

    Parameters
    ----------
    table
        All series by name.
    layers
        Those that are per-layer norms.
    book
        Takes the notices.
    """
    made: dict[str, Series] = {}
    plain = [name for name in table if name not in layers]
    total = vocabulary.choose("grad_norm", plain)
    squared = vocabulary.choose("grad_norm_squared", plain)
    if total is None and squared is not None:
        source = table[squared]
        series = _mapped(source, f"sqrt({squared})", _root)
        made["grad_norm"] = series
        book.add("squared-norm", f"{squared} is the squared norm: its square root is used", count=len(series))
    log2 = vocabulary.choose("log2_loss_scale", plain)
    if log2 is not None and vocabulary.choose("loss_scale", plain) is None:
        series = _mapped(table[log2], f"2**{log2}", np.exp2)
        made["loss_scale"] = series
        book.add(
            "log2-loss-scale",
            f"{log2} is the binary logarithm of the loss scale: powers of two are used",
            count=len(series),
        )
    likelihood = vocabulary.choose("log_likelihood", plain)
    if likelihood is not None and not any(map(vocabulary.is_loss, plain)):
        made["loss"] = _mapped(table[likelihood], f"-{likelihood}", np.negative)
        book.add(
            "negated-likelihood",
            f"no loss in the log: {likelihood} with its sign changed is used, what training brings down",
            count=len(made["loss"]),
        )
    perplexity = vocabulary.choose("perplexity", plain)
    if perplexity is not None and "loss" not in made and not any(map(vocabulary.is_loss, plain)):
        made["loss"] = _mapped(table[perplexity], f"ln({perplexity})", _logarithm)
        book.add(
            "loss-from-perplexity",
            f"no loss in the log: the natural logarithm of {perplexity} is used, which is the loss of a token",
            count=len(made["loss"]),
        )
    if len(layers) > 1:
        whole = _recombined(layers)
        if whole is not None and total is None and "grad_norm" not in made:
            made["grad_norm"] = whole
            book.add(
                "norm-from-layers",
                f"no total norm in the log: computed from the norms of {len(layers)} layers",
                count=len(whole),
            )
        elif whole is not None and total is not None:
            _check(whole, table[total], len(layers), book)
    return made


def _mapped(source: Series, name: str, change: Callable[[NDArray[np.float64]], NDArray[np.float64]]) -> Series:
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        return Series(name=name, step=source.step, value=change(source.value), wall_time_s=source.wall_time_s)


def _logarithm(value: NDArray[np.float64]) -> NDArray[np.float64]:
    logarithm: NDArray[np.float64] = np.log(value)
    return logarithm


def _root(value: NDArray[np.float64]) -> NDArray[np.float64]:
    root: NDArray[np.float64] = np.sqrt(value)
    return root


def _recombined(layers: Mapping[str, Series]) -> Series | None:
    """The norm over all layers, at the steps at which each of them has one value."""
    first, *others = layers.values()
    match = _ORDER.search(next(iter(layers)))
    order = float(match["order"].strip(".") or 2) if match else 2.0
    step = first.step
    is_aligned = all(s.step is step or np.array_equal(s.step, step) for s in others)
    if not is_aligned:
        for series in layers.values():
            if len(np.unique(series.step)) < len(series):
                return None  # a layer repeats a step: which of its values belong together is not known
            step = np.intersect1d(step, series.step)
    if not len(step):
        return None

    def sizes() -> Iterator[NDArray[np.float64]]:
        # One layer at a time: a table of a thousand layers is not copied.
        for s in layers.values():
            if is_aligned:
                yield np.abs(s.value)
            else:
                yield np.abs(s.value[np.searchsorted(s.step, step)] if _rises(s.step) else _at(s, step))

    return Series(name=f"norm of {len(layers)} layers", step=step, value=_combined(sizes, order, len(step)))


def _combined(sizes: Callable[[], Iterator[NDArray[np.float64]]], order: float, n: int) -> NDArray[np.float64]:
    """The norm of that order over the layers, which `sizes` gives twice: float64[n]."""
    largest = np.zeros(n)
    for size in sizes():
        np.maximum(largest, size, out=largest)
    if np.isinf(order):
        return largest
    # Scaled by the largest layer, so that squares neither overflow nor vanish.
    scale = np.where((largest > 0) & np.isfinite(largest), largest, 1.0)
    total = np.zeros(n)
    with np.errstate(over="ignore", invalid="ignore"):
        for size in sizes():
            np.divide(size, scale, out=size)
            np.power(size, order, out=size)
            total += size
        combined: NDArray[np.float64] = scale * total ** (1 / order)
    return combined


def _rises(step: NDArray[np.int64]) -> bool:
    return bool(np.all(np.diff(step) > 0))


def _at(series: Series, step: NDArray[np.int64]) -> NDArray[np.float64]:
    order = np.argsort(series.step, kind="stable")
    found: NDArray[np.float64] = series.value[order][np.searchsorted(series.step[order], step)]
    return found


def _check(whole: Series, total: Series, n_layers: int, book: NoticeBook) -> None:
    """Compare the recombined norm with the total that the log has, at the steps they share."""
    if len(np.unique(total.step)) < len(total):
        return
    step = np.intersect1d(whole.step, total.step)
    if not len(step):
        return
    mine, logged = _at(whole, step), _at(total, step)
    good = np.isfinite(mine) & np.isfinite(logged) & (logged > 0)
    if not good.any():
        return
    ratio = mine[good] / logged[good]
    median = float(np.median(ratio))
    far = int(np.count_nonzero(np.abs(ratio - median) > TOLERANCE * max(median, 1e-12)))
    if median > 1 + TOLERANCE:
        book.add(
            "layers-exceed-total",
            f"the norms of {n_layers} layers come to {median:.3g} times {total.name}: it is "
            "not their norm (averaged, clipped, or of one shard?)",
            count=int(good.sum()),
        )
    elif median < 1 - TOLERANCE:
        book.add(
            "layers-below-total",
            f"the norms of {n_layers} layers come to {median:.3g} times {total.name}: layers are missing from the log",
            count=int(good.sum()),
        )
    elif far:
        book.add(
            "layers-differ", f"the norms of {n_layers} layers do not combine to {total.name} at some steps", count=far
        )
    else:
        book.add("layers-checked", f"the norms of {n_layers} layers combine to {total.name}", count=int(good.sum()))

"""What a page draws of a run, from its signals: traces, layers, tail, what other thresholds would have done."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np

from gradlens.diagnosis.features.recorder import COLUMNS
from gradlens.reports.analysis import Finding, Spikes, Tail
from gradlens.reports.picture import Exceedance, LayerMap, Picture, Resumed, Trace, WhatIfCurve
from gradlens.run import Run, Series
from gradlens.signals.axis import Signals, laid_out
from gradlens.stats.clipping import replay
from gradlens.stats.families import family_survival
from gradlens.stats.gpd import gpd_survival
from gradlens.stats.tails import detrended
from gradlens.stats.thinning import extremes
from gradlens.vocabulary import choose

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Points of a trace: two for each of 2,000 stretches, more than a screen has columns.
MAX_POINTS = 4_000
MAX_NONFINITE = 500
#: Cells of the map of layers, and layers of which each still has a line of pixels.
MAX_CELLS, MAX_LAYERS, MAX_STRETCHES = 60_000, 400, 240
MIN_NORMS_OF_TAIL = 200
#: Values at which the fits of the tail are drawn.
GRID = 120
#: Columns of the recorder that have a course; batches have none.
RECORDED = tuple(name for name in COLUMNS if name not in {"batch_id", "batch_size", "tokens", "grad_dot_update"})


def picture_of(
    run: Run,
    signals: Signals,
    *,
    findings: Iterable[Finding] = (),
    spikes: Spikes | None = None,
    tail: Tail | None = None,
    warmup: int = 0,
    trusted: bool = True,
) -> Picture:
    """Everything that can be drawn of a run.

    Parameters
    ----------
    run, signals
        As read, and on one axis.
    findings, spikes
        Their steps are never thinned away.
    tail
        The tail whose fits are drawn; None for none.
    warmup
        The row at which the warm-up ends.
    trusted
        Whether the norms say anything about thresholds.
    """
    named = {step for finding in findings for step in finding.steps}
    if spikes is not None:
        named |= {spike.step for spike in (*spikes.loss, *spikes.grad_norm)}
    keep = np.array(sorted(named), dtype=np.int64)
    return Picture(
        traces=tuple(_traces(run, signals, keep)),
        resumed=tuple(
            Resumed(step=restart.step, reached=restart.reached, fresh=restart.fresh) for restart in signals.restarts
        ),
        layers=layer_map(run.layers, signals),
        exceedance=None if tail is None else exceedance(signals.norm, tail, warmup),
        what_if=what_if(signals.norm) if trusted else None,
    )


def traces_of(signals: Signals, keep: NDArray[np.int64] | None = None) -> Iterator[Trace]:
    """Loss, norm, rate and loss scale of the axis, those that the run has."""
    keep = np.empty(0, dtype=np.int64) if keep is None else keep
    columns = (
        ("loss", signals.loss, signals.has_loss), ("grad_norm", signals.norm, signals.has_norm),
        ("lr", signals.lr, np.isfinite(signals.lr)), ("loss_scale", signals.loss_scale, np.isfinite(signals.loss_scale)),
    )  # fmt: skip
    for name, value, has in columns:
        if (trace := thinned(name, signals.step, value, has, keep)) is not None:
            yield trace


def thinned(
    name: str,
    step: NDArray[np.int64],
    value: NDArray[np.float64],
    has: NDArray[np.bool_],
    keep: NDArray[np.int64],
    most: int = MAX_POINTS,
) -> Trace | None:
    """A trace of at most about `most` points; None without a finite value.

    `has` is false where nothing was logged; `keep` are steps whose values have to be in.
    """
    known = has & np.isfinite(value)
    if not known.any():
        return None
    bad = step[has & ~known][:MAX_NONFINITE]
    at, finite = (step, value) if known.all() else (step[known], value[known])
    rows = extremes(finite, most, np.flatnonzero(np.isin(at, keep)) if len(keep) else None)
    stretch = 1 if len(finite) <= most else -(-len(finite) // (most // 2))
    return Trace(name=name, step=at[rows], value=finite[rows], rows=len(finite), stretch=stretch, nonfinite=bad)


def _traces(run: Run, signals: Signals, keep: NDArray[np.int64]) -> Iterator[Trace]:
    yield from traces_of(signals, keep)
    if run.val_loss is not None:
        val = run.val_loss
        order = np.argsort(val.step, kind="stable")
        trace = thinned("val_loss", val.step[order], val.value[order], np.ones(len(val), dtype=bool), keep)
        if trace is not None:
            yield trace
    named: dict[str, Series | None] = {"grad_norm_clipped": run.grad_norm_clipped}
    if len(run.series) > len(run.layers):
        free = [name for name in run.series if name not in run.layers]
        named |= {role: run.series[name] for role in RECORDED if (name := choose(role, free)) is not None}
    for role, series in named.items():
        value = laid_out(signals, series)
        if (trace := thinned(role, signals.step, value, ~np.isnan(value), keep)) is not None:
            yield trace


def layer_map(layers: Mapping[str, Series], signals: Signals) -> LayerMap | None:
    """The largest norm of each layer in up to 240 equal stretches of steps; None with fewer than two layers or rows.

    Of more than 400 layers those are left out whose norm changes least, largest over smallest stretch. Rows that a later
    attempt superseded count, too.
    """
    if len(layers) < 2 or len(signals) < 2:
        return None
    first, last = int(signals.step[0]), int(signals.step[-1])
    stretches = max(1, min(MAX_STRETCHES, len(signals), MAX_CELLS // min(len(layers), MAX_LAYERS)))
    edge = np.linspace(first, last + 1, stretches + 1)
    value = np.full((len(layers), stretches), np.nan)
    groups: dict[int, tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]] = {}
    for row, series in enumerate(layers.values()):
        if not len(series):
            continue
        if id(series.step) not in groups:
            groups[id(series.step)] = _grouped(series.step, edge)
        order, cuts, where = groups[id(series.step)]
        if len(order):
            size = np.where(np.isnan(series.value), np.inf, np.abs(series.value))
            value[row, where] = np.maximum.reduceat(size[order], cuts)
    names, left_out = tuple(layers), max(len(layers) - MAX_LAYERS, 0)
    if left_out:
        kept = np.sort(np.argsort(-_range(value), kind="stable")[:MAX_LAYERS])
        names, value = tuple(names[i] for i in kept), value[kept]
    return LayerMap(names=names, edge=edge, value=value, left_out=left_out)


def _grouped(
    step: NDArray[np.int64], edge: NDArray[np.float64]
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
    """Rows in order of stretch, where each stretch begins among them, and which stretch that is."""
    stretch = np.searchsorted(edge, step, side="right") - 1
    order = np.argsort(stretch, kind="stable")
    order = order[(stretch[order] >= 0) & (stretch[order] < len(edge) - 1)]
    cuts = np.flatnonzero(np.diff(stretch[order], prepend=-1))
    return order, cuts, stretch[order[cuts]]


def _range(value: NDArray[np.float64]) -> NDArray[np.float64]:
    """How much each layer changes, in logarithms; a layer with a value that is not finite first."""
    usable = np.where(np.isfinite(value) & (value > 0), value, np.nan)
    log = np.log(usable)
    low, high = np.fmin.reduce(log, axis=1), np.fmax.reduce(log, axis=1)
    return np.where(np.isinf(value).any(axis=1), np.inf, np.nan_to_num(high - low))


def exceedance(norm: NDArray[np.float64], tail: Tail, warmup: int) -> Exceedance | None:
    """The share of detrended norms above up to 160 values, and what the fits say there; None below 200 norms.

    The values are order statistics, dense in the tail: the largest norms are all there.
    """
    ordered = np.sort(detrended(norm, warmup_end=warmup))
    n = len(ordered)
    if n < MIN_NORMS_OF_TAIL or not ordered[-1] > ordered[0] > 0:
        return None
    rank = np.unique(np.concatenate((np.arange(1, 21), np.geomspace(20, n, 140).astype(np.int64))))
    value, share = ordered[n - rank][::-1], (rank / n)[::-1]
    fits: dict[str, NDArray[np.float64]] = {}
    # No order statistic lies in a gap of the tail, but what a fit says of it is to be seen.
    grid = np.geomspace(value[0], value[-1], GRID)
    with np.errstate(all="ignore"):
        for fit in tail.fits[:3]:
            fits[fit.family] = family_survival(fit.family, fit.parameters, grid)
        pareto = tail.pareto_tail
        if pareto is not None and pareto.sigma is not None and pareto.xi is not None:
            above = grid >= pareto.threshold
            survival = np.full(GRID, np.nan)
            beyond = gpd_survival(grid[above] - pareto.threshold, pareto.sigma, pareto.xi)
            survival[above] = pareto.n / n * beyond
            fits["pareto_tail"] = survival
    return Exceedance(value=value, share=share, n=n, grid=grid, fits=fits)


def what_if(norm: NDArray[np.float64]) -> WhatIfCurve | None:
    """What 120 thresholds would have clipped, from the 1st percentile of the norms to their maximum; None without a range."""
    usable = norm[np.isfinite(norm) & (norm > 0)]
    if len(usable) < 2:
        return None
    low, high = float(np.percentile(usable, 1)), float(usable.max())
    if not 0 < low < high:
        return None
    threshold = np.geomspace(low, high, 120)
    rate, shrink = replay(usable, threshold)
    return WhatIfCurve(threshold=threshold, clip_rate=rate, shrink_factor=shrink)

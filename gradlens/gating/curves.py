"""What a page draws of runs side by side: their curves, and by how much each differs from the first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from gradlens.figures.picture import thinned, traces_of
from gradlens.gating.summary import RunSummary
from gradlens.reports.picture import RunCurves, SidePicture, Trace
from gradlens.signals.axis import Signals
from gradlens.stats.robust import rolling_median

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Rows of the median that a difference is smoothed with, as where the curves part is looked for.
SMOOTHING = 33
_NOTHING = np.empty(0, dtype=np.int64)


def comparison_picture(ids: Sequence[str], signals: Sequence[Signals], partings: Sequence[int | None]) -> SidePicture:
    """Loss, norm and rate of each run, and the smoothed differences of all from the first.

    `partings` are the steps at which runs part, which no thinning loses.
    """
    keep = np.array(sorted({step for step in partings if step is not None}), dtype=np.int64)
    return SidePicture(
        runs=tuple(
            RunCurves(run=run, role="", traces=tuple(t for t in traces_of(s, keep) if t.name != "loss_scale"))
            for run, s in zip(ids, signals, strict=True)
        ),
        differences=tuple(
            RunCurves(run=run, role="", traces=tuple(_differences(signals[0], other, keep)))
            for run, other in zip(ids[1:], signals[1:], strict=True)
        ),
    )


def _differences(one: Signals, other: Signals, keep: NDArray[np.int64]) -> Iterator[Trace]:
    shared, i, j = np.intersect1d(one.step, other.step, assume_unique=True, return_indices=True)
    with np.errstate(all="ignore"):
        loss = other.loss[j] - one.loss[i]
        ratio = np.log(other.norm[j]) - np.log(one.norm[i])
    for name, value, back in (("loss", loss, False), ("grad_norm", ratio, True)):
        known = np.isfinite(value)
        if known.sum() < 2:
            continue
        # In logarithms the median of a ratio is the same whichever run comes first.
        smooth = rolling_median(value[known], min(SMOOTHING, int(known.sum())), centred=True)
        trace = thinned(name, shared[known], np.exp(smooth) if back else smooth, np.ones(len(smooth), dtype=bool), keep)
        if trace is not None:
            yield trace


def gate_picture(candidates: Sequence[RunSummary], baselines: Sequence[RunSummary]) -> SidePicture:
    """What the gate compares: loss, norm and clip rate of each window, drawn at the window's first step."""
    return SidePicture(
        runs=tuple(
            RunCurves(run=f"{role} {run.id}", role=role, traces=tuple(_windows(run)))
            for role, side in (("candidate", candidates), ("baseline", baselines))
            for run in side
        )
    )


def _windows(run: RunSummary) -> Iterator[Trace]:
    step = np.maximum(run.window * run.width, run.first_step)
    get = run.columns
    with np.errstate(all="ignore"):
        rate = get["clipped"] / get["norms"]
        values = {"loss": get["loss"], "grad_norm": np.exp(get["log_norm"]), "lr": get["lr"]}
        if run.clip_trusted and run.threshold is not None and run.threshold_source != "assumed":
            values["clip_rate"] = rate
        spikes = get["loss_spikes"] + get["norm_spikes"]
        if spikes.any():
            values["spikes"] = spikes
    for name, value in values.items():
        trace = thinned(name, step, value, ~np.isnan(value), _NOTHING)
        if trace is not None:
            yield trace

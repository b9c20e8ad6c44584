"""From a run to the curves that traits are measured on."""

from __future__ import annotations

import numpy as np

from gradlens.diagnosis.traits.base import RECORDED, Array, Curves
from gradlens.diagnosis.traits.numbers import layer_levels
from gradlens.run import Run, Series
from gradlens.signals.axis import Signals

#: Names of validation losses, without what stands before the last slash.
HELD_OUT = frozenset({"val_loss", "eval_loss", "valid_loss", "validation_loss", "test_loss"})


def curves_of(run: Run, signals: Signals, threshold: float | None, *, is_known: bool) -> Curves:
    """The curves of a run; `is_known` says whether the run is known to have used that threshold (None: not to have clipped)."""
    recorded, held_out = {}, None
    for name, series in run.series.items():
        word = name.rsplit("/", 1)[-1].lower()
        if word in RECORDED:
            recorded[word] = placed(series, signals)
        elif held_out is None and (word in HELD_OUT or name.lower() in {"eval/loss", "val/loss", "valid/loss"}):
            held_out = placed(series, signals)
    nothing = np.full(len(signals), np.nan)
    return Curves(
        loss=signals.loss,
        norm=signals.norm,
        rate=signals.lr,
        scale=signals.loss_scale,
        held_out=nothing if held_out is None else held_out,
        threshold=(np.inf if threshold is None else threshold) if is_known else np.nan,
        interval=signals.log_interval or 1.0,
        restarts=len(signals.resumes),
        layers=layer_levels([placed(series, signals) for series in run.layers.values()]),
        recorded=recorded,
    )


def placed(series: Series, signals: Signals) -> Array:
    """float64[n]: the last value that was written for each step of the axis, NaN where there is none."""
    if len(series) == len(signals) and np.array_equal(series.step, signals.step):
        return series.value
    found = np.full(len(signals), np.nan)
    if len(series) == 0 or len(signals) == 0:
        return found
    where = np.minimum(np.searchsorted(signals.step, series.step), len(signals) - 1)
    hit = signals.step[where] == series.step
    # Where a step was written twice, the later value stays.
    found[where[hit]] = series.value[hit]
    return found

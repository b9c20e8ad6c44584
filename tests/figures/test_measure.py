"""The figures that need no judgement."""

from __future__ import annotations

import numpy as np
import pytest

from gradlens.figures import measure
from gradlens.run import Columns, HistogramSeries, Run, Series
from gradlens.signals.axis import signals_of


def run_of(norm, histograms=()):
    step = np.arange(len(norm), dtype=np.int64)
    series = {"grad_norm": Series(name="grad_norm", step=step, value=np.asarray(norm, dtype=np.float64))}
    return Run(
        id="r", source="r", format="jsonl", series=series,
        columns=Columns(grad_norm="grad_norm"),
        histograms={h.name: h for h in histograms},
    )  # fmt: skip


def histogram(limits, counts, name="gradients/w"):
    return HistogramSeries(
        name=name, step=np.array([0]), limits=(np.array(limits, float),), counts=(np.array(counts, float),)
    )


def test_value_clipping_counts_both_sides_and_splits_a_cut_bucket():
    run = run_of([1.0], [histogram([-4, -2, 0, 2, 4], [1, 4, 4, 1])])
    assert measure.value_clipping(run, 2.0).share == pytest.approx(0.2)
    assert measure.value_clipping(run, 3.0).share == pytest.approx(0.1)
    assert measure.value_clipping(run, 3.0).share_beyond_fp16 == 0
    assert measure.value_clipping(run, None).share is None


def test_value_clipping_sees_what_fp16_cannot_hold():
    run = run_of([1.0], [histogram([0, 65504, 131008], [3, 1])])
    assert measure.value_clipping(run, None).share_beyond_fp16 == pytest.approx(0.25)


def test_histograms_of_weights_are_not_gradients():
    assert measure.value_clipping(run_of([1.0], [histogram([0, 1], [1], name="weights/w")]), 1.0) is None


def test_nonfinite_values_and_their_longest_streak():
    norm = np.ones(20)
    norm[3], norm[7:10] = np.nan, np.inf
    found = measure.nonfinite(signals_of(run_of(norm)))
    assert (found.grad_norm, found.loss, found.longest_streak, found.first_step) == (4, 0, 3, 3)


def test_percentiles_of_nothing():
    assert measure.percentiles(np.empty(0)) == {}

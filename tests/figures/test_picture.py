"""What a page draws: all that was logged, its extremes at their own steps, and figures that agree with the report."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from gradlens.analyzer import AnalysisOptions, analyze_run
from gradlens.figures.picture import MAX_CELLS, MAX_LAYERS, MAX_POINTS, layer_map
from gradlens.reports.base import plain_data
from gradlens.run import Columns, Run, Series
from gradlens.signals.axis import signals_of


def run_of(step, columns, layers=(), **roles):
    series = {
        name: Series(name=name, step=step, value=np.asarray(value, dtype=float)) for name, value in columns.items()
    }
    return Run(
        id="r", source="r", format="memory", series=series, columns=Columns(**{k: v for k, v in roles.items() if v in series}),
        layers={name: series[name] for name in layers},
    )  # fmt: skip


def noisy(n, seed=0):
    rng = np.random.default_rng(seed)
    step = np.arange(n, dtype=np.int64)
    return step, 1 + np.exp(-step / (n / 5)) + 0.02 * rng.standard_normal(n), np.exp(0.3 * rng.standard_normal(n))


def drawn(run, **options):
    return analyze_run(run, AnalysisOptions(picture=True, **options))


def test_a_short_run_is_drawn_row_by_row():
    step, loss, norm = noisy(300)
    loss[100] = np.nan
    norm[200] = np.inf
    found = drawn(run_of(step, {"loss": loss, "grad_norm": norm}, loss="loss", grad_norm="grad_norm")).picture
    trace = found.trace("loss")
    assert trace.stretch == 1
    assert trace.rows == len(trace.step) == 299
    assert trace.nonfinite.tolist() == [100]
    assert found.trace("grad_norm").nonfinite.tolist() == [200]
    assert np.array_equal(trace.value, np.delete(loss, 100))


def test_a_long_run_keeps_every_spike_at_its_step():
    step, loss, norm = noisy(60_000)
    spikes = np.arange(5_000, 60_000, 1_111)
    norm[spikes] *= 60
    report = drawn(run_of(step, {"loss": loss, "grad_norm": norm}, loss="loss", grad_norm="grad_norm"), threshold=1.0)
    trace = report.picture.trace("grad_norm")
    assert trace.rows == 60_000
    assert len(trace.step) <= MAX_POINTS + 2 + 300
    assert set(spikes.tolist()) <= set(trace.step.tolist())
    at = {int(s): v for s, v in zip(trace.step, trace.value, strict=True)}
    assert all(at[s] == norm[s] for s in spikes.tolist())
    named = {s.step for s in (*report.spikes.grad_norm, *report.spikes.loss)} | {
        s for f in report.findings for s in f.steps
    }
    assert named <= set(trace.step.tolist())


def test_the_picture_stands_beside_the_document():
    step, loss, norm = noisy(300)
    run = run_of(step, {"loss": loss, "grad_norm": norm}, loss="loss", grad_norm="grad_norm")
    document = json.dumps(plain_data(drawn(run)))
    assert document == json.dumps(plain_data(replace(drawn(run), picture=None)))
    assert analyze_run(run, AnalysisOptions()).picture is None


def test_columns_of_the_recorder_are_drawn():
    step, loss, norm = noisy(300)
    weights = np.full(300, np.nan)
    weights[::10] = np.linspace(3, 4, 30)
    columns = {"loss": loss, "grad_norm": norm, "weight_norm": weights, "batch_id": step}
    found = drawn(run_of(step, columns, loss="loss", grad_norm="grad_norm")).picture
    assert [t.name for t in found.traces] == ["loss", "grad_norm", "weight_norm"]
    assert len(found.trace("weight_norm").step) == 30


def layered(n_layers, n, seed=0):
    rng = np.random.default_rng(seed)
    step = np.arange(n, dtype=np.int64)
    names = [f"grad_norm/{i}" for i in range(n_layers)]
    values = {name: np.exp(0.1 * rng.standard_normal(n)) for name in names}
    return step, names, values


def test_layers_keep_their_largest_and_show_what_is_not_finite():
    step, names, values = layered(3, 1_000)
    values[names[1]][400] = 50.0
    values[names[2]][700] = np.nan
    run = run_of(step, {"loss": np.ones(1_000), **values}, layers=names, loss="loss")
    found = layer_map(run.layers, signals_of(run))
    assert found.names == tuple(names)
    assert np.nanmax(found.value[1]) == 50.0
    where = np.searchsorted(found.edge, 700, side="right") - 1
    assert np.isinf(found.value[2, where])
    assert np.isfinite(found.value[0]).all()


@pytest.mark.parametrize("n_layers", [2, 300, 1_000])
def test_maps_of_layers_stay_small(n_layers):
    step, names, values = layered(n_layers, 500)
    values[names[-1]][250] = 1e4
    run = run_of(step, {"loss": np.ones(500), **values}, layers=names, loss="loss")
    found = layer_map(run.layers, signals_of(run))
    assert found.value.size <= MAX_CELLS
    assert len(found.names) == min(n_layers, MAX_LAYERS)
    assert found.left_out == n_layers - len(found.names)
    assert names[-1] in found.names


def test_layers_at_other_steps_leave_gaps():
    step, names, values = layered(2, 100)
    series = {name: Series(name=name, step=step[::50], value=values[name][::50]) for name in names}
    run = run_of(step, {"loss": np.ones(100)}, loss="loss")
    found = layer_map(series, signals_of(run))
    assert np.isfinite(found.value).sum() == 4
    assert np.isnan(found.value).sum() == found.value.size - 4


def test_what_if_agrees_with_the_report():
    step, loss, norm = noisy(2_000)
    report = drawn(run_of(step, {"loss": loss, "grad_norm": norm}, loss="loss", grad_norm="grad_norm"), threshold=1.0)
    curve = report.picture.what_if
    assert np.all(np.diff(curve.clip_rate) <= 0)
    assert np.all(np.diff(curve.shrink_factor) >= -1e-12)
    assert np.interp(1.0, curve.threshold, curve.clip_rate) == pytest.approx(report.clipping.clip_rate, abs=0.02)
    assert np.interp(1.0, curve.threshold, curve.shrink_factor) == pytest.approx(
        report.clipping.shrink_factor, abs=0.02
    )
    assert curve.clip_rate[-1] == 0.0


def test_exceedance_holds_the_largest_norms_and_the_fits():
    step, loss, norm = noisy(5_000)
    report = drawn(run_of(step, {"loss": loss, "grad_norm": norm}, loss="loss", grad_norm="grad_norm"))
    found = report.picture.exceedance
    assert found.share[-1] == pytest.approx(1 / found.n)
    assert np.all(np.diff(found.value) >= 0)
    assert np.all(np.diff(found.share) < 0)
    assert "pareto_tail" in found.fits
    assert "lognormal" in found.fits
    # These norms are lognormal: that family describes what was measured.
    assert np.max(np.abs(np.interp(found.value, found.grid, found.fits["lognormal"]) - found.share)) < 0.03
    assert np.isnan(found.fits["pareto_tail"][0])


def test_without_trusted_norms_no_threshold_is_drawn():
    step, loss, _ = noisy(500)
    found = drawn(run_of(step, {"loss": loss, "grad_norm": np.zeros(500)}, loss="loss", grad_norm="grad_norm")).picture
    assert found.what_if is None
    assert found.exceedance is None

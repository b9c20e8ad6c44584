"""The weighing, the ranking in words, provenance, and what must never change a diagnosis."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from gradlens.checks.engine import run_checks
from gradlens.diagnosis.features.events import outlier_gap, period_of
from gradlens.diagnosis.features.schedule import schedule_of
from gradlens.diagnosis.ranking import CONFIRM, EXPERIMENTS, diagnose, experiment
from gradlens.diagnosis.signs import SIGNS, Ramp
from gradlens.diagnosis.status import verdict_of
from gradlens.diagnosis.weighing import Weights, load_weights, weigh
from gradlens.figures.notable import notable_steps
from gradlens.reports.base import NO_FAULT, Cause
from gradlens.signals.provenance import bunching

_SPEC = importlib.util.spec_from_file_location("synthetic_runs", Path(__file__).parent / "checks" / "synthetic.py")
synthetic = importlib.util.module_from_spec(_SPEC)
sys.modules["synthetic_runs"] = synthetic
_SPEC.loader.exec_module(synthetic)

FAULTS = [b for b, cause in synthetic.CAUSES.items() if cause != "healthy"]


def test_no_signs_is_healthy():
    beliefs = weigh({})
    assert beliefs.cause == "healthy"
    assert sum(p for _, p in beliefs.ranking) == pytest.approx(1.0)
    assert all(arguments == () for arguments in beliefs.arguments.values())


def test_scores_add_up():
    weights = Weights(bias={"healthy": 0.0, "bad_data": -1.0}, signs={"healthy": {}, "bad_data": {"a": 2.0, "b": -0.5}})
    beliefs = weigh({"a": 1.0, "b": 0.4}, weights=weights)
    assert beliefs.of("bad_data") == pytest.approx(1 / (1 + np.exp(-(-1.0 + 2.0 - 0.2))))
    assert [a.sign for a in beliefs.arguments["bad_data"]] == ["a", "b"]


def test_ceiling_goes_to_healthy():
    weights = Weights(bias={"healthy": 0.0, "bad_data": 5.0}, signs={"healthy": {}, "bad_data": {}})
    beliefs = weigh({}, ceilings={"bad_data": 0.79}, weights=weights)
    assert beliefs.of("bad_data") == 0.79
    assert beliefs.of("healthy") == pytest.approx(0.21)


@pytest.mark.parametrize("name", sorted(SIGNS))
def test_more_of_a_sign_never_turns_around(name):
    """A sign that speaks for a cause raises it, one that speaks against it lowers it."""
    for cause, table in load_weights().signs.items():
        # What stays unexplained in a run in trouble goes to the learning rate, whatever the sign.
        if table.get(name) and not (cause == "lr_too_high" and table[name] < 0):
            change = weigh({name: 1.0}).of(cause) / weigh({name: 1.0}).of("healthy")
            before = weigh({}).of(cause) / weigh({}).of("healthy")
            assert (change > before) == (table[name] > 0)


@pytest.mark.parametrize("build", FAULTS, ids=lambda b: b.__name__)
def test_diagnosis_in_words(build):
    case = build()
    findings, results = run_checks(case)
    found = diagnose(case, findings, verdict_of(case, findings, results))
    assert found.experiment
    assert found.summary
    assert found.ranking[0].because
    assert [r.confidence for r in found.ranking] == sorted((r.confidence for r in found.ranking), reverse=True)


def test_every_cause_has_an_experiment_against_healthy():
    causes = set(get_args(Cause)) - NO_FAULT
    assert set(CONFIRM) == causes >= set(load_weights().bias) - NO_FAULT
    assert all(experiment(cause, "healthy") == experiment("healthy", cause) != "" for cause in causes)
    assert all(pair <= causes and len(pair) == 2 for pair in EXPERIMENTS)


@pytest.mark.parametrize("factor", [1e-3, 1e3])
@pytest.mark.parametrize("build", [*FAULTS, synthetic.case_healthy], ids=lambda b: b.__name__)
def test_scale_changes_nothing(build, factor):
    case = build()
    columns = {s.name: s.value for s in case.run.series.values()}
    step = case.run.series["loss"].step
    for key in ("loss", "grad_norm"):
        changed = {**columns, key: columns[key] * factor}
        threshold = case.threshold
        if key == "grad_norm" and threshold is not None:
            threshold *= factor
        again = synthetic.make(changed, step=step + 1000, threshold=threshold, config=case.config)
        assert again.beliefs.cause == case.beliefs.cause


@settings(max_examples=40, deadline=None)
@given(
    arrays(np.float64, st.integers(1, 90), elements=st.floats(allow_nan=True, allow_infinity=True, width=64)),
    st.sampled_from([None, 0.5, 1e-300]),
)
def test_no_crash_on_any_floats(values, threshold):
    case = synthetic.make({"loss": values, "grad_norm": values[::-1].copy(), "lr": np.abs(values)}, threshold=threshold)
    findings, results = run_checks(case)
    found = diagnose(case, findings, verdict_of(case, findings, results))
    assert not [r for r in results if r.status == "errored"]
    assert np.isfinite(found.confidence)
    assert len(notable_steps(case.signals)) <= 10


def test_provenance():
    assert synthetic.case_after_clipping().provenance.verdict == "post_clip"
    assert synthetic.case_loss_scaled().provenance.verdict == "loss_scaled"
    assert synthetic.case_placeholder().provenance.placeholder
    assert synthetic.case_averaged().provenance.averaged
    assert synthetic.case_clipped().provenance.verdict == "pre_clip"
    assert synthetic.make(synthetic.healthy(), threshold=50.0).provenance.verdict == "unknown"
    assert synthetic.make(synthetic.healthy(), threshold=None).provenance.verdict == "pre_clip"
    assert not synthetic.case_after_clipping().provenance.trusted


def test_bunching_counts_the_band_only():
    norm = np.concatenate([np.full(30, 0.9999), np.linspace(0.5, 0.99, 70)])
    share, contrast = bunching(norm, 1.0)
    assert share == 0.30
    assert contrast > 5


def test_notable_steps_are_the_largest_norms_in_order():
    steps = notable_steps(synthetic.case_bad_batches().signals)
    assert {250, 420, 610, 777, 901, 1100} <= {s.step for s in steps}
    assert [s.step for s in steps] == sorted(s.step for s in steps)


def test_period():
    assert period_of(np.array([5, 55, 105, 205, 255])) == (50, 1.0)
    assert period_of(np.array([5, 55, 105])) is None
    assert period_of(np.array([5, 17, 60, 61, 200])) is None


def test_gap_needs_something_that_stands_apart():
    noise = np.linspace(0.0, 0.7, 500)
    assert outlier_gap(noise) == 0.0
    assert outlier_gap(np.append(noise, [4.0, 5.0])) > 1.0


def test_schedule_jump_and_replay():
    rate = synthetic.healthy()["lr"]
    assert schedule_of(rate).jumps == ()
    jumped = rate.copy()
    jumped[700:] *= 4
    assert [row for row, _ in schedule_of(jumped).jumps] == [700]
    replayed = np.concatenate([rate[:800], rate[700:1100]])
    assert schedule_of(replayed).replayed == (800,)


def test_ramp():
    rising, falling = Ramp(1.0, 2.0), Ramp(2.0, 1.0)
    assert (rising(0.0), rising(1.5), rising(9.0)) == (0.0, 0.5, 1.0)
    assert (falling(0.0), falling(9.0)) == (1.0, 0.0)
    assert rising(None) == rising(float("nan")) == 0.0

"""The ranking in words, and what must never change a diagnosis."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from gradlens.checks.engine import run_checks
from gradlens.diagnosis.ranking import CONFIRM, EXPERIMENTS, diagnose, experiment
from gradlens.diagnosis.status import verdict_of
from gradlens.diagnosis.weighing import load_weights
from gradlens.figures.notable import notable_steps
from gradlens.reports.base import NO_FAULT, Cause
from tests import synthetic

FAULTS = [b for b, cause in synthetic.CAUSES.items() if cause != "healthy"]


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
@example(np.array([np.nan, 1.0, *[0.0] * 5]), None)
@example(np.array([np.nan, 1.0, 0.0]), None)
def test_no_crash_on_any_floats(values, threshold):
    case = synthetic.make({"loss": values, "grad_norm": values[::-1].copy(), "lr": np.abs(values)}, threshold=threshold)
    findings, results = run_checks(case)
    found = diagnose(case, findings, verdict_of(case, findings, results))
    assert not [r for r in results if r.status == "errored"]
    assert np.isfinite(found.confidence)
    assert len(notable_steps(case.signals)) <= 10


def sums(ranked, scores):
    """The confidence as a reader adds it up from what the report says."""
    share = 0.0
    if ranked.score is not None:
        assert ranked.score == pytest.approx(ranked.bias + sum(s.grade * s.weight for s in ranked.signs))
        share = np.exp(ranked.score) / sum(np.exp(score) for score in scores.values())
        assert ranked.share == pytest.approx(share)
    return share + sum(shift.by for shift in ranked.shifts)


@pytest.mark.parametrize("build", [*FAULTS, synthetic.case_healthy, synthetic.case_no_norm], ids=lambda b: b.__name__)
def test_the_sum_of_every_confidence_can_be_done_by_hand(build):
    case = build()
    findings, results = run_checks(case)
    found = diagnose(case, findings, verdict_of(case, findings, results))
    assert set(found.scores) == set(load_weights().bias) - case.excluded
    for ranked in found.ranking:
        assert ranked.confidence == pytest.approx(sums(ranked, found.scores), abs=1e-9)
        assert all(shift.why for shift in ranked.shifts)
        assert ranked.score == found.scores.get(ranked.cause)


def test_what_a_ceiling_takes_away_says_why():
    case = synthetic.make(synthetic.healthy(40), threshold=5.0)
    findings, results = run_checks(case)
    found = diagnose(case, findings, verdict_of(case, findings, results))
    assert any("40 rows" in shift.why for ranked in found.ranking for shift in ranked.shifts)

"""The gate on the labelled runs, and a small piece of the simulation of `benchmarks/gate/simulated.py`."""

from __future__ import annotations

import math

import pytest

from benchmarks.gate.runs import against_twins
from benchmarks.gate.simulated import Process, cell, exceedance, solve


@pytest.mark.slow
@pytest.mark.corpus
def test_harmful_faults_are_red(corpus):
    found = against_twins(corpus / "labelled")
    assert found["faults"] >= 40
    assert found["red"] >= 0.9


@pytest.mark.slow
def test_false_alarms_are_rare_and_a_doubled_clip_rate_is_red():
    log_threshold = -solve(0.05, lambda c: exceedance(Process(), -c), -3.0, 3.0)
    level = solve(0.10, lambda x: exceedance(Process(level=x), log_threshold), 0.0, 2.0)
    assert math.isclose(exceedance(Process(level=level), log_threshold), 0.10, rel_tol=1e-6)
    same = cell(Process(), 0.9, 1000, 1, 30, log_threshold)
    assert same["red"] <= 0.1
    assert same["naive_red"] > 0.2
    assert cell(Process(level=level), 0.5, 2000, 1, 20, log_threshold)["red"] >= 0.9

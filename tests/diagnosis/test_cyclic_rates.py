"""Rates that go up and down all the time: meant where each round costs nothing, an accident where it does."""

from __future__ import annotations

import numpy as np
import pytest

from tests.diagnosis.test_facts import finding, judged

N = 600


def run(lr, g, *, learns=True):
    n = len(lr)
    loss = 0.1 + 2.2 * np.exp(-np.arange(n) / (n / 10 if learns else 0.02 * n)) + 0.03 * lr / lr.max()
    if not learns:
        loss += 1.0 * (np.arange(n) / n) * (lr > 0.5 * lr.max())
    return judged(
        {"loss": loss * np.exp(0.05 * g.standard_normal(n)), "grad_norm": np.exp(0.2 * g.standard_normal(n)), "lr": lr}
    )


def waves(period, n=N):
    return 0.1 * 0.5 * (1 + np.cos(2 * np.pi * np.arange(n) / period))


def saw(period, n=N):
    return 0.1 * 0.5 * (1.02 + np.cos(np.pi * (np.arange(n) % period) / period))


@pytest.mark.parametrize("period", [20, 40, 66])
def test_a_cosine_that_turns_many_times_and_costs_nothing_is_a_note(period):
    report = run(waves(period), np.random.default_rng(0))
    assert report.verdict.status == "clear"
    assert {"GL203", "GL205"} & {f.code for f in report.findings}


@pytest.mark.parametrize("period", [10, 25, 60])
def test_warm_restarts_every_few_rows_are_a_note(period):
    report = run(saw(period), np.random.default_rng(1))
    assert report.verdict.status == "clear"
    assert finding(report, "GL203").severity.value == "note"


@pytest.mark.parametrize("period", [400, 200, 120])
def test_some_turns_are_those_of_a_schedule_that_is_too_short(period):
    report = run(waves(period), np.random.default_rng(2))
    assert report.diagnosis.cause == "schedule_mismatch"


def test_a_cycle_after_which_the_loss_stays_up_is_told():
    assert run(waves(60), np.random.default_rng(3), learns=False).verdict.status == "problem"

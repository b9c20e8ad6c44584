"""How sure a log lets one be."""

from __future__ import annotations

import pytest

from tests.synthetic import healthy, make


def test_how_sure_a_log_lets_one_be():
    assert make(healthy()).ceilings["bad_data"].at < 1.0  # no events: a verdict would rest on a row or two
    assert make(healthy(40)).ceilings["lr_too_high"].at < 0.5
    assert "lr_too_high" not in make(healthy(200)).ceilings


@pytest.mark.parametrize("n", [9_000, 60_000])
def test_long_runs_are_seen_alike(n):
    run = healthy(n)
    run["loss"][n // 2 :] *= 1.6
    run["grad_norm"][n // 2 :] *= 1.5
    assert make(run, threshold=5.0).beliefs.cause == "data_shift"
    run = healthy(n)
    for row in range(n // 4, n, n // 10):
        run["loss"][row : row + 6] *= 3.0
        run["grad_norm"][row : row + 6] *= 5.0
    assert make(run, threshold=None).beliefs.cause == "bad_data"
    assert make(healthy(n)).beliefs.cause == "healthy"


@pytest.mark.parametrize(("rows", "most"), [(15, 0.37), (50, 0.54), (400, 1.0)])
def test_seeing_nothing_in_few_rows_says_little(rows, most):
    beliefs = make(healthy(rows), threshold=5.0).beliefs
    assert beliefs.cause == "healthy"
    assert beliefs.of("healthy") <= most
    assert sum(p for _, p in beliefs.ranking) == pytest.approx(1.0)


def test_seeing_nothing_without_norms_says_little():
    run = healthy()
    beliefs = make({"loss": run["loss"]}, threshold=None).beliefs
    assert beliefs.of("healthy") <= 0.43

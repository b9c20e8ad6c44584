"""Ten to thirty rows: what they show all the same, and what they do not."""

from __future__ import annotations

import numpy as np
import pytest

from tests.diagnosis.test_facts import finding, judged

FALLS = (7.5, 5.1, 3.9, 3.5, 3.3, 3.1, 3.07, 2.99, 2.96, 2.92, 2.84, 2.86, 2.74, 2.80, 2.78)


@pytest.mark.parametrize(
    ("loss", "outcome"),
    [
        ((*FALLS, 7.07, 7.09, 7.14, 7.08), "ended_worse"),
        (
            (1.66, 1.42, 1.43, 1.41, 1.50, 1.53, 1.67, 1.76, 1.80, 1.93, 2.03, 2.10, 2.20, 2.29, 2.38, 2.46, 2.55),
            "ended_worse",
        ),
        ((0.55, 0.51, 0.39, 0.47, 0.57, 0.56, 0.52, 3.1, 12.1, 77.7, 760.0, 11410.0), "diverged"),
    ],
    ids=["back to the start", "climbs", "explodes"],
)
def test_what_is_lost_for_good_is_told(loss, outcome):
    run = judged({"loss": np.array(loss), "lr": np.full(len(loss), 1e-4)})
    assert run.verdict.status == "problem"
    assert run.verdict.outcome == outcome
    assert "does not come back" in finding(run, "GL510").message


@pytest.mark.parametrize(
    "loss",
    [
        FALLS,
        (*FALLS, 6.9),
        (*FALLS[:8], 6.9, *FALLS[8:]),
        (0.9, 1.4, 0.5, 1.9, 0.7, 1.1, 0.4, 2.2, 0.6, 1.3, 1.8, 1.9, 1.6),
    ],
    ids=["falls", "one bad row at the end", "one on the way", "noise"],
)
def test_the_rest_is_not_enough_to_judge(loss):
    run = judged({"loss": np.array(loss), "lr": np.full(len(loss), 1e-4)})
    assert run.verdict.status == "insufficient"


def test_the_loss_of_learned_values_may_explode_in_few_rows():
    loss = np.array(
        [0.55, 0.51, 0.39, 0.47, 0.57, 0.56, 0.52, 0.4, 0.4, 0.74, 0.73, 12.0, 77.0, 760.0, 1.1e4, 1.3e5, 1.2e6]
    )
    run = judged({"loss": loss, "q_mean": np.sqrt(loss), "episode_return": np.linspace(0, 9, len(loss))})
    assert run.verdict.outcome == "diverged"


def test_a_number_that_stays_for_a_few_rows_is_dead():
    g = np.random.default_rng(6)
    loss = np.round(
        np.append(2.3 * np.exp(-np.arange(12) / 6) + 0.3 + 0.02 * g.standard_normal(12), np.full(7, 0.6931)), 4
    )
    assert judged({"loss": loss}).verdict.outcome == "not_learning"


@pytest.mark.parametrize("units", [[1] * 20, [1] * 6 + [9] * 8], ids=["equal", "rises"])
def test_losses_of_the_smallest_floats(units):
    # They have steps of 5e-324, so that a quarter or a billionth of one is 0.
    run = judged({"loss": 5e-324 * np.array(units), "lr": np.full(len(units), 1e-4)})
    assert run.verdict.status != "clear"

"""Losses of exactly 0 among others, at their limits."""

from __future__ import annotations

import numpy as np
import pytest

from gradlens.diagnosis.facts import masked
from tests.diagnosis.facts.shown import lines
from tests.synthetic import make


def case(loss, norm=None, **more):
    loss = np.asarray(loss, dtype=float)
    norm = np.where(loss == 0, 0.0, 1.0) if norm is None else norm
    return make({"loss": loss, "grad_norm": norm, **more}, threshold=None)


def losses(every=5, n=200, seed=0):
    """A descent with a zero in every few rows."""
    rng = np.random.default_rng(seed)
    loss = (1.0 + np.exp(-np.arange(n) / 60)) * np.exp(0.1 * rng.standard_normal(n))
    loss[every // 2 :: every] = 0.0
    return loss


def test_what_is_said():
    (fact,) = masked.find(case(losses()))
    assert lines((fact,)) == [
        "GL514 | warning | not_learning? | - | 2 7 12 17 22 27 32 37 | 0.2 of 0.05 in 200",
    ]
    assert (
        "exactly 0 in 40 rows (20 %) throughout the run, and so is the norm there, and never below 0." in fact.message
    )
    (fact,) = masked.find(case(losses(), norm=np.ones(200)))
    assert "throughout the run, and never below" in fact.message


@pytest.mark.parametrize(("every", "rows", "said"), [(5, 40, 1), (5, 39, 0), (20, 200, 1), (22, 200, 0)])
def test_rows_and_share(every, rows, said):
    assert len(masked.find(case(losses(every)[:rows]))) == said


def test_zeros_that_come_later_are_reached():
    loss = losses()
    loss[:50] = np.where(loss[:50] == 0, 1.5, loss[:50])
    assert masked.find(case(loss)) == ()


def test_losses_near_zero_beside_them_are_those_of_a_margin():
    loss = losses()
    loss[100] = 0.15
    assert masked.find(case(loss)) == ()


def test_a_loss_that_means_nothing_is_not_looked_at():
    assert masked.find(case(losses(), reward=np.linspace(0, 1, 200), kl=np.ones(200))) == ()
    assert masked.find(case(-losses())) == ()
    assert masked.find(case(np.zeros(200))) == ()


def test_nothing_is_clear_above_them():
    assert case(losses()).cause == "not_learning"


def test_a_loss_that_is_learned_to_zero_has_no_batches_without_labels():
    loss = losses(2)
    loss[150:] = np.where(np.arange(50) % 25 == 0, 1.0, 0.0)
    assert masked.find(case(loss)) == ()


@pytest.mark.parametrize(("level", "said"), [(1.9, 0), (2.1, 1)])
def test_a_small_loss_that_is_rounded_is_no_zero(level, said):
    # Twenty steps of a tenth: what lies around zero may have been printed as 0.
    loss = np.round(losses() + level, 1)
    loss[2::5] = 0.0
    lowest = loss[loss > 0].min()
    loss[loss > 0] += level - lowest
    assert len(masked.find(case(np.round(loss, 1)))) == said


def with_zeros(rows, zeros):
    """A loss of 1 with zeros at some rows."""
    loss = np.resize([1.0, 1.01, 0.99], rows)
    loss[list(zeros)] = 0.0
    built = case(loss)
    built.__dict__["loss_descends"] = True
    return built


@pytest.mark.parametrize(
    ("rows", "zeros", "said"),
    [
        (40, [4, 12, 14, 16, 22, 24, 26, 32, 34, 36], 1),  # one in four, and of the first ten one: four tenths of that
        (40, [12, 14, 16, 18, 22, 24, 26, 32, 34, 36], 0),
        (40, [4, 5, 6, 12, 14, 16, 22, 24, 26, 32], 1),
        (40, [4, 5, 6, 12, 14, 16, 22, 24, 26, 28], 0),
        # Three in eight are 0; of the others the last quarter has a quarter: four tenths of five in eight.
        (80, [1, 5, 9, 13, *range(24, 35), *range(60, 75)], 1),
        (80, [1, 5, 9, 13, *range(24, 34), *range(60, 76)], 0),
        (72, [10, 16, 20, 24, 30, 36, 42, 48, 55, 61], 1),  # quarters, and not shorter parts
        (80, range(80), 0),
    ],
)  # fmt: skip
def test_how_evenly_zeros_are_spread(rows, zeros, said):
    assert len(masked.find(with_zeros(rows, zeros))) == said


def spread(others):
    """Some losses with a zero after each four of them."""
    return case([x for at, other in enumerate(others, 1) for x in ([other] if at % 4 else [other, 0.0])])


@pytest.mark.parametrize(
    ("others", "said"),
    [
        # Where a level falls, five rows before the first low one and five from it on are its level: half of the sum.
        ([9.0] * 40 + [1.0] * 40, 1),
        ([9.1] * 40 + [1.0] * 40, 0),
        ([1.0, 1.0, 9.1, 9.1] + [1.0] * 76, 1),
    ],
)
def test_a_fifth_of_the_level_of_ten_neighbours(others, said, monkeypatch):
    monkeypatch.setattr(masked, "rounding_step", lambda _: 0.0)
    assert len(masked.find(spread(others))) == said


@pytest.mark.parametrize(("least", "said"), [(1.25, 1), (1.1875, 0)])
def test_exactly_twenty_steps_of_rounding(least, said):
    assert len(masked.find(spread([least] * 40 + [least + 0.0625] + [least] * 39))) == said

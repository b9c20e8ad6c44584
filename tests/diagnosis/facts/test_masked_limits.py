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

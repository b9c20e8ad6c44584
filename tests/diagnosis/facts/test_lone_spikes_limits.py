"""Spikes of a loss without norms, at their limits."""

from __future__ import annotations

import numpy as np
import pytest

from gradlens.diagnosis.facts import lone_spikes
from tests.diagnosis.facts.shown import line
from tests.synthetic import make

AT = (60, 120, 170)


def case(*, at=AT, times=2.0, rows=1, n=200, noise=0.01, seed=0, **more):
    """A slow descent whose loss is multiplied at some rows."""
    rng = np.random.default_rng(seed)
    loss = (1.0 + np.exp(-np.arange(n) / 80)) * np.exp(noise * rng.standard_normal(n))
    for row in at:
        loss[row : row + rows] *= times
    return make({"loss": loss, **more}, step=10 * np.arange(n), threshold=None)


def test_what_is_said():
    (fact,) = lone_spikes.find(case())
    assert line(fact).startswith("GL301 | warning | bad_data? | - | 600 1200 1700 | ")
    assert "in 3 places the loss jumps, to 2." in fact.message
    assert case().cause == "bad_data"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"at": (60,)}, 0),  # one batch may be chance
        ({"at": (60, 120)}, 1),
        ({"at": (4, 120, 170)}, 1),
        ({"at": (4, 5, 6, 120)}, 0),  # the start is left out
        ({"times": 1.25}, 1),
        ({"times": 1.15}, 0),  # by less than a fifth of its level
        ({"rows": 3}, 1),
        ({"rows": 6}, 0),  # does not come back within rows
        ({"noise": 0.12}, 0),  # within the noise
        ({"n": 99, "at": (40, 70)}, 0),
        ({"n": 100, "at": (40, 70)}, 1),
        ({"at": tuple(range(20, 200, 12))}, 0),  # too many for the exception
        ({"grad_norm": np.ones(200)}, 0),  # where norms are logged, they have a say
    ],
)
def test_limits(options, said):
    assert len(lone_spikes.find(case(**options))) == said


def test_a_heavy_tail_has_no_gap():
    rng = np.random.default_rng(2)
    loss = (1.0 + np.exp(-np.arange(400) / 100)) * np.exp(0.02 * rng.standard_t(1.5, 400).clip(-3, 60))
    assert lone_spikes.find(make({"loss": loss}, threshold=None)) == ()


@pytest.mark.parametrize(("last", "said"), [(2.0, 1), (8.0, 1)])
def test_spikes_that_decay_are_back_within_a_fiftieth_of_the_run(last, said):
    n = 1000
    rng = np.random.default_rng(0)
    row = np.arange(n)
    loss = (1.0 + np.exp(-row / 300)) * np.exp(0.01 * rng.standard_normal(n))
    for at in (300, 500, 800):
        loss += 3.0 * np.where(row < at, 0.0, np.exp(-np.abs(row - at) / last))
    assert len(lone_spikes.find(make({"loss": loss}, threshold=None))) == said


def test_a_loss_printed_with_two_digits():
    case_ = make(
        {"loss": np.round(np.resize([1.0, 1.0, 1.01], 200) + 2.0 * np.isin(np.arange(200), AT), 2)}, threshold=None
    )
    assert len(lone_spikes.find(case_)) == 1

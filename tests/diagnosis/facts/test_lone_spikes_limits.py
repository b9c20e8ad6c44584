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


# --- heights that are counted in deviations


def heights(*rows, n=200, of=1.0, zero=False, off=0.01):
    """A level of which neighbours lie some way off, and rows far above it; what is said of them."""
    loss = of * (1.0 + off * np.resize([0.0, 1.0, -1.0, 0.5, -0.5], n))
    for row, height in rows:
        loss[row] = of * height
    if zero:
        loss[3] = 0.0
    return lone_spikes.find(make({"loss": loss}, step=10 * np.arange(n), threshold=None))


@pytest.mark.parametrize(
    ("rows", "options", "found"),
    [
        (((60, 2.0), (120, 2.0)), {}, True),
        (((60, 2.0), (120, 2.0)), {"of": 0.2}, True),
        (((60, 2.0), (120, 2.0)), {"zero": True}, False),
        # A twentieth of the rows is the start: the row 10 is the last one of it.
        (((10, 2.0), (120, 2.0)), {}, False),
        (((11, 2.0), (120, 2.0)), {}, True),
        # By a fifth of the level.
        (((60, 1.21), (120, 1.21)), {}, True),
        (((60, 1.19), (120, 1.19)), {}, False),
        # Twice the highest of the others, of which some rise by less than a fifth.
        (((60, 1.36), (120, 1.36), (160, 1.19)), {}, False),
        (((60, 1.42), (120, 1.42), (160, 1.19)), {}, True),
        # At most six in a hundred rows.
        (tuple((row, 2.0) for row in range(20, 188, 14)), {}, True),
        (tuple((row, 2.0) for row in range(20, 189, 13)), {}, False),
        # Neighbours within four rows are one.
        (((60, 2.0), (62, 2.0)), {}, False),
        (((60, 2.0), (64, 2.0)), {}, False),
        (((60, 2.0), (65, 2.0)), {}, True),
        # By twelve deviations: the middle distance is half of .03, a deviation 1.48 times that.
        (((60, 1.29), (120, 1.29)), {"off": 0.03}, True),
        (((60, 1.25), (120, 1.25)), {"off": 0.03}, False),
        # Not back before the log ends.
        (((60, 2.0), (199, 2.0)), {}, False),
        (((60, 2.0), (198, 2.0)), {}, True),
        (((60, 2.0), (120, 2.0), (121, 1.8), (122, 1.8), (123, 1.8)), {}, True),
    ],
)
def test_rows_that_stand_out(rows, options, found):
    assert bool(heights(*rows, **options)) == found


def test_the_rows_of_most_are_listed():
    (fact,) = heights(*((row, 2.0 + 0.01 * at) for at, row in enumerate(range(20, 182, 18))))
    assert fact.steps == (1640, 1460, 1280, 1100, 920, 740, 560, 380)
    assert "in 9 places the loss jumps, to 2.08 from about 1" in fact.message


@pytest.mark.parametrize(("after", "beside"), [([9, 3.9, 0], [4, 5, 6]), ([9, 4.0, 0], [4, 5, 6, 7]), ([3.0, 9, 9], [4, 5]), ([9] * 9, [4, 5, 6, 7, 8, 9])])  # fmt: skip
def test_what_is_left_of_a_spike(after, beside):
    height = np.concatenate((np.zeros(5), [20.0], after, np.zeros(9)))
    found = lone_spikes._beside(height > 12, height, 4)
    assert list(np.flatnonzero(found)) == beside


def test_the_first_row_has_none_before_it():
    height = np.array([20.0, 0.0, 0.0])
    assert list(lone_spikes._beside(height > 12, height, 4)) == [True, False, False]


def test_the_highest_row_of_each_group():
    height = np.zeros(40)
    height[[3, 5, 9, 14, 30]] = 1, 2, 3, 1, 1
    hot = np.flatnonzero(height)
    assert list(lone_spikes._tops(height, hot, 9)) == [9, 14, 30]
    assert list(lone_spikes._tops(height, hot, 3)) == [5, 9, 14, 30]


@pytest.mark.parametrize(
    ("after", "back"), [([3.9], True), ([4.0], False), ([9, 9, 9, 3.9], True), ([9, 9, 9, 9, 0], False), ([], False)]
)
def test_when_a_loss_is_back(after, back):
    assert lone_spikes._is_back(np.array([0.0, 20.0, *after]), 1, 4) == back

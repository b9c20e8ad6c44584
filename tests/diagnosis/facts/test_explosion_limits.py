"""Losses that mean nothing and grow all the same, at their limits."""

from __future__ import annotations

import numpy as np
import pytest

from gradlens.diagnosis.facts import explosion
from tests.diagnosis.facts.shown import lines
from tests.synthetic import make


def agent(loss, norm=None):
    """An agent of which loss and norm are known, every ten steps."""
    loss = np.asarray(loss, dtype=float)
    norm = np.ones(len(loss)) if norm is None else norm
    case = make({"loss": loss, "grad_norm": norm}, step=10 * np.arange(len(loss)), threshold=None)
    case.__dict__["loss_descends"] = False
    return case


def growing(rows=60, last=5, times=1000.0, begins=()):
    """A loss of about two that ends at some times that for some rows, with what comes before these."""
    loss = np.where(np.arange(rows) % 2, 1.0, -0.99)
    loss[rows - last :] = times
    loss[rows - last - len(begins) : rows - last] = begins
    return 2.0 * loss


def test_what_is_said_of_a_loss():
    facts = explosion.find(agent(growing()))
    assert lines(facts) == ["GL510 | error | unknown? | diverged from 550 | 550 | 1000 of 100 in 60"]
    assert "loss grows from about 2 to 2e+03" in facts[0].message
    assert "not finite" not in facts[0].message
    facts = explosion.find(agent([*growing(), np.nan, np.inf]))
    assert facts[0].message.endswith("to 2e+03, and is not finite at step 600")
    assert explosion.find(agent([np.inf, *growing()]))[0].message.endswith("to 2e+03")


@pytest.mark.parametrize(
    ("loss", "found"),
    [
        (growing(13, 2), True),
        (growing(12, 2), False),  # ten rows and three
        (growing(times=99.0), False),
        (growing(times=100.1), True),
        (growing(last=2), True),
        (growing(last=1), False),  # one of the last three
        (growing(60, 21), True),
        (growing(60, 30), False),  # a third of the rows that tell what is usual
        (np.zeros(60), False),
    ],
)
def test_a_hundred_times_the_usual_size(loss, found):
    assert bool(explosion.find(agent(loss))) == found


@pytest.mark.parametrize(
    ("before", "since"), [((2.9, 3.1, 50.0), 530), ((3.1, 3.2, 50.0), 520), ((5.0, 2.9, 2.9), 550)]
)
def test_growth_is_dated_from_three_times_the_usual_size(before, since):
    assert explosion.find(agent(growing(begins=before)))[0].since_step == since


def test_growth_that_ends_in_a_low_row_is_dated_there():
    assert explosion.find(agent([*growing()[:-1], 1.0]))[0].since_step == 590


# --- the norm


def grown(rows=100, at=60, slope=0, times=6.0, part=0.0):
    """A norm of two that is thrice that for some rows from one on, and then some times it."""
    norm = np.ones(rows)
    norm[at:], norm[at + slope :] = 3.0, times
    norm[: int(part * rows)] = times
    return 2.0 * norm


def test_what_is_said_of_a_norm():
    facts = explosion.find(agent(np.ones(100), grown()))
    assert lines(facts) == ["GL501 | note | unknown? | - | 600 | 6 of 5"]
    assert "grows from about 2 to 12 from step 600 on" in facts[0].message


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"rows": 20, "at": 12}, True),
        ({"rows": 19, "at": 12}, False),
        ({"times": 4.99}, False),
        ({"times": 5.0}, True),
        ({"at": 26}, True),
        ({"at": 25}, False),  # half of what tells its level has grown
        ({"at": 91}, False),  # the last fifth has not grown
        ({"slope": 10}, True),
        ({"slope": 11}, False),  # gradually
        ({"rows": 40, "at": 25, "slope": 5}, True),
        ({"rows": 40, "at": 25, "slope": 6}, False),
        ({"part": 0.24}, True),
        ({"part": 0.26}, False),  # half of the first half was as large
    ],
)
def test_five_times_its_level(change, found):
    norm = grown(**change)
    assert bool(explosion.find(agent(np.ones(len(norm)), norm))) == found


@pytest.mark.parametrize(("dip", "since"), [(4.0, 660), (4.1, 600)])
def test_a_norm_leaves_its_level_where_it_was_last_below_twice_that(dip, since):
    norm = np.where(np.arange(100) == 65, dip, grown())
    assert explosion.find(agent(np.ones(100), norm))[0].steps == (since,)


def test_zeros_and_missing_norms_are_left_out():
    norm = np.repeat(grown(), 3)
    norm[1::3], norm[2::3] = np.nan, 0.0
    assert explosion.find(agent(np.ones(300), norm))[0].steps == (1800,)
    assert explosion.find(agent(np.ones(60), grown(60, 59))) == ()


def test_a_loss_that_descends_is_judged_elsewhere():
    case = agent(growing(), grown(60, 40))
    assert [f.code for f in explosion.find(case)] == ["GL510", "GL501"]
    case.__dict__["loss_descends"] = True
    assert explosion.find(case) == ()


def from_the_start(end, *, first=2.0, kind="signless"):
    """A loss that grows from its first ten rows on, so that what is usual of it is large."""
    first = np.resize(first, 10)
    case = agent(np.concatenate((first, np.full(45, 500.0), np.full(5, end))))
    case.__dict__["loss_kind"] = kind
    return explosion.find(case)


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ({"end": 2001.0}, True),
        ({"end": 2000.0}, False),  # a thousand times what it began with
        ({"end": 2001.0, "kind": "adversarial"}, True),
        ({"end": 2001.0, "kind": "policy"}, False),
        ({"end": 1001.0, "first": 0.5}, True),
        ({"end": 1000.0, "first": 0.5}, False),  # or of one
        ({"end": 4901.0, "first": [0.0, 0.0, 0.0, 10.0, 10.0]}, True),  # a deviation of 4.899
        ({"end": 4897.0, "first": [0.0, 0.0, 0.0, 10.0, 10.0]}, False),
    ],
)
def test_losses_without_bounds_are_compared_with_their_first_rows(options, found):
    facts = from_the_start(**options)
    assert bool(facts) == found
    if found:
        assert facts[0].since_step == 100

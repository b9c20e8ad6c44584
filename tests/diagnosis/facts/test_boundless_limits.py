"""Losses without bounds, and what begins without a shock, at their limits."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from gradlens.diagnosis.facts import arithmetic, boundless, shock
from tests.diagnosis.facts.shown import line
from tests.synthetic import make


def case(loss):
    return make({"loss": np.asarray(loss, dtype=float)}, step=5 + 10 * np.arange(len(loss)), threshold=None)


#: From 1 to -19 in the first half, and from -20 to -44 in the second one: 1.2 times as far.
LEVELS = (1.0, -6.0, -12.0, -19.0, -20.0, -28.0, -36.0, -44.0)


def falling(*, rows=24, **levels):
    """Eight levels of three rows, some of them other ones."""
    value = [levels.get(f"l{at}", level) for at, level in enumerate(LEVELS)]
    return boundless.find(case(np.repeat(value, 3)[:rows]))


def test_what_is_said_of_a_loss_without_a_floor():
    (fact,) = falling(l7=-50.0)
    assert line(fact) == "GL510 | warning | unknown? | diverged from 5 | - | 1.5 of 1.2 in 24"
    assert "falls from 1 to -50, ever faster" in fact.message


@pytest.mark.parametrize(
    ("levels", "said"),
    [
        ({}, True),
        ({"rows": 23}, False),
        ({"l7": -43.9}, False),  # not faster enough
        ({"l2": -6.0}, False),  # a level that does not fall
        ({"l0": 1.4, "l3": -12.1, "l4": -13.0, "l7": -42.1}, True),
        ({"l0": 1.5, "l3": -13.0, "l4": -14.0, "l7": -45.0}, False),  # thirty times the start
        ({"l0": 1.5, "l3": -13.0, "l4": -14.0, "l7": -45.1}, True),
        ({"l0": -1.5, "l3": -13.0, "l4": -14.0, "l7": -45.0}, False),
        ({"l0": -1.5, "l3": -13.0, "l4": -14.0, "l7": -45.1}, True),
    ],
)
def test_thirty_times_the_start_and_ever_faster(levels, said):
    assert bool(falling(**levels)) == said


def test_what_is_said_of_a_loss_beyond_all_sense():
    (fact,) = boundless.find(case([1.0] * 5 + [2e15, 3e15] + [2e4] * 5))
    assert line(fact) == "GL510 | warning | lr_too_high? | diverged from 55 | 55 | 3e+15 of 1e+15 in 12"
    assert fact.message.startswith("the loss is 3e15 at step 65 and 20,000 at the end")


@pytest.mark.parametrize(
    ("highest", "end", "rows", "said"),
    [
        (1.1e15, 1e4, 12, True),
        (1e15, 1e4, 12, False),
        (1.1e15, 9999.0, 12, False),
        (1.1e15, 1e4, 11, False),
    ],
)
def test_absurd_and_sane(highest, end, rows, said):
    assert bool(boundless.find(case([1.0] * (rows - 4) + [highest] + [end] * 3))) == said


def test_what_means_nothing_is_left_alone():
    agent = case(np.repeat(LEVELS, 3))
    agent.__dict__["loss_descends"] = False
    assert boundless.find(agent) == ()
    assert boundless.find(case([*np.repeat(LEVELS, 3), np.nan])) == ()


# --- a shock


def column(rows, **at):
    value = np.ones(rows)
    for row, height in at.items():
        value[int(row[1:])] = height
    return value


@pytest.mark.parametrize(
    ("loss", "norm", "row", "without"),
    [
        (column(60), column(60), 30, True),
        (column(60, r20=1.6), column(60), 30, False),
        (column(60, r19=1.6), column(60), 30, True),
        (column(60, r49=1.6), column(60), 30, False),
        (column(60, r50=1.6), column(60), 30, True),
        (column(60, r30=1.5), column(60), 30, True),
        (column(60), column(60, r30=3.0), 30, True),
        (column(60), column(60, r30=3.1), 30, False),
        (column(60, r0=1.6), column(60), 5, False),
        (column(50), column(50), 30, True),
        (column(49), column(49), 30, False),  # too few rows after it to say so
        (column(60), np.where(np.arange(60) < 50, column(60, r30=9.0), np.nan), 30, False),
        (column(60), np.where(np.arange(60) < 49, column(60, r30=9.0), np.nan), 30, True),  # nor of the norm
        (column(90), np.where(np.arange(90) < 50, np.nan, 1.0), 30, True),  # no norm near it
    ],
)
def test_rows_and_heights_of_a_shock(loss, norm, row, without):
    signals = SimpleNamespace(step=10 * np.arange(len(loss)), loss=loss, norm=norm)
    assert shock.begins_without_a_shock(SimpleNamespace(signals=signals), 10 * row) == without


# --- a rate that is never zero for long


@pytest.mark.parametrize(
    ("lowest", "rows", "said"), [(2e-4, 10, True), (2e-4, 9, False), (1e-4, 10, False), (0.0, 10, False)]
)
def test_a_rate_that_is_never_zero(lowest, rows, said):
    signals = SimpleNamespace(lr=np.array([lowest] + [1.0] * (rows - 1) + [np.nan]))
    assert bool(arithmetic.find(SimpleNamespace(signals=signals))) == said


@pytest.mark.parametrize(("zeros", "said"), [([5], True), ([5, 1, 5, 1], True), ([6], False), ([2, 1, 6], False)])
def test_a_rate_that_is_zero_in_passing(zeros, said):
    """Stretches of rows at zero and above, by turns, and above zero up to a hundred."""
    column = np.concatenate([np.full(n, float(at % 2)) for at, n in enumerate(zeros)])
    rate = np.concatenate([column, np.ones(100 - len(column))])
    assert bool(arithmetic.find(SimpleNamespace(signals=SimpleNamespace(lr=rate)))) == said


def test_a_rate_that_is_zero_throughout():
    assert arithmetic.find(SimpleNamespace(signals=SimpleNamespace(lr=np.zeros(100)))) == ()

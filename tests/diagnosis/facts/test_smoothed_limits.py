"""Losses that are running means, at their limits."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gradlens.diagnosis.facts import smoothed
from gradlens.stats.robust import MAD_TO_SIGMA
from tests.diagnosis.facts.shown import line
from tests.synthetic import make


def built(loss, name="loss"):
    case = make({"loss": np.asarray(loss, dtype=float)}, threshold=None)
    case.run = replace(case.run, columns=replace(case.run.columns, loss=name))
    return case


# --- by the way changes follow each other

#: Ups and downs that repeat, as many of both, whose products with those one, two and three rows on have these means.
FOLLOW = {
    (-0.4, 0.0, 0.0): "+-+-+-+--++---+-++-+",
    (-0.2, 0.0, 0.0): "+-+-+++-+--++-+----+",
    (0.0, 0.0, 0.0): "+-++----+---++++-+-+",
    (0.2, 0.0, 0.0): "++---+-----++++-++-+",
    (-0.2, 0.2, 0.0): "+++-----+-+-++-++-+-",
    (-0.2, 0.0, -0.2): "+--+-+--+++-+-+++---",
}


def changes(*correlations, size=2.0, times=15):
    return size * np.tile([1.0 if sign == "+" else -1.0 for sign in FOLLOW[correlations]], times)


def memory(change, *, named=False):
    return smoothed.memory_of(100.0 + np.concatenate(([0.0], np.cumsum(change))), named=named)


@pytest.mark.parametrize(
    ("correlations", "rows", "if_named"),
    [
        ((-0.4, 0.0, 0.0), None, None),  # as those of single batches
        ((-0.2, 0.0, 0.0), 2.5, 2.5),
        ((0.0, 0.0, 0.0), 50.0, 50.0),  # as many as are told apart
        ((0.2, 0.0, 0.0), None, None),
        ((-0.2, 0.2, 0.0), None, 2.5),
        ((-0.2, 0.0, -0.2), None, 2.5),
    ],
)
def test_how_changes_follow_each_other(correlations, rows, if_named):
    change = changes(*correlations)
    assert memory(change) == (rows and pytest.approx(rows, rel=0.03))
    assert memory(change, named=True) == (if_named and pytest.approx(if_named, rel=0.03))
    if rows == 2.5:
        assert memory(change + 1.0) == pytest.approx(rows, rel=0.03)  # a drift is none of it


def test_a_constant_loss_is_no_mean():
    assert memory(np.zeros(200), named=True) is None


@pytest.mark.parametrize(("times", "is_one"), [(12.0, True), (12.1, False)])
def test_no_change_of_a_mean_is_far_larger_than_the_others(times, is_one):
    change = changes(-0.2, 0.0, 0.0)
    change[100] *= times
    assert (memory(change) is not None) == is_one
    assert memory(change, named=True) is not None


def test_a_change_counts_as_six_times_the_usual_one_at_most():
    def with_large(times):
        change = changes(-0.2, 0.0, 0.0)
        at = np.arange(3, 300, 50)
        change[at] = np.resize([1.0, -1.0], len(at)) * times * 2.0
        return memory(change, named=True)

    assert with_large(10.0) == pytest.approx(with_large(6.0))
    assert with_large(5.0) != pytest.approx(with_large(6.0))


@pytest.mark.parametrize(
    ("rows", "name", "is_one"),
    [
        (150, "loss", True),
        (149, "loss", False),
        (150, None, True),
    ],
)
def test_a_mean_needs_a_hundred_and_fifty_rows(rows, name, is_one):
    loss = 100.0 + np.cumsum(changes(-0.2, 0.0, 0.0))[:rows]
    assert (smoothed.averages_over(built(loss, name)) is not None) == is_one


@pytest.mark.parametrize(
    ("name", "is_one"), [("loss", False), ("loss_avg", True), ("ema_loss", True), ("savage", False)]
)
def test_a_name_says_that_it_is_a_mean(name, is_one):
    loss = 100.0 + np.cumsum(changes(-0.2, 0.2, 0.0))
    assert (smoothed.averages_over(built(loss, name)) is not None) == is_one


def test_the_second_half_tells():
    change = changes(-0.2, 0.0, 0.0, times=30)
    change[:300] = changes(0.2, 0.0, 0.0)
    assert smoothed.averages_over(built(100.0 + np.cumsum(change))) == pytest.approx(2.5, rel=0.03)


# --- by how far it wanders

#: The rows of a period, whose median is 0 in any five rows, and what the deviation of their scatter is.
PERIOD = np.array([0.0, 0.1, -0.1, 0.2, -0.2])
WANDER = 0.1 * MAD_TO_SIGMA


def told(monkeypatch, *, n=400, memory=4.0, bumps=(), slope=0.0, convex=0.0, louder=(), known=True):
    """A level with bumps of so many times its wander over some rows, of a mean over some rows; `louder` rows vary by three times."""
    monkeypatch.setattr(smoothed, "averages_over", lambda _: memory)
    noise = np.resize(PERIOD, n)
    noise[list(louder)] *= 3.0
    loss = 50.0 + noise - slope * np.arange(n) + convex * np.clip(2.0 - 2.0 * np.arange(n) / n, 0, 1) ** 2
    for first, rows, height in bumps:
        loss[first : first + rows] += height * WANDER
    case = built(loss)
    if not known:
        case.__dict__["progress"] = None
    return smoothed.find(case)


def test_what_is_said(monkeypatch):
    (fact,) = told(monkeypatch, bumps=[(100, 7, 5.0)])
    assert line(fact) == "GL005 | note | unknown? | - | - | 4 in 400"
    assert "a running mean over about 4 rows: rises of up to 0.74" in fact.message


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, True),
        ({"memory": None}, False),
        ({"known": False}, False),
        ({"bumps": [(100, 7, 5.9)]}, True),
        ({"bumps": [(100, 7, 6.1)]}, False),
        # In the first five memories three deviations of a batch more: three times the root of eight.
        ({"bumps": [(6, 7, 14.3)]}, True),
        ({"bumps": [(6, 7, 14.7)]}, False),
        ({"bumps": [(25, 7, 10.0)]}, False),
        ({"bumps": [(0, 10, -10.0)]}, True),  # one batch that was an easy one
        ({"bumps": [(390, 10, 11.0)]}, False),
        ({"memory": 50.0, "n": 150, "bumps": [(40, 7, 35.0)]}, True),
        ({"memory": 50.0, "n": 150, "bumps": [(40, 7, 37.0)]}, False),
        ({"memory": 50.0, "n": 150, "bumps": [(40, 7, -5.0)]}, True),
        ({"memory": 50.0, "n": 150, "bumps": [(40, 7, -9.0)]}, False),
        # The wander is that of the second half, without its trend, and no curve is a trend.
        ({"louder": range(80, 200), "bumps": [(40, 7, 6.5)]}, False),
        ({"slope": 0.01, "bumps": [(100, 7, 9.0)]}, False),
        ({"convex": 10.0, "bumps": [(100, 7, 9.0)]}, True),
        # Of 8,400 rows each two make one.
        ({"n": 8400, "bumps": [(4, 14, 10.0)]}, True),
        ({"n": 8400, "bumps": [(60, 14, 10.0)]}, False),
    ],
)
def test_rises_within_its_wander(options, said, monkeypatch):
    assert bool(told(monkeypatch, **options)) == said

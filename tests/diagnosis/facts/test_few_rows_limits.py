"""What ten to thirty rows show, at its limits."""

from __future__ import annotations

import numpy as np
import pytest

from gradlens.diagnosis.facts import few_rows
from gradlens.stats.robust import MAD_TO_SIGMA
from tests.diagnosis.facts.shown import lines
from tests.synthetic import make


def run(loss):
    loss = np.asarray(loss, dtype=float)
    return make({"loss": loss, "grad_norm": np.ones(len(loss))}, step=10 * np.arange(len(loss)), threshold=None)


def lost(*, start=4.0, low=1.0, end=3.0, rows=14, last=4, sway=0.0):
    """A loss that falls to a level within three rows, stays, and is at another one in the last rows; it sways from row to row."""
    loss = np.full(rows, low)
    loss[:3] = start, (start * low) ** 0.5 if low > 0 else low, low
    loss[rows - last :] = end
    return loss + sway * np.resize([1.0, -1.0, 0.0], rows)


def test_what_is_said_of_it():
    facts = few_rows.find(run(lost(sway=0.05)))
    (fact,) = facts
    assert lines(facts)[0].startswith("GL510 | warning | unknown? | ended_worse from 100 | 100 | ")
    assert fact.message.startswith("the loss falls from 4.05 to ")
    assert "rises from about step 100 on" in fact.message
    assert (fact.evidence[0].threshold, fact.evidence[0].n) == (8.0, 14)
    (fact,) = few_rows.find(run(lost(start=1.0, end=2.6)))
    assert lines((fact,))[0].startswith("GL510 | error | lr_too_high? | diverged from 100 | 100 | ")
    assert fact.message.startswith("the loss begins at 1 and ends at 2.6")


@pytest.mark.parametrize(
    ("change", "outcome"),
    [
        ({}, "ended_worse"),
        ({"rows": 10, "last": 3}, "ended_worse"),
        ({"rows": 9, "last": 3}, None),
        ({"rows": 29}, "ended_worse"),
        ({"rows": 30}, None),  # its course is measured
        ({"end": 2.51}, "ended_worse"),
        ({"end": 2.49}, None),  # half of the descent
        ({"start": 1.0, "end": 1.26}, "ended_worse"),
        ({"start": 1.0, "end": 1.24}, None),  # a quarter of its level
        ({"start": 1.0, "end": 2.51}, "diverged"),
        ({"start": 1.0, "end": 2.49}, "ended_worse"),
        ({"last": 3}, "ended_worse"),
        ({"last": 2}, None),
        ({"low": 0.0}, None),
    ],
)
def test_what_is_lost_for_good(change, outcome):
    assert [f.outcome for f in few_rows.find(run(lost(**change)))] == ([] if outcome is None else [outcome])


def test_a_loss_that_sways_by_as_much_tells_nothing():
    assert len(few_rows.find(run(lost(sway=0.1)))) == 1
    assert few_rows.find(run(lost(sway=0.6))) == ()


def test_what_is_not_finite_or_means_nothing():
    case = run(lost())
    case.__dict__["loss_descends"] = False
    assert few_rows.find(case) == ()
    assert few_rows.find(run([*lost(), np.nan])) == ()


@pytest.mark.parametrize(
    ("loss", "noise"),
    [
        ([1.0, 3.0, 1.0, 3.0, 1.0, 3.0], MAD_TO_SIGMA * 4.0 / 6.0**0.5),
        ([1.0, 2.0, 3.0, 4.0, 5.0], 0.1 / 0.9539),  # a trend has no bends: a tenth of its steps is left
        ([2.0, 2.0, 2.0, 2.0, 2.0], 2e-12),
        ([1.0, 3.0, 1.0, 3.0], 0.0),
    ],
)
def test_the_noise_of_a_part(loss, noise):
    assert few_rows._noise(np.array(loss)) == pytest.approx(noise)


def test_how_far_a_loss_wanders():
    loss = np.array(
        [0.0, 1.0, 3.0, 4.0, 6.0, 7.0, 9.0, 10.0, 12.0]
    )  # steps of one and two in turn: half of one from their median
    assert few_rows._wander(loss, 0) == pytest.approx(MAD_TO_SIGMA * 0.5 * 3.0)
    assert few_rows._wander(loss, 5) == pytest.approx(MAD_TO_SIGMA * 0.5 * 2.0)
    assert few_rows._wander(np.arange(9.0), 0) == 0.0


def test_where_a_loss_leaves_its_level():
    loss = np.array([5.0, 1.0, 1.0, 3.0, 1.0, 2.0, 3.0])
    assert few_rows._leaves(loss, 1, 2.0) == 5
    assert few_rows._leaves(loss, 1, 2.1) == 6
    assert few_rows._leaves(loss, 1, 0.5) == 1


def test_a_smoothed_loss_that_drifts_up_wanders():
    # Steps up of a fifth that vary by as much: it ends far above its lowest level, by chance.
    change = np.resize([0.05, 0.4, -0.3, 0.45], 20)
    loss = 2.0 + np.concatenate(([0.0], np.cumsum(change)))
    assert loss[-1] > 2.5 * loss[0] * 0.9
    assert few_rows.find(run(loss)) == ()


@pytest.mark.parametrize(
    ("low", "end", "noise", "wander", "told"),
    [
        (1.0, 2.0, 0.125, 0.0, True),  # eight deviations of the noise
        (1.0, 2.0, 0.126, 0.0, False),
        (1.0, 1.25, 0.0, 0.0, True),  # a quarter of the lowest level
        (2.0, 2.5, 0.0, 0.0, True),
        (2.0, 2.4, 0.0, 0.0, False),
        (1.0, 2.0, 0.0, 0.2, True),  # five times the way that it wanders
        (1.0, 2.0, 0.0, 0.201, False),
    ],
)
def test_exactly_at_what_a_rise_must_be(low, end, noise, wander, told, monkeypatch):
    monkeypatch.setattr(few_rows, "_noise", lambda _: noise)
    monkeypatch.setattr(few_rows, "_wander", lambda *_: wander)
    found = few_rows.find(run(lost(start=low, low=low, end=end)))
    assert bool(found) == told
    if found and noise:
        assert found[0].evidence[0].value == pytest.approx((end - low) / noise)


def test_exactly_half_of_the_descent_and_two_and_a_half_times_the_start():
    assert len(few_rows.find(run(lost(end=2.5)))) == 1
    assert few_rows.find(run(lost(start=1.0, end=2.5)))[0].outcome == "ended_worse"


@pytest.mark.parametrize(("start", "word"), [(1.125, "begins at 1.12"), (1.25, "falls from 1.25 to 1 and")])
def test_what_lies_above_the_lowest_level_by_no_more_than_the_noise_did_not_fall(start, word, monkeypatch):
    monkeypatch.setattr(few_rows, "_noise", lambda _: 0.125)
    assert word in few_rows.find(run(lost(start=start)))[0].message

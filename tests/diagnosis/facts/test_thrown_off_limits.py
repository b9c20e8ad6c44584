"""First losses that are never regained, at their limits."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from gradlens.diagnosis.facts import thrown_off
from tests.diagnosis.facts.shown import line
from tests.synthetic import make


@pytest.fixture(autouse=True)
def exact(monkeypatch):
    """Levels without noise; what a running mean is, is told elsewhere."""
    monkeypatch.setattr(thrown_off, "neighbour_noise", lambda _: 0.0)
    monkeypatch.setattr(thrown_off, "averages_over", lambda _: None)


def told(*, first=1.0, peak=2.0, until=11, end=1.5, rows=60, low=(), at=None, rest=1.5, resumed=False):
    """A first loss, a peak up to a row, and a level after it; rows of `low` are as low as the first."""
    loss = np.full(rows, rest)
    loss[1:until] = peak
    if at is not None:  # the first level at the peak is the one of this row
        loss[1 : at - 1] = rest
    loss[0] = first
    loss[list(low)] = first
    case = make({"loss": loss}, step=10 * np.arange(rows), threshold=None)
    if resumed:
        case.signals = replace(case.signals, restarts=(SimpleNamespace(index=0, fresh=False),))
    return thrown_off.find(case, SimpleNamespace(end=end))


def test_what_is_said():
    fact = told(first=0.5, until=19, rows=100, at=11)
    assert line(fact) == "GL511 | warning | lr_too_high? | stalled from 0 | 100 | 4 of 2 in 100"
    assert (
        "drove the loss from 0.5 to 2 (step 100), and it never came below where it began: it ends at 1.5"
        in fact.message
    )


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, True),
        ({"rows": 59}, False),
        ({"resumed": True}, False),
        ({"peak": 1.99}, False),
        ({"first": 0.25, "rest": 0.3, "peak": 0.5, "end": 0.3}, True),
        ({"low": [40], "first": 0.0}, False),
        ({"end": 1.6}, True),  # four fifths of the peak
        ({"end": 1.61}, False),
        ({"rows": 100, "until": 19, "at": 16}, True),
        ({"rows": 100, "until": 30, "at": 23}, False),  # after the first fifth
        ({"until": 30, "at": 15}, False),
        ({"low": [6]}, False),  # one in nine
        ({"low": [10, 11, 13, 16, 18]}, True),
        ({"rest": 0.97}, True),
        ({"rest": 0.969}, False),
        ({"until": 5, "peak": 2.0}, True),
        ({"until": 2, "peak": 2.0}, False),  # one row is no level
    ],
)
def test_limits(options, said):
    assert (told(**options) is not None) == said


@pytest.mark.parametrize(
    ("rows", "at", "low", "said"),
    [
        (100, 11, [5], False),  # the peak is the row 10: one in 19 rows up to twice that is more than a twentieth
        (100, 12, [5], True),
        (100, 12, [5, 7], False),
        (100, 12, [22, 24, 26, 28, 30, 45, 50], True),
    ],
)
def test_few_rows_up_to_twice_the_peak_are_as_low_as_the_first(rows, at, low, said):
    assert (told(rows=rows, until=19, at=at, low=low) is not None) == said


@pytest.mark.parametrize(("noise", "said"), [(0.27, True), (0.28, False)])
def test_five_deviations_of_the_noise(noise, said, monkeypatch):
    monkeypatch.setattr(thrown_off, "neighbour_noise", lambda _: noise)
    assert (told(peak=4.0, end=1.5) is not None) == said  # 4 is 1.386 in logarithms


def test_a_running_mean_begins_at_the_loss_of_one_batch(monkeypatch):
    monkeypatch.setattr(thrown_off, "averages_over", lambda _: 20.0)
    assert told() is None


@pytest.mark.parametrize(("low", "said"), [(range(4, 400, 2), False), (range(1202, 1500, 2), True)])
def test_a_long_run_is_looked_at_in_blocks(low, said):
    # Nine thousand rows are 4,500 levels: the peak of the level 301 is that of the row 602.
    fact = told(rows=9000, until=1200, at=603, low=low)
    assert (fact is not None) == said
    if said:
        assert fact.steps == (6020,)

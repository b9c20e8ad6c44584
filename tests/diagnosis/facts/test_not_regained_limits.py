"""A level that is left for good, by less than half of the descent, at its limits."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from gradlens.diagnosis.facts import not_regained
from tests.diagnosis.facts.shown import line
from tests.synthetic import make


def case(*, to=1.3, at=0.5, n=400, noise=0.01, start=3.0, rate=None, seed=0):
    """A descent to 1 within a fifth of the rows, and a rise to another level from a share of the rows on."""
    rng = np.random.default_rng(seed)
    t = np.arange(n) / n
    loss = 1.0 + (start - 1.0) * np.exp(-t / 0.05) + (to - 1.0) * np.clip((t - at) / 0.1, 0, 1)
    columns = {"loss": loss * np.exp(noise * rng.standard_normal(n)), "grad_norm": np.exp(0.1 * rng.standard_normal(n))}
    return make(columns | ({} if rate is None else {"lr": rate(t)}), threshold=None)


def told(built):
    return not_regained.find(built, built.progress)


def test_what_is_said():
    fact = told(case())
    assert line(fact).startswith("GL510 | warning | unknown? | ended_worse from ")
    assert (
        "and does not come back: it ends at 1.3, 30 % above, having lost 16 % of what it had come down by"
        in fact.message
    )


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"to": 1.26}, True),
        ({"to": 1.15}, False),  # neither a fifth of its level nor a third of the descent
        ({"to": 1.15, "start": 1.45}, True),
        ({"to": 1.08, "start": 1.2}, False),
        ({"at": 0.7}, True),
        ({"at": 0.9}, False),  # too late to tell whether it comes back
        ({"noise": 0.3}, False),
        ({"n": 79}, False),
        ({"n": 80}, True),
        ({"rate": lambda t: np.where(t > 0.5, 2.0, 1.0)}, False),  # a rate that jumps explains it
        ({"rate": lambda t: 1.0 - 0.5 * t}, True),
    ],
)
def test_limits(options, said):
    assert (told(case(**options)) is not None) == said


def test_nothing_is_clear_above_it():
    assert case().cause not in {"healthy", "undetermined"}


# --- levels without noise


def by_levels(
    monkeypatch, *, low=1.0, end=1.5, start=4.0, at=8, first=None, dip=None, noise=0.0, rows=4, sway=0.0, parabola=False,
    mean=False, least=None,
):  # fmt: skip
    """Twenty levels: the first, others above the lowest one and then that of the end; one may dip below the rest."""
    monkeypatch.setattr(not_regained, "neighbour_noise", lambda _: noise)
    monkeypatch.setattr(not_regained, "averages_over", lambda _: 20.0 if mean else None)
    level = np.full(20, low + 0.25 * (end - low))
    if parabola:
        level[: at + 1] = low + (start - low) * ((at - np.arange(at + 1)) / at) ** 2
    level[0] = start if first is None else first
    level[at] = low
    level[at + 1 :] = end
    level[1:at] += sway * np.resize([1.0, -1.0], at - 1)
    if dip is not None:
        level[dip[0]] = dip[1]
    loss = np.repeat(level, rows)
    if least is not None:
        loss[40] = least
    case = make({"loss": loss}, step=10 * np.arange(len(loss)), threshold=None)
    return not_regained.find(case, SimpleNamespace(start=start))


def test_the_figures_of_levels(monkeypatch):
    fact = by_levels(monkeypatch, low=2.0, end=3.0, dip=(16, 2.9), rows=5)
    assert line(fact) == "GL510 | warning | unknown? | ended_worse from 400 | 400 | 1.5 of 1.2 in 100"
    assert "near step 400, at 2, and does not come back: it ends at 3, 50 % above, having lost 50 %" in fact.message


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, True),
        ({"low": 0.5}, True),
        ({"least": 0.0}, False),
        ({"mean": True}, False),
        # Twelve hundredths of the descent are lost, and a fifth of the level.
        ({"low": 12.0, "end": 15.0, "start": 37.0}, True),
        ({"low": 12.0, "end": 15.0, "start": 37.1}, False),
        ({"low": 20.0, "end": 24.1, "start": 50.0}, True),
        ({"low": 20.0, "end": 23.9, "start": 50.0}, False),
        # Three tenths of the descent are lost, and a tenth of the level.
        ({"low": 20.0, "end": 23.0, "start": 30.0}, True),
        ({"low": 20.0, "end": 23.0, "start": 30.1}, False),
        ({"low": 20.0, "end": 22.1, "start": 22.5}, True),
        ({"low": 20.0, "end": 21.9, "start": 22.5}, False),
        # The highest of what it began with counts.
        ({"low": 12.0, "end": 15.0, "start": 30.0, "first": 37.1}, False),
        ({"low": 2.0, "end": 3.0, "start": 2.0, "first": 2.0}, False),
        ({"at": 14}, True),
        ({"at": 15}, False),
        # The lowest of the last four counts.
        ({"dip": (15, 1.0)}, True),
        ({"dip": (16, 1.0)}, False),
        ({"low": 2.0, "end": 2.375, "start": 3.0, "noise": 0.124}, True),
        ({"low": 2.0, "end": 2.375, "start": 3.0, "noise": 0.125}, False),
        # Levels that go up and down by d have a scatter of 2.4 d without their trend; a steady bend is none.
        ({"at": 14, "sway": 0.02, "start": 1.6}, True),
        ({"at": 14, "sway": 0.03, "start": 1.6}, False),
        ({"at": 10, "parabola": True, "start": 3.0, "end": 1.3}, True),
    ],
)
def test_levels_at_the_limits(options, said, monkeypatch):
    assert (by_levels(monkeypatch, **options) is not None) == said


@pytest.mark.parametrize(
    ("rate", "first", "rises"),
    [
        ([2.0] * 20 + [3.0], 10, False),
        ([2.0] * 20 + [3.1], 10, True),
        ([0.5] * 20 + [0.7], 10, False),
        ([9.0] * 5 + [2.0] * 15 + [3.1], 10, True),  # of the five rows before
        ([9.0] * 4 + [2.0] * 6 + [9.0] * 3 + [2.0] * 5, 9, True),
        ([2.0, 4.0, 4.0, 4.0, 5.0], 1, True),
        ([2.0] * 9 + [9.0, 9.0, 2.0, 2.0], 8, True),
        ([9.0] + [2.0] * 9, 3, False),
        ([np.nan] * 20 + [3.0], 10, False),
        ([2.0] * 11 + [np.nan] * 9, 10, False),
        ([2.0] * 10 + [np.nan] * 9, 10, False),
    ],
)
def test_whether_the_rate_rises_again(rate, first, rises):
    signals = SimpleNamespace(lr=np.array(rate))
    assert not_regained._rate_rises(SimpleNamespace(signals=signals), first) == rises

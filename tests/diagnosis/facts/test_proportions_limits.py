"""Norms beside the loss: their proportion, how they scatter, and that they fall with it; at the limits."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from gradlens.diagnosis.facts import fading, proportion, with_the_loss
from tests.diagnosis.facts.shown import line

LN2 = float(np.log(2.0))


def beside(loss, norm, *, descends=True, verdict="raw", progress=1):
    loss, norm = np.asarray(loss, dtype=float), np.asarray(norm, dtype=float)
    return SimpleNamespace(
        signals=SimpleNamespace(loss=loss, norm=norm), finite_norm=norm[np.isfinite(norm)], loss_descends=descends,
        provenance=SimpleNamespace(verdict=verdict), progress=progress,
    )  # fmt: skip


# --- their proportion


@pytest.mark.parametrize(
    ("case", "times"),
    [
        (beside([2.0] * 30, [400.0] * 30), 200.0),
        (beside([2.0] * 29, [400.0] * 30), 0.0),
        (beside([2.0] * 30, [400.0] * 29), 0.0),
        (beside([-2.0] * 30, [400.0] * 30), 200.0),
        (beside([2.0] * 30 + [np.nan], [400.0] * 30), 200.0),
        (beside([2.0] * 30, [400.0] * 30, descends=False), 0.0),
        (beside([2.0] * 30, [100.0] * 30), 50.0),
        (beside([2.0] * 30, [99.0] * 30), 0.0),
        (beside([0.0] * 30, [400.0] * 30), 0.0),
        # Where less than a twentieth is left, the first ten rows are its level.
        (beside([100.0] * 10 + [5.0] * 20, [400.0] * 30), 80.0),
        (beside([100.0] * 10 + [4.9] * 20, [400.0] * 30), 4.0),
        (beside([100.0] * 4 + [80.0] * 6 + [1.0] * 50, [400.0] * 60), 5.0),
    ],
)
def test_how_many_times_the_loss_a_norm_is(case, times):
    assert proportion.times_loss(case) == times


@pytest.mark.parametrize(
    ("norm", "wild", "verdict", "said"),
    [
        (299.0, 1.0, "raw", None),
        (300.0, 1.0, "raw", "GL002 | note | unknown? | - | - | 300 of 300 in 30"),
        (300.0, 1.0, "loss_scaled", None),
        (999.0, 1.0, "raw", "GL002 | note | unknown? | - | - | 999 of 300 in 30"),
        (1000.0, 0.5, "raw", "GL501 | warning | exploding 0.8 | - | - | 1000 of 300 in 30"),
        (1000.0, 0.49, "raw", "GL002 | note | unknown? | - | - | 1000 of 300 in 30"),
    ],
)
def test_norms_out_of_proportion(norm, wild, verdict, said, monkeypatch):
    monkeypatch.setattr(proportion, "norm_wild", lambda _: wild)
    facts = proportion.find(beside([1.0] * 30, [norm] * 30, verdict=verdict))
    assert [line(fact) for fact in facts] == ([said] if said else [])


# --- how they scatter


@pytest.mark.parametrize(
    ("norm", "like"),
    [
        # Neighbours differ by .2 of their logarithm; the first quarter is left out.
        (np.exp(np.resize([0.1, -0.1], 60)), 0.5 / (0.2 / 0.9539) ** 2),
        (np.exp(np.append(np.resize([0.5, -0.5], 15), np.resize([0.1, -0.1], 45))), 0.5 / (0.2 / 0.9539) ** 2),
        (np.exp(np.append(np.resize([0.5, -0.5], 40), np.resize([0.1, -0.1], 20))), 0.5 / (1.0 / 0.9539) ** 2),
        (np.exp(np.resize([0.1, -0.1], 59)), 0.0),
        (np.ones(60), np.inf),
        (np.append(0.0, np.exp(np.resize([0.1, -0.1], 60))), 0.0),
        (0.1 * np.exp(np.resize([0.1, -0.1], 60)), 0.5 / (0.2 / 0.9539) ** 2),
    ],
)
def test_how_many_numbers_a_norm_varies_like(norm, like):
    assert fading.scatters_like(beside(np.ones(60), norm)) == pytest.approx(like)


@pytest.mark.parametrize(
    ("level", "norm", "like", "layers", "shows"),
    [
        (2.0, [1.0] * 60, 9.0, 0.29, False),
        (2.0, [1.0] * 60, 9.0, 0.3, True),
        (2.0, [1.0] * 59, 9.0, 0.29, False),
        (2.0, [0.1] * 40 + [0.002] * 20, 9.0, 0.0, False),  # a thousandth of the loss
        (2.0, [0.1] * 40 + [0.0019] * 20, 9.0, 0.0, True),
        (-2.0, [0.1] * 40 + [0.0019] * 20, 9.0, 0.0, True),
        (2.0, [0.1] * 39 + [0.0019] * 20, 9.0, 0.0, False),
        (2.0, [2.0] * 10 + [0.5] * 30 + [0.02] * 20, 9.0, 0.0, False),  # a hundredth of its start
        (2.0, [2.0] * 10 + [0.5] * 30 + [0.019] * 20, 9.0, 0.0, True),
        # Of two classes one number, within four tenths and one and a half.
        (LN2, [1.0] * 60, 0.39, 0.0, False),
        (LN2, [1.0] * 60, 0.4, 0.0, True),
        (LN2, [1.0] * 60, 1.5, 0.0, True),
        (LN2, [1.0] * 60, 1.51, 0.0, False),
        (LN2 * 1.019, [1.0] * 60, 1.0, 0.0, True),
        (LN2 * 1.021, [1.0] * 60, 1.0, 0.0, False),
        (LN2 * 0.979, [1.0] * 60, 1.0, 0.0, False),
        (float(np.log(20)), [1.0] * 60, 19.0, 0.0, True),
        (float(np.log(22)), [1.0] * 60, 21.0, 0.0, False),
    ],
)
def test_what_shows_in_norms(level, norm, like, layers, shows, monkeypatch):
    monkeypatch.setattr(fading, "layers_fade", lambda _: layers)
    monkeypatch.setattr(fading, "scatters_like", lambda _: like)
    assert fading.shows_in_norms(beside([level] * 60, norm)) == shows


@pytest.mark.parametrize(("grade", "shows", "said"), [(0.3, False, 1), (0.29, False, 0), (0.3, True, 0)])
def test_gradients_that_may_fade_unseen(grade, shows, said, monkeypatch):
    monkeypatch.setattr(fading, "never_learned_with_norms", lambda _: grade)
    monkeypatch.setattr(fading, "shows_in_norms", lambda _: shows)
    assert len(fading.find(beside([2.0] * 60, [1.0] * 60))) == said


# --- that they fall with the loss


def falling(*, fall=1.0, first=0.5, wrong=0, rows=120, penalty=0.0, loss_falls=True, progress=1):
    """Levels of three rows whose logarithms fall by a share in the first four and evenly then; some of the loss the other way round."""
    norm = np.concatenate((np.linspace(0, -first * fall, 4), np.linspace(-first * fall, -fall, 37)[1:]))
    loss = norm.copy() if loss_falls else np.zeros(40)
    loss[len(loss) - wrong :] *= -1.0
    case = beside(np.exp(np.repeat(loss, 3))[:rows], np.exp(np.repeat(norm, 3))[:rows], progress=progress)
    case.penalty = penalty
    return case


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, True),
        ({"rows": 119}, False),
        ({"fall": 0.31}, True),
        ({"fall": 0.29}, False),
        ({"first": 0.34}, True),
        ({"first": 0.32}, False),
        ({"wrong": 6}, False),
        ({"loss_falls": False}, False),
        ({"penalty": 0.1}, False),
        ({"progress": None}, False),
    ],
)
def test_norms_that_fall_with_the_loss(options, said, monkeypatch):
    monkeypatch.setattr(with_the_loss, "penalty_dominates", lambda case: case.penalty)
    assert bool(with_the_loss.find(falling(**options))) == said


@pytest.mark.parametrize("column", ["loss", "norm"])
def test_rows_that_have_no_logarithm_are_left_out(column, monkeypatch):
    monkeypatch.setattr(with_the_loss, "penalty_dominates", lambda _: 0.0)
    case = falling()
    for value in (0.0, -1.0, np.nan):
        getattr(case.signals, column)[60] = value
        assert with_the_loss.find(case) == ()

"""Overfitting, at its limits."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from gradlens.diagnosis.facts import validation
from tests.diagnosis.facts.shown import lines, logged


def validated(values, *, train=None, step=None, every=10):
    """A run whose validation loss is known every ten steps."""
    values = np.asarray(values, dtype=float)
    step = every * np.arange(len(values)) if step is None else np.asarray(step)
    rows = int(step.max()) + every
    train = np.linspace(2.0, 1.0, rows) if train is None else train
    return logged({"loss": (np.arange(rows), train), "val_loss": (step, values)})


FALLS = (2.0, 1.5, 1.02, 1.01, 1.005, 1.0)


def test_what_is_said_of_it():
    case = validated([*FALLS, 1.01, 1.02, 1.03, 1.2, 1.3, 1.1])
    facts = validation.find(case)
    assert lines(facts) == ["GL306 | warning | overfitting 0.8 | - | 50 | 1.2 of 1.1 in 12"]
    assert "best at step 50 (1) and ends 20 % higher (1.2)" in facts[0].message
    assert "for 6 of 12 evaluations" in facts[0].message
    assert "checkpoint of step 50" in facts[0].advice


def test_evaluations_are_ordered_and_missing_ones_left_out():
    values, step = np.array([*FALLS, 1.01, 1.02, 1.03, 1.2, 1.3, 1.1, np.nan]), 10 * np.arange(13)
    mixed = np.random.default_rng(0).permutation(13)
    facts = validation.find(validated(values[mixed], step=step[mixed]))
    assert lines(facts) == ["GL306 | warning | overfitting 0.8 | - | 50 | 1.2 of 1.1 in 12"]


@pytest.mark.parametrize(
    ("values", "severity"),
    [
        ((1.5, 1.0, 1.3, 1.3, 1.3, 1.3), "warning"),
        ((1.0, 1.3, 1.3, 1.3, 1.3), None),  # five evaluations
        ((1.3, 1.3, 1.3, 1.0, 1.3, 1.3), None),  # two after the best
        ((*FALLS, *[1.0] * 6, 1.0, 1.1, 1.1, 1.1), "warning"),
        ((*FALLS, *[1.0] * 6, 1.0, 1.099, 1.099, 1.099), "note"),
        ((*FALLS, *[1.0] * 6, 1.0, 1.03, 1.03, 1.03), "note"),
        ((*FALLS, *[1.0] * 6, 1.0, 1.029, 1.029, 1.029), None),
        ((2.0, 1.4, 1.0, 1.3, 1.0, 1.3, 1.0, 1.3, 1.3, 1.3), None),  # within three deviations of the noise
        ((2.0, 1.4, 0.0, 1.3, 1.3, 1.3, 1.3), None),
        # 0.2 above the best: a fiftieth of a fall of ten is a warning, of one of more than ten not.
        ((10.9, 1.0, *[1.01] * 8, 1.2, 1.2, 1.2), "warning"),
        ((11.1, 1.0, *[1.01] * 8, 1.2, 1.2, 1.2), "note"),
    ],
)
def test_how_much_is_too_much(values, severity):
    facts = validation.find(validated(values))
    assert [f.severity.value for f in facts] == ([] if severity is None else [severity])


@pytest.mark.parametrize(("end", "found"), [(1.2600, False), (1.27, True)])
def test_three_deviations_of_the_noise_between_evaluations(end, found):
    # Ten hundredths from one to the next are a deviation of .105; the lowest one is .95.
    values = np.array([1.6, 1.3, *np.resize([0.95, 1.05], 12), *np.resize([end, end - 0.1], 13)])
    assert bool(validation.find(validated(values))) == found


@pytest.mark.parametrize(("rise", "found"), [(0.3, True), (0.5, False)])
def test_a_training_loss_that_rises_by_more_than_its_noise(rise, found):
    values = [*FALLS, *np.linspace(1.0, 2.0, 34)]
    sway = 0.477 * np.resize([1.0, -1.0], 400)  # a deviation of one: three errors of a median of twenty rows are .67
    train = np.where(np.arange(400) < 200, 5.0, 5.0 + 2 * rise) + sway
    assert bool(validation.find(validated(values, train=train))) == found


def test_the_training_loss_near_the_best_evaluation_is_what_counts():
    values = [*FALLS, *np.linspace(1.0, 2.0, 34)]
    peak = np.where(np.abs(np.arange(400) - 50) < 20, 6.0, 5.0) + 0.001 * np.resize([1.0, -1.0], 400)
    assert len(validation.find(validated(values, train=peak))) == 1
    low = np.where(np.abs(np.arange(400) - 50) < 20, 4.0, 5.0) + 0.001 * np.resize([1.0, -1.0], 400)
    assert validation.find(validated(values, train=low)) == ()


@pytest.mark.parametrize(("rows", "found"), [(11, True), (12, False)])
def test_twelve_training_losses_are_needed_to_rise(rows, found):
    step = np.arange(rows)
    case = logged({
        "loss": (step, np.where(step < 6, 1.0, 2.0)), "val_loss": (np.linspace(0, rows - 1, 8), [1.5, 1.0, 1.3, 1.3, 1.3, 1.3, 1.3, 1.3]),
    })  # fmt: skip
    assert bool(validation.find(case)) == found


def test_none_without_a_loss_that_descends():
    case = validated([*FALLS, 1.2, 1.2, 1.2, 1.2])
    assert len(validation.find(case)) == 1
    case.__dict__["loss_descends"] = False
    assert validation.find(case) == ()
    assert validation.find(logged({"loss": (np.arange(50), np.linspace(2, 1, 50))})) == ()


def test_exactly_a_fiftieth_of_the_fall_and_a_training_loss_that_stands_still():
    values = (13.5, 1.0, *[1.01] * 8, 1.25, 1.25, 1.25)
    assert [f.severity.value for f in validation.find(validated(values))] == ["warning"]
    assert len(validation.find(validated(values, train=np.full(130, 2.0)))) == 1


@pytest.mark.parametrize(
    ("since", "near", "last", "rises"),
    [
        (50, slice(45, 55), 2.1, True),  # of a hundred rows five on either side
        (50, slice(45, 55), 2.0, False),
        (50, slice(46, 51), 2.1, False),
        (3, slice(0, 4), 6.0, True),  # of eight rows half: 5.5
        (3, slice(0, 4), 5.4, False),
    ],
)
def test_which_training_losses_are_compared(since, near, last, rises):
    loss = np.full(100, 9.0)
    loss[near], loss[-5:] = 2.0, last
    signals = SimpleNamespace(step=np.arange(100), loss=loss)
    assert validation._train_rises(SimpleNamespace(signals=signals), since) == rises

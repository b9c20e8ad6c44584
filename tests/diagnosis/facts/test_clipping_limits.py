"""Clipping that engages nearly always, at its limits."""

from __future__ import annotations

import numpy as np
import pytest

from gradlens.config import TrainingConfig
from gradlens.diagnosis.facts import clipping
from tests.diagnosis.facts.shown import lines
from tests.diagnosis.test_sign_limits import measured
from tests.synthetic import N, healthy, make


@pytest.mark.parametrize(
    ("reach", "line", "word"),
    [
        (0.06, "GL103 | note | unknown? | - | - | 0.06 of 0.05 in 1200", "6 % of the norms exceed the threshold of 5: more than 1 step in 20"),
        (0.15, "GL103 | note | unknown? | - | - | 0.15 of 0.1 in 1200", "more than 1 step in 10"),
        (0.4, "GL103 | note | unknown? | - | - | 0.4 of 0.2 in 1200", "more than 1 step in 5"),
    ],
)  # fmt: skip
def test_what_is_said_of_it(reach, line, word):
    facts = clipping.find(measured(clipped={"reach": reach, "rate": reach}))
    assert lines(facts) == [line]
    assert word in facts[0].message
    assert "the usual reasons" in facts[0].message


@pytest.mark.parametrize(
    ("optimizer", "rate", "harmless"), [("adamw", 0.51, True), ("adamw", 0.5, False), ("sgd", 0.9, False)]
)
def test_part_of_the_optimizer(optimizer, rate, harmless):
    run = {**healthy(), "grad_norm": healthy()["grad_norm"] + np.where(np.arange(N) % 3, 20.0, 5.0)}
    case = measured(columns=run, clipped={"reach": 0.9, "rate": rate}, config=TrainingConfig(optimizer=optimizer))
    (fact,) = clipping.find(case)
    assert ("it makes 0.25 of a typical gradient" in fact.message) == harmless
    assert fact.rules_out == ({"clip_too_tight"} if harmless else set())


def test_norms_of_zero_are_not_shrunk():
    run = {**healthy(), "grad_norm": np.where(np.arange(N) % 10 < 6, 0.0, 20.0)}
    case = measured(columns=run, clipped={"reach": 0.9, "rate": 0.9}, config=TrainingConfig(optimizer="adam"))
    assert "it makes 0.25 of a typical gradient" in clipping.find(case)[0].message


def test_nothing_without_a_threshold():
    assert clipping.find(measured(clipped=None)) == ()
    case = measured(clipped={"reach": 0.9, "rate": 0.9})
    case.threshold = None
    assert clipping.find(case) == ()


# --- whether it holds the run back


def descent(half=480, middle=2.8, *, start=4.0, end=2.0, lr=1e-3, rows=N, **progress):
    """A loss that steps down at two rows, from 4 over a level to 2, at norms of 2, a threshold of .05 and a small rate."""
    loss = np.full(rows, 4.0)
    loss[half:], loss[900:] = middle, 2.0
    run = {"loss": loss, "grad_norm": np.full(rows, 2.0), "lr": np.full(rows, lr)}
    case = measured(columns=run, progress={"start": start, "end": end, "relative": 0.5} | progress)
    case.threshold = 0.05
    return case


@pytest.mark.parametrize(
    ("change", "held"),
    [
        # A row of clipped SGD lowers the loss by 1e-3 * 0.05 * 2, twenty of them by 2e-3: by half of the descent in 500 rows.
        ({"half": 495}, False),
        ({"half": 505}, True),
        ({"half": 505, "middle": 2.49}, False),  # three quarters of the descent in the first half
        ({"half": 505, "middle": 2.51}, True),
        ({"half": 245, "lr": 2e-3}, False),
        ({"half": 5, "lr": 2.1e-3}, True),
        ({"half": 5, "lr": 0.0}, True),
        ({"half": 5, "lr": np.nan}, True),
        ({"half": 5, "relative": 0.1}, False),
        ({"half": 5, "relative": 0.099}, True),
        ({"half": 5, "end": 4.0}, True),
        ({"half": 5}, False),
    ],
)
def test_a_descent_that_clipped_steps_cannot_make(change, held):
    assert clipping.holds_back(descent(**change)) == held


def test_a_run_without_a_course_or_norms_may_be_held_back():
    case = descent(5)
    case.__dict__["progress"] = None
    assert clipping.holds_back(case)
    run = {"loss": np.linspace(4, 2, N), "grad_norm": np.full(N, np.nan), "lr": np.full(N, 1e-3)}
    case = measured(columns=run, progress={"start": 4.0, "end": 2.0, "relative": 0.5})
    assert clipping.holds_back(case)
    assert clipping._reach(case, 1000) == 0.0
    assert clipping._reach(make(healthy(), threshold=None), 1000) == 0.0


def test_losses_that_are_missing_do_not_move_the_middle():
    case = descent(505, 2.49)
    run = {name: series.value.copy() for name, series in case.run.series.items()}
    run["loss"][::2] = np.nan
    missing = measured(columns=run, progress={"start": 4.0, "end": 2.0, "relative": 0.5})
    missing.threshold = 0.05
    assert not clipping.holds_back(missing)

"""Evaluations that are not finite: how many it takes, and where NaN stands for nothing."""

from __future__ import annotations

import numpy as np
import pytest

import gradlens
from gradlens.diagnosis.facts import validation_lost
from tests.diagnosis.facts.shown import lines, logged

NAN = np.nan


def run(held_out, **more):
    n = 400
    row = np.arange(n)
    loss = 2.0 * np.exp(-row / 100) + 0.01 * np.sin(row)
    every = n // len(held_out)
    return logged({"loss": (row, loss), "val_loss": (row[::every][: len(held_out)], held_out), **more})


@pytest.mark.parametrize(
    ("held_out", "found"),
    [
        ([NAN] * 3, True),
        ([NAN] * 2, False),
        ([1.0, 0.9, 0.8, NAN, NAN, NAN], True),
        ([1.0, 0.9, 0.8, NAN, NAN], False),
        ([1.0, 0.9, 0.8, np.inf, NAN, NAN], True),
        ([NAN, NAN, NAN, 1.0, 0.9], False),
        # NaN where nothing was evaluated: each fifth row has a value.
        ([1.0, NAN, NAN, NAN, NAN, 0.9, NAN, NAN, NAN, NAN], False),
        ([1.0, NAN, 0.9, *[NAN] * 3], True),
        ([1.0, NAN, NAN, 0.9, *[NAN] * 5], False),
        ([1.0, NAN, NAN, 0.9, *[NAN] * 6], True),
    ],
)
def test_how_many_it_takes(held_out, found):
    assert bool(validation_lost.find(run(held_out))) == found


def test_what_is_said():
    facts = validation_lost.find(run([1.0, 0.9, *[NAN] * 8]))
    assert lines(facts) == ["GL307 | warning | unknown? | - | 80 | 8 in 10"]
    assert "val_loss is NaN or infinite in the last 8 of 10 evaluations, from step 80 on" in facts[0].message
    assert "in all 4 evaluations" in validation_lost.find(run([NAN] * 4))[0].message


def test_where_the_training_ends_so_too_one_finding_says_it():
    n = np.arange(400)
    case = logged(
        {"loss": (n, np.where(n < 200, 1.0 + 0.1 * np.sin(n), NAN)), "val_loss": (n[::40], [1.0] * 5 + [NAN] * 5)}
    )
    assert validation_lost.find(case) == ()


def test_the_verdict_is_a_problem():
    row = np.arange(400.0)
    held_out = np.where(row < 300, 1.6 * np.exp(-row / 200), NAN)
    report = gradlens.analyze({"loss": 1.5 * np.exp(-row / 200) + 0.02 * np.sin(row), "val_loss": held_out})
    assert report.runs[0].verdict.status == "problem"
    assert "GL307" in {f.code for f in report.runs[0].findings}

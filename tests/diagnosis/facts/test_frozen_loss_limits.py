"""A loss that is one number from its first rows on, or the same numbers at each pass, at the limits of what is told."""

from __future__ import annotations

import numpy as np
import pytest

import gradlens
from gradlens.diagnosis.facts import course, frozen_loss
from gradlens.diagnosis.facts.frozen_loss import repeating
from tests.diagnosis.facts.shown import lines
from tests.synthetic import make


def run(loss, **more):
    """A run of ten steps a row, from step 50 on, with a rate."""
    loss = np.asarray(loss, dtype=float)
    return make(
        {"loss": loss, "lr": np.full(len(loss), 1e-3), **more}, step=50 + 10 * np.arange(len(loss)), threshold=None
    )


def told(loss, **more):
    return [fact.code for fact in frozen_loss.find(run(loss, **more))]


@pytest.mark.parametrize(
    ("first", "level", "rows", "found"),
    [
        ([7.78, 2.19], 1.0, 58, True),
        ([2.78412], 87.3363, 39, True),
        ([7.78, 2.19], 1.0, 10, True),
        ([7.78, 2.19], 1.0, 9, False),
        # Four rows before it; of five another fact speaks.
        ([8.0, 6.1, 4.3, 2.7], 1.0, 50, True),
        ([8.0, 6.1, 4.3, 2.7, 1.9], 1.0, 50, False),
        # What settles comes to rest in small steps.
        ([7.78, 1.04], 1.0, 58, False),
        ([7.78, 1.015432], 1.0, 58, False),
        ([7.78, 1.025432], 1.0, 58, True),
        # To exactly 0: at once, or by rounding.
        ([12.18, 1.787e-06], 0.0, 398, True),
        ([3.44], 0.0, 39, True),
        ([0.31, 0.02, 0.01], 0.0, 60, False),
    ],
)
def test_one_number_from_the_first_rows_on(first, level, rows, found):
    assert told([*first, *[level] * rows]) == (["GL514"] if found else [])


def test_what_is_said_of_one_number():
    facts = frozen_loss.find(run([2.78412, *[87.3363] * 39]))
    assert lines(facts) == ["GL514 | error | not_learning 0.8 | not_learning from 60 | 60 | 39 in 40"]
    assert (
        "the loss is exactly 87.3363 from step 60 to the end (39 rows), after 2.784 in the row before"
        in facts[0].message
    )
    assert "smallest float" in facts[0].message
    assert "lr_too_high" not in facts[0].rules_out


def test_nothing_else_is_made_of_the_noise_of_the_first_rows():
    case = run([7.78, 2.19, *[1.0] * 398])
    assert [f.code for f in course.find(case)] == []


def test_a_loss_that_varies_or_breaks_is_left_to_others():
    rng = np.random.default_rng(7)
    loss = np.array([7.78, 2.19, *[1.0] * 58])
    loss[30] = np.nan
    assert told(loss) == []
    assert told(np.append(7.78, 1.0 + 0.01 * rng.normal(size=60))) == []
    assert told(np.full(60, 1.0)) == []


KINDS = np.array([0.9741, 1.3742, 1.239, 0.961, 1.1034, 1.2, 1.05, 1.1])


@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        (np.tile(KINDS, 18), (8, 144)),
        (np.tile(KINDS, 3), (8, 24)),
        (np.tile(KINDS, 3)[1:], (0, 0)),
        (np.append(np.linspace(3.0, 2.0, 40), np.tile(KINDS, 5)), (8, 40)),
        (np.append(np.linspace(3.0, 2.0, 41), np.tile(KINDS, 5)), (0, 0)),
        (np.tile(KINDS[:3], 20), (3, 60)),
        (np.tile(KINDS[:2], 30), (0, 0)),
        (np.tile([0.7, 0.7, 0.6, 0.7], 20), (0, 0)),
        (np.append(np.tile(KINDS, 18), 0.5), (0, 0)),
        (KINDS[:4], (0, 0)),
    ],
)
def test_losses_that_come_again(loss, expected):
    assert repeating(np.asarray(loss, dtype=float)) == expected


def test_what_is_said_of_losses_that_come_again():
    facts = frozen_loss.find(run(np.append(np.linspace(3.0, 2.0, 10), np.tile(KINDS, 18))))
    assert lines(facts) == ["GL514 | error | not_learning 0.9 | not_learning from 150 | 150 | 144 in 154"]
    assert "the same 8 losses come again and again" in facts[0].message


def test_full_batches_of_a_fixed_order_that_are_trained_on_are_nothing():
    rng = np.random.default_rng(8)
    batch = 1.0 + 0.2 * rng.normal(size=8)
    loss = np.concatenate([batch * 0.97**k for k in range(30)])
    assert told(loss) == []


def test_the_verdict_of_a_log_that_dies_in_its_first_rows():
    report = gradlens.analyze({"loss": [12.18, 1.787e-06, *[0.0] * 398], "grad_norm": [231.7, 2e-4, *[3.8e-8] * 398]})
    verdict = report.runs[0].verdict
    assert (verdict.status, verdict.outcome) == ("problem", "not_learning")

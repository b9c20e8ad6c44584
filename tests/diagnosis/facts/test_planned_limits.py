"""Warm restarts that are meant, at their limits."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gradlens.config import TrainingConfig
from gradlens.diagnosis.facts import planned
from gradlens.diagnosis.facts.base import OF_BATCHES
from tests.diagnosis.facts.shown import lines
from tests.diagnosis.test_sign_limits import EVENT
from tests.synthetic import make


def rounds(*lengths, ends=None, name=None, noise=0.0, step=1):
    """Rounds of a rate that falls, whose losses end at some levels, one a unit below the other where none are given."""
    ends = ends or [10.0 - k for k in range(len(lengths))]
    rate = np.concatenate([np.linspace(1.0, 0.1, n) for n in lengths])
    loss = np.concatenate(
        [end + np.maximum(np.arange(n)[::-1] - n // 5, 0) * 0.01 for n, end in zip(lengths, ends, strict=True)]
    )
    loss = loss + noise * np.where(np.arange(len(loss)) % 2, 1.0, -1.0)
    return make(
        {"loss": loss, "grad_norm": np.ones(len(loss)), "lr": rate},
        step=step * np.arange(len(loss)), threshold=None, config=TrainingConfig(lr_schedule=name),
    )  # fmt: skip


def test_what_is_said_of_them():
    (fact,) = planned.find(rounds(100, 100, 100, 100, step=10))
    assert lines((fact,)) == ["GL203 | note | unknown? | - | 1000 2000 3000"]
    assert "restarts 3 times, on the beat, first at step 1,000" in fact.message
    (fact,) = planned.find(rounds(100, 70, name="CosineAnnealingWarmRestarts"))
    assert "restarts 1 time, as the configuration says (CosineAnnealingWarmRestarts)" in fact.message
    (fact,) = planned.find(rounds(*[60] * 12))
    assert len(fact.steps) == 8
    assert fact.rules_out == {"lr_restart", "schedule_mismatch"}


@pytest.mark.parametrize(("row", "explained"), [(200, True), (205, True), (206, False), (150, False)])
def test_a_rise_at_a_restart_is_no_bad_batch(row, explained):
    case = rounds(100, 100, 100, 100)
    case.__dict__["loss_step"] = replace(case.loss_step, row=row)
    case.__dict__["events"] = case.__dict__["bursts"] = ()
    assert (planned.find(case)[0].rules_out >= OF_BATCHES) == explained
    case.__dict__["events"] = (EVENT,)
    assert not planned.find(case)[0].rules_out >= OF_BATCHES


@pytest.mark.parametrize(
    ("lengths", "found"),
    [
        ((100, 100, 100, 100), True),
        ((100, 100, 100), False),  # two restarts are no beat
        ((100, 100, 102, 100), True),
        ((100, 100, 106, 100), False),  # rounds that grow by 1.0, 1.06
        ((50, 100, 200, 400), True),
        ((100, 96, 92, 90), True),
        ((100, 93, 86, 80), False),  # rounds that get shorter
        ((100, 100, 100, 50), True),
    ],
)
def test_what_is_a_beat(lengths, found):
    assert bool(planned.find(rounds(*lengths))) == found


@pytest.mark.parametrize("name", ["cosine_with_restarts", "CyclicLR", "SGDR", "cycle"])
def test_names_of_schedulers_that_restart(name):
    assert len(planned.find(rounds(100, 70, name=name))) == 1
    assert planned.find(rounds(100, 70, name="cosine")) == ()


@pytest.mark.parametrize(
    ("lengths", "ends", "found"),
    [
        ((100, 100), (3.0, 2.0), True),
        ((100, 100), (2.0, 3.0), False),
        ((100, 100, 100), (3.0, 2.0, 2.5), False),
        ((100, 100, 90), (3.0, 2.0, 2.5), False),
        ((100, 100, 89), (3.0, 2.0, 2.5), True),  # the last round is cut short
        ((100, 89), (2.0, 3.0), False),  # there is no other
        ((100, 100, 100), (3.0, 3.0, 3.0), True),
    ],
)
def test_each_round_ends_lower(lengths, ends, found):
    assert bool(planned.find(rounds(*lengths, ends=ends, name="sgdr"))) == found


@pytest.mark.parametrize(("rise", "found"), [(0.8, True), (0.88, False)])
def test_up_to_two_errors_of_a_median_are_no_rise(rise, found):
    # Twenty rows that lie one above or below: 2 * 1.2533 * 1.4826 / sqrt(20) is 0.831.
    assert bool(planned.find(rounds(100, 100, ends=(3.0, 3.0 + rise), name="sgdr", noise=1.0))) == found


def test_of_short_rounds_five_rows_are_the_end():
    assert planned._each_round_ends_lower(np.array([9.0, 5, 5, 5, 5, 5, 9, 4, 4, 4, 4, 4]), [6])
    assert not planned._each_round_ends_lower(np.array([9.0, 4, 4, 4, 4, 4, 9, 5, 5, 5, 5, 5]), [6])
    # Rounds of five rows and rows that are not known tell nothing.
    assert not planned._each_round_ends_lower(np.array([9.0, 5, 5, 5, 5, 4, 4, 4, 4, 4]), [5])
    nan = np.nan
    assert not planned._each_round_ends_lower(np.array([9.0, 5, 5, 5, 5, 5, 9, nan, 4, 4, 4, 4]), [6])


@pytest.mark.parametrize(
    ("lengths", "ends", "found"),
    [
        ([60] * 9, None, True),
        ([90, *[60] * 8], None, True),  # of many the first round may differ
        ([60, 60, 60, 90, 60, 60, 60, 60, 60], None, False),
        ([90, *[60] * 7], None, False),  # seven restarts are not many
        ([60] * 8, [9.0, 8.0, 7.0, 6.0, 6.5, 5.0, 4.0, 3.0], False),
        (
            [60] * 9,
            [9.0, 8.0, 7.0, 6.0, 6.5, 5.0, 4.0, 3.0, 3.0],
            True,
        ),  # of many the later half stays below the earlier one
        ([60] * 9, [9.0, 8.0, 7.0, 6.0, 9.0, 5.0, 9.0, 3.0, 3.0], False),
    ],
)
def test_many_short_rounds(lengths, ends, found):
    facts = planned.find(rounds(*lengths, ends=ends))
    assert bool(facts) == found
    if found:
        assert "the later rounds stay below the earlier ones" in facts[0].message


@pytest.mark.parametrize(("known", "enough"), [(7, False), (8, True)])
def test_many_rounds_need_eight_losses(known, enough):
    loss = np.full(540, np.nan)
    loss[: 60 * known : 60] = np.arange(float(known))[::-1]
    case = make({"loss": loss, "grad_norm": np.ones(540)}, threshold=None)
    assert planned.costs_nothing(case, list(range(60, 540, 60))) == enough


def test_no_restart_and_no_loss():
    assert planned.find(rounds(100, name="sgdr")) == ()
    case = rounds(100, 100, 100, 100)
    case.__dict__["loss_descends"] = False
    assert planned.find(case) == ()

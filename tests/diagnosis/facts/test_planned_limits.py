"""Warm restarts that are meant, at their limits."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

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


# --- rounds by hand


@pytest.mark.parametrize(
    ("rounds", "even"),
    [
        ([100, 100, 100], True),
        ([100, 200, 400], True),
        ([100, 100, 105], True),  # .05 of 1.025
        ([100, 100, 105.3], False),
        ([100, 95.1, 90.5], True),
        ([100, 94.9, 90.0], False),  # they do not get shorter
    ],
)
def test_rounds_that_are_even(rounds, even):
    assert planned._is_even(np.array(rounds, dtype=float)) == even


@pytest.mark.parametrize(
    ("jumps", "regular"),
    [
        ([10, 20, 30], True),
        ([10, 20], False),
        ([30, 40, 50, 60, 70, 80, 90], False),
        ([30, 40, 50, 60, 70, 80, 90, 100], True),  # of many, some are not told apart
        ([30, 40, 50, 60, 70, 80, 90, 110], False),
    ],
)
def test_restarts_on_the_beat(jumps, regular):
    assert planned.on_the_beat(7 + 10 * np.arange(120), jumps) == regular


def ended(*ends, rows=50, last=None, before=9.0, sway=0.0, tell=10):
    """A loss of rounds, each with a level of its own in its last rows, and the rows at which rounds begin."""
    parts = []
    for at, end in enumerate(ends):
        n = last if last is not None and at == len(ends) - 1 else rows
        parts.append(np.append(np.full(n - tell, before), end + sway * np.resize([1.0, -1.0], tell)))
    return np.concatenate(parts), [rows * at for at in range(1, len(ends))]


@pytest.mark.parametrize(
    ("loss", "lower"),
    [
        (ended(3, 2, 1), True),
        (ended(3, 2, 2), True),
        (ended(3, 2, 2.1), False),
        (ended(2, 3, 1), False),
        (ended(3, 2), True),
        (ended(2, 3), False),
        # Of a fifth of the rows, as far as their noise tells: 2 * 1.2533 * 1.4826 * .1 / sqrt(10) is .1175.
        (ended(2, 2.11, sway=0.1), True),
        (ended(2, 2.12, sway=0.1), False),
        (ended(3, 2, rows=20, tell=5), True),
        (ended(3, 2, rows=20, tell=5, before=-9.0), True),
        (ended(3, 2, rows=6, tell=5), True),
        (ended(3, 2, rows=5, tell=5), False),  # too few to tell
        # A last round that is shorter by more than a tenth has not come to its end.
        (ended(3, 2, 4, last=44), True),
        (ended(3, 2, 4, last=45), False),
        (ended(3, 4, last=20), False),
    ],
)
def test_rounds_that_each_end_lower(loss, lower):
    assert planned._each_round_ends_lower(*loss) == lower


@pytest.mark.parametrize(("rows", "nothing"), [(24, True), (7, False)])
def test_many_rounds_are_told_by_eight_levels(rows, nothing):
    signals = SimpleNamespace(loss=np.append(np.linspace(3.0, 1.0, rows), np.nan))
    case = SimpleNamespace(loss_descends=True, signals=signals)
    assert planned.costs_nothing(case, list(range(8))) == nothing

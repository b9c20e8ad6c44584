"""Columns that stand still, at their limits."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gradlens.diagnosis.facts import dead
from gradlens.diagnosis.facts.dead import NOTHING_MOVES
from tests.diagnosis.facts.shown import line, lines
from tests.diagnosis.test_sign_limits import measured
from tests.synthetic import make


def run(loss, norm=None, **more):
    """A run of ten steps a row, from step 50 on."""
    loss = np.asarray(loss, dtype=float)
    norm = np.linspace(2.0, 1.0, len(loss)) if norm is None else np.asarray(norm, dtype=float)
    return make({"loss": loss, "grad_norm": norm, **more}, step=50 + 10 * np.arange(len(loss)), threshold=None)


def ends(before, zeros):
    return np.append(before, np.zeros(zeros))


#: A loss and a norm that never stand still, not rounded.
LOSS = 2.0 + 0.1 * np.sin(np.arange(100))
NORM = 1.0 + 0.1 * np.cos(np.arange(100))


# --- a loss that turns zero


def test_what_is_said_of_a_loss_that_turns_zero():
    facts = dead.find(run(ends(LOSS, 6)))
    assert lines(facts) == ["GL514 | error | not_learning 0.85 | not_learning from 1050 | 1050 | 6 in 106"]
    assert (
        "the loss falls from 1.99 to exactly 0 from one row to the next, from step 1,050 to the end (6 rows)"
        in facts[0].message
    )
    assert facts[0].rules_out == NOTHING_MOVES


@pytest.mark.parametrize(
    ("before", "zeros", "found"),
    [
        (LOSS, 5, True),
        (LOSS, 4, False),
        (LOSS[:5], 8, True),
        (LOSS[:4], 8, False),
        (np.append(LOSS, np.full(11, 0.0402)), 5, True),  # most of the last twenty
        (np.append(LOSS, np.full(11, 0.0398)), 5, False),  # a fiftieth of the first loss
        (np.append(LOSS, np.full(9, 0.0398)), 5, True),
        (np.append(np.append(LOSS, 0.0), LOSS[:19]), 5, False),  # zero among the last twenty
        (np.append(np.append(LOSS, 0.0), LOSS[:20]), 5, True),
        (np.append(np.full(3, np.nan), LOSS), 5, True),
        (np.append(-LOSS, -0.5), 5, False),
    ],
)
def test_when_a_loss_falls_to_zero(before, zeros, found):
    facts = dead.find(run(ends(before, zeros)))
    assert any("the loss falls" in f.message for f in facts) == found


def test_a_loss_that_means_nothing_may_be_zero():
    case = run(ends(LOSS, 6))
    case.__dict__["loss_descends"] = False
    assert dead.find(case) == ()
    missing = np.append(LOSS, np.full(20, np.nan))
    assert dead.find(run(ends(missing, 6))) == ()


@pytest.mark.parametrize(
    ("value", "at", "was"),
    [
        # Decimals of a hundredth, of the last three of which the middle one is three of them or less.
        ([1.0, 0.5, 0.5, 0.04, 0.02, 0.01, 0.0, 0.0, 0.0], 6, True),
        ([1.0, 0.5, 0.5, 0.04, 0.05, 0.03, 0.0, 0.0, 0.0], 6, False),
        ([1.0, 0.5, 0.5, 0.01, 0.02, 0.09, 0.0, 0.0, 0.0], 6, True),
        ([1.0, 0.5, 0.5, np.nan, 0.0, -0.02, -0.03, -0.01, 0.0, 0.0], 8, True),
        ([1.001, 0.5, 0.5, 0.04, 0.02, 0.01, 0.0, 0.0, 0.0], 6, False),  # not one of its digits
        ([1.0001, 0.5, 0.5, 0.04, 0.02, 0.01, 0.0, 0.0, 0.0], 6, True),
        ([20.001, 0.5, 0.5, 0.04, 0.02, 0.01, 0.0, 0.0, 0.0], 6, True),  # too large for float32 to tell
        ([1.0, 0.5, 0.4, 0.3, 0.03, 0.02, 0.0], 6, False),  # no two are equal: not rounded
        ([0.0, 0.0, 0.0, 0.0], 2, False),
    ],
)
def test_what_comes_down_to_its_last_digit(value, at, was):
    assert dead.reached(np.array(value), at) == was


# --- a norm that turns zero


def test_what_is_said_of_a_norm_that_turns_zero():
    loss = 2.0 + 0.1 * np.sin(np.arange(110))
    case = run(loss, ends(NORM, 10))
    case.__dict__["progress"] = None
    facts = dead.find(case)
    assert lines(facts) == ["GL514 | error | not_learning 0.9 | not_learning from 1050 | 1050 | 10 in 110"]
    assert "is exactly 0 from step 1,050 to the end (10 rows): no gradient reaches the weights" in facts[0].message
    assert facts[0].rules_out == NOTHING_MOVES
    assert facts[0].advice.startswith("print the loss")
    agent = run(loss, ends(NORM, 10))
    agent.__dict__["loss_descends"] = False
    (fact,) = dead.find(agent)
    assert "all advantages are equal" in fact.message
    assert fact.advice.startswith("look at reward_std")


@pytest.mark.parametrize(("kept", "out"), [(0.49, False), (0.5, True), (None, True)])
def test_what_was_lost_before_may_have_been_thrown_away(kept, out):
    case = run(2.0 + 0.1 * np.sin(np.arange(110)), ends(NORM, 10))
    case.__dict__["progress"] = None if kept is None else replace(measured().progress, kept=kept)
    (fact,) = dead.find(case)
    assert fact.rules_out == (NOTHING_MOVES if out else NOTHING_MOVES - {"lr_too_high"})


def test_zeros_after_overflows_are_an_underflow():
    loss = 2.0 + 0.1 * np.sin(np.arange(110))

    def overflowing(rows, **more):
        norm = ends(NORM, 10)
        norm[20 : 20 + rows] = np.inf
        return run(loss, norm, **more)

    facts = dead.find(overflowing(5))
    assert lines(facts) == ["GL514 | error | loss_scale_collapse? | not_learning from 1050 | 1050 | 10 in 110"]
    assert "after overflows: each overflow halves a loss scale" in facts[0].message
    assert facts[0].rules_out == NOTHING_MOVES - {"loss_scale_collapse"}
    assert "after overflows" not in dead.find(overflowing(4))[0].message
    (fact,) = dead.find(overflowing(5, loss_scale=np.full(110, 0.5)))
    assert "the loss scale has come down to 0.5" in fact.message


@pytest.mark.parametrize(
    ("grade", "under"), [("scale_collapses", True), ("zeros_after_nan", None)], ids=["scale", "after nan"]
)
def test_signs_of_a_loss_scale(grade, under, monkeypatch):
    monkeypatch.setattr(dead, grade, lambda _: 0.1)
    facts = dead.find(run(2.0 + 0.1 * np.sin(np.arange(110)), ends(NORM, 10)))
    assert [("after overflows" in f.message) for f in facts] == ([] if under is None else [under])


@pytest.mark.parametrize(
    ("loss", "found"),
    [
        (np.append(LOSS, np.full(10, 1.0)), True),
        (np.append(np.append(LOSS, np.full(20, 0.039)), np.full(30, 0.039)), False),  # fitted: a fiftieth of its start
        (np.append(np.append(LOSS, np.full(20, 0.043)), np.full(30, 0.043)), True),
        (np.append(np.append(LOSS, np.full(20, 0.039)), np.full(30, 0.043)), True),
        (np.append(np.append(LOSS, np.full(20, 0.043)), np.full(30, 0.039)), True),
        (np.append(np.append(LOSS - 5.0, np.full(20, -0.039)), np.full(30, 0.039)), True),
    ],
)
def test_a_gradient_that_ends_with_its_loss(loss, found):
    zeros = 10 if len(loss) == 110 else 30
    norm = np.append(np.resize(NORM, len(loss) - zeros), np.zeros(zeros))
    assert any("gradient norm" in f.message for f in dead.find(run(loss, norm))) == found


@pytest.mark.parametrize(("late", "found"), [(2, False), (4, True)])
def test_nine_of_ten_losses_stay_fitted(late, found):
    after = np.full(30, 0.03)
    after[5 : 5 + late] = 1.0
    case = run(np.append(np.append(LOSS, np.full(20, 0.03)), after), ends(np.resize(NORM, 120), 30))
    assert dead._fitted(case, 120) == (not found)


def test_fitted_needs_losses_that_mean_something():
    loss = np.append(np.append(LOSS, np.full(20, 0.03)), np.full(30, 0.03))
    assert dead._fitted(run(loss), 120)
    assert not dead._fitted(run(loss), 150)
    assert not dead._fitted(run(np.zeros(150)), 120)
    case = run(loss)
    case.__dict__["loss_descends"] = False
    assert not dead._fitted(case, 120)
    # The start is the middle of the first three, and what came before the last twenty does not count.
    late = np.append(np.append(LOSS, np.full(20, 3.0)), np.full(20, 0.03))
    assert dead._fitted(run(np.append(late, np.full(30, 0.03))), 140)
    assert not dead._fitted(run(np.append(np.append(LOSS, np.full(20, 0.03)), np.full(41, 3.0))[:150]), 140)
    missing = np.append(np.append(LOSS, np.full(20, np.nan)), np.full(30, 0.03))
    assert not dead._fitted(run(missing), 120)
    assert not dead._fitted(run(np.append([LOSS[0], 1.0, 1.0], loss)), 123)


@pytest.mark.parametrize(
    ("after", "before", "solved"),
    [
        (np.zeros(10), [0.0], True),
        (np.zeros(10), [0.5], False),
        (np.append(np.zeros(9), 0.1), [0.0], False),
        (np.full(10, np.nan), [0.0], False),
        (np.append(np.zeros(9), np.nan), [0.0], True),
    ],
)
def test_a_margin_that_every_example_keeps(after, before, solved):
    case = run(np.concatenate((LOSS, before, LOSS[:19], after)))
    assert dead._solved(case, 120) == solved
    case.__dict__["loss_descends"] = False
    assert not dead._solved(case, 120)
    assert not dead._solved(run(np.concatenate((LOSS, before, LOSS[:20], after))), 121)


def sways(first, last, rows=60):
    """A loss that sways by a tenth around one level in its first third and around another one in its last."""
    level = np.repeat([first, 0.5 * (first + last), last], rows // 3)
    return level + 0.05 * np.resize([1.0, -1.0], len(level))


@pytest.mark.parametrize(
    ("loss", "falls"),
    [
        # Six times .105 / sqrt(20) is .141.
        (sways(2.0, 1.85), True),
        (sways(2.0, 1.87), False),
        (sways(1.8, 2.0), False),
        (np.linspace(2.0, 1.0, 20), True),
        (np.linspace(2.0, 1.0, 19), False),
        (np.append(np.linspace(2.0, 1.0, 20), np.nan), True),
    ],
)
def test_a_loss_that_goes_on_falling(loss, falls):
    case = run(np.append(LOSS, loss))
    assert dead._still_falls(case, 100) == falls
    case.__dict__["loss_descends"] = False
    assert not dead._still_falls(case, 100)


def test_a_norm_that_was_not_measured_any_more():
    loss = np.append(np.linspace(4.0, 2.0, 100), np.linspace(2.0, 1.0, 20))
    assert dead.find(run(loss, ends(NORM, 20))) == ()


def test_a_norm_that_comes_down_to_its_last_digit():
    norm = np.append(np.round(np.geomspace(1.0, 0.02, 100), 2), np.zeros(10))
    assert dead.find(run(2.0 + 0.1 * np.sin(np.arange(110)), norm)) == ()


# --- a norm that is zero


def test_what_is_said_of_a_norm_of_zero():
    loss = np.full(60, 2.3)
    facts = dead.find(run(loss, np.zeros(60)))
    assert lines(facts) == ["GL514 | error | not_learning 0.95 | not_learning from 50 | 50 | 60 in 60"]
    assert "exactly 0 in all 60 rows and the loss is 2.3 to the last digit" in facts[0].message
    case = run(LOSS, np.zeros(100))
    case.__dict__["progress"] = replace(measured().progress, start=2.1, end=2.0, in_noise=6.0, relative=0.02)
    facts = dead.find(case)
    assert lines(facts) == ["GL514 | error | not_learning 0.7 | not_learning from 50 | 50 | 100 in 100"]
    assert "the loss does not come down (2.1 to 2)" in facts[0].message


@pytest.mark.parametrize(
    ("change", "found"),
    [({}, True), ({"in_noise": 6.1}, False), ({"relative": 0.021}, False), (None, False)],
)
def test_a_loss_that_comes_down_was_trained(change, found):
    case = run(LOSS, np.zeros(100))
    figures = None if change is None else replace(measured().progress, in_noise=6.0, relative=0.02)
    case.__dict__["progress"] = None if figures is None else replace(figures, **change)
    assert bool(dead.find(case)) == found


@pytest.mark.parametrize(
    ("loss", "norm", "descends", "found"),
    [
        (np.full(10, 2.0), np.zeros(10), True, True),
        (np.full(9, 2.0), np.zeros(9), True, False),
        (np.append(np.full(9, 2.0), np.nan), np.zeros(10), True, False),
        (np.full(10, 2.0), np.zeros(10), False, False),
        (np.full(10, 2.0), np.append(np.zeros(9), 1e-9), True, False),
    ],
)
def test_where_a_norm_of_zero_counts(loss, norm, descends, found):
    case = run(loss, norm)
    case.__dict__["loss_descends"] = descends
    assert (dead._norm_is_zero(case) is not None) == found


# --- a loss that never changes


@pytest.mark.parametrize(
    ("loss", "norm", "shown", "said"),
    [
        (np.full(60, 2.3), np.ones(60), "GL514 | error | not_learning 0.85 | not_learning from 50 | 50 | 1 in 60",
         "the constant 2.3 in all 60 rows: not learning"),
        (np.zeros(60), np.append(0.0, np.ones(59)), "GL514 | error | not_learning 0.85 | not_learning from 50 | 50 | 1 in 60", "exactly 0 in all 60 rows"),
        (np.full(60, 2.0), np.full(60, 1.9e-6), "GL514 | error | vanishing 0.85 | not_learning from 50 | 50 | 1 in 60",
         "with norms of about 2e-06: gradients are there, but vanish"),
        (np.full(60, -2.0), np.full(60, 1.9e-6), "GL514 | error | vanishing 0.85 | not_learning from 50 | 50 | 1 in 60", "constant -2"),
    ],
)  # fmt: skip
def test_what_is_said_of_a_constant_loss(loss, norm, shown, said):
    fact = dead._loss_constant(run(loss, norm))
    assert line(fact) == shown
    assert said in fact.message
    assert fact.rules_out == (NOTHING_MOVES - {"vanishing"} if "vanishing" in shown else NOTHING_MOVES)


@pytest.mark.parametrize(
    ("loss", "norm", "cause"),
    [
        (np.full(60, 2.0), np.full(60, 2.1e-6), "not_learning"),
        (np.full(10, 2.0), np.full(10, 1e-6), "vanishing"),
        (np.full(20, 2.0), np.append(np.full(9, 1e-6), np.full(11, np.nan)), "not_learning"),  # nine norms
        (np.full(20, 2.0), np.append(np.full(9, 1e-6), np.zeros(11)), "not_learning"),
        (np.append(np.full(20, 2.0), 2.1), np.ones(21), None),
        (np.append(np.full(20, 2.0), np.nan), np.ones(21), None),
        (np.full(9, 2.0), np.ones(9), None),
    ],
)
def test_when_a_loss_is_constant(loss, norm, cause):
    fact = dead._loss_constant(run(loss, norm))
    assert (fact and fact.cause) == cause
    case = run(loss, norm)
    case.__dict__["loss_descends"] = False
    assert dead._loss_constant(case) is None


# --- a loss that does not change any more


def turns(last=2.0, *, at=80, rows=100, sway=0.1, digits=4):
    """A loss that sways, in some digits, and is one number from a row on."""
    loss = np.round(2.0 + sway * np.sin(np.arange(rows)), digits)
    loss[at:] = last
    return run(loss)


def test_what_is_said_of_a_loss_that_turns_constant():
    fact = dead._loss_turns_constant(turns(1.5))
    assert line(fact) == "GL514 | error | not_learning 0.8 | not_learning from 850 | 850 | 20 in 100"
    assert (
        "is exactly 1.5 from step 850 to the end (20 rows), where it changed by about 0.073 from row to row"
        in fact.message
    )
    assert fact.rules_out == NOTHING_MOVES - {"lr_too_high", "vanishing"}
    assert "which is ln 2, what guessing gives" in dead._loss_turns_constant(turns(0.6931)).message


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"at": 90}, True),
        ({"at": 91}, False),  # a tenth of the rows
        ({"at": 35, "rows": 40}, True),
        ({"at": 36, "rows": 40}, False),  # five rows
        ({"at": 5}, True),
        ({"at": 4}, False),
        ({"at": 5, "rows": 10}, True),
        ({"at": 4, "rows": 9}, False),
        ({"last": 0.0}, False),
        ({"sway": 0.02, "digits": 2}, False),  # it moved by two of its last digits
        ({"sway": 0.1, "digits": 2}, True),
    ],
)
def test_when_a_loss_turns_constant(change, found):
    assert (dead._loss_turns_constant(turns(**change)) is not None) == found


def test_the_last_changes_before_count():
    # A loss that came to rest in small steps settled, however it varied before.
    row = np.arange(100)
    loss = np.where(row < 40, np.round(2.0 + 0.1 * np.sin(row), 4), np.round(2.0 - 2e-4 * row, 4))
    loss[80:] = loss[79]
    assert dead._loss_turns_constant(run(loss)) is None
    turned = np.concatenate((loss[40:80], loss[:40], np.full(20, 1.5)))
    assert dead._loss_turns_constant(run(turned)) is not None


def test_other_losses_that_end_so():
    case = turns()
    case.__dict__["loss_descends"] = False
    assert dead._loss_turns_constant(case) is None
    assert dead._loss_turns_constant(run(np.full(100, 2.0))) is None
    assert dead._loss_turns_constant(run(np.append(np.append(np.nan, LOSS), np.full(30, 2.0)))) is None


@pytest.mark.parametrize(
    ("value", "digit"),
    [([1.25, 2.5], 0.01), ([1.0, 2.0], 1.0), ([0.123456789, 5.0], 1e-9), ([1 / 3, 1e4], 1e-6), ([-1 / 3, -1e4], 1e-6)],
)
def test_the_last_digit(value, digit):
    assert dead.last_digit(np.array(value)) == pytest.approx(digit)

"""A loss that stands still where fine-tuning cannot be the reason, at its limits."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from gradlens.diagnosis.facts import standstill
from tests.diagnosis.facts.shown import line, lines
from tests.synthetic import make

LN10 = float(np.log(10.0))


def run(loss, norm=None, *, first=0, every=10, **more):
    loss = np.asarray(loss, dtype=float)
    norm = np.linspace(2.0, 1.0, len(loss)) if norm is None else norm
    columns = {"loss": loss, "grad_norm": norm, **more}
    return make(columns, step=first + every * np.arange(len(loss)), threshold=None)


def sway(rows, level=1.0, by=0.01):
    return level * (1.0 + by * np.resize([1.0, -1.0], rows))


def facts_of(loss, *arguments, **options):
    return standstill.find(run(loss, *arguments, **options))


@pytest.mark.parametrize(
    ("first", "last", "noise", "stands"),
    [
        # Within four deviations of the noise and twice two per cent, or within one per cent.
        (1.0, 1.0, 0.0, True),
        (1.0, 0.9902, 1e-5, True),
        (1.0, 0.9898, 1e-5, False),
        (1.0, 0.9619, 0.1, True),
        (1.0, 0.9612, 0.1, False),
        (1.0, 0.98, 0.005, True),
        (1.0, 0.97, 0.005, False),
        (0.9619, 1.0, 0.1, True),
    ],
)
def test_what_stands(first, last, noise, stands):
    # The middle of odd numbers of rows, of which one in three lies at the level itself.
    loss = np.repeat([first, 0.5 * (first + last), last], [27, 81, 27]) + noise * np.resize([1.0, -1.0, 0.0], 135)
    assert standstill.stands(loss) == stands
    assert standstill.stands(50.0 * loss) == standstill.stands(0.02 * loss) == stands


def test_of_few_rows_two_are_a_fifth():
    assert standstill.stands(np.array([1.0, 1.0, 5.0, 5.0, 5.0, 1.0, 1.0]))
    assert not standstill.stands(np.array([1.0, 1.0, 1.0, 5.0, 5.0, 5.0, 5.0]))


# --- gradients that add up


def adds_up(rows=100, *, growth=9.0, bend=0.0, **options):
    """A norm that grows in proportion to the step, but for a bend, by so many times from the first tenth to the last."""
    share = np.linspace(0.0, 1.0, rows)
    tenth = (rows // 10 - 1) / 2 / (rows - 1)
    slope = (growth - 1.0) / (1.0 - tenth - growth * tenth)
    norm = 1.0 + slope * (share + bend * np.sin(2.0 * np.pi * share))
    return facts_of(sway(rows), norm, **options)


def test_what_is_said_of_gradients_that_add_up():
    facts = adds_up(first=50)
    assert lines(facts) == ["GL511 | warning | not_learning 0.85 | stalled from 50 | - | 1 of 0.99 in 100"]
    assert "in proportion to the step, 9-fold, while the loss stays at 1: gradients add up" in facts[0].message
    assert "zero_grad clears them" in facts[0].advice
    assert facts[0].rules_out == standstill.MOVES


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"rows": 60}, True),
        ({"rows": 59}, False),
        ({"growth": 5.01}, True),
        ({"growth": 4.99}, False),
        ({"bend": 0.075}, True),
        ({"bend": 0.085}, False),  # a correlation of less than .99
    ],
)
def test_when_gradients_add_up(change, found):
    assert bool(adds_up(**change)) == found


def test_norms_that_are_missing_or_zero():
    row, norm = np.arange(80), np.linspace(1.0, 20.0, 80)
    assert len(facts_of(sway(80), np.where((row >= 10) & (row < 30), np.nan, norm))) == 1
    assert facts_of(sway(80), np.where((row >= 10) & (row < 31), np.nan, norm)) == ()
    assert facts_of(sway(80), np.linspace(0.0, 20.0, 80)) == ()
    assert facts_of(np.linspace(2.0, 1.0, 80), np.linspace(1.0, 20.0, 80)) == ()


# --- every row at chance


def test_what_is_said_of_chance():
    facts = facts_of(sway(20, LN10, 0.004), first=50)
    assert lines(facts) == ["GL511 | warning | not_learning? | stalled from 50 | - | 0.004 of 0.005 in 20"]
    assert "the loss is 2.303 in all 20 rows, which is ln 10: what guessing among 10 classes gives" in facts[0].message
    assert facts[0].advice == standstill.ADVICE


@pytest.mark.parametrize(
    ("loss", "found"),
    [
        (sway(10, LN10, 0.004), True),
        (sway(9, LN10, 0.004), False),
        (np.append(sway(20, LN10, 0.001), LN10 * 1.0049), True),
        # A fifth of the rows lies up to a fiftieth off.
        (np.append(sway(20, LN10, 0.001), LN10 * 1.0199), True),
        (np.append(sway(20, LN10, 0.001), LN10 * 1.0201), False),
        (np.append(sway(20, LN10, 0.001), LN10 * 0.9799), False),
        (np.append(sway(20, LN10, 0.001), sway(4, LN10, 0.01)), True),
        (np.append(sway(20, LN10, 0.001), sway(8, LN10, 0.01)), False),
        # A new network begins above chance, within its first tenth of rows.
        (np.append(LN10 * 1.24, sway(20, LN10, 0.001)), True),
        (np.append(LN10 * 1.26, sway(20, LN10, 0.001)), False),
        (np.append(LN10 * 0.979, sway(20, LN10, 0.001)), False),
        (np.append([LN10 * 1.24] * 3, sway(20, LN10, 0.001)), False),
        (np.append(sway(20, LN10, 0.001), np.nan), False),
        (np.append(sway(20, LN10, 0.001), 0.0), False),
    ],
)
def test_when_every_row_is_at_chance(loss, found):
    assert bool(facts_of(loss)) == found


def test_preferences_begin_at_ln_2():
    case = run(sway(20, np.log(2.0), 0.001))
    assert len(standstill.find(case)) == 1
    case.__dict__["loss_kind"] = "preference"
    assert standstill.find(case) == ()


# --- accuracies


def accurate(share, loss=None, name="acc", rows=80):
    loss = sway(rows, LN10 * 1.02, 0.004) if loss is None else loss
    return facts_of(loss, **{name: np.resize(share, len(loss))})


def test_what_is_said_of_an_accuracy():
    facts = accurate([0.11, 0.12, 0.13], name="val/accuracy")
    assert lines(facts) == ["GL511 | warning | not_learning? | stalled from 0 | - | 0.12 in 80"]
    assert facts[0].message.startswith("val/accuracy is 0.12, and the loss 2.3")
    assert "guessing among 10 classes" in facts[0].message
    facts = accurate(0.7, sway(80))
    assert lines(facts) == ["GL511 | warning | not_learning? | stalled from 0 | - | 0.7 in 80"]
    assert "acc is 0.7 in each of the last 60 rows, and the loss stays at 1: no answer changes" in facts[0].message


@pytest.mark.parametrize(
    ("share", "loss", "found"),
    [
        ([0.158, 0.159], None, True),
        ([0.161, 0.162], None, False),  # 1.6 times a tenth
        ([0.063, 0.064], None, True),
        ([0.061, 0.062], None, False),
        ([6.3, 6.4], None, True),  # per cent
        ([0.11, 0.12], sway(80, LN10 * 1.029, 0.0001), True),
        ([0.11, 0.12], sway(80, LN10 * 1.031, 0.0001), False),  # three per cent from guessing
        (0.899, sway(80), True),
        (0.9, sway(80), False),
        (np.append(np.full(20, 0.2), np.full(60, 0.7)), sway(80), True),
        (np.append(np.full(21, 0.2), np.full(59, 0.7)), sway(80), False),
        (np.append(np.full(79, 0.7), 0.71), sway(80), False),
        # The first twentieth of the loss may be elsewhere.
        (0.7, np.append(np.full(4, 9.0), sway(76)), True),
    ],
)
def test_when_an_accuracy_stands_still(share, loss, found):
    assert bool(accurate(share, loss)) == found


def test_guessing_between_two_is_no_high_accuracy():
    level = float(np.log(2.0))
    assert len(accurate([0.79, 0.78], sway(80, level * 1.02, 0.004))) == 1
    assert accurate([0.81, 0.82], sway(80, level * 1.02, 0.004)) == ()


@pytest.mark.parametrize(
    ("series", "name"),
    [
        ({"acc": np.full(15, 0.5)}, "acc"),
        ({"acc": np.full(14, 0.5)}, None),
        ({"acc": np.append(np.full(15, 0.5), np.nan)}, "acc"),
        ({"acc": np.append(np.full(14, 0.5), np.nan)}, None),
        ({"accelerate": np.full(15, 0.5), "top/accuracy": np.full(15, 0.5)}, "top/accuracy"),
        ({"acc": np.append(np.full(15, 0.5), -0.1)}, None),
        ({"acc": np.append(np.full(15, 0.5), 100.1)}, None),
        ({"acc": np.append(np.full(15, 0.5), 100.0)}, "acc"),
        ({"acc": np.append(np.full(15, 0.5), 0.0)}, "acc"),
    ],
)
def test_which_column_is_an_accuracy(series, name):
    rows = len(next(iter(series.values())))
    found = standstill.accuracy_of(run(np.ones(rows), **series))
    assert (found and found[0]) == name


@pytest.mark.parametrize(("top", "scale"), [(1.0, 1.0), (1.01, 0.01)])
def test_shares_and_per_cent(top, scale):
    _, value = standstill.accuracy_of(run(np.ones(16), acc=np.append(np.full(15, 0.5), top)))
    assert value[0] == pytest.approx(0.5 * scale)


def test_what_is_said_of_one_answer():
    loss = np.linspace(1.0, 0.8, 60)
    facts = facts_of(loss, acc=np.full(60, 0.55))
    assert lines(facts) == ["GL511 | warning | not_learning? | stalled from 0 | - | 0.55 in 60"]
    assert "acc is 0.55 in all 60 rows: the answers never change" in facts[0].message


@pytest.mark.parametrize(
    ("end", "share", "found"),
    [
        (0.8, 0.6, True),
        (0.8, 0.61, False),
        (0.71, 0.5, True),
        (0.66, 0.5, False),  # it keeps less than seven tenths
        (0.8, np.append(np.full(59, 0.5), 0.51), False),
    ],
)
def test_when_one_answer_is_given_to_everything(end, share, found):
    assert bool(facts_of(np.linspace(1.0, end, 60), acc=np.resize(share, 60))) == found


def test_the_first_tenth_is_the_start():
    # Six rows each: most of them count.
    loss = np.concatenate((np.full(4, 1.0), np.full(2, 5.0), np.linspace(0.95, 0.8, 54)))
    assert bool(facts_of(loss, acc=np.full(60, 0.5)))
    loss = np.concatenate((np.full(2, 1.0), np.full(4, 5.0), np.linspace(0.95, 0.8, 54)))
    assert not facts_of(loss, acc=np.full(60, 0.5))


# --- the same to the last digit


def same(before, rows=40, level=2.0):
    return facts_of(np.append(before, np.full(rows, level)))


def test_what_is_said_of_the_same_loss():
    facts = same([2.05, 2.02, 2.01])
    assert lines(facts) == ["GL511 | warning | not_learning? | stalled from 0 | - | 40 in 43"]
    assert "is 2 to the last digit in the last 40 rows, and began at 2.05: no update changes it" in facts[0].message


@pytest.mark.parametrize(
    ("before", "rows", "found"),
    [
        ([2.01], 20, True),
        ([2.01], 19, False),
        (np.resize([2.008, 2.016], 30), 30, True),
        (np.resize([2.008, 2.016], 32), 30, False),  # less than half
        ([2.099, 2.09], 40, True),
        ([2.11, 2.1, 2.09], 40, False),  # it came down by more than a twentieth
        ([2.0099], 40, True),
        ([2.02, 2.01001], 40, True),
        ([2.021, 2.0101], 40, False),  # it is printed to more than half a per cent of it
        ([], 40, False),  # another finding says so
    ],
)
def test_when_a_loss_is_the_same(before, rows, found):
    assert bool(same(before, rows)) == found


# --- epochs without a descent


def epochs(rows=60, *, end=1.0, first=0, noise=0.05):
    loss = np.linspace(1.0, end, rows) * (1.0 + noise * np.resize([1.0, -1.0, 0.0], rows))
    return facts_of(loss, first=first, every=1, epoch=first + np.arange(float(rows)))


def test_what_is_said_of_epochs():
    facts = epochs()
    assert lines(facts)[0].startswith("GL511 | warning | not_learning? | stalled from 0 | - | ")
    assert lines(facts)[0].endswith(" of 0.02 in 60")
    assert "does not come down in 60 epochs (1 at first, 1 at the end)" in facts[0].message
    (fact,) = epochs(end=0.97, noise=0.04)
    assert float(line(fact).split(" | ")[5].split()[0]) == pytest.approx(0.024, abs=0.003)


@pytest.mark.parametrize(
    ("change", "found"),
    [({"rows": 30}, True), ({"rows": 29}, False), ({"first": 1}, True), ({"first": 2}, False), ({"end": 0.8}, False)],
)
def test_thirty_epochs(change, found):
    assert bool(epochs(**change)) == found


def test_steps_are_no_epochs():
    assert facts_of(sway(60)) == ()


@pytest.mark.parametrize(
    ("share", "times", "found"),
    [
        (0.9, 1.0, True),
        (0.9, 1.029, True),
        (0.9, 1.031, False),
        (0.6, 0.98, True),
        (0.45, 1.0, False),
        (1.0, 1.0, False),
    ],
)
def test_one_answer_costs_the_entropy_of_its_share(share, times, found):
    entropy = -sum(p * np.log(p) for p in (share, 1.0 - share) if 0 < p < 1) or 0.1
    loss = times * entropy * (1.0 + 1.5 * np.exp(-np.arange(60) / 4)) + sway(60, 0.0)
    case = run(loss, accuracy=np.full(60, share))
    assert any("how common two answers are" in fact.message for fact in standstill.find(case)) == found


def test_an_accuracy_that_changes_is_that_of_a_model():
    loss = 0.325 * (1.0 + 1.5 * np.exp(-np.arange(60) / 4))
    accuracy = np.resize([0.9, 0.91], 60)
    assert not any("how common" in fact.message for fact in standstill.find(run(loss, accuracy=accuracy)))


# --- exactly at a limit


@pytest.mark.parametrize(
    ("levels", "stands"),
    [
        ((204.0, 201.0, 200.0), True),  # four steps of rounding
        ((205.0, 201.0, 200.0), False),
        ((104.0, 100.0, 100.0), True),  # twice a fiftieth
        ((104.5, 100.0, 100.0), False),
    ],
)
def test_levels_exactly_as_far_apart_as_may_be(levels, stands):
    assert standstill.stands(np.repeat(levels, [27, 81, 27])) == stands


@pytest.mark.parametrize(
    ("share", "found"), [((0.0625, 0.05, 0.07), True), ((0.16, 0.1, 0.2), True), ((0.161, 0.1, 0.2), False)]
)
def test_an_accuracy_exactly_as_far_from_guessing_as_may_be(share, found):
    assert bool(accurate(share)) == found


def test_seven_tenths_of_the_start_are_no_fall():
    assert len(facts_of(np.linspace(10.0, 7.0, 60).round(0), acc=np.full(60, 0.5))) == 1


@pytest.mark.parametrize(
    ("before", "found"),
    [([201.0], True), ([202.0, 200.0], False), ([210.0, 201.0], True), ([211.0, 201.0], False)],
)
def test_digits_and_a_start_exactly_at_the_limits(before, found):
    assert bool(same(before, level=200.0)) == found


@pytest.mark.parametrize(("rows", "found"), [(19, True), (18, False)])
def test_fifteen_late_accuracies_show_one_answer(rows, found):
    entropy = -0.9 * np.log(0.9) - 0.1 * np.log(0.1)
    loss = entropy * (1.0 + 1.5 * np.exp(-np.arange(rows) / 2))
    facts = facts_of(loss, accuracy=np.full(rows, 0.9))
    assert any("how common two answers are" in fact.message for fact in facts) == found


@pytest.mark.parametrize(("first", "found"), [(11.0, True), (11.1, False)])
def test_norms_that_grow_exactly_fivefold(first, found):
    # From the median of six rows, 13.5, to that of the last six, 67.5.
    assert bool(facts_of(sway(60), first + np.arange(60.0))) == found


def test_two_rows_in_twenty_are_the_first():
    assert len(facts_of(np.append([LN10 * 1.24] * 2, sway(18, LN10, 0.001)))) == 1


@pytest.mark.parametrize(
    ("every", "last", "averaged", "epochs_", "doubted"),
    [
        (1, 1.0, False, False, True),
        (10, 1.0, False, False, False),  # a step may lie between two rows
        (1, 1.0199, False, False, False),
        (1, 1.0, True, False, False),
        (1, 1.0, False, True, False),
    ],
)
def test_steps_that_are_too_long_would_show_in_one_row(every, last, averaged, epochs_, doubted, monkeypatch):
    monkeypatch.setattr(standstill, "counts_epochs", lambda _: epochs_)
    case = run(np.append(sway(20, LN10, 0.004), LN10 * last), every=every)
    case.__dict__["provenance"] = SimpleNamespace(averaged=averaged, trusted=True)
    (fact,) = standstill.find(case)
    assert fact.doubts == ({"lr_too_high", "no_warmup"} if doubted else set())
    assert ("in nearly all 21 rows" in fact.message) == (last > 1.005)


def halves(level, off=1.05):
    """Eighty rows at a level, but those from a fifth to nearly three quarters, more of the second half at it than not."""
    return level * np.repeat([1.0, off, 1.0], [16, 43, 21])


def test_the_second_half_of_a_loss_is_its_level():
    facts = accurate([0.11, 0.12, 0.13], halves(LN10 * 1.02))
    assert "guessing among 10 classes" in facts[0].message
    entropy = -0.9 * np.log(0.9) - 0.1 * np.log(0.1)
    (fact,) = facts_of(halves(entropy), accuracy=np.full(80, 0.9))
    assert "how common two answers are" in fact.message
    assert line(fact).endswith("| 1 of 1.03 in 60")


def test_half_of_the_answers_right_is_no_base_rate():
    loss = np.log(2.0) * (1.0 + 1.5 * np.exp(-np.arange(60) / 4))
    assert not any("how common" in fact.message for fact in facts_of(loss, accuracy=np.full(60, 0.5)))


@pytest.mark.parametrize(
    ("name", "value", "found"),
    [
        ("mIoU", np.zeros(26), True),
        ("mIoU", np.zeros(25), False),  # of which nineteen are late
        ("val/dice", np.append(np.ones(25), np.zeros(75)), True),
        ("val/dice", np.append(np.ones(26), np.zeros(74)), False),
        ("errors", np.zeros(100), False),
    ],
)
def test_an_overlap_of_nothing(name, value, found):
    facts = facts_of(np.linspace(3.0, 1.0, len(value)), **{name: value})
    assert bool(facts) == found
    if found:
        late = len(value) - len(value) // 4
        assert f"0 in the last {late} rows, while the loss goes from 3 to 1: nothing" in facts[0].message

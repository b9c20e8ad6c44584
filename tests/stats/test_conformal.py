"""The rank of one row among others: its chance of a false alarm holds whatever the distribution."""

from __future__ import annotations

import math

import numpy as np
import pytest

from gradlens.stats.conformal import false_alarm_rate, fewest_others, rank_among, smallest_p_value


def rank(row, others, *, alpha=0.05, upward=None, least=None):
    others = np.asarray(others, dtype=float)
    m = others.shape[1]
    return rank_among(
        np.asarray(row, dtype=float), others, alpha=alpha,
        upward=np.zeros(m, dtype=bool) if upward is None else np.asarray(upward),
        least=np.full(m, 1e-6) if least is None else np.asarray(least, dtype=float),
    )  # fmt: skip


def heavy(generator, shape):
    """Dependent figures with tails so heavy that they have no variance."""
    common = generator.standard_cauchy((shape[0], 1))
    return common + generator.standard_t(1.5, shape) * np.array([1.0, 100.0, 1e-3, 1.0])


@pytest.mark.parametrize("n", [19, 39, 45, 99])
def test_false_alarms_are_those_promised_whatever_the_distribution(n):
    generator = np.random.default_rng(n)
    draws, alarms = 1500, 0
    for _ in range(draws):
        rows = heavy(generator, (n + 1, 4))
        alarms += rank(rows[-1], rows[:-1], upward=[True, False, True, False]).p_value <= 0.05
    promised = false_alarm_rate(n, 0.05)
    # Four standard errors.
    assert abs(alarms / draws - promised) < 4 * math.sqrt(promised * (1 - promised) / draws)


def test_p_value_and_bound_say_the_same():
    generator = np.random.default_rng(0)
    for n in (18, 19, 20, 40, 59):
        for _ in range(100):
            rows = heavy(generator, (n + 1, 4))
            found = rank(rows[-1], rows[:-1])
            assert (found.p_value <= 0.05) == (found.score > found.bound)
            assert found.p_value == found.p_values.min()
            beyond = np.abs(rows[-1] - found.centres) > found.allowed
            assert beyond.any() == (found.score > found.bound)


def test_the_figure_that_is_unlike_is_named():
    others = np.random.default_rng(1).normal(size=(60, 3))
    found = rank([0.0, 9.0, 0.0], others)
    assert found.p_value == smallest_p_value(60)
    assert int(np.argmax(found.deviations)) == 1
    assert found.p_values[0] > 0.5


def test_only_large_values_count_where_that_is_said():
    others = np.random.default_rng(2).normal(size=(60, 1))
    assert rank([-50.0], others, upward=[True]).p_value == 1.0
    assert rank([-50.0], others, upward=[False]).p_value == smallest_p_value(60)


def test_a_figure_with_a_long_tail_does_not_hide_the_others():
    generator = np.random.default_rng(3)
    others = np.column_stack([generator.normal(size=99), generator.lognormal(0.0, 2.0, size=99)])
    in_medians = np.abs(others - np.median(others, axis=0)) / np.median(
        np.abs(others - np.median(others, axis=0)), axis=0
    )
    # In units of the median deviation a tenth of the rows would be farther out than this one.
    assert (in_medians.max(axis=1) > 12.0 / 0.67).mean() > 0.05
    assert rank([12.0, 1.0], others).p_value <= 0.05


def test_differences_that_nobody_minds_do_not_count():
    others = np.full((30, 1), 2.0)
    assert rank([2.001], others, least=[0.01]).p_value == 1.0
    assert rank([2.1], others, least=[0.01]).p_value == smallest_p_value(30)


def test_missing_figures_are_left_out():
    others = np.random.default_rng(4).normal(size=(30, 2))
    others[::2, 0] = np.nan
    found = rank([np.nan, 9.0], others)
    assert found.deviations[0] == 0.0
    assert found.p_value == smallest_p_value(30)
    nothing = rank([np.nan, np.nan], np.full((30, 2), np.nan))
    assert nothing.p_value == 1.0


def test_too_few_others_cannot_fail():
    assert fewest_others(0.05) == 19
    assert fewest_others(0.01) == 99
    assert false_alarm_rate(18, 0.05) == 0.0
    assert false_alarm_rate(19, 0.05) == 0.05
    found = rank([1e9], np.random.default_rng(5).normal(size=(18, 1)))
    assert math.isinf(found.bound)
    assert found.p_value == 1 / 19


def test_a_rank_by_hand():
    # Median 3 of 1 to 5 and 9; deviations 2.5, 1.5, .5, .5, 1.5 and 5.5, their 90 % quantile 4.
    found = rank([9.0], [[1.0], [2.0], [3.0], [4.0], [5.0]], alpha=0.4)
    assert found.centres.tolist() == [3.5]
    assert found.deviations[0] == pytest.approx(5.5 / 4.0, rel=1e-5)
    assert found.p_value == pytest.approx(1 / 6)
    # Of six places two are red (.4 times 6 is 2.4): the row must pass the largest but one of the others, 1.5.
    assert found.bound == pytest.approx(1.5 / 4.0, rel=1e-5)
    assert found.allowed[0] == pytest.approx(1.5, rel=1e-5)
    assert found.others == 5


def test_ties_count_against_the_row():
    assert rank([5.0], [[1.0], [5.0], [3.0], [3.0], [3.0]]).p_value == pytest.approx(3 / 6)


@pytest.mark.parametrize(("alpha", "others"), [(0.05, 19), (0.1, 9), (0.04, 24), (0.3, 3)])
def test_how_many_others_an_alarm_needs(alpha, others):
    assert fewest_others(alpha) == others
    assert smallest_p_value(others) <= alpha + 1e-12
    assert smallest_p_value(others - 1) > alpha
    assert false_alarm_rate(others, alpha) == pytest.approx(1 / (others + 1))
    assert false_alarm_rate(others - 1, alpha) == 0.0

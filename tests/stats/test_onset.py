import numpy as np
import pytest

from gradlens.stats.onset import find_onset


def at(values, troubled):
    return find_onset(np.array(values, dtype=float), np.array(troubled, dtype=bool))


def test_the_cut_is_where_the_troubled_side_begins():
    values = [8, 1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12]
    found = at(values, [v > 6 for v in values])
    assert (found.value, found.low, found.high, found.rises) == (7.0, 7.0, 7.0, True)
    assert found.p_value < 0.01
    falls = at(values, [v <= 6 for v in values])
    assert (falls.value, falls.rises) == (7.0, False)
    # One quiet run on the troubled side: cuts beside it are nearly as good.
    found = at(values, [v > 6 and v != 8 for v in values])
    assert found.value == 7.0
    assert found.low < 7.0 < found.high


def test_what_has_no_cut():
    values = list(range(12))
    assert at(values, [True] * 12) is None
    assert at(values, [False] * 12) is None
    assert at([3.0] * 12, [v > 6 for v in values]) is None
    assert at(values[:7], [v > 3 for v in values[:7]]) is None
    assert at(values[:8], [v > 3 for v in values[:8]]) is not None


def test_one_run_in_trouble_proves_nothing_and_a_missing_setting_is_left_out():
    assert at(range(12), [v == 3 for v in range(12)]).p_value > 0.1
    assert at([*range(12), np.nan], [*(v > 6 for v in range(12)), False]).value == 7.0


def test_the_interval_holds_the_cuts_that_are_not_told_apart():
    # log-likelihood of each cut by hand; those within 1.9207 of the best are the interval.
    trouble = [False, False, True, False, False, True, True, True, False, True, True, True]
    found = at(range(12), trouble)

    def likelihood(k):
        return sum(
            sum(np.log(np.mean(side)) if v else np.log(1 - np.mean(side)) for v in side)
            for side in (trouble[:k], trouble[k:])
            if 0 < sum(side) < len(side)
        )

    gains = [likelihood(k) for k in range(1, 12)]
    close = [k for k, gain in enumerate(gains, 1) if gain >= max(gains) - 1.9207]
    assert found.value == 1 + int(np.argmax(gains))
    assert (found.low, found.high) == (close[0], close[-1])


def test_equal_settings_stay_together_and_the_chance_is_that_of_orderings():
    # Four quiet at 1, four troubled at 2: one cut, and 2 of 70 orderings separate as well.
    found = at([1, 1, 1, 1, 2, 2, 2, 2], [False] * 4 + [True] * 4)
    assert (found.value, found.low, found.high) == (2.0, 2.0, 2.0)
    assert found.p_value == pytest.approx(2 / 70, abs=0.02)

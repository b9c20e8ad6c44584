import numpy as np

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

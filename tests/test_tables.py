"""Series of one run as rows: nothing lost, nothing moved."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradlens.run import Series
from gradlens.tables import rows_of, to_arrow, to_pandas


def series(name, steps, values=None):
    value = np.arange(len(steps), dtype=np.float64) if values is None else np.array(values, dtype=np.float64)
    return Series(name=name, step=np.array(steps, dtype=np.int64), value=value)


def table(*made):
    return rows_of({s.name: s for s in made})


def test_no_series_no_rows():
    step, cells = rows_of({})
    assert len(step) == 0
    assert cells == {}


def test_rows_follow_the_longest_series_and_others_fall_in():
    step, cells = table(series("long", [0, 2, 4, 6]), series("short", [3, 9]))
    assert step.tolist() == [0, 2, 3, 4, 6, 9]
    assert cells["short"][0].tolist() == [2, 5]
    assert cells["long"][0].tolist() == [0, 1, 3, 4]


def test_a_repeated_step_takes_as_many_rows_as_it_was_written():
    step, cells = table(series("a", [0, 1, 1, 2]), series("b", [1]))
    assert step.tolist() == [0, 1, 1, 2]
    assert cells["b"][0].tolist() == [1]


def test_a_log_that_goes_back_keeps_the_order_in_which_it_was_written():
    step, _ = table(series("a", [0, 1, 2, 1, 2, 3]))
    assert step.tolist() == [0, 1, 2, 1, 2, 3]


@given(st.lists(st.lists(st.integers(0, 8), max_size=12), min_size=1, max_size=4))
def test_every_value_has_its_own_cell(steps):
    made = [series(str(place), found) for place, found in enumerate(steps)]
    step, cells = table(*made)
    for one in made:
        rows, values = cells[one.name]
        assert len(set(rows.tolist())) == len(one)
        assert step[rows].tolist() == one.step.tolist()
        assert values.tolist() == one.value.tolist()
    assert len(step) == len({row for rows, _ in cells.values() for row in rows.tolist()})


@pytest.mark.parametrize("convert", [to_arrow, to_pandas])
def test_a_series_called_step_keeps_its_values(convert):
    made = {s.name: s for s in (series("step", [0, 1], [7, 8]), series("step_", [0], [9]))}
    found = convert(made)
    names = found.column_names if convert is to_arrow else list(found.columns)
    assert names == ["step", "step_", "step__"]

"""From where to where a loss went."""

from __future__ import annotations

import numpy as np
import pytest

from gradlens.figures.course import course_of


def steps_and(values):
    return np.arange(len(values), dtype=np.int64) * 10, np.asarray(values, dtype=float)


def test_first_lowest_and_last():
    found = course_of(*steps_and([4.0, 2.0, 1.0, 1.0, 3.0, 3.2, 3.4, 9.0]))
    assert (found.first, found.lowest, found.lowest_step, found.last_step) == (4.0, 1.0, 20, 70)
    assert found.last == pytest.approx(6.2)


def test_values_that_are_not_finite_are_left_out():
    found = course_of(*steps_and([np.nan, 4.0, 2.0, np.inf, np.nan]))
    assert (found.first, found.lowest, found.last, found.last_step) == (4.0, 2.0, 2.0, 20)


@pytest.mark.parametrize("values", [[], [1.0], [np.nan, np.nan, 1.0]])
def test_too_few_values(values):
    assert course_of(*steps_and(values)) is None
    assert course_of(np.empty(0, np.int64), np.empty(0)) is None

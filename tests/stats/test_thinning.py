"""Thinned curves: every extreme stays, and nothing is invented."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradlens.stats.thinning import extremes


@given(n=st.integers(1, 3000), most=st.integers(4, 200), seed=st.integers(0, 99))
def test_every_stretch_keeps_its_extremes(n, most, seed):
    value = np.random.default_rng(seed).standard_normal(n).round(1)
    rows = extremes(value, most)
    assert np.all(np.diff(rows) > 0)
    assert rows[0] == 0
    assert rows[-1] == n - 1
    assert len(rows) <= max(most + 2, 4)
    size = 1 if n <= most else -(-n // max(most // 2, 2))
    for first in range(0, n, size):
        part, kept = value[first : first + size], value[rows[(rows >= first) & (rows < first + size)]]
        assert kept.min() == part.min()
        assert kept.max() == part.max()


def test_a_short_series_is_left_alone():
    assert extremes(np.arange(10.0), 10).tolist() == list(range(10))


@pytest.mark.parametrize("place", [0, 1, 499_999, 500_000, 999_999])
def test_one_spike_in_a_million_is_kept(place):
    value = np.zeros(1_000_000)
    value[place] = 1.0
    assert place in extremes(value, 4_000)


def test_places_that_are_asked_for_are_kept():
    rows = extremes(np.zeros(100_000), 100, keep=np.array([12_345, 77_777]))
    assert {12_345, 77_777} <= set(rows.tolist())

"""Kinds of healthy runs that look odd stay quiet; the benchmark has the whole table."""

from __future__ import annotations

import pytest

from benchmarks.healthy_oddities import KINDS, alarms


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rows", [50, 300])
def test_hardly_an_alarm(kind, rows):
    count, codes = alarms(kind, rows, 6)
    # At the 3 % that the benchmark holds, two alarms of six happen once in eighty tests.
    assert count <= 1, codes

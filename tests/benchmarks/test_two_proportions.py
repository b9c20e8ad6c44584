"""The test that takes every step for independent, which the gate is compared with."""

from __future__ import annotations

import math

import pytest
from scipy import stats

from benchmarks.gate.simulated import two_proportion_p


@pytest.mark.parametrize(("design_effect", "p"), [(1.0, 0.000316), (4.0, 0.072), (10.0, 0.255)])
def test_two_proportions_with_design_effect(design_effect, p):
    """120 of 2,000 against 180 of 2,000: z is 3.602 if steps were independent."""
    assert two_proportion_p(180, 2000, 120, 2000, design_effect) == pytest.approx(p, abs=6e-4)


@pytest.mark.parametrize(("candidate", "baseline"), [(0, 0), (100, 100)])
def test_equal_rates_of_none_or_all_are_no_difference(candidate, baseline):
    assert two_proportion_p(candidate, 100, baseline, 100) == 1.0


def test_two_proportions_of_unequal_lengths():
    z = (0.3 - 0.2) / math.sqrt(70 / 300 * 230 / 300 * (1 / 100 + 1 / 200))
    assert two_proportion_p(30, 100, 40, 200) == pytest.approx(2 * stats.norm.sf(z))

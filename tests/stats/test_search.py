import math

import pytest

from gradlens.stats.search import golden_section


def test_the_minimum_of_a_parabola():
    where, value = golden_section(lambda x: (x - 0.3) ** 2 + 2.0, -1.0, 5.0, 60)
    assert where == pytest.approx(0.3, abs=1e-7)
    assert value == pytest.approx(2.0, abs=1e-14)


def test_infinite_values_are_avoided():
    where, _ = golden_section(lambda x: math.inf if x < 1.0 else x, 0.0, 3.0, 40)
    assert where == pytest.approx(1.0, abs=1e-6)

"""Adam's arithmetic, to the digits that are given for it."""

import math

import pytest

from gradlens.stats import adam


def test_the_slowdown_is_what_a_shock_does_to_the_second_moment():
    beta2, ratio = 0.999, 100.0
    v = beta2 * 1.0 + (1 - beta2) * ratio**2
    assert math.sqrt(v) == pytest.approx(adam.slowdown(ratio, beta2), rel=1e-3)
    assert adam.slowdown(0.0, beta2) == 1.0
    assert adam.slowdown(math.inf, beta2) == math.inf


def test_warm_up_of_the_second_moment():
    assert adam.warmup_steps(0.999) == pytest.approx(2000)
    assert adam.warmup_steps(0.95) == pytest.approx(40)


@pytest.mark.parametrize("rate", [1.0, -0.1, math.nan])
def test_what_is_no_decay_rate(rate):
    with pytest.raises(ValueError, match="decay rate"):
        adam.memory(rate)


def test_without_memory_a_shock_is_gone_at_once():
    assert (adam.memory(0.0), adam.warmup_steps(0.0), adam.slowdown(3.0, 0.0)) == (1.0, 2.0, pytest.approx(10**0.5))

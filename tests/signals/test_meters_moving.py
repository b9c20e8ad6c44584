"""What a logged norm is made of: moving averages, and powers of two that were rounded."""

from __future__ import annotations

import numpy as np
import pytest

import gradlens
from gradlens.signals.meters import clipped_at_power_of_two, is_moving_average


@pytest.fixture
def norm():
    return 1.4 * np.exp(0.25 * np.random.default_rng(8).standard_normal(1200))


def averaged(norm, share):
    out = norm.copy()
    for i in range(1, len(out)):
        out[i] = share * out[i - 1] + (1 - share) * out[i]
    return out


@pytest.mark.parametrize("share", [0.9, 0.95, 0.98, 0.99])
def test_an_exponential_mean_is_found(norm, share):
    assert is_moving_average(averaged(norm, share))


def test_a_sliding_mean_is_found(norm):
    assert is_moving_average(np.convolve(norm, np.ones(20) / 20, "valid"))


@pytest.mark.parametrize("value", [
    lambda norm: norm,
    lambda norm: norm * np.exp(np.linspace(1.0, -1.0, len(norm))),
    lambda norm: 1.0 / (1.0 + np.arange(len(norm)) / 50.0),
    lambda norm: np.full(len(norm), 0.3),
    lambda norm: averaged(norm, 0.98)[:150],
    lambda norm: norm.reshape(-1, 10).mean(axis=1),
], ids=["single batches", "falling", "smooth", "constant", "too few", "means of windows side by side"])  # fmt: skip
def test_other_norms_are_not(norm, value):
    assert not is_moving_average(value(norm))


def test_nothing_of_it_is_judged(norm):
    n = len(norm)
    loss = 1.0 + 3.0 * np.exp(-np.arange(n) / 100) + 0.02 * np.random.default_rng(1).standard_normal(n)
    run = gradlens.analyze({"step": np.arange(n), "loss": loss, "grad_norm": averaged(norm, 0.98)}).runs[0]
    assert run.provenance.verdict == "averaged"
    told = next(f for f in run.findings if f.code == "GL004")
    assert told.severity == "note"
    assert "moving average" in told.message


@pytest.mark.parametrize("places", [6, 7, 9])
def test_powers_of_two_are_found_through_rounding(places):
    value = np.round(np.repeat([0.5 * 2.0**-15, 0.5 * 2.0**-16], 100), places)
    assert clipped_at_power_of_two(value, (0.5,)) == (0.5, [15, 16])


@pytest.mark.parametrize(
    "value",
    [np.full(100, 1e-5), np.full(100, 0.001), np.repeat([1e-5, 2e-5, 3e-5, 4e-5], 30), np.linspace(1e-5, 3e-5, 200)],
)
def test_what_rounding_leaves_too_little_of_is_not(value):
    assert clipped_at_power_of_two(value, (1.0,)) is None

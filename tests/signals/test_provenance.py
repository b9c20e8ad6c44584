"""Where the norms were measured: what says so, and what does not."""

from __future__ import annotations

import numpy as np
import pytest

import gradlens
from gradlens.signals.bunching import bunching
from gradlens.signals.meters import carries_scale, is_moving_average
from tests import synthetic
from tests.synthetic import healthy, make


def test_provenance():
    assert synthetic.case_after_clipping().provenance.verdict == "post_clip"
    assert synthetic.case_loss_scaled().provenance.verdict == "loss_scaled"
    assert synthetic.case_placeholder().provenance.placeholder
    assert synthetic.case_averaged().provenance.averaged
    assert synthetic.case_clipped().provenance.verdict == "pre_clip"
    assert synthetic.make(synthetic.healthy(), threshold=50.0).provenance.verdict == "unknown"
    assert synthetic.make(synthetic.healthy(), threshold=None).provenance.verdict == "pre_clip"
    assert not synthetic.case_after_clipping().provenance.trusted


def test_bunching_counts_the_band_only():
    norm = np.concatenate([np.full(30, 0.9999), np.linspace(0.5, 0.99, 70)])
    share, contrast = bunching(norm, 1.0)
    assert share == 0.30
    assert contrast > 5


def test_norms_that_bunch_elsewhere_contradict_the_threshold():
    run = healthy()
    run["grad_norm"] = np.minimum(run["grad_norm"], 0.42 * (1 - 1e-6))
    for threshold in (1.0, None):
        found = make(run, threshold=threshold).provenance
        assert found.verdict == "post_clip"
        assert "0.42" in found.reason
    coarse = make({**run, "grad_norm": np.round(healthy()["grad_norm"], 1)}, threshold=None)
    assert coarse.provenance.verdict == "pre_clip"


@pytest.mark.parametrize(("norm", "verdict"), [(4096.0, "loss_scaled"), (1.0, "pre_clip")])
def test_attempts_with_other_scales(norm, verdict):
    scale = np.array([4096.0] * 4 + [1.0] * 4)
    columns = {
        "loss": np.full(8, 63.8),
        "grad_norm": np.where(scale > 1, norm, 1.0) * np.array([3.9, 8.3, 8.2, 5.0, 2.8, 4.5, 6.3, 5.0]),
        "loss_scale": scale,
    }
    assert make(columns, step=[2] * 8, threshold=1.0).provenance.verdict == verdict


class TestAScaleThatGrowsAgainSoon:
    """Overflows every few dozen rows: no level lasts, but each infinite norm halves it."""

    def norms(self, *, scaled, noise=0.3, n=600):
        g = np.random.default_rng(8)
        norm = np.exp(noise * g.standard_normal(n))
        scale, at = 1.0, np.empty(n)
        for row in range(n):
            at[row] = scale
            scale = scale / 2 if row % 40 == 39 else scale * (2 if row % 40 == 19 else 1)
        norm = norm * at if scaled else norm
        norm[39::40] = np.inf
        return norm

    def test_norms_that_halve_at_each_infinity_carry_it(self):
        assert carries_scale(self.norms(scaled=True)) == 14

    def test_norms_that_go_on_as_before_do_not(self):
        assert carries_scale(self.norms(scaled=False)) == 0

    def test_two_infinities_are_too_few(self):
        assert carries_scale(self.norms(scaled=True)[:100]) == 0

    def test_and_nothing_is_called_clear_above_them(self):
        n = 600
        loss = 0.5 + 2.0 * np.exp(-np.arange(n) / 80) * np.exp(0.03 * np.random.default_rng(1).standard_normal(n))
        norm = np.where(np.isinf(self.norms(scaled=True)), 2.0, self.norms(scaled=True))
        norm[[39, 199, 359]] = np.inf
        run = gradlens.analyze({"step": np.arange(n), "loss": loss, "grad_norm": norm}).runs[0]
        assert run.verdict.status != "clear"


@pytest.mark.parametrize(("level", "steps"), [(50.0, 4), (5.0, 0)])
def test_steps_of_two_without_an_overflow_count_for_norms_larger_than_gradients_are(level, steps):
    norm = level * np.exp(0.1 * np.random.default_rng(4).standard_normal(500)) * 2.0 ** np.repeat([0, 1, 0, 1, 0], 100)
    assert carries_scale(norm) == steps


@pytest.mark.parametrize("alike", [0.0, 0.3, 0.6])
def test_a_moving_average_of_batches_that_are_alike(alike):
    rng = np.random.default_rng(3)
    value, mean = np.zeros(800), np.ones(800)
    for row in range(1, 800):
        value[row] = alike * value[row - 1] + 0.3 * np.sqrt(1.0 - alike**2) * rng.standard_normal()
        mean[row] = 0.97 * mean[row - 1] + 0.03 * np.exp(value[row])
    assert is_moving_average(mean)
    assert not is_moving_average(np.exp(value))

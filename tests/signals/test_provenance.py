"""Where the norms were measured: what says so, and what does not."""

from __future__ import annotations

import numpy as np
import pytest

from gradlens.signals.bunching import bunching
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

"""Which threshold a run clipped at, and how that is known."""

from __future__ import annotations

import numpy as np

from gradlens.config import TrainingConfig
from gradlens.run import Columns, Run, Series
from gradlens.signals.threshold import bunched_maximum, choose_threshold


def run_of(norm, clipped=None):
    step = np.arange(len(norm), dtype=np.int64)
    series = {"grad_norm": Series(name="grad_norm", step=step, value=np.asarray(norm, dtype=np.float64))}
    if clipped is not None:
        series["clipped"] = Series(name="clipped", step=step, value=np.asarray(clipped, dtype=np.float64))
    return Run(
        id="r", source="r", format="jsonl", series=series,
        columns=Columns(grad_norm="grad_norm", grad_norm_clipped="clipped" if clipped is not None else None),
    )  # fmt: skip


def test_threshold_from_option_beats_config_beats_log_beats_assumption():
    norm = np.r_[np.linspace(0.1, 0.4, 80), np.full(40, 0.5)]
    config = TrainingConfig(max_grad_norm=2.0)
    assert choose_threshold(run_of(norm), config, 3.0).source == "option"
    assert choose_threshold(run_of(norm), config, None).value is None
    assert choose_threshold(run_of(norm), config, "").value == 2.0
    proven = choose_threshold(run_of(norm), TrainingConfig(), "")
    assert (proven.value, proven.source) == (0.5, "log")
    assumed = choose_threshold(run_of(norm[:80]), TrainingConfig(), "")
    assert (assumed.value, assumed.source) == (1.0, "assumed")
    assert choose_threshold(run_of(norm), TrainingConfig(max_grad_norm=0.0), "").value is None


def test_a_logged_clipped_norm_proves_the_threshold():
    norm = np.linspace(1, 10, 200)
    proven = choose_threshold(run_of(norm, clipped=np.minimum(norm, 3.0)), TrainingConfig(), "")
    assert (proven.value, proven.source) == (3.0, "log")


def test_constant_norms_prove_no_threshold():
    assert bunched_maximum(np.full(200, 0.7)) is None
    assert bunched_maximum(np.array([])) is None

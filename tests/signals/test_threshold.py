"""Which threshold a run clipped at, and how that is known."""

from __future__ import annotations

import numpy as np
import pytest

from gradlens.config import TrainingConfig
from gradlens.run import Columns, Run, Series
from gradlens.signals.bunching import bunched_maximum
from gradlens.signals.threshold import Threshold, choose_threshold


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
    assert choose_threshold(run_of(norm), config, "auto").value == 2.0
    proven = choose_threshold(run_of(norm), TrainingConfig(), "auto")
    assert (proven.value, proven.source) == (0.5, "log")
    assumed = choose_threshold(run_of(norm[:80]), TrainingConfig(), "auto")
    assert (assumed.value, assumed.source) == (1.0, "assumed")
    assert choose_threshold(run_of(norm), TrainingConfig(max_grad_norm=0.0), "auto").value is None


def test_a_logged_clipped_norm_proves_the_threshold():
    norm = np.linspace(1, 10, 200)
    proven = choose_threshold(run_of(norm, clipped=np.minimum(norm, 3.0)), TrainingConfig(), "auto")
    assert (proven.value, proven.source) == (3.0, "log")


def test_constant_norms_prove_no_threshold():
    assert bunched_maximum(np.full(200, 0.7)) is None
    assert bunched_maximum(np.array([])) is None


@pytest.mark.parametrize("digits", [3, 4, 17])
def test_norms_after_clipping_prove_the_threshold_however_they_were_printed(digits):
    rng = np.random.default_rng(0)
    clipped = np.minimum(np.exp(0.5 * rng.normal(size=400)), 0.683 * (1 - 1e-6))
    printed = np.array([float(f"{value:.{digits}g}") for value in clipped])
    assert bunched_maximum(printed) == pytest.approx(0.683)


def test_norms_on_a_coarse_grid_prove_nothing():
    rng = np.random.default_rng(0)
    assert bunched_maximum(np.round(np.minimum(np.exp(rng.normal(size=400)), 2.0), 1)) is None


@pytest.mark.parametrize("name", ["max_grad_norm", "train/clip_norm", "gradient_clip_val"])
def test_a_constant_column_that_is_named_as_settings_name_it_says_the_threshold(name):
    norm = np.linspace(0.1, 4, 50)
    run = run_of(norm)
    said = {name: Series(name=name, step=np.arange(50), value=np.full(50, 2.0))}
    logged = Run(id="r", source="r", format="csv", series={**run.series, **said}, columns=run.columns)
    assert choose_threshold(logged, TrainingConfig(), "auto") == Threshold(value=2.0, source="log")
    assert choose_threshold(logged, TrainingConfig(max_grad_norm=3.0), "auto").value == 3.0


@pytest.mark.parametrize(
    ("name", "value"),
    [("max_grad_norm", np.linspace(1, 2, 50)), ("clip", np.full(50, 0.5)), ("clip_norm", np.zeros(50))],
    ids=["not constant", "a share of clipped steps", "no clipping"],
)
def test_other_columns_of_such_names_say_nothing(name, value):
    run = run_of(np.linspace(0.1, 4, 50))
    said = {name: Series(name=name, step=np.arange(50), value=value)}
    logged = Run(id="r", source="r", format="csv", series={**run.series, **said}, columns=run.columns)
    assert choose_threshold(logged, TrainingConfig(), "auto").source == "assumed"


def test_norms_that_came_to_a_stop_far_beyond_any_threshold_prove_none():
    norm = np.r_[np.geomspace(1, 1e11, 100), np.full(300, 1e11)]
    assert bunched_maximum(norm) is None
    assert bunched_maximum(np.minimum(norm, 1e5)) == 1e5

"""AdaGC tensor by tensor."""

from __future__ import annotations

import numpy as np
import pytest

import gradlens
from gradlens.advice.policies import EmaThreshold, replay
from gradlens.advice.tensors import replay_tensors

ROWS = np.array([300])


def layers(n=600, count=20):
    g = np.random.default_rng(0)
    return {f"layer{k}": 1.0 + 0.01 * g.standard_normal(n) for k in range(count)}


def test_one_layer_that_jumps_is_clipped_though_the_global_norm_hardly_moves():
    norms = layers()
    norms["layer7"][300] = 2.5
    whole = np.sqrt(sum(norm**2 for norm in norms.values()))
    assert whole[300] / np.median(whole) < 1.13
    done = replay_tensors(norms, ROWS)
    assert done is not None
    assert done.spikes_caught == 1
    assert replay(whole, EmaThreshold(), spikes=ROWS).factor[300] > 0.9


def test_equals_a_recomputation():
    norms = layers(count=3)
    done = replay_tensors(norms, np.zeros(0, dtype=np.int64))
    assert done is not None
    kept = clipped = 0.0
    average = {name: float(norm[:100].min()) for name, norm in norms.items()}
    for row in range(600):
        before = after = 0.0
        touched = False
        for name, norm in norms.items():
            g = float(norm[row])
            factor = min(1.0, 1.05 * average[name] / g) if row >= 100 else 1.0
            if row >= 100:
                average[name] = 0.98 * average[name] + 0.02 * factor * g
            before, after, touched = before + g**2, after + (factor * g) ** 2, touched or factor < 1.0
        kept += (after / before) ** 0.5 / 600
        clipped += touched / 600
    assert done.shrink_factor == pytest.approx(kept, rel=1e-12)
    assert done.clip_rate == pytest.approx(clipped, rel=1e-12)


def test_one_layer_or_none_that_is_finite_is_no_replay():
    assert replay_tensors({"a": np.ones(50)}, ROWS[:0]) is None
    assert replay_tensors({"a": np.full(50, np.nan), "b": np.full(50, np.inf)}, ROWS[:0]) is None


def test_stands_among_the_policies_where_layers_are_logged():
    n = 400
    log = {"step": np.arange(n), "loss": np.linspace(3, 1, n), **{f"grad_norm/{k}": v[:n] for k, v in layers().items()}}
    log["grad_norm"] = np.sqrt(sum(v[:n] ** 2 for v in layers().values()))
    named = [row.label for row in gradlens.suggest_threshold(log).policies]
    assert "AdaGC, 20 tensors" in named


def test_joint_events_count_as_spikes_of_the_what_if_table():
    g = np.random.default_rng(3)
    n = 900
    loss = (0.6 + 2 * np.exp(-np.arange(n) / 150)) * np.exp(0.03 * g.standard_normal(n))
    norm = np.exp(0.3 * g.standard_normal(n))
    events = [300, 420, 555, 610, 700, 850]
    loss[events] *= 2.0
    norm[events] = 3.2  # within the noise of the norm alone, so no spike of it
    advice = gradlens.suggest_threshold({"step": np.arange(n), "loss": loss, "grad_norm": norm})
    tight = next(row for row in advice.what_if if row.threshold == 2.0)
    assert tight.spikes >= 6
    assert tight.spikes_caught >= 6

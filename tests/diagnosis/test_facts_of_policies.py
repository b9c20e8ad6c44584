"""Agents whose gradients are 0."""

from __future__ import annotations

import numpy as np
import pytest

from tests.diagnosis.test_facts import finding, judged

N = 120


def grpo(**columns):
    g = np.random.default_rng(4)
    return {
        "loss": np.zeros(N), "grad_norm": np.zeros(N), "learning_rate": np.full(N, 1e-6), "reward": 0.4 + 0.1 * g.standard_normal(N),
        "completions/mean_length": 200 + 5 * g.standard_normal(N), **columns,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"frac_reward_zero_std": np.ones(N), "reward_std": np.zeros(N)}, "all advantages are 0"),
        ({"reward_std": np.full(N, 0.4), "kl": np.zeros(N)}, "the policy never moved"),
    ],
)
def test_zeros_that_were_measured_are_told(columns, said):
    run = judged(grpo(**columns))
    assert run.diagnosis.cause == "not_learning"
    told = finding(run, "GL514")
    assert told.severity == "error"
    assert said in told.message
    assert not [f for f in run.findings if f.code == "GL003"]
    assert "rewards of single answers" in run.actions[0]


def test_zeros_beside_a_policy_that_moves_were_not_measured():
    run = judged(grpo(kl=np.linspace(0, 0.05, N), reward_std=np.full(N, 0.4)))
    assert run.verdict.status != "problem"
    assert finding(run, "GL003").severity == "note"

"""Agents whose gradients are 0, and what they earn, at their limits."""

from __future__ import annotations

import numpy as np
import pytest

from gradlens.diagnosis.facts import policy, returns
from gradlens.diagnosis.facts.dead import NOTHING_MOVES
from tests.diagnosis.facts.shown import lines, logged
from tests.synthetic import make


def agent(rows=20, norm=0.0, **columns):
    """An agent with a reward, whose norm is logged from the second row on."""
    step = 5 * np.arange(rows + 1)
    run = {name: (step, np.resize(value, rows + 1)) for name, value in {"loss": 0.0, "reward": 0.0, **columns}.items()}
    return logged({**run, "grad_norm": (step[1:], np.full(rows, norm))})


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("reward_std", 0.0, "reward_std is 0 in all of them: every answer to a prompt earns the same"),
        ("rewards/reward_std", 0.0, "rewards/reward_std is 0 in all"),
        ("frac_reward_zero_std", 1.0, "frac_reward_zero_std is 1 in all of them: every answer"),
        ("objective/kl", 0.0, "objective/kl is 0 in all of them: the policy never moved"),
        ("mean_kl", 0.0, "mean_kl is 0 in all"),
    ],
)
def test_zeros_that_were_measured(name, value, said):
    facts = policy.find(agent(**{name: value}))
    assert lines(facts) == ["GL514 | error | not_learning 0.9 | not_learning from 5 | 5 | 20 in 20"]
    assert said in facts[0].message
    assert facts[0].rules_out == NOTHING_MOVES
    assert policy.find(agent(norm=1e-9, **{name: value})) == ()
    assert policy.find(agent(**{name: value + 0.1})) == ()


@pytest.mark.parametrize("name", ["weekly", "kl_coef", "skl"])
def test_other_names_prove_nothing(name):
    assert policy.find(agent(**{name: 0.0})) == ()


def test_ten_rows_are_needed():
    assert len(policy.find(agent(10, kl=0.0))) == 1
    assert policy.find(agent(9, kl=0.0)) == ()
    assert policy.find(make({"loss": np.ones(20), "grad_norm": np.zeros(20), "kl": np.zeros(20)}, threshold=None)) == ()
    few = agent(kl=0.0)
    short = make(
        {"loss": np.zeros(9), "reward": np.zeros(9), "grad_norm": np.zeros(9), "kl": np.zeros(9)}, threshold=None
    )
    assert policy._always(few, "kl", 0.0) == "kl"
    assert policy._always(short, "kl", 0.0) is None


# --- what it earns


def earning(value, name="reward", loss="policy_loss"):
    n = len(value)
    return make(
        {loss: np.zeros(n), "loss": 0.01 * np.resize([1.0, -1.0], n), name: value},
        step=10 * np.arange(n),
        threshold=None,
    )


def falling(rows=100, first=1.0, last=0.0, at=4, noise=0.0):
    """Returns in ten blocks that fall from one level to another at one of them."""
    block = np.arange(rows) * 10 // rows
    return np.where(block < at, first, last) + noise * np.where(np.arange(rows) % 2, 1.0, -1.0)


def test_what_is_said_of_it():
    facts = returns.find(earning(falling(noise=0.1)))
    # One block of ten rows and three of them, each a tenth above or below: an error of .1 sqrt(1/10 + 1/30).
    assert lines(facts) == ["GL510 | warning | unknown? | ended_worse from 400 | 400 | 27.39 of 4.5"]
    assert facts[0].message.startswith("reward falls from 1 to ")


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({}, True),
        ({"rows": 60}, True),
        ({"rows": 59}, False),
        ({"first": 0.165, "noise": 0.1}, True),
        ({"first": 0.163, "noise": 0.1}, False),  # 4.5 errors of .0365
        ({"at": 7}, True),
        ({"at": 8}, False),  # one of the last three blocks is still up
        ({"at": 1}, True),
        ({"first": 0.0, "last": 1.0}, False),
        ({"first": 1.0, "last": 1.0}, False),
    ],
)
def test_returns_that_fall(change, found):
    assert bool(returns.find(earning(falling(**change)))) == found


def test_a_missing_return_is_none():
    seventh = np.arange(70) % 7
    assert len(returns.find(earning(np.where(seventh == 0, np.nan, falling(70))))) == 1
    assert returns.find(earning(np.where(seventh <= 1, np.nan, falling(70)))) == ()


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("reward", True),
        ("episode/return", True),
        ("mean_returns", True),
        ("reward_std", False),
        ("reward_model_loss", False),
        ("score", False),
    ],
)
def test_which_column_is_what_it_earns(name, found):
    case = earning(falling(), name)
    case.__dict__["loss_kind"] = "policy"
    assert bool(returns.find(case)) == found


@pytest.mark.parametrize(
    ("kind", "found"), [("policy", True), ("value", True), ("adversarial", False), ("descending", False)]
)
def test_of_agents_only(kind, found):
    case = earning(falling())
    case.__dict__["loss_kind"] = kind
    assert bool(returns.find(case)) == found


def test_the_first_of_several_columns_decides():
    case = make({"loss": np.zeros(100), "reward": np.ones(100), "returns": falling()}, threshold=None)
    assert returns.find(case) == ()

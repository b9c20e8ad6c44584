"""What keeps a run without a sign of trouble from being called clear, at its limits: courses that show too little."""

from __future__ import annotations

import numpy as np
import pytest

from gradlens.diagnosis.status import ends_near_two, likelier_ill, lost_share, stands_since_its_start, why_insufficient
from gradlens.diagnosis.weighing import Beliefs
from tests.synthetic import make

N = 600


def case(*, start=10.0, level=7.4, later=0.0, up=0.0, noise=0.01, n=N, **more):
    """A loss that comes down to a level within its first rows, falls on by a share of it or not, and rises at the end."""
    rng = np.random.default_rng(0)
    t = np.arange(n) / n
    loss = level + (start - level) * np.exp(-t / 0.01) - later * level * t + up * (start - level) * (t > 0.9)
    columns = {
        "loss": loss * np.exp(noise * rng.standard_normal(n)),
        "grad_norm": np.exp(0.2 * rng.standard_normal(n)),
        **more,
    }
    return make(columns, threshold=None)


@pytest.mark.parametrize(
    ("options", "stands"),
    [
        ({}, True),
        ({"later": 0.004}, True),
        ({"later": 0.02}, False),
        ({"level": 5.3}, True),
        ({"level": 4.4}, False),  # it came down by more than frequencies explain
        ({"noise": 0.1, "later": 0.01}, True),  # within its noise
        ({"noise": 0.1, "later": 0.2}, False),
        ({"n": 200}, True),
        ({"n": 199}, False),
        ({"up": 0.5, "later": 0.05}, False),
    ],
)
def test_what_stands_since_its_start(options, stands):
    assert stands_since_its_start(case(**options)) == stands


def test_a_run_that_stands_since_its_start_is_not_called_clear():
    assert "learned only how common each answer is" in why_insufficient(case())


def test_preferences_reach_their_floor_at_once():
    assert not stands_since_its_start(case(**{"rewards/chosen": np.ones(N), "rewards/rejected": np.ones(N)}))


@pytest.mark.parametrize("more", ["grad_norm", "lr", "val_loss", None])
def test_nothing_but_a_loss_is_not_called_clear(more):
    rng = np.random.default_rng(0)
    loss = (0.5 + 2.5 * np.exp(-np.arange(N) / 150)) * np.exp(0.05 * rng.standard_normal(N))
    beside = {"grad_norm": np.exp(0.2 * rng.standard_normal(N)), "lr": np.full(N, 1e-3), "val_loss": loss}
    made = make({"loss": loss, **({more: beside[more]} if more else {})}, threshold=None)
    assert why_insufficient(made).startswith("nothing but the loss is logged") == (more is None)


@pytest.mark.parametrize(("top", "said"), [(200.0, True), (2.0, False)])
def test_weights_too_large_at_first_are_not_called_clear(top, said):
    fall = np.exp(-np.arange(N) / 8.0)
    made = case(
        loss=(1.0 + top * fall) * np.exp(0.05 * np.random.default_rng(0).standard_normal(N)),
        grad_norm=200.0 * (1.0 + fall),
    )
    assert ("far above what guesses cost" in why_insufficient(made)) == said


@pytest.mark.parametrize(
    ("ranking", "said"),
    [
        ((("healthy", 0.5), ("bad_data", 0.49)), ""),
        (
            (("healthy", 0.49), ("bad_data", 0.25)),
            "a sound run is only 49 % likely, bad data 25 %, and other causes share the rest",
        ),
        ((("healthy", 0.49), ("bad_data", 0.24)), ""),
        ((("healthy", 0.4), ("unknown", 0.4)), "a fault that is none of the known causes 40 %"),
        ((("healthy", 0.3),), ""),
    ],
)
def test_what_is_likelier_ill_than_sound_is_not_called_clear(ranking, said):
    found = likelier_ill(Beliefs(ranking=ranking, arguments={}, weighed={}))
    assert said in found
    assert bool(found) == bool(said)


@pytest.mark.parametrize(
    ("up", "noise", "lost"), [(0.27, 0.005, True), (0.2, 0.005, False), (0.27, 0.4, False), (0.0, 0.005, False)]
)
def test_what_is_lost_at_the_end(up, noise, lost):
    built = case(up=up, noise=noise, start=12.0, level=4.0)
    assert bool(lost_share(built)) == lost
    assert ("having lost 32 %" in why_insufficient(built)) == lost


@pytest.mark.parametrize(
    ("level", "near"), [(0.6931, True), (0.73, True), (0.74, False), (0.685, False), (0.45, False)]
)
def test_what_ends_near_guessing_between_two(level, near):
    built = case(start=0.95, level=level, noise=0.004)
    assert ends_near_two(built) == near


def test_a_descent_of_less_than_an_eighth_shows_little():
    built = case(start=3.3, level=3.2, later=0.09, noise=0.002)
    assert "the loss came down by 1" in why_insufficient(built)
    assert why_insufficient(case(start=3.3, level=3.2, later=0.3, noise=0.002)) == ""


@pytest.mark.parametrize(("times", "said"), [(500.0, True), (100.0, False)])
def test_a_norm_that_grows_by_orders_of_magnitude_takes_an_explanation(times, said):
    norm = 0.01 * np.exp(np.log(times) * np.minimum(np.arange(N) / (0.5 * N), 1.0))
    assert ("-fold while the loss came down" in why_insufficient(case(level=2.0, later=0.5, grad_norm=norm))) == said

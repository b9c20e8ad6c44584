"""What to do has the run's own numbers in it."""

from __future__ import annotations

from typing import get_args

import pytest

import gradlens
from gradlens.diagnosis.actions import ACTIONS, round_rate
from gradlens.reports.base import Cause


def actions(samples, name, **options):
    (run,) = gradlens.analyze(gradlens.read(samples / name), **options).runs
    return " / ".join(run.actions)


def test_rates_thresholds_and_steps_are_filled_in(samples):
    assert "a learning rate of 0.3 instead of 1" in actions(samples, "lr_too_high.jsonl")
    assert "raise C from 0.05 to 3.95" in actions(samples, "clip_too_tight.jsonl", threshold=0.05)
    assert "print the samples of steps 805, 932 and 287" in actions(samples, "bad_data.jsonl", threshold=1.0)


def test_nothing_to_do_for_a_run_without_a_problem(samples):
    assert actions(samples, "healthy.jsonl") == ""


def test_every_cause_but_the_two_that_are_none_has_actions():
    assert set(get_args(Cause)) - set(ACTIONS) == {"healthy", "undetermined"}


@pytest.mark.parametrize(("rate", "rounded"), [(1e-4, 1e-4), (3.333e-4, 3e-4), (0.0266, 0.03)])
def test_rates_have_one_digit(rate, rounded):
    assert round_rate(rate) == rounded


@pytest.mark.parametrize(
    ("first", "told"), [(0, "the first batch from the start"), (150, "from the checkpoint before it")]
)
def test_no_checkpoint_lies_before_the_first_row(first, told):
    value = [2.0 - i / 400 if i < first else float("nan") for i in range(300)]
    (run,) = gradlens.analyze({"step": list(range(300)), "loss": value, "grad_norm": value}).runs
    assert run.diagnosis.cause == "nan_sudden"
    assert told in " / ".join(run.actions)

"""Starts from scratch told from resumes by where they begin and where the loss stands."""

from __future__ import annotations

import numpy as np
import pytest

from gradlens.run import Columns, Run, Series
from gradlens.signals.attempts import order_of
from gradlens.signals.axis import notices_of, signals_of
from gradlens.signals.starts import fresh_starts


def course(steps):
    """A loss that falls with the step, with a little noise."""
    steps = np.asarray(steps)
    return 2 + 6 * np.exp(-steps / 60) + np.random.default_rng(len(steps)).normal(0, 0.02, len(steps))


def fresh(steps, value=None):
    steps = np.asarray(steps, dtype=np.int64)
    return fresh_starts(steps, value, order_of(steps).restarts)


@pytest.mark.parametrize("aborted", [6, 40, 400])
def test_a_second_count_from_the_beginning_with_the_first_loss_again_is_a_start(aborted):
    steps = [*range(aborted), *range(400)]
    assert fresh(steps, course(steps)) == (True,)


def test_a_resume_that_lost_its_count_is_told_by_its_loss():
    steps = [*range(300), *range(400)]
    value = np.concatenate((course(range(300)), course(range(300, 700))))
    assert fresh(steps, value) == (False,)


def test_a_start_that_learns_fast_is_told_by_its_first_row():
    """Its first rows have a median that lies nearer to where the slow one ended."""
    steps = [*range(60), *range(20)]
    slow, fast = 2 + 3 * np.exp(-np.arange(60) / 20), 1 + 4 * np.exp(-np.arange(20) / 0.7)
    assert fresh(steps, np.concatenate((slow, fast))) == (True,)


def test_a_resume_from_a_checkpoint_is_no_start():
    steps = [*range(300), *range(250, 600)]
    assert fresh(steps, course(steps)) == (False,)


def test_variants_over_the_same_steps_are_starts():
    steps = [*range(100), *range(50, 90), *range(50, 90), *range(50, 90)]
    assert fresh(steps) == (False, True, True)


def test_a_flat_loss_leaves_it_to_the_steps():
    steps = [*range(100), *range(100)]
    assert fresh(steps, np.ones(200)) == (True,)


def test_variants_in_rounds_are_not_writers_in_turn():
    rounds = [(0, 10, 9), (10, 30, 5), (30, 70, 3)]
    steps = [step for begin, end, times in rounds for _ in range(times) for step in range(begin, end)]
    assert order_of(np.asarray(steps)).writers == 1


def test_an_aborted_start_is_a_notice_and_no_resume():
    steps = np.array([*range(10), *range(300)])
    loss = Series(name="loss", step=steps, value=course(steps))
    run = Run(id="a", source="a", format="jsonl", series={"loss": loss}, columns=Columns(loss="loss"))
    signals = signals_of(run)
    assert signals.resumes == ()
    assert (signals.from_the_start, len(signals)) == (True, 300)
    assert [(n.code, n.count) for n in notices_of(signals)] == [("earlier-starts", 1)]

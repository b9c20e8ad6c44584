"""Attempts, misplaced rows, strays and several writers: told apart, and each row counted once."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradlens.signals.attempts import Restart, order_of


def span(*bounds):
    return list(range(*bounds))


def order(step, known=()):
    return order_of(np.asarray(step, dtype=np.int64), known)


def restarts(step):
    return [(r.step, r.reached, r.superseded) for r in order(step).restarts]


def steps(step):
    return [step[row] for row in order(step).rows]


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        (span(700) + span(620, 1000), [(620, 699, 80)]),
        (span(700) + span(698, 1000), [(698, 699, 2)]),
        (span(700) + span(850), [(0, 699, 700)]),
        (span(600) + span(250), [(0, 599, 600)]),
        (span(700) + span(620, 1000, 10), [(620, 699, 80)]),
        (span(0, 7000, 10) + span(6205, 9000, 10), [(6205, 6990, 79)]),
        (span(0, 700, 50) + span(600, 1200, 50), [(600, 650, 2)]),
        (span(600) * 3, [(0, 599, 600), (0, 599, 600)]),
        (span(1900) + span(980) + span(500, 1200), [(0, 1899, 1900), (500, 979, 480)]),
    ],
    ids=[
        "resume",
        "two-back",
        "from-the-start",
        "unfinished",
        "sparser",
        "off-phase",
        "sparse",
        "thrice",
        "further-back",
    ],
)
def test_attempts_that_go_on_supersede_what_they_repeat(step, expected):
    assert restarts(step) == expected


@pytest.mark.parametrize(
    ("step", "strays"),
    [
        ([*span(600), 0], 1),
        ([*span(1, 601), 0], 1),
        ([*span(600), 0, 0, 0, 0, 0], 5),
        ([*span(300), 0, *span(300, 600)], 1),
        ([*span(300), 0, 200, *span(300, 600)], 2),
        ([*span(300), *span(20), *span(300, 600)], 20),
        ([row for epoch in range(5) for row in (*span(epoch * 100 + 10, epoch * 100 + 110), epoch)], 5),
    ],
    ids=["last-row", "before-the-first", "five-summaries", "amid", "two-amid", "detour", "epochs"],
)
def test_rows_from_which_nothing_goes_on_supersede_nothing(step, strays):
    found = order(step)
    assert (found.restarts, len(found.stray_steps)) == ((), strays)
    assert len(found.rows) == len(step) - strays


def test_neighbours_in_swapped_order_are_sorted():
    step = span(600)
    for at in range(20, 600, 60):
        step[at], step[at + 1] = step[at + 1], step[at]
    found = order(step)
    assert (found.restarts, found.misplaced, len(found.rows)) == ((), 10, 600)
    assert steps(step) == span(600)


def test_parts_in_the_wrong_order_fill_the_hole():
    for step in (
        span(200, 300) + span(200) + span(300, 400),
        span(100) + span(150, 200) + span(100, 150) + span(200, 400),
    ):
        assert steps(step) == span(400)
        assert restarts(step) == []


def test_rows_in_random_order_are_sorted():
    step = span(600)
    random.Random(1).shuffle(step)
    assert steps(step) == span(600)
    assert restarts(step) == []


@pytest.mark.parametrize("block", [1, 2, 50])
@pytest.mark.parametrize("ranks", [2, 4])
def test_ranks_that_write_in_turns_are_one_run(block, ranks):
    step = [row for begin in range(0, 600, block) for _ in range(ranks) for row in range(begin, begin + block)]
    found = order(step)
    assert (found.restarts, len(found.rows), found.repeated) == ((), 600, 600 * (ranks - 1))
    assert block == 1 or found.writers == ranks
    assert found.rows[-1] == len(step) - 1


def test_a_single_row_stands_for_an_attempt_that_another_series_shows():
    known = [Restart(index=0, step=45, reached=99, superseded=55)]
    assert len(order([0, 30, 60, 90, 50], known).restarts) == 1
    assert restarts([0, 30, 60, 90, 50]) == []


@given(st.lists(st.integers(-40, 40), max_size=80))
def test_every_row_has_one_fate(step):
    found = order(step)
    assert len(found.rows) + found.superseded + found.repeated + len(found.stray_steps) == len(step)
    assert (np.diff(np.asarray(steps(step))) > 0).all()


@given(st.integers(20, 200), st.integers(2, 100), st.integers(1, 50))
def test_a_resume_is_found_at_any_interval(rows, back, interval):
    back = min(back, rows)
    step = [row * interval for row in [*range(rows), *range(rows - back, rows + 10)]]
    assert restarts(step) == [((rows - back) * interval, (rows - 1) * interval, back)]

"""How long a log may rest before that is news, and how fast it goes."""

from __future__ import annotations

import math

import numpy as np
import pytest

from gradlens.watching.rhythm import MIN_SECONDS, TIMES_LONGEST, UNKNOWN_SECONDS, Pace, Rhythm


def test_a_log_is_given_time_until_its_rhythm_is_known():
    rhythm = Rhythm(0.0)
    for now in (10, 20, 30):
        rhythm.grew(now)
    assert rhythm.patience == UNKNOWN_SECONDS
    rhythm.grew(40)
    assert rhythm.patience == MIN_SECONDS


def test_patience_grows_with_the_longest_rest_so_far():
    rhythm = Rhythm(0.0)
    for now in (1, 2, 3, 4, 5, 125):
        rhythm.grew(now)
    assert rhythm.longest == 120
    assert not rhythm.rests(125 + TIMES_LONGEST * 120 - 1)
    assert rhythm.rests(125 + TIMES_LONGEST * 120)


def test_what_was_given_is_kept_to():
    rhythm = Rhythm(0.0, patience=5.0)
    rhythm.grew(1)
    assert not rhythm.rests(5.9)
    assert rhythm.rests(6.0)
    assert not Rhythm(0.0, patience=math.inf).rests(1e9)


def test_an_old_log_is_silent_but_not_at_first_sight():
    rhythm = Rhythm(0.0, age=86400.0)
    assert not rhythm.rests(1.0)
    assert rhythm.rests(MIN_SECONDS)
    assert not rhythm.is_known


@pytest.mark.parametrize("shape", ["steady", "exponential", "lognormal"])
def test_a_log_that_goes_on_is_seldom_called_silent(shape):
    """A thousand growths of forty logs, with a rest for evaluation after every hundred."""
    alarms = 0
    for seed in range(40):
        g = np.random.default_rng(seed)
        gaps = {"steady": np.full(1000, 5.0), "exponential": g.exponential(20.0, 1000),
                "lognormal": 10 * np.exp(g.standard_normal(1000))}[shape]  # fmt: skip
        gaps[100::100] += 120
        rhythm, now, silent = Rhythm(0.0), 0.0, 0
        for gap in gaps:
            silent += rhythm.rests(now + gap)
            now += gap
            rhythm.grew(now)
        # The first evaluation comes out of the blue where the log was steady until then.
        alarms += silent - (1 if shape == "steady" else 0)
    assert alarms / 40 <= (0 if shape == "steady" else 0.5)


def test_speed_and_time_left():
    pace = Pace()
    assert pace.per_second is None
    for n in range(10):
        pace.saw(100 * n, 2.0 * n)
    assert pace.per_second == pytest.approx(50.0)
    assert pace.seconds_to(1900) == pytest.approx(20.0)
    assert pace.seconds_to(None) is None
    assert pace.seconds_to(10) == 0.0


def test_a_start_from_an_earlier_step_begins_the_speed_anew():
    pace = Pace()
    for n in range(10):
        pace.saw(100 * n, float(n))
    pace.saw(500, 10.0)
    assert pace.per_second is None
    pace.saw(510, 11.0)
    assert pace.per_second == pytest.approx(10.0)

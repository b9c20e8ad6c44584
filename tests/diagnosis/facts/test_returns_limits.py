"""What an agent earns, at the limits of what is said of it."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest

from gradlens.diagnosis.facts import returns
from gradlens.run import Series
from tests.diagnosis.facts.shown import line


def series(value):
    value = np.asarray(value, dtype=float)
    return Series(name="reward", step=10 * np.arange(len(value)), value=value)


def blocks(*levels, spread=0.0, rows=6):
    """Blocks of six returns, half of them above and half below a level."""
    return series(np.repeat(levels, rows) + spread * np.resize([1.0, -1.0], rows * len(levels)))


def logged(**columns):
    return SimpleNamespace(run=SimpleNamespace(series={name: series(value) for name, value in columns.items()}))


#: The error of the first block of six rows against the last three, of returns that vary by one.
ERROR = math.hypot(1 / math.sqrt(6), 1 / math.sqrt(18))


def test_what_is_said_of_a_fall():
    fact = returns._falls("reward", blocks(2, 5, 5, 2, 1, 0.9, 0.9, 0, 0, 0, spread=0.1))
    assert line(fact) == "GL510 | warning | unknown? | ended_worse from 300 | 300 | 42.43 of 4.5"
    assert "reward falls from 2 to 0 and stays below where it began" in fact.message


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (blocks(2, 2, 2, 2, 2, 2, 2, 0, 0, 0), True),
        (series([2.0] * 6 + [0.0] * 53), False),
        (blocks(2, 2, 2, 2, 2, 2, 2, 2, 0, 0), False),  # as high as the first
        (blocks(2, 2, 2, 2, 2, 2, 2, 0, 0, 1.9), True),
        (blocks(*[2] * 7, 1, 1, 1, spread=1.01 / ERROR / 4.5), False),
        (blocks(*[2] * 7, 1, 1, 1, spread=0.99 / ERROR / 4.5), True),
    ],
)
def test_limits_of_a_fall(value, found):
    assert (returns._falls("reward", value) is not None) == found


def rises(*, before=1.0, top=11.0, at=8, after=1.0, last=0.5, rows=6, spread=0.0, down=(6.0, 5.9)):
    """Twenty blocks: a level, the highest one, two on the way down, and others to the end."""
    levels = [before] * at + [top, *down] + [after] * (19 - at - len(down))
    levels[-1] = last
    return blocks(*levels, spread=spread, rows=rows)


def test_what_is_said_of_a_return_that_is_lost():
    fact = returns._is_lost("reward", rises(after=2.0))
    assert line(fact) == "GL510 | warning | unknown? | ended_worse from 600 | 600 | 0.1 of 0.2"
    assert "rises from 1 to 11 and falls back to 0.5 near step 600" in fact.message


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({}, True),
        ({"after": 3.0}, True),  # a fifth of the gain is left
        ({"after": 3.1}, False),
        ({"after": 1.0, "last": 3.1}, False),
        ({"at": 14}, True),
        ({"at": 15, "down": (1.0,)}, False),  # too near to the end
        ({"top": 8.0, "down": (4.0, 3.0), "spread": 1.0}, True),
        ({"top": 7.9, "down": (4.0, 3.0), "spread": 1.0}, False),  # twelve errors of a block are 6.93
        ({"top": 8.2, "before": 1.2, "down": (4.0, 3.0), "after": 1.2, "spread": 1.0}, True),
        ({"top": 1.0, "down": (1.0, 1.0), "last": 1.0}, False),
    ],
)
def test_limits_of_a_return_that_is_lost(change, found):
    assert (returns._is_lost("reward", rises(**change)) is not None) == found


def test_two_times_as_many_returns_are_needed_for_it():
    value = rises().value
    assert returns._is_lost("reward", series(value[:119])) is None
    assert returns._is_lost("reward", series([*value, np.nan])) is not None


@pytest.mark.parametrize(
    ("reward", "others", "found"),
    [
        ([0.0] * 60, {}, True),
        ([0.0] * 59, {}, False),
        ([0.0] * 59 + [1.0], {}, False),
        ([0.0] * 60, {"success": [0.0, 1.0]}, False),
        ([0.0] * 60, {"success": [0.0, 0.0]}, True),
        ([0.0] * 60, {"success": [np.nan, np.nan]}, True),
        ([0.0] * 60, {"grad_norm": [1.0, 1.0]}, True),
    ],
)
def test_an_agent_that_was_never_rewarded(reward, others, found):
    case = logged(reward=reward, **others)
    fact = returns._never_any(case, "reward", case.run.series["reward"])
    assert (fact is not None) == found
    if found:
        assert line(fact) == "GL514 | warning | not_learning 0.8 | not_learning from 0 | - | 60 in 60"


LN4 = math.log(4)


@pytest.mark.parametrize(
    ("reward", "entropy", "found"),
    [
        ([1.0] * 60, [LN4] * 60, True),
        ([1.0] * 59, [LN4] * 60, False),
        ([1.0] * 60, [LN4] * 59, False),
        ([1.0] * 60, [-LN4] * 60, True),
        ([1.0] * 60, [1.004 * LN4] * 60, True),
        ([1.0] * 60, [1.006 * LN4] * 60, False),
        ([1.0] * 60, [LN4] * 59 + [1.019 * LN4], True),
        ([1.0] * 60, [LN4] * 59 + [0.979 * LN4], False),  # it was surer once
        (blocks(*[0] * 7, 1, 1, 1, spread=1.01 / ERROR / 4.5).value, [LN4] * 60, True),
        (blocks(*[0] * 7, 1, 1, 1, spread=0.99 / ERROR / 4.5).value, [LN4] * 60, False),  # it learns
        (blocks(0, 0, 0, *[9] * 4, 1, 1, 1, spread=0.99 / ERROR / 4.5).value, [LN4] * 60, False),
        (blocks(0, 0, 0, *[9] * 4, 0, 0, 0).value, [LN4] * 60, True),
    ],
)
def test_a_policy_that_stays_as_random_as_it_can_be(reward, entropy, found):
    case = logged(reward=reward, entropy=entropy)
    fact = returns._stays_uniform(case, "reward", case.run.series["reward"])
    assert (fact is not None) == found
    if found:
        assert line(fact).startswith("GL511 | warning | not_learning 0.7 | stalled from 0 | - | 1")
        assert "stays at ln 4 from beginning to end" in fact.message


@pytest.mark.parametrize("name", ["entropy_coef", "entropy_alpha", "cross_entropy", "loss"])
def test_what_is_no_entropy_of_a_policy(name):
    case = logged(reward=[1.0] * 60, **{name: [LN4] * 60})
    assert returns._stays_uniform(case, "reward", case.run.series["reward"]) is None


def test_only_agents_and_only_what_they_earn():
    earned = logged(reward=[0.0] * 60).run

    def told(kind, run=earned):
        return len(returns.find(SimpleNamespace(loss_kind=kind, run=run)))

    assert [told(kind) for kind in ("policy", "value", "plain")] == [1, 1, 0]
    assert told("policy", logged(reward_std=[0.0] * 60).run) == 0
    assert told("policy", logged(reward_std=[0.0] * 60, reward=[0.0] * 60).run) == 1

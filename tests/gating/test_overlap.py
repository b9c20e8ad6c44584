"""Which windows of two sides are compared, by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from gradlens.gating.judge import judge_against
from gradlens.gating.overlap import coverage, no_overlap, only, same_schedule, short, short_baselines
from gradlens.gating.settings import GateSettings
from gradlens.gating.summary import bring_together
from tests.gating.by_hand import summary


def kept(one, two):
    mask, notices = same_schedule([one], [two])
    return mask.tolist(), [(n.code, n.count) for n in notices]


def test_one_schedule_is_compared_throughout():
    rate = np.linspace(1.0, 0.1, 20)
    assert kept(summary(size=20, lr=rate), summary(size=20, lr=3 * rate)) == ([True] * 20, [])
    assert kept(summary(size=20, lr=math.nan), summary(size=20, lr=rate)) == ([True] * 20, [])
    assert kept(summary(size=20, lr=0.0), summary(size=20, lr=rate)) == ([True] * 20, [])


@pytest.mark.parametrize(("factor", "same"), [(1.24, True), (0.81, True), (1.26, False), (0.79, False)])
def test_rates_within_a_quarter_are_one_phase(factor, same):
    rate = np.ones(20)
    rate[:5] = factor
    mask, notices = kept(summary(size=20, lr=rate, last_step=500), summary(size=20, last_step=199, lr=1.0))
    assert mask == [True] * 20 if same else [True] * 5 + [False] * 15
    assert notices == ([] if same else [("phases-differ", 15)])


@pytest.mark.parametrize(
    ("last", "code"), [(199, "schedules-differ"), (221, "schedules-differ"), (223, "phases-differ")]
)
def test_a_tenth_of_difference_in_length_is_none(last, code):
    rate = np.repeat([1.0, 0.5], 10)
    mask, notices = kept(summary(size=20, lr=rate, last_step=last), summary(size=20, lr=1.0, last_step=199))
    assert notices[0][0] == code
    assert all(mask) == (code == "schedules-differ")


def test_a_tenth_of_the_windows_may_be_in_another_phase():
    for other, told in ((1, False), (2, True)):
        rate = np.ones(20)
        rate[:other] = 9.0
        assert bool(kept(summary(size=20, lr=rate), summary(size=20, lr=1.0))[1]) == told


@pytest.mark.parametrize(
    ("first", "size", "share"),
    [(0, 100, 1.0), (0, 99, 1.0), (0, 98, 0.98), (0, 50, 0.5), (50, 50, 0.5), (0, 200, 1.0)],
)
def test_the_share_of_the_baseline_that_is_compared(first, size, share):
    baseline, candidate = summary(size=100), summary(size=size, first=first)
    cut, window = bring_together([candidate, baseline])
    assert coverage([baseline], cut, window) == pytest.approx(share)


def test_the_baseline_with_the_fewest_windows_counts():
    runs = [summary(size=80, window=range(0, 80, 2)), summary(size=80)]
    cut, window = bring_together([summary(size=80), *runs])
    assert coverage(runs, cut, window) == 1.0
    assert coverage(runs, cut, window[:0]) == 0.0


@pytest.mark.parametrize(
    ("other", "share"),
    [
        (summary("other", size=100), None),
        (summary("other", size=99), None),  # one window is no difference
        (summary("other", size=98), 0.99),
        (summary("other", size=49), 0.5),
        (summary("other", first=51, size=49), 0.5),
        (summary("other", window=[*range(25), *range(75, 99)]), 0.5),  # a hole
        (summary("other", window=range(0, 100, 4), log_interval=40.0, last_step=999), None),  # logged less often
    ],
)
def test_a_baseline_that_lacks_steps_of_the_longest_is_found(other, share):
    longest = summary("longest", size=100)
    found = short_baselines([longest, other])
    assert [run.id for run, _ in found] == ([] if share is None else ["other"])
    assert [s for _, s in found] == ([] if share is None else [pytest.approx(share, abs=1e-3)])
    assert short_baselines([other]) == []


def test_a_ruined_candidate_does_not_hide_behind_a_short_seed(make_columns, make_summary):
    seeds = [make_summary(0), make_summary(1), make_summary(2, n=60)]
    ruined = make_columns(3)
    ruined["loss"][300:] += 2.0
    result = judge_against([make_summary(3, replace=ruined)], seeds, GateSettings())
    assert result.metrics[0].outcome == "inconclusive"
    assert "run-2 ends at step 59 of 1,199" in result.metrics[0].reason
    assert result.compared_steps == (0, 59)
    assert "short-baseline" in {n.code for n in result.notices}
    whole = judge_against([make_summary(3, replace=ruined)], seeds[:2], GateSettings())
    assert "fail" in {m.outcome for m in whole.metrics}


def test_only_the_kept_windows_stay():
    mask = np.array([True, False, True, False])
    left = only(summary(size=4, loss=[1, 2, 3, 4]), mask)
    assert left.window.tolist() == [0, 2]
    assert left.columns["loss"].tolist() == [1.0, 3.0]


@pytest.mark.parametrize(
    ("ends", "other_phase", "words"),
    [
        ((399, 799), False, "the candidate ends at step 399 of 799: 50%"),
        ((799, 799), False, "the runs share 50%"),
        ((799, 399), False, "the runs share 50%"),
        ((399, 799), True, "share their phase in 50%"),
    ],
)
def test_why_too_little_is_compared(ends, other_phase, words):
    one, two = (summary(last_step=end) for end in ends)
    result = short([one], [two], 0.5, GateSettings(), other_phase=other_phase)
    assert words in result.reason
    assert "97% needed" in result.reason
    assert (result.outcome, result.candidate, result.baseline, result.tolerance) == ("inconclusive", 0.5, 1.0, 0.97)


def test_nothing_in_common_names_both_spans():
    result = no_overlap(
        [summary(first=500, size=10)], [summary("a", size=10), summary("b", size=20)], "no steps in common"
    )
    assert result.reason == "cannot judge: no steps in common (candidate 5,000 to 5,099, baseline 0 to 199)"

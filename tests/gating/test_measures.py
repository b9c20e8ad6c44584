"""What each metric compares, by hand: a few windows, and the number that comes of them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from gradlens.gating import measures
from gradlens.gating.measures import Unmeasured
from gradlens.gating.settings import Tolerance
from gradlens.stats.comparison import Difference
from tests.gating.by_hand import sides, summary

ANY = Tolerance(relative=0.1)


def test_a_clip_rate_is_weighed_by_the_norms_of_both():
    candidate = summary(size=4, norms=[10, 10, 10, 40], clipped=[5, 5, 0, 20])
    baseline = summary(size=4, norms=[10, 10, 10, 10], clipped=[1, 1, 1, 1])
    found = measures.clip_rate(sides(candidate, baseline), Tolerance(absolute=0.02, relative=0.25))
    # The least count of each window weighs: ten each.
    assert found.candidate == pytest.approx((0.5 + 0.5 + 0.0 + 0.5) / 4)
    assert found.baseline == pytest.approx(0.1)
    assert found.difference.change == pytest.approx(0.275)
    assert found.tolerance == pytest.approx(0.025)


@pytest.mark.parametrize(
    ("tolerance", "bound"),
    [
        (Tolerance(absolute=0.03), 0.03),
        (Tolerance(relative=0.5), 0.05),
        (Tolerance(level=0.05), 0.15),
        (Tolerance(level=0.1), 0.3),
        (Tolerance(absolute=0.2, relative=0.5, level=0.05), 0.2),
    ],
)
def test_the_largest_part_of_a_tolerance_counts(tolerance, bound):
    # One norm in ten is clipped, and a quarter would be at a level higher by a twentieth.
    baseline = summary(clipped=1, nearly=2.5)
    assert measures.clip_rate(sides(summary(clipped=1), baseline), tolerance).tolerance == pytest.approx(bound)


def test_a_rate_of_nothing_is_not_certain():
    # Agresti and Coull: two successes and failures added to 80 norms on each side.
    found = measures.clip_rate(sides(summary(), summary()), ANY)
    p = 2 / 84
    assert found.difference.standard_error == pytest.approx(math.sqrt(2 * p * (1 - p) / 84))
    assert found.difference.n_effective == pytest.approx(80.0)


def difference(change, error, p_higher, half=0.2):
    return Difference(
        change=change, standard_error=error, df=9.0, interval=(change - half, change + half), p_higher=p_higher,
        p_two_sided=2 * p_higher,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("pressure", "shrink", "p"),
    [
        (difference(0.3, 0.06, 0.001), 0.6, 0.002),  # a fifth of its change is its error, of the rate's a third
        (difference(0.3, 0.03, 0.001), 0.5, 0.002),  # at least half
        (difference(0.3, 0.3, 0.001), 1.0, 0.002),  # at most all
        (difference(0.3, 0.03, 0.2), 1.0, 0.08),  # the rate says more
        (difference(0.3, 0.03, 0.04), 1.0, 0.08),  # as much
    ],
)
def test_what_says_more_about_clipping_counts(pressure, shrink, p):
    rate = difference(0.1, 0.1 / 3, 0.04)
    found = measures._sharpened(rate, pressure, 33.0)
    assert found.standard_error == pytest.approx(shrink * 0.1 / 3)
    assert found.interval == pytest.approx((0.1 - shrink * 0.2, 0.1 + shrink * 0.2))
    assert found.p_higher == pytest.approx(p)
    assert (found.change, found.n_effective) == (0.1, 33.0)


def test_the_sharper_p_value_stays_one_and_a_fall_keeps_its_interval():
    assert measures._sharpened(difference(0.1, 0.1, 0.7), difference(0.1, 0.1, 0.8), 1.0).p_higher == 1.0
    fall = difference(-0.1, 0.1, 0.9)
    assert measures._sharpened(fall, difference(0.3, 0.01, 0.1), 1.0).interval == fall.interval


def test_the_final_loss_is_that_of_the_last_fifth():
    loss = np.concatenate((np.full(16, 5.0), [1.0, 2.0, 1.0, 2.0]))
    final = {"loss": loss, "loss_mean": loss}
    one, two = summary(size=20, **final), summary(size=20, **{k: v + 0.5 for k, v in final.items()})
    found = measures.loss(sides(two, one, progress=2.0), Tolerance(relative=0.02, progress=0.04), final=True)
    # A fifth of twenty is four windows; but never fewer than five.
    assert (found.candidate, found.baseline) == pytest.approx((2.7, 2.2))
    assert found.difference.change == pytest.approx(0.5)
    assert found.tolerance == pytest.approx(0.08)
    whole = measures.loss(sides(two, one, progress=2.0), Tolerance(relative=0.02, progress=0.04), final=False)
    assert whole.baseline == pytest.approx((16 * 5 + 6) / 20)
    assert whole.tolerance == pytest.approx(0.02 * 4.3)


def test_an_explosion_counts_at_most_as_the_progress_or_the_level():
    high = [1.0, 1.0, 1.0, 1e9]
    for progress, most in ((3.0, 3.0), (0.5, 1.0)):
        found = measures.loss(
            sides(summary(size=4, loss=high, loss_mean=high), summary(size=4), progress=progress), ANY, final=False
        )
        assert found.difference.change == pytest.approx(most / 4)
        assert found.candidate == pytest.approx((3 + 1e9) / 4)  # shown as it was logged


def test_means_beyond_what_medians_show_are_told():
    hidden = summary(loss_mean=1.5)
    found = measures.loss(sides(hidden, summary()), ANY, final=False)
    assert isinstance(found, Unmeasured)
    assert found.outcome == "inconclusive"
    assert "the mean is 1.5, of the baseline 1" in found.reason
    # Where the medians are worse as well, they fail by themselves.
    assert measures.loss(sides(summary(loss=1.5, loss_mean=1.5), summary()), ANY, final=False).difference.change == 0.5
    # Within tolerance nothing is hidden.
    assert measures.loss(sides(summary(loss_mean=1.09), summary()), ANY, final=False).difference.change == 0.0


def test_the_noise_of_rows_caps_the_part_of_the_progress():
    rng = np.random.default_rng(0)
    noisy = 1.0 + 0.01 * rng.standard_normal(100)
    one = summary(size=100, loss=noisy, loss_mean=noisy)
    wide = measures.loss(sides(one, one, progress=50.0), Tolerance(progress=0.04), final=True).tolerance
    capped = measures.loss(sides(one, one, progress=50.0), Tolerance(progress=0.04, noise=2.0), final=True).tolerance
    assert wide == pytest.approx(2.0)
    # Windows of ten rows with a deviation of .01: rows of .0316, twice that.
    assert capped == pytest.approx(2 * 0.01 * math.sqrt(10), rel=0.6)


def test_a_norm_level_is_the_ratio_of_mean_norms():
    one, two = (
        summary(log_norm=np.log([1, 1, 4, 2])[[0, 1, 2, 3]], size=4),
        summary(log_norm=np.log([1, 3, 4, 8]), size=4),
    )
    found = measures.norm_level(sides(two, one), Tolerance(relative=0.3))
    assert math.exp(found.candidate) == pytest.approx(4.0)
    assert math.exp(found.baseline) == pytest.approx(2.0)
    assert found.difference.change == pytest.approx(math.log(2.0))
    assert found.tolerance == pytest.approx(math.log(1.3))


def test_a_window_of_norms_counts_at_most_as_a_thousand_times_the_usual():
    found = measures.norm_level(sides(summary(size=2, log_norm=[0.0, 50.0]), summary(size=2)), ANY)
    assert math.exp(found.candidate) == pytest.approx((1 + 1000) / 2)
    nothing = measures.norm_level(sides(summary(), summary(log_norm=math.nan)), ANY)
    assert nothing.outcome == "inconclusive"


@pytest.mark.parametrize("metric", [measures.norm_spread, measures.norm_tail])
@pytest.mark.parametrize(("norms", "measured"), [(4, True), (3, False)])
def test_spread_and_tail_need_four_norms_in_most_windows(metric, norms, measured):
    found = metric(sides(summary(norms=norms, peak=1.0), summary(peak=0.5)), ANY)
    assert isinstance(found, Unmeasured) != measured


def test_spread_is_a_ratio_and_tail_a_difference_of_logarithms():
    spread = measures.norm_spread(sides(summary(spread=0.4), summary(spread=0.2)), Tolerance(relative=0.25))
    assert spread.difference.change == pytest.approx(math.log(2.0))
    assert spread.tolerance == pytest.approx(math.log(1.25))
    nothing = measures.norm_spread(sides(summary(spread=0.0), summary(spread=0.0)), ANY)
    assert (nothing.outcome, nothing.reason) == ("skipped", "nothing varies")
    # Each window's largest norm counts once, however many norms it holds.
    tail = measures.norm_tail(sides(summary(size=2, norms=[10, 90], peak=[2.0, 1.0]), summary(size=2, peak=0.5)), ANY)
    assert tail.difference.change == pytest.approx(1.0)


def test_windows_that_one_run_lacks_are_left_out():
    found = measures.norm_tail(
        sides(summary(size=3, peak=[1.0, math.nan, 3.0]), summary(size=3, peak=[0.0, 9.0, 0.0])), ANY
    )
    assert found.difference.change == pytest.approx(2.0)
    lacking = measures.norm_tail(sides(summary(peak=math.nan), summary()), ANY)
    assert lacking.reason == "cannot judge: no steps have it in all runs"


def test_events_per_thousand_rows():
    candidate, baseline = summary(loss_spikes=[0, 4, 0, 0, 0, 0, 0, 0]), summary(loss_spikes=[1, 0, 0, 0, 0, 0, 0, 0])
    found = measures.spikes(sides(candidate, baseline), Tolerance(absolute=2.0, relative=1.0), "loss_spikes")
    assert (found.candidate, found.baseline) == (50.0, 12.5)
    assert found.difference.change == pytest.approx(37.5)
    assert found.difference.p_higher == pytest.approx(stats.binom.sf(3, 5, 0.5))
    assert found.difference.standard_error == pytest.approx(1000 * math.sqrt(4.5 + 1.5) / 80)
    assert found.tolerance == 12.5
    assert found.method == "counts"
    assert found.worst_steps == (10, 19)
    unknown = measures.spikes(sides(candidate, summary(spikes_judged=False)), ANY, "loss_spikes")
    assert unknown.reason == "too few rows to tell spikes from noise"


def test_events_of_several_runs_are_compared_run_by_run():
    rates = [summary(f"c{i}", overflow=[i, 0, 0, 0, 0, 0, 0, 0]) for i in (4, 6)]
    usual = [summary(f"b{i}", overflow=[i, 0, 0, 0, 0, 0, 0, 0]) for i in (1, 2)]
    found = measures.events(sides(rates, usual), Tolerance(absolute=0.03), "overflow", per=1.0)
    assert (found.candidate, found.baseline) == pytest.approx((5 / 80, 1.5 / 80))
    assert found.method == "runs"
    # Counts of 13 + 1 in 320 rows: the rate of a run of 80 rows has at least that variance over 80.
    floor = (14 / 320) / 80
    moderated = (4 * (0.03 / 3) ** 2 + (2 + 0.5) / 80**2) / (4 + 2)
    assert found.difference.standard_error == pytest.approx(math.sqrt(max(floor, moderated)))
    assert found.difference.df == 6.0


def test_the_worst_stretch_lies_in_the_direction_of_the_change():
    high, low = [1, 1, 3, 1, 1, 1, 0, 1], [1, 1, 0.9, 1, 1, 1, 0, 1]
    for loss, steps in ((high, (20, 29)), (low, (60, 69))):
        found = measures.loss(sides(summary(loss=loss, loss_mean=loss), summary()), ANY, final=False)
        assert found.worst_steps == steps
    assert measures.loss(sides(summary(), summary()), ANY, final=False).worst_steps is None
    single = measures.loss(sides(summary(size=1, loss=2.0), summary(size=1)), ANY, final=False)
    assert single.worst_steps is None


def test_stretches_are_tenths_and_end_where_the_shorter_run_does():
    loss = np.ones(30)
    loss[27:] = 9.0
    ends = summary(size=30, loss=loss, loss_mean=loss, last_step=293)
    found = measures.loss(sides(ends, summary(size=30, last_step=296)), ANY, final=False)
    assert found.worst_steps == (270, 293)


@pytest.mark.parametrize(
    ("moves", "paired"),
    [
        (lambda x: x, True),
        (lambda x: x**3, True),  # ranks alone count
        (lambda x: -x, False),
        (lambda x: np.random.default_rng(9).permutation(x), False),
        (lambda x: np.zeros(len(x)), False),
        (lambda x: np.where(np.arange(len(x)) < 5, x, np.nan), True),  # five are enough
        (lambda x: np.where(np.arange(len(x)) < 4, x, np.nan), False),
    ],
)
def test_runs_that_saw_the_same_batches_move_together(moves, paired):
    ups = np.random.default_rng(1).standard_normal(12)
    other = np.concatenate(([0.0], np.cumsum(moves(ups))))
    one = summary(size=13, loss=np.concatenate(([0.0], np.cumsum(ups))))
    assert sides(one, summary(size=13, loss=other)).paired == paired


def test_nine_tenths_of_rank_correlation_is_the_border():
    ups = np.arange(10.0)
    for swap, rho in (((0, 3), 0.89), ((0, 2), 0.95)):
        other = ups.copy()
        other[list(swap)] = other[list(swap)[::-1]]
        assert stats.spearmanr(ups, other).statistic == pytest.approx(rho, abs=0.005)
        one, two = (summary(size=11, loss=np.concatenate(([0.0], np.cumsum(v)))) for v in (ups, other))
        assert sides(one, two).paired == (rho > 0.9)


def test_several_runs_are_the_unit_and_their_windows_a_floor():
    candidates = [summary(f"c{i}", loss=v, loss_mean=v) for i, v in enumerate((2.0, 2.2))]
    baselines = [summary(f"b{i}", loss=v, loss_mean=v) for i, v in enumerate((1.0, 1.1, 0.9))]
    found = measures.loss(sides(candidates, baselines), Tolerance(absolute=0.3), final=False)
    assert found.method == "runs"
    assert (found.candidate, found.baseline) == pytest.approx((2.1, 1.0))
    assert found.difference.n_effective == 5
    # Prior: a third of the tolerance, worth four runs.
    moderated = (4 * 0.1**2 + 0.02 + 0.02) / (4 + 3)
    assert found.difference.standard_error == pytest.approx(math.sqrt(moderated * (1 / 2 + 1 / 3)))


def test_blocks_of_a_ratio_are_relative_to_each_runs_own_mean():
    # Means 2 and 5; relative to them the windows are .5, 1.5 and .8, 1.2, so that each block adds the ratio of the means.
    one, two = summary(size=2, log_norm=np.log([4.0, 6.0])), summary(size=2, log_norm=np.log([1.0, 3.0]))
    found = measures.norm_level(sides(one, two), Tolerance(relative=0.3))
    assert found.difference.change == pytest.approx(math.log(2.5))
    blocks = np.array([0.8 - 0.5, 1.2 - 1.5]) + math.log(2.5)
    assert found.difference.standard_error == pytest.approx(blocks.std(ddof=1) / math.sqrt(2))


def test_the_worst_stretch_is_that_of_the_difference():
    # Both are highest in the second window; the candidate is above the baseline in the sixth.
    one, two = [1, 9, 1, 1, 1, 1, 1, 1], [1, 9, 1, 1, 1, 2, 1, 1]
    found = measures.loss(sides(summary(loss=two, loss_mean=two), summary(loss=one, loss_mean=one)), ANY, final=False)
    assert found.worst_steps == (50, 59)
    rows = [summary(overflow=[0, 5, 0, 0, 0, v, 0, 0]) for v in (3, 0)]
    assert measures.events(sides(rows[0], rows[1]), ANY, "overflow", per=1.0).worst_steps == (50, 59)

"""Parts of the methods at their limits, by hand: spikes, schedules, tails, thresholds, power laws, levels."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from gradlens.stats import clipping, coincidence, gpd, indices, powerlaw, robust, spikes, tails, thresholds, warmup
from gradlens.stats.comparison import permutation_p
from gradlens.stats.families import FamilyFit
from gradlens.stats.histograms import share_beyond
from gradlens.stats.onset import find_onset

# --- spikes


@pytest.mark.parametrize(
    ("z", "kept"),
    [
        ([1, 5, 9, 5, 1], [1, 9, 1]),  # three rows above 4 of which one passes 8
        ([1, 5, 8, 5, 1], [1, 5, 8, 5, 1]),
        ([1, 4, 9, 5, 1], [1, 4, 9, 5, 1]),  # two rows
        ([5, 9, 5, 1, 5, 5, 5], [9, 1]),  # one row lower in between
        ([5, 9, 5, 1, 1, 5, 5], [9, 1, 1, 5, 5]),
        ([9, 9, 9, 1, 1, 5, 8.5, 5], [9, 1, 1, 8.5]),
        ([5, 9], [5, 9]),
    ],
)
def test_an_event_that_lasts_counts_once(z, kept):
    assert spikes._once_each(np.array(z, dtype=float)).tolist() == kept


@pytest.mark.parametrize(
    ("back", "settled"),
    [("000", None), ("100", None), ("110", 7), ("101", 7), ("0011", 9), ("001", 9), ("0101", 8), ("", None)],
)
def test_what_settles_stays_for_two_of_three_steps(back, settled):
    assert spikes._first_settled(np.array([b == "1" for b in back], dtype=bool), 7) == settled


def calm(n=900):
    return np.tile([1.0, 1.1, 0.9, 1.0, 1.05, 0.95], n // 6)


def test_a_spike_recovers_before_the_next_or_within_its_window():
    curve = calm()
    curve[300:330], curve[340] = 9.0, 30.0
    first, *rest = spikes.find_spikes(curve).spikes
    assert (first.index, first.recovery, first.length) == (300, 330, 41 if first.recovery is None else 30)
    assert [s.index for s in rest] in ([], [340])
    # One that never comes back lasts until the next, or for a window of 128 steps.
    curve = calm()
    curve[300] = 30.0
    curve[301:700] = 4.0
    (first, *_) = spikes.find_spikes(curve).spikes
    assert first.recovery is None
    assert first.length <= 128


@pytest.mark.parametrize(
    ("noise", "n", "alarms", "limit", "index"),
    [
        ("normal", 3000, 0.5, 4.83, 0.0),
        ("normal", 3000, 5.0, 4.0, 0.0),
        ("normal", 40_000, 0.5, 5.18, -0.04),
        ("t3", 3000, 0.5, 23.1, 0.33),
        ("t3", 3000, 5.0, 10.05, 0.33),
    ],
)
def test_the_limit_rises_with_the_tail_of_the_noise(noise, n, alarms, limit, index):
    # At the quantiles of the noise itself, so that nothing of it is chance.
    p = (np.arange(n) + 0.5) / n
    z = stats.norm.ppf(p) if noise == "normal" else stats.t(3).ppf(p)
    assert spikes.z_limit(z, alarms) == (pytest.approx(limit, rel=0.03), pytest.approx(index, abs=0.03))


def test_the_limit_of_a_curve_without_spread_in_its_tail():
    z = np.concatenate((np.random.default_rng(0).standard_normal(400), np.full(60, 2.0)))
    limit, index = spikes.z_limit(z, 0.5)
    assert limit >= 4.0
    assert math.isfinite(index)


# --- warm-up and phases


def phases(*parts, end=0):
    rate = np.concatenate([np.asarray(part, dtype=float) for part in parts])
    return [(p.name, p.first, p.last) for p in warmup.find_phases(rate, rate.size, end)]


def test_phases_of_a_long_run_are_a_hundredth_of_it():
    short, enough = np.linspace(1.0, 0.9, 10)[1:], np.linspace(1.0, 0.9, 13)[1:]
    assert [name for name, *_ in phases(np.ones(500), short, np.full(491, 0.9))] == ["stable"]
    assert [name for name, *_ in phases(np.ones(500), enough, np.full(488, 0.9))] == ["stable", "decay", "stable"]


@pytest.mark.parametrize(
    ("parts", "end", "expected"),
    [
        ((np.linspace(0, 1, 10), np.ones(40)), 9, [("warmup", 0, 8), ("stable", 9, 49)]),
        ((np.linspace(0, 1, 12), np.ones(40)), 9, [("warmup", 0, 8), ("stable", 9, 51)]),  # the rest of the rise
        ((np.linspace(0, 1, 16), np.ones(40)), 9, [("warmup", 0, 8), ("rise", 9, 14), ("stable", 15, 55)]),
        ((np.ones(20), np.linspace(1, 0, 31)[1:]), 50, [("warmup", 0, 49)]),
        ((np.ones(20), np.linspace(1, 0, 31)[1:]), 99, [("warmup", 0, 49)]),
        ((np.ones(20), np.linspace(1, 0, 31)[1:]), -3, [("stable", 0, 18), ("decay", 19, 49)]),
    ],
)
def test_phases_after_a_warmup(parts, end, expected):
    assert phases(*parts, end=end) == expected


@pytest.mark.parametrize(
    ("direction", "shortest", "filled"),
    [
        ("-00-0000", 3, "---" + "-0000"),
        ("-00-000", 3, "-------"),
        ("-000-00000000", 3, "-000-00000000"),
        ("-00-00000000", 3, "----00000000"),
        ("-00+00000000", 3, "-00+00000000"),
        ("00-0-0000", 3, "-----0000"),
        ("000-0-0000", 3, "000---0000"),
        ("0000-0000", 3, "0000-0000"),
        ("+0+", 1, "+0+"),
    ],
)
def test_short_flat_stretches_between_two_falls_are_part_of_them(direction, shortest, filled):
    value = {"-": -1, "0": 0, "+": 1}
    found = warmup._steps_as_decay(np.array([value[c] for c in direction]), shortest)
    assert "".join({-1: "-", 0: "0", 1: "+"}[v] for v in found.tolist()) == filled


@pytest.mark.parametrize(
    ("transient", "level", "index"),
    [
        (1.0, 1.0, 0),
        (1.012, 1.0, 0),
        (1.013, 1.0, 21),
        (3.0, 1.0, 21),
        (0.988, 1.0, 0),
        (0.987, 1.0, 21),
        (3.0, math.nan, 0),
    ],
)
def test_the_transient_of_norms(transient, level, index):
    # A quarter of the spread of the level beyond it, at least .0125 of its logarithm, is inside.
    norm = np.full(400, level) * np.exp(0.3 * np.resize([1.0, -1.0, 0.0], 400))
    norm[:20] = transient
    assert warmup.find_warmup_end(None, norm).index == index


@pytest.mark.parametrize(("n", "index"), [(19, 0), (20, 2)])
def test_twenty_norms_have_a_transient(n, index):
    norm = np.ones(n)
    norm[:8] = 50.0
    assert warmup.find_warmup_end(None, norm).index in (index, 0)


# --- tails


@pytest.mark.parametrize(
    ("heavy", "xi", "implied", "adequate", "words"),
    [
        (True, 0.5, 0.1, True, "heavy: tail index 0.50, a lognormal with the same bulk would give 0.10; power law cutoff fits best"),
        (False, 0.5, None, True, "not heavy: tail index 0.50; power law cutoff fits best"),
        (None, None, None, True, "too few values for a verdict; power law cutoff fits best"),
        (None, 0.5, None, None, "too few values for a verdict"),
        (True, None, 0.1, None, "too few values for a verdict"),
        (False, 0.0, None, False, "not heavy: tail index 0.00; no family fits, power law cutoff is closest (KS 0.100, limit 0.020)"),
    ],
)  # fmt: skip
def test_a_tail_in_words(heavy, xi, implied, adequate, words):
    fits = () if adequate is None else (
        FamilyFit(
            family="power_law_cutoff", parameters={}, log_likelihood=0.0, aic=0.0, ks=0.1, ks_limit=0.02, adequate=adequate
        ),
    )  # fmt: skip
    assert tails._words(heavy=heavy, xi=xi, implied=implied, fits=fits) == words


def pareto(xi, n=4000):
    """Exact quantiles of a tail, in an order without clusters."""
    value = stats.genpareto(xi).isf((np.arange(n) + 0.5) / n)
    return np.random.default_rng(0).permutation(1.0 + value)


def test_how_heavy_is_heavy():
    found = tails.view_tail(pareto(0.5), power_law=False)
    assert found.heavy
    assert found.power_law is None
    error = 1.96 * found.pareto_tail.chosen.fit.xi_error * found.clustering.widening
    assert found.xi_interval == pytest.approx((found.xi - error, found.xi + error))
    light = tails.view_tail(np.random.default_rng(1).weibull(2.0, 4000), power_law=False)
    assert light.heavy is False
    lognormal = tails.view_tail(np.exp(np.random.default_rng(2).standard_normal(4000)), power_law=False)
    assert lognormal.heavy is False  # its tail index is above zero, and that of its own bulk
    few = tails.view_tail(pareto(0.5, 199), power_law=False)
    assert (few.heavy, few.n) == (None, 199)


@pytest.mark.parametrize(
    ("xi", "n", "heavy"),
    [
        (0.1, 4000, False),  # no further above the index of its own bulk than chance allows, nor materially
        (0.2, 4000, True),  # 2.8 errors above it
        (0.2, 1000, False),  # 1.2 errors
        (0.3, 1000, False),  # 1.8 errors
        (0.5, 600, True),  # plainly not lognormal, and surely above zero
    ],
)
def test_an_index_must_be_beyond_that_of_its_own_bulk(xi, n, heavy):
    assert tails.view_tail(pareto(xi, n), power_law=False).heavy == heavy


def test_gaussian_noise_at_the_edges():
    rng = np.random.default_rng(3)
    norm = np.sqrt(rng.chisquare(50, 4000))
    log = np.log(norm)
    level = np.full(4000, np.median(log))
    without = tails.gaussian_null(norm, log, level, None)
    assert without.effective_dimension == pytest.approx(50, rel=0.1)
    assert (without.expected_clip_rate, without.observed_clip_rate) == (None, None)
    assert tails.gaussian_null(norm, log, level, 0.0).expected_clip_rate is None
    assert tails.gaussian_null(norm[:1], log[:1], level[:1], 1.0).effective_dimension is None
    assert tails.gaussian_null(np.ones(9), np.zeros(9), np.zeros(9), 1.0).effective_dimension is None
    # A level that doubles half-way: the rate is the mean of both halves.
    high = np.where(np.arange(4000) < 2000, 1.0, 2.0)
    found = tails.gaussian_null(norm * high, log + np.log(high), level + np.log(high), 14.0)
    one = [tails.gaussian_null(norm, log, level, c).expected_clip_rate for c in (14.0, 7.0)]
    assert found.expected_clip_rate == pytest.approx(np.mean(one), abs=0.01)
    # Of few dimensions the median is no less than that of three tenths of them.
    wide = tails.gaussian_null(
        np.exp(2.0 * rng.standard_normal(999)), 2.0 * rng.standard_normal(999), np.zeros(999), 1.0
    )
    assert 0.0 < wide.expected_clip_rate < 1.0


# --- generalized Pareto tails


def test_the_table_of_distances_has_an_exponential_tail():
    # Weighted sums of chi-squares: each halving of the chance takes about as much as the one before.
    for xi, row in gpd.AD_QUANTILES.items():
        assert [gpd.anderson_darling_p(distance, xi) for distance in row] == pytest.approx(gpd.AD_PROBABILITIES)
        slopes = np.diff(row) / -np.diff(np.log(gpd.AD_PROBABILITIES))
        assert (slopes > 0.0).all()
        assert slopes.max() < 2.6 * slopes.min()
    # And the distances shrink as the tail gets heavier.
    table = np.array([gpd.AD_QUANTILES[xi] for xi in sorted(gpd.AD_QUANTILES)])
    assert (np.diff(table[:, :4], axis=0) < 0.03).all()
    assert (table.max(axis=0) < 1.8 * table.min(axis=0)).all()


@pytest.mark.parametrize(("distance", "p"), [(0.0, 1.0), (-1.0, 1.0), (0.1985, 0.75), (0.397, 0.5), (50.0, 1e-12)])
def test_chances_of_distances_at_the_ends(distance, p):
    assert gpd.anderson_darling_p(distance, 0.0) == pytest.approx(p, rel=1e-6)


@pytest.mark.parametrize(
    ("xi", "survival"),
    [(0.0, math.exp(-1.5)), (0.5, 1.75**-2), (-0.5, 0.25**2), (1e-10, math.exp(-1.5)), (-1.0, 0.0)],
)
def test_survival_by_hand(xi, survival):
    assert gpd.gpd_survival(np.array([3.0]), 2.0, xi)[0] == pytest.approx(survival)


@pytest.mark.parametrize(
    ("xi", "reach"), [(0.0, 2.0), (1e-10, 2.0), (0.5, (math.e - 1) / 0.5), (-0.5, (1 - 1 / math.e) / 0.5)]
)
def test_how_far_a_tail_reaches(xi, reach):
    assert gpd.reach(xi, 2.0) == pytest.approx(reach)


def test_where_a_region_ends():
    assert gpd._cross(lambda v: v > 7.3, 1.0, 2.0) == pytest.approx(7.3)
    assert gpd._cross(lambda v: v < 0.073, 1.0, 0.5) == pytest.approx(0.073)


def test_ties_and_few_values_leave_levels_out():
    value = np.repeat(np.arange(1.0, 501.0), 2)
    value[value > 430] = 430.0  # all that lies above 86 % is equal
    found = gpd.peaks_over_threshold(value)
    assert all(t.threshold < 430 for t in found.tried)
    nothing = gpd.peaks_over_threshold(np.ones(1000))
    assert nothing.reason.startswith("fewer than 50 different values")
    assert (nothing.chosen, nothing.tried, nothing.band, nothing.rejected) == (None, (), None, False)
    infinite = np.append(np.random.default_rng(0).exponential(size=999), [np.inf, -np.inf, np.nan])
    assert gpd.peaks_over_threshold(infinite).chosen is not None


# --- what a clip rate is worth


@pytest.mark.parametrize(("n", "worth"), [(9, True), (10, False)])
def test_ten_steps_are_needed_to_tell_dependence(n, worth):
    assert (clipping.effective_steps(np.arange(float(n)), 0.5 * n) == n) == worth


def test_equal_norms_are_worth_what_their_indicator_is():
    assert clipping.effective_steps(np.ones(50), 2.0) == 50.0
    assert clipping.effective_steps(np.zeros(0), 2.0) == 0.0
    without = clipping.clip_statistics(np.full(5, np.nan), 1.0)
    assert (without.clip_rate, without.interval, without.n, without.nonfinite, without.windows) == (
        None,
        (0.0, 1.0),
        0,
        5,
        (),
    )
    never = clipping.clip_statistics(np.ones(40), 2.0, step=10 * np.arange(40), phases=[(5, 9)])
    assert (never.one_in, never.clipped) == (None, 0)
    assert [(w.first, w.last) for w in (*never.windows, *never.phases)] == [(0, 190), (200, 390), (50, 90)]


# --- indices


def test_indices_by_hand():
    value = 2.0 ** np.arange(24)
    found = indices.tail_indices(value, 4)
    logs = np.log(2.0) * np.arange(4, 0, -1)
    assert found.k == 4
    assert found.hill == pytest.approx(logs.mean())
    assert found.hill_error == pytest.approx(logs.mean() / 2)
    assert found.moment == pytest.approx(logs.mean() + 1 - 0.5 / (1 - logs.mean() ** 2 / np.mean(logs**2)))
    top = value[::-1]
    assert found.pickands == pytest.approx(math.log((top[3] - top[7]) / (top[7] - top[15])) / math.log(2.0))
    assert indices.tail_indices(value, 6).pickands is not None
    assert indices.tail_indices(value, 7).pickands is None  # four times seven values
    assert indices.tail_indices(value, 1).k == 2
    assert indices.tail_indices(value, 99).k == 23
    assert indices.tail_indices(value[:19], 4).reason == "only 19 values, 20 needed"
    assert (
        indices.tail_indices(np.append(np.ones(10), np.full(10, 5.0)), 4).reason == "the largest values are all equal"
    )
    assert indices.tail_indices(np.append(np.arange(1.0, 20.0), np.full(3, 50.0)), 2).hill is None


@pytest.mark.parametrize(("size", "k"), [(19, 9), (2, 1), (3, 1), (30, 10)])
def test_of_few_values_half_are_the_tail(size, k):
    assert indices.guillou_hall(2.0 ** np.arange(size, 0, -1.0)) == k


def test_the_tail_ends_where_its_spacings_show_a_trend():
    # An exact power law of index .5 down to the 300th value, and a body without spread below.
    p = (np.arange(2000) + 0.5) / 2000
    value = np.maximum(p**-0.5, p[300] ** -0.5 + 1e-4 * (1 - p))
    k = indices.guillou_hall(np.sort(value)[::-1])
    assert 150 < k < 400
    pure = np.sort((np.arange(1, 2001) / 2001.0) ** -0.5)[::-1]
    assert indices.guillou_hall(pure) == pytest.approx(666, abs=3)


# --- cuts and permutations


def test_a_cut_that_no_permutation_reaches():
    setting = np.arange(40.0)
    assert find_onset(setting, setting >= 20).p_value == 0.001
    assert find_onset(setting, setting >= 20, seed=1).p_value == 0.001


def test_two_runs_a_side_are_permuted():
    assert permutation_p(np.arange(5.0), np.array([1.0])) is None
    assert permutation_p(np.array([3.0, 4.0]), np.array([1.0, 2.0])) == pytest.approx(1 / 6)
    assert permutation_p(np.array([1.0, 1.0]), np.array([1.0, 1.0])) == 1.0


# --- thresholds


@pytest.mark.parametrize(
    ("first", "second", "expected", "doubt", "one_sided"),
    [
        (0, 6, 6.0, 0.05, True),
        (0, 5, 6.0, 0.05, False),  # one in sixteen by chance
        (0, 6, 6.0, 0.01, False),
        (1, 9, 6.0, 0.05, False),  # a half of the share that is promised
        (1, 9, 6.1, 0.05, True),
        (9, 1, 6.1, 0.05, True),
        (0, 0, 6.0, 0.9, False),
        (0, 0, 6.0, 1.0, True),
    ],
)
def test_exceedances_on_one_side(first, second, expected, doubt, one_sided):
    exceeds = np.zeros(200, dtype=bool)
    exceeds[:first], exceeds[100 : 100 + second] = True, True
    assert thresholds._one_sided(exceeds, expected, doubt) == one_sided


@pytest.mark.parametrize(
    ("wanted", "n", "draws"), [(999, 1000, 999), (999, 4000, 500), (999, 30_000, 100), (50, 10, 100)]
)
def test_draws_of_long_series(wanted, n, draws):
    assert thresholds._draws(wanted, n) == draws


# --- power laws


def test_a_given_start_by_hand():
    value = np.array([0.5, 1.0, 2.0, 2.0, 4.0])
    found = powerlaw.fit_power_law(value, xmin=1.0, alternatives=False)
    exponent = 4 / math.log(16.0)
    assert found.alpha == pytest.approx(1 + exponent)
    assert found.alpha_error == pytest.approx(exponent / 2)
    assert (found.xmin, found.n_tail, found.alternatives) == (1.0, 4, ())
    model = [1 - v**-exponent for v in (1.0, 2.0, 4.0)]
    steps = [(0.0, 0.25), (0.25, 0.75), (0.75, 1.0)]
    assert found.ks == pytest.approx(max(max(m - a, b - m) for m, (a, b) in zip(model, steps, strict=True)))
    assert powerlaw.fit_power_law(value, xmin=4.5).reason == "5 positive values are too few"
    assert powerlaw.fit_power_law(value, xmin=3.0, alternatives=False).reason is not None  # one value
    between = powerlaw.fit_power_law(value, xmin=1.5, alternatives=False)
    assert (between.xmin, between.n_tail) == (1.5, 3)


@pytest.mark.parametrize("seed", range(3))
def test_the_search_tries_every_start(seed):
    value = np.round(np.random.default_rng(seed).pareto(1.5, 60) + 1.0, 1)
    found = powerlaw.fit_power_law(value, alternatives=False)
    tried = [
        (fit.ks, start)
        for start in np.unique(value)
        if (value >= start).sum() >= 10
        and (fit := powerlaw.fit_power_law(value, xmin=start, alternatives=False)).ks is not None
    ]
    assert (found.ks, found.xmin) == (pytest.approx(min(tried)[0]), min(tried)[1])


def test_the_bootstrap_is_reproducible():
    value = np.random.default_rng(0).pareto(1.5, 100) + 1.0
    one, two, other = (
        powerlaw.fit_power_law(value, bootstrap=20, seed=s, alternatives=False).p_value for s in (0, 0, 5)
    )
    assert one == two
    assert 0.0 <= other <= 1.0
    assert powerlaw.fit_power_law(value, alternatives=False).p_value is None


# --- levels


@pytest.mark.parametrize("n", [40, 65, 100])
@pytest.mark.parametrize("centred", [True, False])
def test_rolling_medians_one_by_one(n, centred):
    value = np.random.default_rng(n).standard_normal(n)
    value[[3, 20]] = np.nan
    found = robust.rolling_median(value, 9, centred=centred)
    for i in range(n):
        part = value[max(i - 4, 0) : i + 5] if centred else value[max(i - 9, 0) : i]
        part = np.sort(part[np.isfinite(part)])
        assert (np.isnan(found[i]) and not part.size) or found[i] == part[(part.size - 1) // 2]


@pytest.mark.parametrize("window", [16, 40, 160])
def test_refreshed_levels_are_those_of_their_own_steps(window, monkeypatch):
    monkeypatch.setattr(robust, "EXACT_UP_TO", 50)
    value = np.random.default_rng(0).standard_normal(333)
    stride = max(1, window // 16)
    for centred, first in ((True, stride // 2), (False, 0)):
        exact = robust.rolling_median(value, window, centred=centred)
        found = robust.rolling_levels(value, window, (0.5,), centred=centred)[0]
        at = np.minimum(np.arange(333) // stride * stride + first, ((333 - 1 - first) // stride) * stride + first)
        np.testing.assert_array_equal(found, exact[at])


@pytest.mark.parametrize(
    ("n", "window", "stride"), [(1 << 15, 160, 1), ((1 << 15) + 1, 160, 10), (1 << 16, 15, 1), (1 << 16, 31, 1)]
)
def test_how_many_steps_share_a_level(n, window, stride):
    assert robust._stride(n, window) == stride


def test_the_median_after_a_step_is_that_of_its_own_window():
    value = np.random.default_rng(1).standard_normal(60)
    before = robust.rolling_levels(value, 7, (0.5,), centred=False)[0]
    after = robust._from_before(before, value, 7)
    for i in range(59):
        part = np.sort(value[i + 1 : i + 8])
        assert after[i] == part[(part.size - 1) // 2]
    assert np.isnan(after[59])


def test_queries_are_cut_where_windows_move_forward(monkeypatch):
    monkeypatch.setattr(robust, "STRETCH", 10)
    start = np.arange(100)
    cut = robust._stretches(start, start + 5)
    assert cut[0][0] == 0
    assert cut[-1][1] == 100
    assert all(a[1] == b[0] for a, b in itertools.pairwise(cut))
    assert len(cut) == 10
    assert robust._stretches(start, start + 6) == [(0, 100)]  # wider than half a stretch
    assert robust._stretches(start[::-1].copy(), start[::-1] + 5) == [(0, 100)]
    assert robust._stretches(start[:20], start[:20] + 5) == [(0, 20)]
    assert len(robust._stretches(start[:21], start[:21] + 5)) == 3


@pytest.mark.parametrize(
    ("values", "window", "expected"),
    [([1, 2, 3, 4, 5], 2, [1, 3, 5, 7, 9]), ([1, 2, 3, 4, 5], 1, [1, 2, 3, 4, 5]), ([1, 2, 3], 9, [1, 3, 6]), ([1, 2, 3, 4, 5, 6, 7], 3, [1, 3, 6, 9, 12, 15, 18])],
)  # fmt: skip
def test_sums_of_the_last_values(values, window, expected):
    value = np.array(values, dtype=float)
    assert robust._trailing_sum(value, window, include_current=True).tolist() == expected
    assert robust._trailing_sum(value, window, include_current=False).tolist() == [0, *expected[:-1]]


# --- what is left out at the edges


def test_a_rate_of_zero_and_the_first_of_the_norms():
    assert warmup.find_warmup_end(np.zeros(100), None).how == "none"
    assert warmup.find_warmup_end(np.zeros(100), np.ones(100)).how == "norms"
    norm = np.append(np.full(5, np.nan), np.exp(0.1 * np.random.default_rng(0).standard_normal(100)))
    assert (thresholds.suggest_level(norm).first, thresholds.suggest_level(norm).n) == (5, 100)
    assert (thresholds.suggest_level(norm, warmup_end=20).first, thresholds.suggest_level(norm[:0]).first) == (20, 0)


@pytest.mark.parametrize(
    ("edges", "share"),
    [
        ([-np.inf, np.inf], 1.0),
        ([0.0, np.inf], 1.0),
        ([-10.0, 10.0], 0.9),
        ([-1.0, 1.0], 0.0),
        ([1.0, 1.0], 0.0),
        ([0.0, 2.0], 0.5),
        ([-4.0, 0.0], 0.75),
        ([5.0, 9.0], 1.0),
    ],
)
def test_the_part_of_a_bucket_that_lies_beyond(edges, share):
    assert share_beyond([(np.array(edges), np.array([4.0]))], 1.0) == pytest.approx(share)
    both = [(np.array(edges), np.array([4.0])), (np.array([0.0, 0.5]), np.array([4.0]))]
    assert share_beyond(both, 1.0) == pytest.approx(share / 2)


@pytest.mark.parametrize("index", [0.1, 0.5, 2.0])
def test_the_tail_ends_where_its_spacings_show_a_trend_whatever_its_index(index):
    p = (np.arange(2000) + 0.5) / 2000
    logs = np.where(np.arange(2000) < 300, -np.log(p), -np.log(p[300]) - 1e-3 * (p - p[300]))
    assert indices.guillou_hall(np.exp(index * logs)) == indices.guillou_hall(np.exp(logs))


# --- what is not asked for


def test_what_is_not_asked_for_is_as_documented():
    rng = np.random.default_rng(13)
    norm = np.exp(0.4 * rng.standard_normal(800))
    level = thresholds.suggest_level(norm, mode="step_limiter").interval
    assert level == thresholds.suggest_level(norm, quantile=0.9, draws=200, seed=0).interval
    assert level != thresholds.suggest_level(norm, quantile=0.9, seed=1).interval
    loss, other = np.sort(rng.choice(4000, 20, replace=False)), np.sort(rng.choice(4000, 20, replace=False))
    one = coincidence.coincidence_tests(4000, loss, other)
    assert (
        one.norm_leads.p
        == coincidence.coincidence_tests(4000, loss, other, warmup_end=0, draws=1999, seed=0).norm_leads.p
    )
    assert one.norm_leads.p != coincidence.coincidence_tests(4000, loss, other, seed=1).norm_leads.p
    trouble = rng.random(30) < 0.5
    assert find_onset(np.arange(30.0), trouble) == find_onset(np.arange(30.0), trouble, seed=0)
    p = [powerlaw.fit_power_law(norm[:200], bootstrap=40, alternatives=False, **how).p_value for how in ({}, {"seed": 0}, {"seed": 1}, {"seed": 3})]  # fmt: skip
    assert p[0] == p[1]
    assert len(set(p)) > 1
    assert tails.view_tail(norm).power_law.p_value is None
    assert tails.describe_tail(norm[:300]).detrended.power_law.p_value is None
    assert clipping.wilson_interval(0.3, 50) == clipping.wilson_interval(0.3, 50, 0.95)
    curve = np.exp(0.2 * rng.standard_normal(600))
    assert (
        spikes.find_spikes(curve).z_limit
        == spikes.find_spikes(curve, warmup_end=0, window=128, false_alarms=0.5).z_limit
    )


@pytest.mark.parametrize("n", [1.0, 7.5, 100.0, 1e6])
@pytest.mark.parametrize("rate", [1e-5, 1e-3, 0.5, 1 - 1e-3, 1 - 1e-5])
def test_an_interval_of_a_rate_holds_it_and_solves_its_equation(rate, n):
    # Wilson: |rate - p| = z sqrt(p (1 - p) / n) at both ends.
    z = stats.norm.ppf(0.975)
    low, high = clipping.wilson_interval(rate, n)
    assert 0.0 <= low <= rate <= high <= 1.0
    for end in (low, high):
        assert abs(rate - end) == pytest.approx(z * math.sqrt(end * (1 - end) / n), rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("phi", [0.0005, 0.3, 0.9, 0.9995, -0.5])
def test_powers_end_with_the_first_that_is_negligible(phi):
    found = clipping.autoregressive_correlation(phi ** np.arange(3.0), 10**9, 5000)
    full = phi ** np.arange(1.0, 5001.0)
    assert found.size == min(5000, 1 + np.count_nonzero(np.abs(full) >= 1e-5))
    np.testing.assert_allclose(found, full[: found.size], rtol=1e-4)


@pytest.mark.parametrize("onsets", [[], [0], [5], [0, 9], [0, 10], [3, 12, 21, 31], [7, 7, 30]])
def test_onsets_of_a_chain_count_at_its_first(onsets):
    kept = []
    before = None
    for onset in sorted(set(onsets)):
        if before is None or onset - before >= 10:
            kept.append(onset)
        before = onset
    assert coincidence.decluster(np.array(onsets, dtype=np.int64)).tolist() == kept


def test_rates_at_the_ends_of_floats_have_phases():
    rate = np.concatenate((np.full(50, 1e308), np.full(50, -1e308)))
    assert [(p.first, p.last) for p in warmup.find_phases(rate, 100)] == [(0, 99)]

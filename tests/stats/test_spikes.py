import numpy as np
import pytest
from scipy import stats
from scipy.signal import lfilter

from gradlens.stats import spikes


def alternating(n=2000):
    x = 1 + 0.1 * (-1.0) ** np.arange(n)
    x[1500], x[1501] = 3.0, 1.75
    return x


def test_one_spike_hides_the_next_from_the_olmo_score():
    assert np.flatnonzero(spikes.olmo_flags(alternating())).tolist() == [1500]
    assert spikes.olmo_spike_score(alternating()) == 1 / 2000


def test_our_definition_finds_both_as_one_event():
    found = spikes.find_spikes(alternating())
    assert [(s.index, s.value, s.length, s.recovery) for s in found.spikes] == [(1500, 3.0, 2, 1502)]


def test_sigma_rules_are_not_calibrated_under_heavy_tails():
    # Why the limit is not a number of sigmas: the deviation of Student t3 is sqrt(3).
    assert stats.norm.sf(6.0) == pytest.approx(9.9e-10, rel=0.005)
    assert stats.t.sf(6.0 * np.sqrt(3), 3) == pytest.approx(9.5e-4, rel=0.005)


def test_a_window_that_holds_the_point_caps_its_z():
    window = np.zeros(128)
    window[-1] = 1e9
    assert (window[-1] - window.mean()) / window.std(ddof=0) == pytest.approx(np.sqrt(127), rel=1e-9)
    assert np.sqrt(127) == pytest.approx(11.27, abs=0.005)
    assert np.sqrt(50 - 1) == 7.0


@pytest.fixture(scope="module")
def noise():
    return np.exp(0.2 * np.random.default_rng(0).standard_normal(3000) - np.arange(3000) / 1500)


def test_planted_spikes_are_found_with_onset_size_and_recovery(noise):
    x = noise.copy()
    x[1000:1004] *= 20.0
    x[2000] *= 30.0
    found = spikes.find_spikes(x)
    assert [s.index for s in found.spikes] == [1000, 2000]
    assert found.spikes[0].length == 4
    assert found.spikes[0].recovery == 1004
    assert found.spikes[1].size == pytest.approx(30.0, rel=0.8)


def test_a_shift_of_level_does_not_recover(noise):
    x = noise.copy()
    x[1500:] *= 30.0
    first = spikes.find_spikes(x).spikes[0]
    assert (first.index, first.recovery) == (1500, None)


def test_many_spikes_do_not_hide_themselves(noise):
    x = noise.copy()
    at = np.arange(200, 3000, 100)
    x[at] *= 15.0
    assert [s.index for s in spikes.find_spikes(x).spikes] == at.tolist()


def test_scale_invariance(noise):
    x = noise.copy()
    x[1000] *= 30.0
    a, b = spikes.find_spikes(x), spikes.find_spikes(x * 2.0**20)
    assert [s.index for s in a.spikes] == [s.index for s in b.spikes]
    assert a.z_limit == pytest.approx(b.z_limit, rel=1e-9)


def test_warmup_is_not_judged(noise):
    x = noise.copy()
    x[100] *= 30.0
    assert spikes.find_spikes(x, warmup_end=101).spikes == ()


def test_drops_are_no_spikes(noise):
    x = noise.copy()
    x[1000] /= 50.0
    assert spikes.find_spikes(x).spikes == ()


def test_negative_losses_are_judged_on_a_linear_scale():
    x = np.random.default_rng(1).standard_normal(1000) - 5.0
    x[500] = 60.0
    found = spikes.find_spikes(x)
    assert found.scale == "linear"
    assert [s.index for s in found.spikes] == [500]


def test_nonfinite_values_are_a_class_of_their_own(noise):
    x = noise.copy()
    x[10:13] = np.nan
    x[50] = np.inf
    x[60:62] = [np.nan, -np.inf]
    found = spikes.find_spikes(x)
    assert [(r.index, r.length, r.kind) for r in found.nonfinite] == [(10, 3, "nan"), (50, 1, "inf"), (60, 2, "mixed")]
    assert found.spikes == ()


def test_rounded_logs_have_a_spread():
    x = np.round(3.0 + 0.01 * np.random.default_rng(2).standard_normal(2000), 2)
    x[1200] = 9.0
    assert [s.index for s in spikes.find_spikes(x).spikes] == [1200]


@pytest.mark.parametrize("x", [np.zeros(0), np.array([1.0]), np.full(300, 2.0), np.full(300, np.nan), np.arange(30.0)])
def test_thin_data_gives_a_reason(x):
    found = spikes.find_spikes(x)
    assert found.spikes == ()
    assert found.reason is not None


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["lognormal", "student3", "ar9"])
def test_at_most_one_false_alarm_a_run(kind):
    rng = np.random.default_rng(11)
    n, count = 10_000, 0
    for _ in range(25):
        draw = {
            "lognormal": lambda: rng.standard_normal(n),
            "student3": lambda: rng.standard_t(3, n),
            "ar9": lambda: lfilter([1], [1, -0.9], rng.standard_normal(n + 300))[300:],
        }[kind]()
        count += len(spikes.find_spikes(np.exp(0.1 * draw)).spikes)
    assert count / 25 <= 1.0


@pytest.mark.parametrize("size", [1e30, 1e69, 1e71, 1e200, 1.7e308])
def test_a_spike_beyond_what_squares_can_hold_is_one(size):
    curve = 0.5 + 0.05 * np.random.default_rng(0).random(400)
    curve[300] = size
    (spike,) = spikes.find_spikes(curve).spikes
    assert (spike.index, spike.value, spike.length) == (300, size, 1)


def test_half_a_false_alarm_is_expected_unless_more_are_asked_for(noise):
    found = spikes.find_spikes(noise)
    assert found.expected_false_alarms == 0.5
    assert found.z_limit == spikes.find_spikes(noise, false_alarms=0.5).z_limit
    assert found.z_limit > spikes.find_spikes(noise, false_alarms=5.0).z_limit
    assert found.judged == 3000 - 16


def test_every_z_is_that_of_the_window_before(noise):
    found = spikes.spike_scores(noise)
    log = np.log(noise)
    assert found.scale == "log"
    for i in (16, 50, 127, 128, 129, 1000, 2999):
        part = np.sort(log[max(i - 128, 0) : i])
        median, upper = part[(part.size - 1) // 2], part[int(0.85 * (part.size - 1))]
        # 1.0364 standard deviations lie between the median and the 85 % quantile of a normal distribution.
        assert found.level[i] == median
        assert found.z[i] == pytest.approx((log[i] - median) / ((upper - median) / 1.0364333894937898))
    assert np.isnan(found.z[:16]).all()


def test_sizes_levels_and_recoveries_by_hand():
    curve = np.tile([1.0, 1.1, 0.9, 1.0, 1.05, 0.95], 100)
    curve[300:306] = [8.0, 20.0, 10.0, 1.0, 9.0, 9.0]
    (spike,) = spikes.find_spikes(curve).spikes
    assert (spike.index, spike.value) == (300, 20.0)
    assert spike.level == pytest.approx(1.0)
    assert spike.size == pytest.approx(20.0)
    # One step back among the high ones is not a recovery: two of three must be.
    assert (spike.recovery, spike.length) == (306, 6)


def test_events_merge_over_ten_steps_and_no_further():
    curve = np.tile([1.0, 1.1, 0.9, 1.0, 1.05, 0.95], 100)
    curve[[200, 210, 300, 311]] = 30.0
    assert [s.index for s in spikes.find_spikes(curve).spikes] == [200, 300, 311]


def test_on_a_linear_scale_the_size_is_a_difference():
    curve = np.tile([-1.0, 1.0, -2.0, 2.0, 0.5, -0.5], 100)
    curve[300] = 100.0
    (spike,) = spikes.find_spikes(curve).spikes
    assert spike.size == pytest.approx(100.0 - spike.level)


@pytest.mark.parametrize(("nonpositive", "scale"), [(0, "log"), (10, "log"), (11, "linear")])
def test_one_value_in_a_hundred_may_be_without_a_logarithm(nonpositive, scale):
    curve = 1.0 + 0.1 * np.random.default_rng(3).random(1000)
    curve[:nonpositive] = 0.0
    assert spikes.spike_scores(curve).scale == scale


@pytest.mark.parametrize(("n", "judged"), [(55, False), (56, True)])
def test_forty_steps_must_be_judged(n, judged):
    curve = 1.0 + 0.1 * np.random.default_rng(3).random(n)
    assert (spikes.find_spikes(curve).reason is None) == judged


def test_the_score_of_olmo_step_by_step():
    rng = np.random.default_rng(4)
    curve = rng.normal(3.0, 0.1, 1500)
    curve[[200, 210, 900, 905, 1300]] += 5.0
    curve[[400, 401]] = np.nan
    flags = np.zeros(1500, dtype=bool)
    for i in range(1500):
        before = np.arange(max(i - 1000, 0), i)
        before = before[np.isfinite(curve[before])]
        if before.size >= 50 and np.isfinite(curve[i]):
            part = curve[before]
            flags[i] = abs(curve[i] - part.mean()) >= 7.0 * part.std(ddof=1)
    np.testing.assert_array_equal(spikes.olmo_flags(curve), flags)
    assert spikes.olmo_spike_score(curve) == pytest.approx(spikes.olmo_flags(curve).sum() / 1498)
    assert spikes.olmo_spike_score(np.full(5, np.nan)) is None


@pytest.mark.parametrize("n", [60, 400, 30_000])
def test_the_limit_does_not_depend_on_the_order(n):
    z = np.random.default_rng(5).standard_t(4, n)
    ordered = np.sort(z)
    for same in (ordered, ordered[::-1].copy()):
        assert spikes.z_limit(same, 0.5) == pytest.approx(spikes.z_limit(z, 0.5), rel=1e-12)


@pytest.mark.parametrize("n", [40, 199, 200, 201, 400, 19_990, 20_010, 80_000])
def test_the_limit_by_its_own_words(n):
    # A tenth, at least 20 and of more than 20,000 as many as grow with the root; the top 15 % of them are only counted.
    z = stats.t(5).ppf((np.arange(n) + 0.5) / n)
    above = max(n // 10 if n <= 20_000 else int(2000 * np.sqrt(n / 20_000)), 20)
    censored = int(0.15 * above)
    top = z[n - above - 1 :]
    excess, cut = top[1 : above - censored + 1] - top[0], top[above - censored] - top[0]

    def loss(theta):
        xi = (np.log1p(theta * excess).sum() + censored * np.log1p(theta * cut)) / excess.size
        return excess.size * np.log(xi / theta) + (1 + 1 / xi) * np.log1p(theta * excess).sum() + censored / xi * np.log1p(theta * cut), xi  # fmt: skip

    grid = np.concatenate((-np.geomspace(0.9, 1e-3, 100), np.geomspace(1e-3, 60, 400))) / cut
    theta = min(grid, key=lambda t: loss(t)[0])
    xi = loss(theta)[1]
    sigma, error = xi / theta, 1.5 * (1 + max(xi, 0)) / np.sqrt(excess.size)
    trust = 0.04 / (0.04 + error**2)
    index = max(trust * xi + (1 - trust) * 0.1 + 0.1 + 0.5 * error * np.sqrt(trust), -0.1)
    limit = top[0] + sigma * np.expm1(index * np.log(above / 0.5)) / index
    found = spikes.z_limit(z, 0.5)
    assert found[1] == pytest.approx(index, abs=0.01)
    assert found[0] == pytest.approx(max(limit, 4.0), rel=0.03)


def test_a_spike_on_a_curve_that_stands_still_is_found():
    curve = np.full(400, 2.0)
    curve[300] = 5.0
    (spike,) = spikes.find_spikes(curve).spikes
    assert (spike.index, spike.length, spike.level, spike.size) == (300, 1, pytest.approx(2.0), pytest.approx(2.5))


@pytest.mark.parametrize("warmup_end", [-300, -1, 0, 16])
def test_the_steps_before_the_window_fills_are_no_warmup(noise, warmup_end):
    found = spikes.find_spikes(noise, warmup_end=warmup_end)
    assert found.judged == 3000 - 16


def test_curves_without_any_value_have_no_scale_to_choose():
    assert spikes.spike_scores(np.full(5, np.nan)).scale == "log"
    assert spikes.spike_scores(np.array([0.0])).scale == "linear"


@pytest.mark.parametrize("unit", [1e-60, 1e-6, 1.0, 1e6, 1e60])
def test_spikes_are_the_same_in_any_unit(noise, unit):
    curve = noise.copy()
    curve[[900, 901, 2000]] *= 40.0
    one, other = spikes.find_spikes(curve), spikes.find_spikes(unit * curve)
    assert [(s.index, s.length, s.recovery) for s in one.spikes] == [
        (s.index, s.length, s.recovery) for s in other.spikes
    ]
    assert [s.size for s in other.spikes] == pytest.approx([s.size for s in one.spikes])
    assert [s.level / unit for s in other.spikes] == pytest.approx([s.level for s in one.spikes])
    assert other.score == one.score


def test_a_spread_is_no_less_than_a_quarter_of_the_usual_one():
    # Half of the run is rounded to one value; its spread is a quarter of the median of the others.
    curve = np.exp(0.1 * np.random.default_rng(1).standard_normal(2000))
    curve[1000:1500] = 1.0
    scores = spikes.spike_scores(curve, window=64)
    assert np.ptp(scores.spread[1100:1500]) == 0.0
    log = np.log(curve)
    raw = [
        np.sort(log[max(i - 64, 0) : i])[int(0.85 * (min(i, 64) - 1))] - np.sort(log[max(i - 64, 0) : i])[(min(i, 64) - 1) // 2]
        for i in range(16, 2000)
    ]  # fmt: skip
    usual = 0.9648473410224805 * np.median([r for r in raw if r > 0])
    assert scores.spread[1200] == pytest.approx(0.25 * usual, rel=1e-9)
    assert np.nanmin(scores.spread[16:]) >= scores.spread[1200]

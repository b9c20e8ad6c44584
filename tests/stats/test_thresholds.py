import numpy as np
import pytest

from gradlens.stats import thresholds


@pytest.fixture(scope="module")
def steady():
    return 0.5 * np.exp(0.3 * np.random.default_rng(0).standard_normal(3000))


@pytest.mark.parametrize(("mode", "z"), [("safety_net", 2.326), ("step_limiter", 1.2816)])
def test_the_quantile_of_steady_noise(steady, mode, z):
    found = thresholds.suggest_level(steady, mode=mode)
    assert found.value == pytest.approx(0.5 * np.exp(0.3 * z), rel=0.08)
    assert found.interval[0] < found.value < found.interval[1]
    assert found.abstained is None


def test_a_target_clip_rate_is_met(steady):
    found = thresholds.suggest_level(steady, target_clip_rate=0.05)
    assert float((steady > found.value).mean()) == pytest.approx(0.05, abs=0.03)


def test_scaling_the_norms_scales_the_threshold(steady):
    a, b = thresholds.suggest_level(steady), thresholds.suggest_level(8.0 * steady)
    assert b.value == pytest.approx(8.0 * a.value, rel=1e-9)
    assert b.interval == pytest.approx(tuple(8.0 * v for v in a.interval), rel=1e-9)


def test_it_belongs_to_where_the_run_is_now():
    rng = np.random.default_rng(1)
    level = np.concatenate((np.linspace(2, 0, 1000), np.zeros(2000)))
    found = thresholds.suggest_level(np.exp(level + 0.2 * rng.standard_normal(3000)))
    assert found.value == pytest.approx(np.exp(0.2 * 2.326), rel=0.12)
    assert found.first >= 500
    assert found.drift <= 2.0


def dips(seed=3):
    """Norms about 1, and short stretches about a tenth that scatter far more: the ratio says little of the size."""
    rng = np.random.default_rng(seed)
    low = (np.arange(3000) % 600 >= 95) & (np.arange(3000) % 600 < 205)
    return np.where(low, 0.1, 1.0) * np.exp(np.where(low, 1.0, 0.2) * rng.standard_normal(3000))


def realised(norm, found):
    return float((norm[found.latest :] > found.value).mean())


@pytest.mark.parametrize("target", [0.01, 0.05, 0.1])
@pytest.mark.parametrize("seed", range(5))
def test_the_realised_rate_is_about_the_promised_one(target, seed):
    for norm in (dips(seed), np.exp(0.3 * np.random.default_rng(seed).standard_normal(1500))):
        found = thresholds.suggest_level(norm, target_clip_rate=target)
        assert target / 3 <= realised(norm, found) <= 3 * target
        assert found.interval[0] <= found.value <= found.interval[1]


def test_no_suggestion_lies_above_all_norms():
    found = thresholds.suggest_level(dips())
    assert found.method == "latest_norms"
    assert found.value < dips().max()


def test_it_abstains_where_no_constant_does_what_is_promised():
    rng = np.random.default_rng(4)
    found = thresholds.suggest_level(np.exp(np.linspace(0.6, 0, 2000) + 0.02 * rng.standard_normal(2000)))
    assert found.value is None
    assert "no fixed threshold clips about 1 % of both halves of the latest 500 norms" in found.abstained


@pytest.mark.parametrize("length", [30, 40])
def test_a_burst_is_what_a_threshold_is_for(length):
    norm = np.exp(0.2 * np.random.default_rng(5).standard_normal(2000))
    norm[1200 : 1200 + length] *= 50.0
    found = thresholds.suggest_level(norm)
    assert found.method == "bootstrap"
    assert found.value < 3.0
    assert 0.03 < realised(norm, found) < 0.1


def test_the_latest_quarter_stands_in_where_the_level_fell():
    norm = np.exp(0.05 * np.random.default_rng(5).standard_normal(4000))
    norm[:3000] *= 1.5
    found = thresholds.suggest_level(norm)
    assert found.latest == 3000
    assert found.value == pytest.approx(np.exp(0.05 * 2.326), rel=0.05)
    assert 0.01 / 3 <= realised(norm, found) <= 0.03


def test_equal_norms_get_their_own_size():
    found = thresholds.suggest_level(np.full(1000, 0.7))
    assert found.value == pytest.approx(0.7)


def test_it_abstains_on_drift():
    rng = np.random.default_rng(2)
    found = thresholds.suggest_level(np.exp(np.linspace(0, 6, 1000) + 0.1 * rng.standard_normal(1000)))
    assert found.value is None
    assert "drifts" in found.abstained
    assert found.drift > 100


def test_it_abstains_on_few_points(steady):
    assert "200 needed" in thresholds.suggest_level(steady[:150]).abstained
    assert thresholds.suggest_level(np.zeros(0)).abstained


def test_a_quantile_beyond_the_data_comes_from_the_tail(steady):
    found = thresholds.suggest_level(steady[:500], quantile=0.999)
    assert found.method == "pareto_tail"
    assert found.interval[0] < 0.5 * np.exp(0.3 * 3.09) < found.interval[1]


def test_reproducible(steady):
    assert repr(thresholds.suggest_level(steady, seed=3)) == repr(thresholds.suggest_level(steady, seed=3))


def test_impossible_quantiles_are_the_callers_mistake(steady):
    with pytest.raises(ValueError, match="strictly between"):
        thresholds.suggest_level(steady, target_clip_rate=0.0)


@pytest.mark.slow
def test_the_interval_covers_the_true_quantile():
    rng = np.random.default_rng(5)
    truth = np.exp(0.3 * 1.2815515655446004)
    held = 0
    for seed in range(60):
        found = thresholds.suggest_level(np.exp(0.3 * rng.standard_normal(1000)), mode="step_limiter", seed=seed)
        held += found.interval[0] <= truth <= found.interval[1]
    assert held >= 51


@pytest.mark.parametrize("wanted", [0.0, 1.0, -0.1, 1.1])
def test_the_ends_are_no_quantiles(steady, wanted):
    with pytest.raises(ValueError, match="strictly between 0 and 1"):
        thresholds.suggest_level(steady, quantile=wanted)


@pytest.mark.parametrize(("n", "given"), [(199, False), (200, True)])
def test_two_hundred_norms_after_the_warmup(steady, n, given):
    found = thresholds.suggest_level(steady[: n + 100], warmup_end=100)
    assert (found.abstained is None) == given
    assert found.n == n


def test_what_the_suggestion_is_made_of(steady):
    found = thresholds.suggest_level(steady, quantile=0.9, warmup_end=400)
    assert found.first == 400
    assert found.n == 2600
    assert found.latest == 3000 - 1300
    assert found.quantile == 0.9
    assert found.method == "bootstrap"
    assert found.value == pytest.approx(found.level * found.ratio)
    assert found.level == pytest.approx(np.median(steady[-131:]), rel=1e-9)
    assert found.interval[0] < found.value < found.interval[1]


@pytest.mark.parametrize(
    ("level", "start", "drift", "total"),
    [
        (np.zeros(1000), 0, 1.0, 1.0),
        (np.repeat([1.0, 0.0], 500), 500, 1.0, np.e),  # a fall by a factor of e in the middle
        (np.repeat([0.69, 0.0], 500), 0, np.exp(0.69), np.exp(0.69)),  # less than twofold
        (np.repeat([0.7, 0.0], 500), 500, 1.0, np.exp(0.7)),
        (np.repeat([1.0, 0.0], [750, 250]), 750, 1.0, np.e),  # a quarter is enough
        (np.repeat([1.0, 0.0], [800, 200]), None, 1.0, np.e),  # a fifth is not
        (np.repeat([1.0, 0.0], [240, 160]), None, 1.0, np.e),  # nor are 160 norms
        (np.repeat([0.0, 1.0, 0.0], [100, 400, 500]), 500, 1.0, np.e),
    ],
)
def test_the_settled_part(level, start, drift, total):
    found = thresholds.settled_part(level)
    assert found[0] == start
    assert found[1:] == pytest.approx((drift, total))


@pytest.mark.parametrize(
    ("above", "n", "wanted", "kept"),
    [
        ([], 99, 0.99, True),  # less than one is promised
        ([], 300, 0.99, False),  # of three none came
        ([50], 300, 0.99, True),
        (range(0, 300, 30), 300, 0.99, False),  # ten single ones, three promised
        (range(0, 270, 30), 300, 0.99, True),  # nine
        (range(100, 127), 300, 0.99, True),  # 27 in one burst
        (range(100, 128), 300, 0.99, False),
        ([*range(9), *range(50, 59), *range(100, 109)], 300, 0.99, True),  # three bursts
        ([*range(7), *range(50, 57), *range(100, 107), *range(150, 156)], 300, 0.99, False),  # four
        ([10, 20], 99, 0.99, True),  # three times .99
        ([10, 20, 30], 99, 0.99, False),
        (range(30), 100, 0.9, True),  # three times ten, which is 9.999999999999998 in floats
    ],
)
def test_about_as_many_as_promised(above, n, wanted, kept):
    latest = np.zeros(n)
    latest[list(above)] = 1.0
    assert thresholds._as_promised(latest, 0.5, wanted) == kept


def test_equal_norms_do_not_exceed_themselves():
    assert thresholds._as_promised(np.zeros(50), 0.0, 0.99)
    assert thresholds.suggest_level(np.full(400, 0.7)).value == pytest.approx(0.7)


def test_resampled_quantiles_are_those_of_numpy():
    value = np.random.default_rng(3).standard_normal(50)
    rng, again = np.random.default_rng(0), np.random.default_rng(0)
    block = thresholds.block_length(value).stationary
    drawn = value[thresholds.stationary_bootstrap(50, block, 40, again)]
    found = thresholds._resampled_quantile(value, 0.9, 40, rng)
    np.testing.assert_allclose(found, np.quantile(drawn, 0.9, axis=1))
    assert thresholds._resampled_quantile(value[:1], 0.5, 3, rng).tolist() == [value[0]] * 3


def test_a_log_without_a_norm_is_said_to_have_none():
    assert thresholds.suggest_level(np.full(500, np.nan)).abstained == "the log has no finite gradient norm"
    assert "usable norms" in thresholds.suggest_level(np.where(np.arange(500) < 50, 1.0, np.nan)).abstained

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

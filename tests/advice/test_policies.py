import numpy as np
import pytest

from gradlens.advice import policies

ALL = [
    policies.FixedThreshold(threshold=1.0),
    policies.PercentileHistory(),
    policies.ZClip(),
    policies.EmaThreshold(),
    policies.SkipOlmo(),
    policies.SkipLlmc(),
]


def test_autoclip_reference():
    found = policies.replay(np.array([1.0, 2.0, 3.0, 4.0, 100.0]), policies.PercentileHistory(percentile=10.0))
    np.testing.assert_allclose(found.thresholds, [1.0, 1.1, 1.2, 1.3, 1.4], rtol=1e-14)


def test_autoclip_at_ten_clips_about_nine_in_ten():
    norm = np.exp(0.3 * np.random.default_rng(0).standard_normal(2000))
    assert policies.replay(norm, policies.PercentileHistory()).clip_rate == pytest.approx(0.9, abs=0.03)


def test_zclip_reference():
    norm = np.concatenate((1 + 0.1 * (-1.0) ** np.arange(25), [1.0, 3.0, 1.0]))
    found = policies.zclip_trace(norm, policies.ZClip())
    assert found.z[-3:] == pytest.approx([-0.0400316, 20.2830823, -0.0493485], abs=5e-8)
    assert found.threshold[-2] == pytest.approx(1.0342045, abs=5e-8)
    assert found.mean == pytest.approx(1.00464604, abs=5e-9)
    assert found.variance == pytest.approx(0.00913838, abs=5e-9)


def test_fixed_threshold_rates():
    found = policies.replay(
        np.array([0.5, 1.0, 2.0, 4.0, np.nan]), policies.FixedThreshold(threshold=1.0), spikes=np.array([3, 1])
    )
    assert (found.n, found.nonfinite, found.clip_rate, found.skip_rate) == (4, 1, 0.5, 0.0)
    assert found.shrink_factor == pytest.approx((1 + 1 + 0.5 + 0.25) / 4)
    assert (found.spikes_caught, found.spikes) == (1, 2)


def test_one_nan_makes_olmo_skip_for_a_whole_window():
    norm = 1 + 0.1 * (-1.0) ** np.arange(600)
    norm[200] = np.nan
    found = policies.replay(norm, policies.SkipOlmo())
    np.testing.assert_array_equal(np.flatnonzero(found.factor == 0.0), np.arange(200, 329))
    assert found.steps_lost == 128


def test_olmo_needs_half_a_window_and_judges_against_the_past_only():
    norm = 1 + 0.1 * (-1.0) ** np.arange(300)
    norm[[30, 200]] = 50.0
    found = policies.replay(norm, policies.SkipOlmo())
    assert np.flatnonzero(found.factor == 0.0).tolist() == [200]


def test_llmc_includes_the_current_value_and_cannot_exceed_its_cap():
    norm = np.ones(300)
    norm[200] = 1e6
    assert policies.replay(norm, policies.SkipLlmc(sigmas=11.2)).steps_lost == 1
    assert policies.replay(norm, policies.SkipLlmc(sigmas=11.3)).steps_lost == 0


def test_skip_rules_look_at_the_loss_too():
    norm = 1 + 0.1 * (-1.0) ** np.arange(300)
    loss = norm.copy()
    loss[250] = 9.0
    assert policies.replay(norm, policies.SkipOlmo(), loss=loss).steps_lost == 1


def test_ema_threshold_follows_a_decay():
    norm = np.exp(-np.arange(2000) / 1000.0)
    found = policies.replay(norm, policies.EmaThreshold())
    assert found.final_threshold < 0.25
    assert found.clip_rate < 0.06


def test_every_replay_says_that_it_is_first_order():
    assert all("first-order" in policies.replay(np.ones(10), policy).note for policy in ALL)
    assert len({policy.name for policy in ALL}) == len(ALL)


@pytest.mark.parametrize("policy", ALL, ids=lambda p: type(p).__name__)
@pytest.mark.parametrize(
    "norm",
    [
        np.zeros(0),
        np.array([1.0]),
        np.full(400, np.nan),
        np.zeros(400),
        np.full(400, np.inf),
        np.full(400, 1e308),
        -np.ones(400),
    ],
)
def test_no_policy_trips_over_degenerate_norms(policy, norm):
    found = policies.replay(norm, policy, loss=norm)
    assert found.factor.size == norm.size
    assert ((found.factor >= 0.0) & (found.factor <= 1.0)).all()


@pytest.mark.parametrize("policy", ALL[1:], ids=lambda p: type(p).__name__)
def test_relative_policies_do_not_depend_on_the_unit(policy):
    norm = 5.0 * np.exp(0.3 * np.random.default_rng(1).standard_normal(500))
    a, b = policies.replay(norm, policy), policies.replay(norm * 1024.0, policy)
    # ZClip adds 1e-6 to the deviation, hence not exactly.
    np.testing.assert_allclose(a.factor, b.factor, atol=1e-5)

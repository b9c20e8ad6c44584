import numpy as np
import pytest
from scipy import stats

from gradlens.stats import coincidence


def test_shared_steps_point_at_the_batch():
    at = np.arange(100, 2000, 90)
    found = coincidence.coincidence_tests(2000, at, at)
    assert found.same_step.count == at.size
    assert found.same_step.p_holm < 0.01
    assert found.norm_leads.count == found.loss_leads.count == 0
    assert found.leader is None
    assert found.median_lag == 0.0


@pytest.mark.parametrize(("lag", "leader"), [(3, "norm"), (-3, "loss")])
def test_who_leads(lag, leader):
    at = np.arange(100, 2000, 90)
    found = coincidence.coincidence_tests(2000, at + lag, at)
    test = found.norm_leads if lag > 0 else found.loss_leads
    assert test.p_holm < 0.01
    assert found.same_step.count == 0
    assert (found.leader, found.median_lag) == (leader, float(lag))


def test_each_loss_event_is_in_one_class_only():
    rng = np.random.default_rng(0)
    loss, norm = rng.integers(0, 3000, 60), rng.integers(0, 3000, 60)
    found = coincidence.coincidence_tests(3000, loss, norm)
    assert found.same_step.count + found.norm_leads.count + found.loss_leads.count <= found.loss_events


def test_few_events_give_counts_only():
    found = coincidence.coincidence_tests(1000, np.array([100, 300]), np.array([100, 500]))
    assert found.same_step.count == 1
    assert found.same_step.p is None
    assert "only counts" in found.reason


def test_results_are_reproducible():
    rng = np.random.default_rng(0)
    loss, norm = rng.integers(0, 3000, 40), rng.integers(0, 3000, 40)
    first, second = (coincidence.coincidence_tests(3000, loss, norm) for _ in range(2))
    assert repr(first) == repr(second)


def test_sign_test_needs_six_lags():
    assert coincidence.sign_test(5, 5) == pytest.approx(0.0625)
    assert coincidence.sign_test(6, 6) == pytest.approx(0.03125)
    assert coincidence.sign_test(3, 6) == 1.0


def test_onsets_closer_than_ten_steps_merge():
    np.testing.assert_array_equal(coincidence.decluster(np.array([41, 5, 7, 14, 30, 39, 51])), [5, 30, 51])


def test_warmup_events_are_dropped():
    at = np.arange(10, 1000, 60)
    found = coincidence.coincidence_tests(1000, at, at, warmup_end=500)
    assert found.loss_events == int((at >= 500).sum())


def test_equal_counts_rank_by_closeness_on_the_side_of_the_test():
    far = np.int8(127)
    weights = coincidence._weights(3)
    unit = weights[0, 0]
    lags = np.array([[2, far, far], [8, 60, far], [0, 1, far], [60, 60, 60], [-3, 3, 0]], dtype=np.int8)
    found = coincidence._statistics(lags, weights)
    assert found.tolist() == [
        [0, unit + 63, 0],
        [0, unit + 57 + 5, 0],
        [unit + 64, unit + 64, 0],
        [0, 0, 0],
        [unit + 62 + 62, unit + 62, unit + 62],
    ]


def test_no_coincidence_is_never_significant():
    norm = np.arange(200, 20_000, 1500)
    found = coincidence.coincidence_tests(20_000, norm + 12, norm)  # all near, none within eight steps
    tests = (found.same_step, found.norm_leads, found.loss_leads)
    assert [test.count for test in tests] == [0, 0, 0]
    assert all(test.p > 0.3 for test in tests)


@pytest.mark.slow
def test_size_with_few_clustered_events():
    rng = np.random.default_rng(4)
    n = 5000
    rejected = []
    for seed in range(400):
        loss, norm = (
            np.unique(np.concatenate([np.arange(s, min(s + rng.integers(1, 6), n)) for s in rng.integers(0, n, 20)]))
            for _ in range(2)
        )
        found = coincidence.coincidence_tests(n, loss, norm, draws=499, seed=seed)
        tests = (found.same_step, found.norm_leads, found.loss_leads)
        rejected.append([*(test.p <= 0.05 for test in tests), any(test.p_holm <= 0.05 for test in tests)])
    assert all(0.02 <= share <= 0.08 for share in np.mean(rejected, axis=0))


@pytest.mark.slow
def test_size_under_shared_decaying_rates():
    rng = np.random.default_rng(3)
    n = 5000
    rate = np.exp(-np.arange(n) / (n / 4))
    rate *= 40 / rate.sum()
    rejected = []
    for seed in range(300):
        a, b = (np.flatnonzero(rng.random(n) < rate) for _ in range(2))
        found = coincidence.coincidence_tests(n, a, b, draws=499, seed=seed)
        rejected.append([t.p <= 0.05 for t in (found.same_step, found.norm_leads, found.loss_leads)])
    assert 0.02 <= np.mean(rejected) <= 0.08


#: Steps whose differences are all different, so that only one shift lays a part of them over another.
RULER = np.array([0, 10, 40, 90, 120, 170])


def test_the_chance_of_a_shift_by_hand():
    # In 200 steps there is one window; one shift of 200 lays all six events over each other, and no other shift does.
    found = coincidence.coincidence_tests(200, RULER, RULER)
    assert found.same_step.count == 6
    assert 0.001 < found.same_step.p < 0.012
    assert found.same_step.expected == pytest.approx(6 * 6 / 200, abs=0.06)


def test_windows_of_their_own_make_a_full_match_rarer():
    # In 1,200 steps there are six windows of 200: that all are shifted by nothing is one draw in 200 to the sixth.
    at = np.concatenate([RULER + 200 * k for k in range(6)])
    found = coincidence.coincidence_tests(1200, at, at)
    assert found.same_step.p == pytest.approx(0.5 / 2000)
    assert found.same_step.expected == pytest.approx(36 * 6 / 200, rel=0.1)


def test_rates_that_both_fall_are_no_coincidence():
    # All events lie in the first twentieth of a long run, where windows are wider than 200 steps: within it they are even.
    rng = np.random.default_rng(3)
    p = []
    for _ in range(30):
        loss, norm = (np.sort(rng.choice(1000, 30, replace=False)) for _ in range(2))
        p.append(coincidence.coincidence_tests(20_000, loss, norm, draws=199).same_step.p)
    assert 0.2 < np.mean(p) < 0.8


@pytest.mark.parametrize(
    ("lag", "counted"), [(8, (0, 1, 0)), (9, (0, 0, 0)), (-8, (0, 0, 1)), (-9, (0, 0, 0)), (0, (1, 0, 0))]
)
def test_a_lead_is_at_most_eight_steps(lag, counted):
    norm = np.array([100, 300, 500, 700, 900])
    loss = np.array([100 + lag, 350, 550, 750, 950])
    found = coincidence.coincidence_tests(1000, loss, norm)
    assert (found.same_step.count, found.norm_leads.count, found.loss_leads.count) == counted
    assert found.median_lag == (lag if any(counted) else None)


def test_of_two_equally_near_the_earlier_counts():
    assert coincidence.coincidence_tests(1000, np.array([105]), np.array([100, 110])).norm_leads.count == 1


@pytest.mark.parametrize(("events", "tested"), [(4, False), (5, True)])
def test_five_events_on_each_side(events, tested):
    many, few = np.arange(50, 1000, 100), np.arange(50, 1000, 100)[:events]
    for loss, norm in ((many, few), (few, many)):
        found = coincidence.coincidence_tests(1000, loss, norm)
        assert (found.reason is None) == tested
        assert (found.same_step.p is not None) == tested


def test_events_before_the_warmup_or_behind_the_end_do_not_count():
    at = np.arange(50, 1000, 50)
    found = coincidence.coincidence_tests(900, at, at, warmup_end=100)
    assert found.loss_events == found.norm_events == 16  # 100 to 850


def test_who_leads_needs_a_majority_beyond_chance():
    norm = np.arange(100, 1400, 100)
    ahead = norm + np.where(np.arange(13) < 10, 2, -2)  # 10 of 13: p = .092
    found = coincidence.coincidence_tests(1500, ahead, norm)
    assert found.leader is None
    assert found.leader_p == pytest.approx(0.0922, abs=1e-4)
    ahead = norm + np.where(np.arange(13) < 11, 2, -2)  # 11 of 13: p = .022
    found = coincidence.coincidence_tests(1500, ahead, norm)
    assert found.leader == "norm"
    assert found.leader_p == pytest.approx(0.0225, abs=1e-4)
    assert coincidence.coincidence_tests(1500, norm[:5] + 2, norm[:5]).leader_p is None


@pytest.mark.parametrize(("positive", "total"), [(0, 1), (3, 10), (5, 10), (20, 21), (50, 80)])
def test_sign_test_matches_scipy(positive, total):
    assert coincidence.sign_test(positive, total) == pytest.approx(stats.binomtest(positive, total).pvalue)

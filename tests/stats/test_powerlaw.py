"""Power laws against the published table and brute force. The data sets are those that the powerlaw package ships."""

import importlib.resources

import numpy as np
import pytest

from gradlens.stats import powerlaw


def load(name):
    pytest.importorskip("powerlaw")
    return np.loadtxt(importlib.resources.files("powerlaw") / "reference_data" / f"{name}.txt")


def brute_force(x):
    """Return the best xmin by computing the distance of every candidate in full."""
    x = np.sort(x)
    best = (np.inf, 0.0)
    for low in np.unique(x)[:-1]:
        tail = x[x >= low]
        if tail.size < powerlaw.MIN_TAIL:
            break
        alpha = 1 + tail.size / np.log(tail / low).sum()
        values, counts = np.unique(tail, return_counts=True)
        after = np.cumsum(counts) / tail.size
        model = 1 - (values / low) ** (1 - alpha)
        distance = max((model - after + counts / tail.size).max(), (after - model).max())
        best = min(best, (distance, low))
    return best


def test_five_points_by_hand():
    found = powerlaw.fit_power_law(np.array([1, 1.5, 2, 4, 8]), xmin=1.0)
    assert found.alpha == pytest.approx(2.0954466640705744, rel=1e-15)
    assert found.ks == pytest.approx(0.2, rel=1e-12)


def test_reference_grid():
    found = powerlaw.fit_power_law((1 - (np.arange(1, 1001) - 0.5) / 1000) ** (-1 / 1.5), xmin=1.0)
    assert found.alpha == pytest.approx(2.5005199780744256, rel=1e-14)
    assert found.alpha_error == pytest.approx(0.047450608, abs=5e-10)


# Clauset, Shalizi and Newman (2009), table 6.1: xmin, alpha, n_tail as published; alpha recomputed; Vuong against lognormal.
# The published xmin is given where the distance taken on one side only makes another value the best.
PUBLISHED = [
    ("blackouts", None, 230_000.0, 2.2726, 59, -0.416),
    ("flares", None, 323.0, 1.7884, 1711, -0.804),
    ("surnames", None, 111_919.0, 2.4932, 239, -0.838),
    ("cities", 52_457.0, 52_457.0, 2.3700, 580, -0.091),
]


@pytest.mark.parametrize(
    ("name", "given", "xmin", "alpha", "n_tail", "vuong"), PUBLISHED, ids=[row[0] for row in PUBLISHED]
)
def test_published_table(name, given, xmin, alpha, n_tail, vuong):
    found = powerlaw.fit_power_law(load(name), xmin=given)
    assert (found.xmin, found.n_tail) == (xmin, n_tail)
    assert found.alpha == pytest.approx(alpha, abs=6e-5)
    against = {test.family: test for test in found.alternatives}
    assert against["lognormal"].normalised == pytest.approx(vuong, abs=1e-3)


def test_published_earthquakes():
    assert powerlaw.fit_power_law(load("quakes"), alternatives=False).xmin == pytest.approx(0.794e3, rel=1e-3)
    found = powerlaw.fit_power_law(load("quakes"), xmin=794.3)
    assert found.n_tail == 11_697
    assert found.alpha == pytest.approx(1.6398, abs=6e-5)
    against = {test.family: test for test in found.alternatives}
    assert against["lognormal"].normalised == pytest.approx(-7.135, abs=5e-4)


def test_blackout_distance():
    assert powerlaw.fit_power_law(load("blackouts")).ks == pytest.approx(0.06067, abs=5e-6)


@pytest.mark.parametrize(("name", "xmin", "alpha", "n_tail"), [("words", 7, 1.95, 2958), ("terrorism", 12, 2.4, 547)])
def test_published_counts_at_their_xmin(name, xmin, alpha, n_tail):
    # Counts are discrete; half a step below xmin is the usual continuous approximation (equation 3.7).
    found = powerlaw.fit_power_law(load(name), xmin=xmin - 0.5)
    assert found.n_tail == n_tail
    assert found.alpha == pytest.approx(alpha, abs=0.05)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "low", "high"), [("blackouts", 0.3, 0.85), ("surnames", 0.05, 0.4)])
def test_published_p_values(name, low, high):
    # .62 and .20 as published, with the distance on one side.
    found = powerlaw.fit_power_law(load(name), bootstrap=300, alternatives=False)
    assert low < found.p_value < high


@pytest.mark.parametrize("seed", range(8))
def test_the_search_finds_the_global_minimum(seed):
    rng = np.random.default_rng(seed)
    x = (1 - rng.random(700)) ** (-1 / 1.5) if seed % 2 else np.exp(rng.standard_normal(700))
    if seed >= 4:
        x = np.round(x, 1) + 0.1
    distance, xmin = brute_force(x)
    found = powerlaw.fit_power_law(x, alternatives=False)
    assert found.ks == pytest.approx(distance, rel=1e-12)
    assert found.xmin == xmin


@pytest.fixture(scope="module")
def steps():
    # With ties, and with tails too short for a fit.
    return powerlaw._steps(np.sort(np.round(np.random.default_rng(2).pareto(1.2, 150) + 1.0, 1)))


def test_no_bound_lies_above_the_distance_and_all_places_together_reach_it(steps):
    able = np.arange(steps.log.size - 10)
    exact = [powerlaw._exact(steps, int(c))[0] for c in able]
    every = powerlaw._witnessed(steps, able, list(range(steps.log.size)))
    np.testing.assert_allclose(every, exact, rtol=1e-12)
    few = powerlaw._witnessed(steps, able, [0, 5, 40])
    assert (few <= every).all()
    assert (few[:41] > 0).all()
    assert (few[41:] == 0).all()  # they begin above all of these places


def test_a_candidate_deviates_most_at_its_own_witnesses(steps):
    for candidate in range(steps.log.size - 10):
        distance, places = powerlaw._exact(steps, candidate)
        reached = [powerlaw._witnessed(steps, np.array([candidate]), [place])[0] for place in places]
        assert max(reached) == pytest.approx(distance, rel=1e-12)
        # The one above the model, and the one below.
        tail = steps.rank[-1] - steps.rank[candidate]
        model = np.exp(-steps.exponent[candidate] * (steps.log[candidate:] - steps.log[candidate]))
        survival = (steps.rank[-1] - steps.rank[candidate:]) / tail
        assert places[0] - candidate == np.argmax(survival[:-1] - model)
        assert places[1] - candidate == np.argmax(model - survival[1:])


@pytest.mark.parametrize("kind", ["pareto", "lognormal", "uniform"])
def test_few_candidates_of_a_long_sample_are_computed_in_full(monkeypatch, kind):
    rng = np.random.default_rng(1)
    x = {"pareto": rng.pareto(1.5, 20_000) + 1, "lognormal": np.exp(rng.standard_normal(20_000)), "uniform": 1 + rng.random(20_000)}[kind]  # fmt: skip
    calls, exact = [], powerlaw._exact
    monkeypatch.setattr(powerlaw, "_exact", lambda steps, candidate: calls.append(candidate) or exact(steps, candidate))
    found = powerlaw.fit_power_law(x, alternatives=False)
    assert len(calls) < 64
    # The best one beats its neighbours and places far off.
    ordered = np.sort(x)
    others = [1, 10, 100, 1000, 5000]
    start = int(np.searchsorted(ordered, found.xmin))
    for place in [start + d for d in (-1, 1)] + [k for o in others for k in (o, 20_000 - 11 - o)]:
        if 0 <= place < 20_000 - 10 and place != start:
            beside = powerlaw.fit_power_law(x, xmin=ordered[place], alternatives=False)
            assert beside.ks > found.ks


def test_rivals_only_where_they_are_asked_for():
    x = np.random.default_rng(1).pareto(1.5, 100) + 1
    assert powerlaw.fit_power_law(x, alternatives=False).alternatives == ()
    assert len(powerlaw.fit_power_law(x).alternatives) == 4


def test_bootstrap_accepts_a_power_law_and_rejects_noise():
    rng = np.random.default_rng(0)
    pareto = powerlaw.fit_power_law((1 - rng.random(400)) ** -0.7, bootstrap=100)
    assert pareto.p_value > powerlaw.REJECTED_AT
    noise = powerlaw.fit_power_law(rng.uniform(1, 2, 2000), xmin=1.0, bootstrap=50)
    assert noise.p_value <= powerlaw.REJECTED_AT


def test_vuong_prefers_the_truth():
    rng = np.random.default_rng(0)
    exponential = {t.family: t for t in powerlaw.fit_power_law(1 + rng.exponential(size=3000), xmin=1.0).alternatives}
    assert exponential["exponential"].normalised < -5
    assert exponential["power_law_cutoff"].p < 1e-6
    pareto = {t.family: t for t in powerlaw.fit_power_law((1 - rng.random(3000)) ** -0.7, xmin=1.0).alternatives}
    assert pareto["exponential"].normalised > 4
    assert pareto["power_law_cutoff"].p > 0.01
    assert pareto["lognormal"].log_ratio <= 1e-6


@pytest.mark.parametrize("x", [np.zeros(0), np.ones(3), np.ones(500), np.full(50, np.nan), -np.ones(50)])
def test_thin_data_has_a_reason(x):
    assert powerlaw.fit_power_law(x).reason


def test_the_fit_by_hand():
    # Three values from 1 on: mean logarithm (ln 2 + ln 4) / 3 = ln 2, so alpha is 1 + 1 / ln 2.
    found = powerlaw.fit_power_law(np.array([0.5, 1.0, 2.0, 4.0]), xmin=1.0)
    exponent = 1 / np.log(2)
    assert (found.n_tail, found.xmin) == (3, 1.0)
    assert found.alpha == pytest.approx(1 + exponent)
    assert found.alpha_error == pytest.approx(exponent / np.sqrt(3))
    # The model is 0, 1 - 1/e and 1 - 1/e^2 where the sample steps from 0 to 1/3, 2/3 and 1.
    assert found.ks == pytest.approx(1 / 3)


def test_ties_are_one_step_of_the_distribution():
    found = powerlaw.fit_power_law(np.array([1.0, 1.0, 1.0, np.e**3]), xmin=1.0)
    # exponent 4/3; at 1 the sample steps from 0 to 3/4 where the model is 0.
    assert found.alpha == pytest.approx(1 + 4 / 3)
    assert found.ks == pytest.approx(0.75)


@pytest.mark.parametrize(("x", "xmin"), [([1.0, 2.0], 2.0), ([1.0, 2.0], 0.0), ([1.0, 2.0], -1.0), ([2.0, 2.0], 2.0)])
def test_a_given_start_without_a_tail_has_a_reason(x, xmin):
    assert powerlaw.fit_power_law(np.array(x), xmin=xmin).reason


@pytest.mark.parametrize(("n", "given"), [(9, False), (10, True)])
def test_ten_values_are_needed_to_search(n, given):
    assert (powerlaw.fit_power_law(np.linspace(1, 3, n)).reason is None) == given


def test_the_tail_that_is_found_has_ten_values():
    x = np.concatenate((np.linspace(1, 2, 100), [50, 90, 200, 1000, 7000]))
    assert powerlaw.fit_power_law(x, alternatives=False).n_tail >= 10


def test_the_bootstrap_counts_the_resamples_that_lie_farther():
    x = (1 - np.random.default_rng(3).random(60)) ** -0.7
    p = powerlaw.fit_power_law(x, bootstrap=20, alternatives=False).p_value
    assert p * 20 == pytest.approx(round(p * 20))
    assert powerlaw.fit_power_law(x, alternatives=False).p_value is None
    # A body far from any power law is drawn from the data, so that it does not count against the tail.
    rng = np.random.default_rng(4)
    both = np.concatenate((rng.uniform(0.9, 1.0, 300), (1 - rng.random(300)) ** -1.0))
    assert powerlaw.fit_power_law(both, bootstrap=40, alternatives=False).p_value > 0.1

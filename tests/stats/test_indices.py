import numpy as np
import pytest

from gradlens.stats import indices

GRID = (1 - (np.arange(1, 1001) - 0.5) / 1000) ** (-1 / 1.5)


@pytest.mark.parametrize(
    ("k", "hill", "moment"), [(50, 0.66869, 0.62736), (100, 0.667684, 0.645178), (200, 0.667177, 0.654899)]
)
def test_reference_grid(k, hill, moment):
    found = indices.tail_indices(GRID, k)
    assert found.hill == pytest.approx(hill, abs=1e-6)
    assert found.moment == pytest.approx(moment, abs=1e-6)
    assert found.hill_error == pytest.approx(hill / np.sqrt(k), rel=1e-5)
    assert found.pickands == pytest.approx(2 / 3, abs=0.02)


def test_guillou_hall_takes_all_of_an_exact_power_law_and_less_of_a_bent_one():
    rng = np.random.default_rng(0)
    pareto = np.sort((1 - rng.random(4000)) ** -0.5)[::-1]
    bent = np.sort(pareto + 3.0)[::-1]
    assert indices.guillou_hall(pareto) > 2 * indices.guillou_hall(bent)


def test_guillou_hall_statistic_by_hand():
    x = np.sort((1 - np.random.default_rng(1).random(60)) ** -0.5)[::-1]
    spacing = np.arange(1, 31) * (np.log(x[:30]) - np.log(x[1:31]))

    def t(k):
        i = np.arange(1, k + 1)
        return np.sqrt(3 / k**3) * ((k - 2 * i + 1) * spacing[:k]).sum() / spacing[:k].mean()

    passed = [
        k for k in range(10, 21) if np.sqrt(np.mean([t(j) ** 2 for j in range(k - k // 2, k + k // 2 + 1)])) >= 1.25
    ]
    assert indices.guillou_hall(x) == (passed[0] if passed else 20)


def test_unit_does_not_matter():
    assert indices.tail_indices(GRID).hill == pytest.approx(indices.tail_indices(GRID * 1e6).hill, rel=1e-12)


@pytest.mark.parametrize("x", [np.zeros(0), np.ones(5), np.ones(500), np.full(100, np.nan)])
def test_thin_data_has_a_reason(x):
    assert indices.tail_indices(x).reason


def test_the_three_estimates_by_hand():
    x = np.exp(np.random.default_rng(2).exponential(0.5, 200))
    largest = np.sort(x)[::-1]
    for k in (2, 20, 50):
        found = indices.tail_indices(x, k)
        logs = np.log(largest[:k]) - np.log(largest[k])
        m1, m2 = logs.mean(), (logs**2).mean()
        assert found.k == k
        assert found.hill == pytest.approx(m1)
        assert found.moment == pytest.approx(m1 + 1 - 0.5 / (1 - m1**2 / m2))
        upper, lower = largest[k - 1] - largest[2 * k - 1], largest[2 * k - 1] - largest[4 * k - 1]
        assert found.pickands == pytest.approx(np.log(upper / lower) / np.log(2))
    assert indices.tail_indices(x, 51).pickands is None  # 4 k is more than there are
    assert indices.tail_indices(x, 1).k == 2
    assert indices.tail_indices(x, 500).k == 199


@pytest.mark.parametrize(("n", "given"), [(19, False), (20, True)])
def test_twenty_values_are_needed(n, given):
    assert (indices.tail_indices(np.linspace(1, 2, n)).reason is None) == given


def test_ties_leave_nothing_to_estimate():
    tied = np.concatenate((np.linspace(1, 2, 30), np.full(30, 5.0)))
    assert indices.tail_indices(tied, 10).reason == "the largest values are all equal"
    assert indices.tail_indices(tied, 40).pickands is None


@pytest.mark.parametrize(("n", "k"), [(1, 1), (5, 2), (18, 9), (20, 10), (21, 10)])
def test_guillou_hall_of_short_samples(n, k):
    # Half of the sample, where that is less than the smallest k that can be tested.
    assert indices.guillou_hall(np.linspace(2, 1, n)) == k

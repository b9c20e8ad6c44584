from itertools import pairwise

import numpy as np
import pytest

from gradlens.stats import warmup


def schedule(n=1000, warm=100):
    step = np.arange(n)
    main = 0.5 * (1 + np.cos(np.pi * np.clip((step - warm) / (n - warm), 0, 1)))
    return 1e-3 * np.where(step < warm, (step + 1) / max(warm, 1), main)


def test_the_rate_says_where_the_warmup_ends():
    found = warmup.find_warmup_end(schedule(), None)
    assert (found.index, found.how) == (98, "learning_rate")


def test_a_rate_that_starts_at_its_peak_has_no_warmup():
    assert warmup.find_warmup_end(schedule(warm=0), None).index == 0


def test_a_later_higher_cycle_does_not_hide_the_first_peak():
    lr = np.concatenate((schedule(), 2.0 * schedule()))
    assert warmup.find_warmup_end(lr, None).index == 98


def test_missing_rates_are_skipped():
    lr = schedule()
    lr[::3] = np.nan
    assert warmup.find_warmup_end(lr, None).index in (98, 99, 100)


def test_without_a_rate_the_norms_tell():
    rng = np.random.default_rng(0)
    norm = np.exp(0.1 * rng.standard_normal(1000)) * (1 + 9 * np.exp(-np.arange(1000) / 15))
    found = warmup.find_warmup_end(None, norm)
    assert found.how == "norms"
    assert 25 <= found.index <= 100


def test_steady_norms_have_no_transient():
    norm = np.exp(0.1 * np.random.default_rng(0).standard_normal(1000))
    assert warmup.find_warmup_end(None, norm).index == 0


@pytest.mark.parametrize("lr", [None, np.zeros(0), np.full(50, np.nan), np.zeros(50)])
def test_nothing_to_tell_from(lr):
    assert warmup.find_warmup_end(lr, None).how in ("none", "learning_rate")
    assert warmup.find_warmup_end(lr, None).index == 0


def test_phases_of_a_warmup_stable_decay_schedule():
    lr = np.concatenate((np.linspace(0.1, 1, 100), np.ones(500), np.linspace(1, 0, 401)[1:]))
    found = warmup.find_phases(lr, 1000, 99)
    assert [phase.name for phase in found] == ["warmup", "stable", "decay"]
    assert found[0].first == 0
    assert found[-1].last == 999
    assert abs(found[1].last - 598) <= 2


def test_a_rate_that_steps_down_each_epoch_is_one_decay():
    lr = np.repeat(0.9 ** np.arange(200), 5)
    assert [phase.name for phase in warmup.find_phases(lr, 1000)] == ["decay"]


def test_the_end_of_the_rise_belongs_to_what_follows():
    step = np.arange(1000)
    lr = np.where(step < 100, (step + 1) / 100, 0.5 * (1 + np.cos(np.pi * (step - 99) / 900)))
    end = warmup.find_warmup_end(lr, None).index
    assert end == 98  # 99 % of the peak
    phases = warmup.find_phases(lr, 1000, warmup_end=end)
    assert [(p.name, p.first, p.last) for p in phases] == [("warmup", 0, 97), ("decay", 98, 999)]


def test_phases_without_a_rate():
    assert [p.name for p in warmup.find_phases(None, 100, 10)] == ["warmup", "main"]
    assert warmup.find_phases(None, 0) == ()
    assert [p.name for p in warmup.find_phases(None, 5, 9)] == ["warmup"]


def test_phases_cover_every_step_once():
    rng = np.random.default_rng(1)
    for _ in range(30):
        lr = np.abs(np.round(rng.standard_normal(300), 1))
        found = warmup.find_phases(lr, 300, int(rng.integers(0, 300)))
        assert found[0].first == 0
        assert found[-1].last == 299
        assert all(b.first == a.last + 1 for a, b in pairwise(found))


@pytest.mark.parametrize(
    ("lr", "index"),
    [
        ([0.1, 0.5, 0.98, 0.99, 1.0, *[1.0] * 15], 3),  # 99 % of the peak
        ([0.99, *[1.0] * 19], 0),
        ([0.98, *[1.0] * 19], 1),
        ([*np.linspace(0.0, 1.0, 20)], 10),  # half of the run at most
        ([*np.linspace(0.0, 1.0, 11), *[1.0] * 9], 10),
        ([0.5, 1.0, 0.4, 0.65, 2.0, *[2.0] * 15], 1),  # up by more than half after a fall below half: a second cycle
        ([0.5, 1.0, 0.4, 0.5, 0.6, 0.7, 0.9, 1.2, 2.0, *[2.0] * 15], 8),  # it climbs back slowly: one cycle
        ([0.5, 1.0, 0.5, 0.8, 2.0, *[2.0] * 15], 4),  # no fall below half
        ([np.nan, 0.5, np.nan, 1.0, *[1.0] * 16], 3),
        ([-1.0, 0.5, 1.0, *[1.0] * 17], 2),
    ],
)
def test_the_end_of_the_rise_by_hand(lr, index):
    found = warmup.find_warmup_end(np.array(lr), None)
    assert (found.index, found.how) == (index, "learning_rate")


def test_one_rate_says_nothing_so_that_the_norms_are_asked():
    norm = np.concatenate((np.full(40, 10.0), np.full(960, 1.0))) * np.exp(
        0.01 * np.random.default_rng(0).standard_normal(1000)
    )
    lr = np.full(1000, np.nan)
    lr[3] = 1.0
    found = warmup.find_warmup_end(lr, norm)
    assert (found.how, found.index) == ("norms", 40)
    # A transient is at most a tenth of the run.
    norm[:100] = 10.0
    assert warmup.find_warmup_end(None, norm).index == 100
    assert warmup.find_warmup_end(None, norm[:19]).index == 0


def names_and_ends(lr, end=0):
    return [(p.name, p.first, p.last) for p in warmup.find_phases(np.array(lr), len(lr), end)]


def test_phases_by_hand():
    ramp = np.linspace(0.0, 1.0, 21)
    assert names_and_ends(np.ones(50)) == [("stable", 0, 49)]
    assert names_and_ends(np.concatenate((np.ones(30), 1 - ramp[1:]))) == [("stable", 0, 28), ("decay", 29, 49)]
    assert names_and_ends(np.concatenate((np.ones(30), 1 + ramp[1:]))) == [("stable", 0, 28), ("rise", 29, 49)]
    # Four steps of anything are too few for a phase of their own, five are not.
    dip = np.concatenate((np.ones(30), np.linspace(1, 0.5, 4), np.full(30, 0.5)))
    assert names_and_ends(dip) == [("stable", 0, 63)]
    dip = np.concatenate((np.ones(30), np.linspace(1, 0.5, 7)[1:], np.full(30, 0.5)))
    assert [name for name, *_ in names_and_ends(dip)] == ["stable", "decay", "stable"]
    # Rounding of float32 is no slope.
    assert names_and_ends(1.0 + 1e-10 * np.arange(50)) == [("stable", 0, 49)]
    assert names_and_ends(1.0 - 1e-8 * np.arange(50)) == [("decay", 0, 49)]


def test_missing_rates_are_carried_on():
    lr = np.linspace(1.0, 0.0, 50)
    lr[[0, 10, 11]] = np.nan
    assert names_and_ends(lr) == [("decay", 0, 49)]
    assert names_and_ends(np.full(20, np.nan)) == [("main", 0, 19)]


@pytest.mark.parametrize(("n", "found"), [(29, False), (30, True), (49, True), (60, True)])
def test_thirty_norms_show_a_transient(n, found):
    norm = np.tile([1.0, 1.1, 0.9], 20)[:n]
    norm[:2] = 50.0
    end = warmup.find_warmup_end(None, norm)
    assert (end.index > 0) == found
    assert end.reason == (
        "the norms reach the level that they then keep" if found else "too few norms to tell a transient"
    )


@pytest.mark.parametrize(("rows", "names"), [(4, ["stable"]), (5, ["stable", "decay", "stable"])])
def test_a_phase_of_five_rows_is_one(rows, names):
    rate = np.concatenate((np.ones(60), np.linspace(1.0, 0.5, rows + 1)[1:], np.full(60, 0.5)))
    found = [p.name for p in warmup.find_phases(rate, rate.size)]
    assert found == names


def test_each_phase_ends_before_the_next_begins():
    rate = np.concatenate(
        (np.linspace(0.1, 1, 30), np.ones(50), np.linspace(1, 0.2, 40)[1:], np.full(30, 0.2), np.linspace(0.2, 0.8, 20))
    )
    found = warmup.find_phases(rate, rate.size, 29)
    assert [p.name for p in found] == ["warmup", "stable", "decay", "stable", "rise"]
    assert (found[0].first, found[-1].last) == (0, rate.size - 1)
    assert all(a.last + 1 == b.first for a, b in pairwise(found))

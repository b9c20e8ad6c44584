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

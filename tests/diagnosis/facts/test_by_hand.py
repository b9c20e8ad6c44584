"""Parts of facts on rows written by hand: levels, rises, epochs, rates and what is counted in them."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest

from gradlens.diagnosis.facts import (
    chance,
    course,
    dead,
    last_batch,
    layers,
    planned,
    rate,
    recurring,
    standstill,
    words,
)
from gradlens.run import Series


def rows(**columns):
    """What parts of facts look at: signals, which are all there is."""
    return SimpleNamespace(signals=SimpleNamespace(**columns))


# --- the course of a loss


def test_a_climb_is_told_from_the_second_half_before_it():
    before = np.concatenate((np.full(20, 100.0), np.full(20, 2.0)))
    after = np.repeat(np.arange(3.0, 11.0), 3)  # eight levels, the last of them 10
    assert course._climb(np.concatenate((before, after)), 40) == (5.0, pytest.approx(1.0))
    assert course._climb(np.concatenate((before, after[::-1])), 40) == (1.5, pytest.approx(-1.0))
    # Two of eight levels exchanged: 1 - 6 (1 + 1) / (8 (64 - 1)), Spearman's formula.
    swapped = np.repeat([3.0, 5.0, 4.0, 6.0, 7.0, 8.0, 9.0, 10.0], 3)
    assert course._climb(np.concatenate((before, swapped)), 40)[1] == pytest.approx(1 - 12 / 504)
    holes = np.concatenate((before, after))
    holes[[21, 25]] = np.nan
    assert course._climb(holes, 40) == (5.0, pytest.approx(1.0))


@pytest.mark.parametrize(
    ("before", "after", "known"),
    [([2.0] * 6, 24, True), ([2.0] * 4, 24, False), ([2.0] * 6, 23, False), ([0.0] * 6, 24, False), ([-2.0] * 6, 24, False)],
)  # fmt: skip
def test_what_a_climb_needs(before, after, known):
    # Three rows in the second half before it, three for each of eight levels after it, and a level to compare with.
    found = course._climb(np.array(before + [3.0 + i for i in range(after)]), len(before))
    assert (found != (0.0, 0.0)) == known


def test_where_a_rise_begins():
    # A valley at the row 60: the level is 1 there, 37 at the end, and .35 of the way 13.6: last below at the row 73.
    step = 10 * np.arange(100)
    valley = np.abs(np.arange(100.0) - 60)
    assert course._rise(rows(loss=valley, step=step)) == (740, pytest.approx(0.26))
    # Rows without a loss count for nothing.
    holes = np.insert(valley, 50, [np.nan, np.inf])
    assert course._rise(rows(loss=holes, step=np.arange(102))) == (76, pytest.approx(0.26))
    falling = 100.0 - np.arange(100.0)
    assert course._rise(rows(loss=falling, step=step))[1] <= 0.05


@pytest.mark.parametrize(
    ("last", "words"),
    [
        (4.0, "; the norm ends at 4 times its level before (1 to 4)"),
        (1.31, "; the norm ends at"),
        (1.3, "; the norm went from 1 to 1.3"),
        (0.5, "; the norm went from 1 to 0.5"),
        (math.nan, ""),
    ],
)
def test_the_norm_beside_a_rise(last, words):
    # Of a hundred rows a twentieth is five: those before are four times as many and end five before the rise.
    norm = np.concatenate((np.full(30, 7.0), np.ones(15), np.full(50, 9.0), np.full(5, last)))
    found = course._norm_too(FakeMeasured(norm=norm, step=2 * np.arange(100)), 100)
    assert found.startswith(words)
    assert bool(found) == bool(words)


class FakeMeasured:
    def __init__(self, **columns):
        self.signals = Rows(**columns)


class Rows(SimpleNamespace):
    def __len__(self):
        return len(self.step)


# --- last batches


def test_how_far_values_lie_from_their_level():
    curve = SimpleNamespace(value=np.array([1.0, 3.0, 0.0, np.nan, 5.0]), level=np.array([1.0, 1.0, 1.0, 1.0, 1.0]))
    # Distances 0, 2, 1 and 4: the usual one is 1.5.
    found = last_batch.deviation(curve)
    np.testing.assert_allclose(found, [0.0, 2 / 1.5, 1 / 1.5, np.nan, 4 / 1.5])
    flat = SimpleNamespace(value=np.ones(4), level=np.ones(4))
    assert np.isnan(last_batch.deviation(flat)).all()
    assert np.isnan(last_batch.deviation(SimpleNamespace(value=np.full(3, np.nan), level=np.ones(3)))).all()


@pytest.mark.parametrize(("epochs", "found"), [(8, 7.0), (7, 0.0), (9, 7.0)])
def test_the_scatter_of_one_place_without_its_own(epochs, found):
    scatter = np.ones(5 * epochs)
    scatter[2::5] = 7.0
    scatter[12] = 1000.0
    assert last_batch._scatter_at(scatter, 5, 12) == found
    assert last_batch._scatter_at(scatter, 5, 11) == (1.0 if found else 0.0)
    scatter[22] = np.nan  # one more epoch is needed then
    assert last_batch._scatter_at(scatter, 5, 12) == (7.0 if epochs == 9 else 0.0)


def test_of_epochs_and_their_multiples_the_shortest_counts():
    scatter = np.ones(200)
    scatter[3::6] = 4.0
    assert last_batch._epoch(scatter, 9, range(5, 21)) == (4.0, 6)
    assert last_batch._epoch(scatter, 9, range(7, 21)) == (4.0, 12)
    assert last_batch._epoch(scatter, 9, range(0)) == (0.0, 5)
    # Six tenths of the largest are nearly as much, less is not.
    scatter[3::12] = 10.0
    assert last_batch._epoch(scatter, 3, range(5, 21))[1] == 6
    scatter[9::12] = 1.0
    assert last_batch._epoch(scatter, 3, range(5, 21))[1] == 12


@pytest.mark.parametrize(
    ("others", "again"),
    [([1.0, 1.0, 4.0, 4.0], True), ([1.0, 1.0, 1.0, 9.0], False), ([1.0, 3.9, 9.0], False), ([4.0], False), ([4.0, 4.0], True), ([4.0, np.nan], False)],
)  # fmt: skip
def test_what_stands_out_comes_again_in_two_other_epochs(others, again):
    scatter = np.zeros(5 * (len(others) + 1))
    scatter[3::5] = [*others[:1], 12.0, *others[1:]]
    assert last_batch._comes_again(scatter, 5, 8) == again


# --- layers


@pytest.mark.parametrize(
    ("end", "found"),
    [(1000, (33, 1000.0)), (36, None), (37, None), (38, (33, 10.0)), (39, (33, 100.0)), (40, (33, 1000.0))],
)
def test_since_when_a_layer_grows(end, found):
    # 1.2 is inside, as its logarithm is below .2; 1.5 is not. Until the end the level is that of two thirds: 1.
    value = np.array([1.0] * 31 + [1.2, 1.2, 1.5, 1.5, 2.0, 3.0, 10.0, 100.0, 1000.0] + [math.nan])
    got = layers.grows_since(Series(name="layer", step=np.arange(41), value=value), end)
    if found is None or end < 40:
        # Fewer than forty rows say nothing.
        assert got is None
    else:
        assert got == (found[0], pytest.approx(found[1]))


# --- the learning rate


def triangle(n, times):
    down = np.linspace(1.0, 0.0, n + 1)
    return np.concatenate([np.concatenate((down[:-1], down[::-1][:-1])) for _ in range(times)])


def test_where_a_rate_turns():
    assert rate._turns(triangle(40, 2)) == [40, 120]
    assert rate._turns(np.linspace(1, 0, 50)) == []
    sawtooth = np.tile(np.linspace(1.0, 0.0, 21), 3)
    assert rate._turns(sawtooth) == []  # warm restarts jump
    # From the last row at the lowest rate, eight rows up to .3 of the peak are gradual and seven are not.
    for climb, turns in ((8, [25]), (7, [])):
        up = np.linspace(0.0, 0.3, climb + 1)[1:]
        assert rate._turns(np.concatenate((np.linspace(1, 0, 21), np.zeros(5), up, np.linspace(0.35, 1, 20)))) == turns


def test_a_schedule_that_ends_early():
    lr = np.concatenate((np.ones(10), np.linspace(1.0, 0.05, 31)[1:], np.full(60, 0.05)))
    fact = rate._ended_early(5 * np.arange(100), lr)
    assert fact.steps == (5 * 39,)
    assert fact.evidence[0].value == pytest.approx(0.61)
    assert "for 61 rows (61 % of the run)" in fact.message
    assert "to 5.0 % of its peak" in fact.message
    assert rate._ended_early(5 * np.arange(100), 3e-4 * lr).steps == fact.steps
    assert rate._ended_early(5 * np.arange(100), 300.0 * lr).steps == fact.steps
    rises = lr.copy()
    rises[20] = rises[19] * 1.001
    assert rate._ended_early(np.arange(100), rises) is None
    level = lr.copy()
    level[20] = level[19]
    assert rate._ended_early(np.arange(100), level) is not None
    for changed in (np.where(lr == 0.05, 0.07, lr), np.where(lr == 0.05, 0.0, lr), np.full(100, 0.05)):
        assert rate._ended_early(np.arange(100), changed) is None


def test_a_warmup_that_never_ends():
    lr = np.linspace(0.01, 1.0, 200)
    fact = rate._never_warm(np.arange(200), lr)
    assert fact.evidence[0].value == pytest.approx(100.0)
    assert "rises to the very end" in fact.message
    assert "(about 19 steps)" in fact.advice
    late = np.append(lr[:-1], 0.5)
    assert "rises to step 198 of 199" in rate._never_warm(np.arange(200), late).message
    assert rate._never_warm(np.arange(99), lr[:99]) is None
    assert rate._never_warm(np.arange(100), lr[100:]) is None  # less than twice
    dips = lr.copy()
    dips[50] = dips[49] - 1e-6
    assert rate._never_warm(np.arange(200), dips) is None
    assert rate._never_warm(np.arange(200), np.minimum(lr, lr[158])) is None  # over after four fifths


# --- spikes that recover


@pytest.mark.parametrize(
    ("place", "recovers"), [(39, True), (40, False), (89, False), (90, True), (104, True), (105, False), (134, False), (135, True)]
)  # fmt: skip
def test_a_spike_recovers_where_the_loss_was_calm_before_and_after(place, recovers):
    # Of a spike from 100 to 100 the rows before are 40 to 89, those after 105 to 134: all but one place calm.
    z = np.zeros(200)
    z[place] = 9.0
    assert recurring._recovers(z, 100, 100)  # one row is outvoted
    side = slice(40, 90) if 40 <= place < 90 else slice(105, 135) if 105 <= place < 135 else slice(place, place + 1)
    z[side] = 9.0
    assert recurring._recovers(z, 100, 100) == recovers


@pytest.mark.parametrize(
    ("before", "after", "recovers"),
    [(1.4, 1.4, True), (-1.4, -9.0, True), (1.6, 0, False), (-1.6, 0, False), (0, 1.6, False)],
)
def test_how_calm_is_calm(before, after, recovers):
    z = np.concatenate((np.full(100, before), np.full(100, after)))
    assert recurring._recovers(z, 100, 100) == recovers


def test_deviations_from_a_wide_level():
    value = np.tile([1.0, -1.0], 200)
    z, deviation = recurring._deviations(SimpleNamespace(value=value), 400)
    # First differences of 2 are noise of 2 / .9539, more than 1.4826 times a distance of at most 2.
    assert deviation == pytest.approx(max(2 / 0.9539, 1.4826 * np.median(np.abs(z * deviation))))
    assert len(z) == 400
    z, deviation = recurring._deviations(SimpleNamespace(value=value[:100]), 100)
    assert (z.any(), deviation) == (False, 1.0)  # fewer rows than the level is wide


# --- rounds, ends and words


@pytest.mark.parametrize(
    ("loss", "nothing"),
    [
        (np.arange(8.0, 0.0, -1.0), True),
        (np.arange(8.0), False),
        (np.arange(7.0, 0.0, -1.0), False),  # not one row for each round
        ([4.0, 4.0, 2.0, 2.0, 3.0, 1.0, 1.0, 1.0], True),  # up to the median of the first half
        ([4.0, 4.0, 2.0, 2.0, 3.1, 1.0, 1.0, 1.0], False),
    ],
)
def test_many_short_rounds_cost_nothing_where_the_later_stay_below(loss, nothing):
    case = rows(loss=np.array(loss))
    case.loss_descends = True
    assert planned.costs_nothing(case, list(range(8))) == nothing
    case.loss_descends = False
    assert not planned.costs_nothing(case, list(range(8)))


@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize(
    ("away", "noise", "found"), [(0.0099, 1e-4, True), (0.0101, 1e-4, False), (0.039, 0.2, True), (0.041, 0.2, False)]
)
def test_a_loss_stands_within_two_percent_and_its_noise(sign, away, noise, found):
    # Without noise one percent of the last level; with it four of its deviations and no more than four percent.
    last = np.full(60, 10.0)
    loss = np.concatenate((np.full(40, 10.0 * (1 + sign * away)), last)) + noise * np.tile([1.0, 0.3, -0.2, -1.0], 25)
    assert standstill.stands(loss) == found


@pytest.mark.parametrize("k", [100, 200, 256, 365, 1000, 10_000, 21_841, 30_522, 32_000, 50_257, 50_304, 128_256])
def test_sizes_of_datasets_and_vocabularies(k):
    assert chance.guessed_classes(math.log(k), 1e-5) == k
    assert chance.guessed_classes(math.log(k) * 1.0001, 1e-5) is None


@pytest.mark.parametrize(
    ("start", "end", "fitted"),
    [(3.0, 0.0, True), (3.0, 0.05, True), (3.0, 0.07, False), (3.0, -0.01, False), (0.0, 0.0, False)],
)
def test_a_loss_that_is_fitted(start, end, fitted):
    case = rows(loss=np.concatenate((np.full(10, start), np.full(40, end))))
    case.loss_descends = True
    assert dead._fitted(case, 40) == fitted
    case.loss_descends = False
    assert not dead._fitted(case, 40)


@pytest.mark.parametrize(
    ("before", "after", "solved"), [([1.0, 0.0, 1.0], [0.0, 0.0], True), ([1.0, 1.0], [0.0], False), ([0.0, 1.0], [0.0, 0.1], False), ([0.0], [math.nan], False)]
)  # fmt: skip
def test_a_margin_that_all_examples_keep(before, after, solved):
    case = rows(loss=np.array([*before, *after]))
    case.loss_descends = True
    assert dead._solved(case, len(before)) == solved


@pytest.mark.parametrize(
    ("overflows", "interval", "told"),
    [(10, 1.0, "one in 10"), (9, 1.0, ""), (10, 3.0, ""), (60, 3.0, "one in 5"), (10, None, "one in 10")],
)
def test_overflows_are_counted_by_the_steps_of_the_run(overflows, interval, told):
    class Hundred(SimpleNamespace):
        def __len__(self):
            return 100

    found = words._many_overflows(Hundred(signals=SimpleNamespace(log_interval=interval)), overflows)
    assert [told in fact.message for fact in found] == ([True] if told else [])

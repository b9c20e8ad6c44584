"""Rows of epochs, rows that stand out by little, an early floor: at their limits."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from gradlens.diagnosis.facts import early_floor, epochs, small_events
from gradlens.diagnosis.facts.epochs import OF_STEPS
from gradlens.run import Series
from tests.diagnosis.facts.shown import lines
from tests.diagnosis.test_sign_limits import EVENT, measured
from tests.synthetic import N, healthy, make


def by_epoch(value, name="epoch", rows=100):
    return make({**healthy(rows), name: np.asarray(value, dtype=float)}, threshold=None)


@pytest.mark.parametrize(
    ("value", "name", "counts"),
    [
        (np.arange(100), "epoch", True),
        (1.0 + np.arange(100), " Epochs ", True),
        (2.0 * np.arange(100), "epoch", True),
        (0.99 * np.arange(100), "epoch", False),  # parts of epochs
        (np.arange(100) + 0.5, "epoch", False),
        (np.arange(100) // 2, "epoch", False),  # several rows in each
        (np.arange(100), "train/epoch", False),
        (np.arange(100), "epoch_time", False),
    ],
)
def test_a_column_that_is_another_epoch_in_every_row(value, name, counts):
    case = by_epoch(value, name)
    assert epochs.counts_epochs(case) == counts
    assert bool(epochs.find(case)) == counts


def test_not_in_some_of_the_rows_only():
    case = by_epoch(np.arange(100))
    half = Series(name="epoch", step=np.arange(50), value=np.arange(50.0))
    case.run = replace(case.run, series={**case.run.series, "epoch": half})
    assert not epochs.counts_epochs(case)
    one = make({"loss": np.ones(1), "epoch": np.ones(1)}, threshold=None)
    assert not epochs.counts_epochs(one)
    assert not epochs.counts_epochs(make({"grad_norm": np.ones(5), "epoch": np.arange(5.0)}, threshold=None))


def test_what_is_said_of_epochs():
    case = by_epoch(np.arange(100))
    assert lines(epochs.find(case)) == ["GL005 | note | unknown? | - | -"]
    case.__dict__["progress"] = None
    assert epochs.find(case)[0].rules_out == OF_STEPS
    every_other = make({**healthy(100), "epoch": np.arange(100.0)}, step=2 * np.arange(100), threshold=None)
    assert epochs.find(every_other) == ()


# --- rows that stand out by little


def test_what_is_said_of_small_events():
    events = tuple(
        replace(EVENT, first=row, last=row, norm_ratio=1.0 + row / 10_000) for row in range(500, 1500, 100)[:7]
    )
    events += tuple(replace(EVENT, first=row, last=row, norm_ratio=1.0) for row in (30, 40))
    case = measured(step=10 * np.arange(N), events=events)
    facts = small_events.find(case)
    assert lines(facts) == ["GL301 | note | unknown? | - | 5000 6000 7000 8000 9000 10000 11000 300"]
    assert "in 9 places loss and norm stand out together, but by little: " in facts[0].message
    assert "the norm by at most 11 %" in facts[0].message


@pytest.mark.parametrize(
    ("norm", "loss", "little"), [(1.299, 1.05, True), (1.3, 1.05, False), (1.2, 1.0999, True), (1.2, 1.1001, False)]
)
def test_how_little_is_little(norm, loss, little):
    case = measured(events=(replace(EVENT, first=600, last=602, norm_ratio=norm),), bursts=())
    value = case.loss.level.copy()
    value[602] += np.log(loss)
    case.__dict__["loss"] = replace(case.loss, value=value)
    assert bool(small_events._by_little(case, case.events)) == little


@pytest.mark.parametrize(
    ("cost", "start", "cheap"), [(1.99, 4.0, True), (2.01, 4.0, False), (1.99, 3.9, False), (-2.0, 0.0, False)]
)
def test_a_batch_that_costs_less_than_half_of_the_first_ones_is_not_wrong(cost, start, cheap):
    run = healthy()
    run["loss"][500:] = 0.5 * cost
    run["loss"][602] = cost
    event = replace(EVENT, first=600, last=602, norm_ratio=9.0)
    case = measured(columns=run, step=10 * np.arange(N), progress={"start": start}, events=(event,), bursts=())
    facts = small_events.find(case)
    assert bool(facts) == cheap
    if cheap:
        assert lines(facts) == ["GL301 | note | unknown? | - | 6000 | 0.4975 of 0.5"]
        assert "costs more than 1.99, and every batch cost 4 before" in facts[0].message
        case.__dict__["progress"] = None
        assert small_events.find(case) == ()


@pytest.mark.parametrize(
    ("places", "norm", "level", "told"),
    [(3, 8.0, 0.81, False), (2, 8.0, 0.81, True), (3, 7.9, 0.81, True), (3, 8.0, 0.79, True)],
)
def test_norms_that_rise_tenfold_far_from_the_end_are_no_examples_still_answered_wrongly(places, norm, level, told):
    run = healthy()
    run["loss"][500:] = level
    rows = tuple(range(600, 600 + 100 * places, 100))
    run["loss"][list(rows)] = 1.9
    events = tuple(replace(EVENT, first=row, last=row, norm_ratio=norm) for row in rows)
    case = measured(columns=run, progress={"start": 4.0}, events=events, bursts=())
    assert bool(small_events.find(case)) == told
    case.__dict__["progress"] = None
    assert not small_events.is_shaken(case, rows, [norm] * places)


def test_rows_without_a_loss_stand_out_by_nothing():
    case = measured(events=(replace(EVENT, norm_ratio=1.2),), bursts=())
    case.__dict__["loss"] = replace(case.loss, value=np.full(N, np.nan))
    assert "the loss by at most 0.0 %" in small_events.find(case)[0].message
    burst = measured(events=(), bursts=(replace(EVENT, norm_ratio=9.0),), progress=None)
    assert small_events.find(burst) == ()
    assert small_events.find(measured(events=(), bursts=())) == ()
    signed = measured(events=(replace(EVENT, norm_ratio=1.2),), bursts=())
    signed.__dict__["loss"] = replace(signed.loss, value=signed.loss.level, logarithmic=False)
    assert small_events.find(signed) == ()


# --- an early floor

FLOOR = {"start": 4.0, "end": 1.0, "kept": 0.9, "rebound": 0.12, "after_first_tenth": 0.1}


def test_what_is_said_of_a_floor():
    case = measured(progress=FLOOR, norms={"loss_noise": 0.035})
    facts = early_floor.find(case)
    assert lines(facts) == ["GL511 | note | unknown? | - | -"]
    assert "(4.03 to 1)" in facts[0].message
    columns = healthy()
    columns["loss"] = 0.2 * columns["loss"]
    small = measured(columns=columns, progress=FLOOR | {"start": 0.8, "end": 0.2}, norms={"loss_noise": 0.035})
    assert "(0.806 to 0.2)" in early_floor.find(small)[0].message


@pytest.mark.parametrize(
    ("start", "tuned"), [(np.log(100) * 1.019, False), (np.log(100) * 1.021, True), (np.log(100) * 0.981, False)]
)
def test_a_start_at_what_guessing_costs_is_no_fine_tuning(start, tuned):
    case = measured(progress=FLOOR | {"start": start}, norms={"loss_noise": 0.035})
    assert ("fine-tuned" in early_floor.find(case)[0].message) == tuned


@pytest.mark.parametrize(
    "change",
    [
        {"progress": None},
        {"norms": None},
        {"progress": FLOOR | {"start": 0.0, "end": -1.0}},
        {"numerics": {"dead_from": 700}},
        {"events": (EVENT,)},
    ],
)
def test_where_no_floor_is_told(change):
    assert early_floor.find(measured(**({"progress": FLOOR, "norms": {"loss_noise": 0.035}} | change))) == ()


@pytest.mark.parametrize("sign", ["blown_up_by_updates", "overshoots_at_once"])
@pytest.mark.parametrize(("grade", "found"), [(0.49, True), (0.5, False)])
def test_not_where_the_first_updates_threw_it_up(monkeypatch, sign, grade, found):
    monkeypatch.setattr(early_floor, sign, lambda _: grade)
    case = measured(progress=FLOOR, norms={"loss_noise": 0.035})
    assert bool(early_floor.find(case)) == found


# --- exactly at a limit


def solved(*, start=4.0, resumed=False, level=1.0, known=True):
    progress = SimpleNamespace(start=start) if known else None
    signals = SimpleNamespace(from_the_start=not resumed, step=10 * np.arange(100))
    return SimpleNamespace(progress=progress, signals=signals, loss=SimpleNamespace(level=np.full(100, np.log(level))))


@pytest.mark.parametrize(
    ("case", "cost", "little"),
    [
        (solved(), 1.99, True),
        (solved(), 2.0, False),
        (solved(start=0.0), -1.0, False),
        (solved(resumed=True), 1.0, False),
        (solved(known=False), 1.0, False),
    ],
)
def test_what_costs_little(case, cost, little):
    assert small_events.costs_little(case, cost) == little
    assert bool(small_events.at_little_cost(case, [1, 2], cost)) == little


def test_the_figures_of_what_costs_little():
    (fact,) = small_events.at_little_cost(solved(), list(range(9)), 1.0)
    assert fact.steps == (0, 10, 20, 30, 40, 50, 60, 70)
    assert fact.evidence[0].value == 0.25
    assert "in 9 places" in fact.message
    assert "costs more than 1, and every batch cost 4 before" in fact.message


@pytest.mark.parametrize(
    ("case", "times", "shaken"),
    [
        (solved(), [8.0] * 3, True),
        (solved(), [8.0, 7.9, 7.9], False),
        (solved(), [8.0] * 2, False),
        (solved(level=0.81), [9.0] * 3, True),
        (solved(level=0.79), [9.0] * 3, False),  # a fifth of the start
        (solved(known=False), [9.0] * 3, False),
    ],
)
def test_what_shakes_a_run(case, times, shaken):
    assert small_events.is_shaken(case, list(range(len(times))), times) == shaken


def test_the_loss_over_its_level_is_that_of_the_rows_of_an_event():
    value = np.array([9.0, 0.1, 0.3, 9.0, np.nan])
    case = SimpleNamespace(loss=SimpleNamespace(value=value, level=np.zeros(5)))
    assert small_events._loss_ratio(case, SimpleNamespace(first=1, last=2)) == pytest.approx(np.exp(0.3))
    assert small_events._loss_ratio(case, SimpleNamespace(first=4, last=4)) == 1.0

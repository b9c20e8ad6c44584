"""Last batches that are smaller, and batches that cost many times what the start did: at their limits."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from gradlens.diagnosis.facts import hard_batches, last_batch
from tests.diagnosis.facts.shown import lines
from tests.diagnosis.test_sign_limits import EVENT, measured
from tests.synthetic import N, healthy

#: A row in which loss and norm stand out, and one that is neither the last of an epoch of ten rows nor follows one.
LAST, OTHER = replace(EVENT, first=599, last=599), replace(EVENT, first=604, last=604, strength=2.0)


def epochs(times=3.0, *, rows=10, n=N, events=(LAST,), shift=0.0, every=1, known=None):
    """Rows that lie one from their level in turn, loss and norm, and the last of every few some times that."""
    sway = np.resize([1.0, -1.0], n)
    last = np.arange(n) % rows == rows - 1
    away = np.where(last, times * np.resize([1.0, 1.0, -1.0, -1.0], n // rows + 1).repeat(rows)[:n] + shift, sway)
    if known is not None:
        away = np.where(last & (np.arange(n) // rows >= known), np.nan, away)
    case = measured(n, step=every * np.arange(n), events=events, bursts=())
    zero = np.zeros(n)
    case.__dict__["loss"] = replace(case.loss, value=away, level=zero, logarithmic=True)
    case.__dict__["norm"] = replace(case.norm, value=sway if times else zero, level=zero)
    return case


def test_what_is_said_of_last_batches():
    events = tuple(replace(LAST, first=row, strength=row / 100) for row in range(29, 129, 10))
    facts = last_batch.find(epochs(5.0, n=129, events=events))
    assert lines(facts) == ["GL301 | note | unknown? | - | 29 39 49 59 69 79 89 99 | 3 of 2.5"]
    assert "every 10 rows loss and norm scatter 3 times as much as usual, so at step 119:" in facts[0].message


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"times": 4.01}, True),
        ({"times": 3.99}, False),  # loss and norm together scatter two and a half times as much
        ({"times": 5.0, "rows": 3, "events": (replace(LAST, first=599),)}, True),
        ({"times": 5.0, "rows": 2, "events": (replace(LAST, first=599),)}, False),
        ({"times": 5.0, "every": 2}, True),
        ({"times": 5.0, "every": 3}, False),  # single batches are not in the log
        ({"times": 5.0, "events": ()}, False),
        ({"times": 5.0, "shift": 1.0}, True),
        ({"times": 5.0, "shift": 6.0}, False),  # they cost more in every epoch
        ({"times": 5.0, "shift": -6.0}, True),
        ({"times": 0.0}, False),
        ({"times": 5.0, "events": (LAST, OTHER)}, False),  # half of them
        ({"times": 5.0, "events": (LAST, LAST, LAST, OTHER)}, True),
        ({"times": 5.0, "events": (LAST, LAST, OTHER)}, False),
        ({"times": 5.0, "events": (LAST, replace(OTHER, first=601), replace(OTHER, first=600), replace(OTHER, first=608))}, True),
        ({"times": 5.0, "events": (LAST, replace(OTHER, first=608))}, True),
        ({"times": 5.0, "events": (LAST, replace(OTHER, first=602))}, False),
        ({"times": 5.0, "events": (LAST, replace(OTHER, first=607))}, False),
    ],
)  # fmt: skip
def test_who_is_the_last_batch(change, found):
    assert bool(last_batch.find(epochs(**change))) == found


@pytest.mark.parametrize(("n", "found"), [(80, True), (79, False)])
def test_eight_epochs_are_needed(n, found):
    event = replace(LAST, first=39, last=39)
    assert bool(last_batch.find(epochs(5.0, n=n, events=(event,)))) == found


@pytest.mark.parametrize(("known", "found"), [(8, True), (7, False)])
def test_of_the_last_batches_seven_others_are_known(known, found):
    event = replace(LAST, first=39, last=39)
    assert bool(last_batch.find(epochs(5.0, n=150, events=(event,), known=known))) == found


def test_a_long_epoch_is_not_tried():
    event = replace(LAST, first=999, last=999)
    assert len(last_batch.find(epochs(5.0, n=8008, rows=1000, events=(event,)))) == 1
    event = replace(LAST, first=1000, last=1000)
    assert last_batch.find(epochs(5.0, n=8016, rows=1001, events=(event,))) == ()


def test_a_loss_that_takes_both_signs_and_one_that_is_unknown():
    case = epochs(5.0)
    case.__dict__["loss"] = replace(case.loss, logarithmic=False)
    assert last_batch.find(case) == ()
    case = epochs(5.0)
    case.__dict__["norm"] = replace(case.norm, value=np.full(N, np.nan))
    assert last_batch.find(case) == ()


def with_values(case, **values):
    """The same rows, some of the losses other ones."""
    value = case.loss.value.copy()
    for row, other in values.items():
        value[int(row[1:])] = other
    case.__dict__["loss"] = replace(case.loss, value=value)
    return case


def test_what_a_last_batch_throws_off_others_throw_off_too():
    assert last_batch.last_batches(epochs(5.0), 600, [600]) == (10, 3.0)
    # The row after it stands out by more than any other of its place.
    assert last_batch.last_batches(with_values(epochs(5.0), r600=20.0), 600, [600]) is None
    # A last batch itself may stand out by as much as it likes.
    assert last_batch.last_batches(with_values(epochs(5.0), r599=-100.0), 599, [599]) == (10, 3.0)


def test_no_batch_lies_before_the_first_row():
    first = epochs(5.0)
    first.__dict__["loss"] = replace(first.loss, value=np.roll(first.loss.value, 1))
    assert last_batch.last_batches(first, 0, [0]) == (10, 3.0)
    assert last_batch.last_batches(epochs(5.0), 0, [0]) is None


def test_exactly_six_tenths_of_the_largest_are_nearly_it():
    scatter = np.ones(200)
    scatter[3::12], scatter[9::12] = 10.0, 2.0
    assert last_batch._epoch(scatter, 3, range(5, 21)) == (6.0, 6)


@pytest.mark.parametrize(
    ("away", "one_sided"),
    [
        ([-1.0, -1.0, 0.5, 1.0, 1.0], False),  # half of their usual distance
        ([-1.0, -1.0, 0.51, 1.0, 1.0], True),
        ([-1.0, -1.0, 0.5, 1.0, 1.0, np.nan], False),
        ([-1.0, -1.0, -0.6, 1.0, 1.0], False),
    ],
)
def test_the_losses_of_one_place_that_are_all_high(away, one_sided):
    value = np.full(5 * len(away), 19.0)
    value[2::5] = 10.0 + np.array(away)
    curve = SimpleNamespace(value=value, level=np.full(len(value), 10.0))
    assert last_batch._one_sided(curve, 5, 7) == one_sided


# --- batches that cost many times what the start did


def outliers(rows=(300, 500, 700), *, times=21.0, norm=11.0, following=1.0, start=4.0, **changes):
    """Rows whose loss is some times what it began at and whose norm some times its level, and what the next loss is."""
    run = healthy(noise=0.001)
    run["grad_norm"] = 0.4 * np.exp(0.01 * np.resize([1.0, -1.0, 0.0], N))
    for k, row in enumerate(rows):
        run["loss"][row], run["loss"][row + 1] = times * start + k, following
        run["grad_norm"][row] = 0.4 * norm
    return measured(columns=run, progress={"start": start}, clipped=None, **changes)


def test_what_is_said_of_them():
    facts = hard_batches.find(outliers())
    assert lines(facts) == ["GL301 | warning | bad_data 0.7 | - | 700 500 300 | 21.5 of 20"]
    assert "in 3 rows the loss is more than 20 times what it began at, up to 86" in facts[0].message
    (fact,) = hard_batches.find(outliers(range(200, 1100, 90)))
    assert fact.steps == (1010, 920, 830, 740, 650, 560, 470, 380)
    case = outliers()
    case.__dict__["clipped"] = measured().clipped
    assert lines(hard_batches.find(case)) == ["GL301 | warning | bad_data? | - | 700 500 300 | 21.5 of 20"]


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"rows": (300, 500)}, False),
        ({"times": 20.01}, True),
        ({"times": 20.0}, False),  # as the first of them is just that
        ({"times": 19.4}, False),
        ({"norm": 10.2}, True),
        ({"norm": 9.8}, False),
        ({"following": 8.3}, True),
        ({"following": 8.7}, False),  # the loss stays up
        ({"rows": range(100, 1060, 4)}, True),  # a fifth of the rows
        ({"rows": range(100, 1064, 4)}, False),
        ({"numerics": {"dead_from": 1100}}, False),
        ({"progress": None}, False),
    ],
)
def test_when_a_batch_is_none_of_the_task(change, found):
    case = outliers(**{name: value for name, value in change.items() if name not in {"numerics", "progress"}})
    if "numerics" in change:
        case.__dict__["numerics"] = replace(case.numerics, **change["numerics"])
    if "progress" in change:
        case.__dict__["progress"] = None
    assert bool(hard_batches.find(case)) == found


def test_four_of_five_must_be_back_at_once():
    def mixed(back, stay):
        rows = np.linspace(150, 1000, back + stay).astype(int)
        case = outliers(rows)
        run = {name: series.value.copy() for name, series in case.run.series.items()}
        for row in rows[:stay]:
            run["loss"][row + 1] = 20.0
        return measured(columns=run, progress={"start": 4.0}, clipped=None)

    assert len(hard_batches.find(mixed(4, 1))) == 1
    assert hard_batches.find(mixed(7, 2)) == ()
    assert hard_batches.find(mixed(2, 0)) == ()


def test_without_norms_nothing_is_said():
    case = outliers()
    case.__dict__["norm"] = replace(case.norm, logarithmic=False)
    assert hard_batches.find(case) == ()
    case = outliers()
    case.__dict__["loss"] = replace(case.loss, logarithmic=False)
    assert hard_batches.find(case) == ()
    case = outliers()
    case.__dict__["progress"] = replace(case.progress, start=0.0)
    assert hard_batches.find(case) == ()

"""Rises of the loss that come again and recover, at their limits."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from gradlens.config import TrainingConfig
from gradlens.diagnosis.facts import recurring
from gradlens.diagnosis.facts.recurring import NO_SHIFT, Wide
from gradlens.stats.robust import MAD_TO_SIGMA
from tests.diagnosis.facts.shown import line
from tests.diagnosis.test_sign_limits import STEP, measured
from tests.synthetic import make

AT = (200, 350, 500, 650, 800, 950)


def spiking(lead=0, *, at=AT, rows=6, n=1200, loss=20.0, norm=20.0, every=1, logarithmic=True, beta2=None):
    """A run of one deviation of noise, with spikes of some deviations of which the norm's begin some rows earlier."""
    rng = np.random.default_rng(0)
    value, size = rng.standard_normal(n), rng.standard_normal(n)
    for row in at:
        value[row : row + rows] = loss
        size[row - lead : row + rows] += norm
    value, size = 0.02 * value, 0.02 * size
    run = {"loss": 2.0 * np.exp(value) if logarithmic else value, "grad_norm": np.exp(size), "lr": np.ones(n)}
    case = make(run, step=every * np.arange(n), threshold=None, config=TrainingConfig(beta2=beta2))
    case.__dict__["loss_descends"] = True
    return case


def test_what_is_said_where_the_norm_leads():
    (fact,) = recurring.find(spiking(3, every=10))
    assert line(fact) == (
        "GL513 | warning | recurring_instability 0.85 | - | 2000 3500 5000 6500 8000 9500 | 6 | 1 of 0.75"
    )
    assert (
        "6 spikes that recover, at steps 2,000, 3,500, 5,000, 6,500, 8,000, 9,500: the norm leads by 3 rows, "
        in fact.message
    )
    assert "the loss rises 1.5 times and the norm rises 1.5 times, and both come back each time" in fact.message
    assert fact.rules_out == NO_SHIFT | {"bad_data"}
    assert "(the default of Adam is 0.999)" in fact.advice


def test_what_is_said_where_both_rise_at_once():
    (fact,) = recurring.find(spiking(every=10))
    assert line(fact) == "GL513 | warning | bad_data? | - | 2000 3500 5000 6500 8000 9500 | 6"
    assert "6 spikes that recover within 6 rows, at steps 2,000," in fact.message
    assert "the norm rises 1.5 times, in the same row" in fact.message
    assert fact.rules_out == frozenset()
    (fact,) = recurring.find(spiking(at=range(200, 1100, 90)))
    assert fact.message.count(", ") == 9  # eight steps
    assert len(fact.steps) == 10


@pytest.mark.parametrize(
    ("beta2", "words"), [(0.999, "instead of 0.999"), (0.96, "(the default"), (0.961, "instead of 0.961")]
)
def test_which_second_moment_forgets_too_slowly(beta2, words):
    assert words in recurring.find(spiking(3, beta2=beta2))[0].advice


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({}, True),
        ({"at": AT[:3]}, True),
        ({"at": AT[:2]}, False),
        ({"rows": 3}, True),
        ({"rows": 2}, False),
        ({"rows": 70, "at": AT[:3]}, True),
        ({"rows": 90, "at": AT[:3]}, False),  # raises its own level
        ({"loss": 7.0}, True),
        ({"loss": 4.0}, False),
        ({"norm": 7.0}, True),
        ({"norm": 2.5}, False),
        ({"at": (20, 30, 40, 500)}, False),  # before the run has settled
        ({"at": (200, 500, 1180)}, True),
        ({"at": (200, 500, 1185)}, False),  # nothing shows that it recovers
        ({"at": (200, 212, 500)}, False),  # two parts of one
        ({"at": (200, 350, 500), "rows": 3, "n": 600}, True),
        ({"at": (100, 200, 300), "n": 404}, True),
        ({"at": (100, 200, 300), "n": 403}, False),
    ],
)
def test_what_makes_spikes_a_habit(change, found):
    assert bool(recurring.find(spiking(3, **change))) == found


@pytest.mark.parametrize(
    ("lead", "cause"), [(1, "recurring_instability"), (0, None), (12, "recurring_instability"), (13, None), (-1, None)]
)
def test_by_how_many_rows_a_norm_leads(lead, cause):
    (fact,) = recurring.find(spiking(lead))
    assert fact.cause == cause


def wide(lead, deviations=20.0, first=200, rows=6):
    return Wide(first=first, last=first + rows - 1, lead=lead, loss=0.4, norm=0.4, loss_deviations=deviations)


def told(monkeypatch, *found, step=None, lasting=0.49):
    monkeypatch.setattr(recurring, "wide_spikes", lambda _: list(found))
    case = spiking()
    if step is not None:
        case.__dict__["loss_step"] = replace(STEP, row=step, lasting=lasting)
    return recurring.find(case)


@pytest.mark.parametrize(
    ("leads", "cause"), [((3, 3, 3, 0), "recurring_instability"), ((3, 3, 0, 0), None), ((3, 3, 3, 3, 0, 0), None)]
)
def test_three_of_four_must_be_led(leads, cause, monkeypatch):
    facts = told(monkeypatch, *map(wide, leads))
    assert [f.cause for f in facts] == [cause]


def test_the_rows_of_a_lead_are_those_of_the_spikes_that_are_led(monkeypatch):
    (fact,) = told(monkeypatch, wide(5), wide(5), wide(7), wide(5), wide(-30))
    assert "the norm leads by 5 rows" in fact.message
    (fact,) = told(monkeypatch, wide(1), wide(1), wide(1))
    assert "the norm leads by 1 row," in fact.message


@pytest.mark.parametrize(
    ("deviations", "found"),
    [
        ((10.0,) * 3, 3),
        ((10.0, 10.0, 9.9), None),  # three that are beyond all noise
        ((9.9,) * 4, None),
        ((9.9,) * 5, 5),  # or five
        ((10.0, 10.0, 10.0, 9.9), 3),
        ((10.0, 10.0, 9.9, 9.9, 9.9), 5),
    ],
)
def test_how_many_of_both_are_no_chance(deviations, found, monkeypatch):
    facts = told(monkeypatch, *(wide(0, d) for d in deviations))
    assert [f.evidence[0].value for f in facts] == ([] if found is None else [found])


@pytest.mark.parametrize(
    ("row", "lasting", "out"),
    [(169, 0.49, False), (170, 0.49, True), (205, 0.49, True), (206, 0.49, False), (205, 0.5, False)],
)
def test_a_rise_that_is_one_of_them_and_comes_back_is_no_shift(row, lasting, out, monkeypatch):
    (fact,) = told(monkeypatch, wide(0), wide(0), wide(0), step=row, lasting=lasting)
    assert fact.rules_out == (NO_SHIFT - {"adam_beta2_lag"} if out else frozenset())


def test_the_longest_spike_is_told(monkeypatch):
    (fact,) = told(monkeypatch, wide(0), wide(0, rows=9), wide(0))
    assert "recover within 9 rows" in fact.message


def test_where_the_loss_takes_both_signs_only_the_norm_rises_by_times():
    (fact,) = recurring.find(spiking(logarithmic=False))
    assert "the loss rises" not in fact.message
    assert "the norm rises 1.5 times" in fact.message


def test_norms_that_are_often_zero_rise_by_no_number_of_times():
    case = spiking(3)
    norm = case.signals.norm.copy()
    norm[100::3] = 0.0
    assert recurring.find(case)
    assert recurring.find(make({"loss": case.signals.loss, "grad_norm": norm})) == ()


def test_norms_that_cannot_be_trusted_tell_nothing():
    case = spiking(3)
    case.__dict__["loss_descends"] = False
    assert recurring.find(case) == ()
    case = spiking(3)
    case.__dict__["provenance"] = SimpleNamespace(trusted=False)
    assert recurring.find(case) == ()


# --- parts


@pytest.mark.parametrize(
    ("before", "after", "recovers"),
    [
        (0.0, 0.0, True),
        (1.49, 1.49, True),
        (-1.49, -9.0, True),
        (1.51, 0.0, False),
        (-1.51, 0.0, False),
        (0.0, 1.51, False),
    ],
)
def test_a_spike_that_has_recovered(before, after, recovers):
    z = np.full(300, 50.0)
    z[60:110], z[131:161] = before, after
    assert recurring._recovers(z, 120, 125) == recovers
    # Most of the rows that are looked at.
    z[60:84], z[131:144] = 50.0, 50.0
    assert recurring._recovers(z, 120, 125) == recovers
    z[84:86] = 50.0
    assert not recurring._recovers(z, 120, 125)


def test_near_the_start_one_row_is_before():
    z = np.zeros(60)
    assert recurring._recovers(z, 5, 9)
    z[0] = 9.0
    assert not recurring._recovers(z, 5, 9)


@pytest.mark.parametrize(
    ("above", "begin"),
    [
        ([50, 51, 52], 50),
        ([46, 47, 49, 50, 51, 52], 46),  # it stands out in two of three rows
        ([46, 49, 50, 51, 52], 49),
        ([51, 52], 51),
        ([10, 11, 12, 51, 52], 51),  # what came back in between led to nothing
        ([52], 52),
        ([46, 48, 49, 50, 51, 52], 48),
        ([44, 45, 50, 51, 52], 50),
    ],
)
def test_where_a_spike_begins(above, begin):
    z = np.zeros(100)
    z[above] = 4.0
    z[52] = 9.0
    assert recurring._begin(z, 52, 55) == begin
    assert recurring._begin(np.where(z == 4.0, 3.0, z), 52, 55) == 52


def test_the_top_of_a_spike_lies_within_it():
    z = np.zeros(100)
    z[[52, 55, 56, 57]] = 9.0, 10.0, 99.0, 99.0
    assert recurring._begin(z, 52, 55) == 55


def test_a_spike_begins_thirty_rows_before_at_most():
    z = np.zeros(100)
    z[5:53] = 4.0
    z[52] = 9.0
    assert recurring._begin(z, 52, 55) == 22
    assert recurring._begin(z[5:], 10, 50) == 0


def swaying(*pattern, known=1200):
    """A loss that sways by tenths of its logarithm, some rows of it known."""
    case = measured(columns={"loss": np.exp(0.1 * np.resize(pattern, 1200)), "grad_norm": np.ones(1200)})
    return replace(case.loss, value=np.where(np.arange(1200) < known, case.loss.value, np.nan))


@pytest.mark.parametrize(
    ("pattern", "deviation"), [((0.0, 1.0, 0.0, -1.0), 0.1 / 0.9539), ((1.0, 0.0, -1.0), 0.1 * MAD_TO_SIGMA)]
)
def test_a_deviation_is_that_of_neighbours_or_that_around_the_level(pattern, deviation):
    z, unit = recurring._deviations(swaying(*pattern), 1200)
    assert unit == pytest.approx(deviation)
    assert np.abs(z[300:900]).max() == pytest.approx(0.1 / deviation)


@pytest.mark.parametrize(("known", "told"), [(151, True), (150, False)])
def test_as_many_rows_as_the_level_spans_must_be_known(known, told):
    z, unit = recurring._deviations(swaying(1.0, 0.0, -1.0, known=known), 1200)
    assert z.any() == told
    assert (unit == 1.0) == (not told)
    assert not z[known:].any()


@pytest.mark.parametrize(("level", "recovers"), [(2.39, True), (2.41, False)])
def test_a_high_spike_may_leave_an_eighth_of_itself(level, recovers):
    for rows in (slice(0, 110), slice(126, 200)):
        z = np.zeros(200)
        z[rows] = level
        assert recurring._recovers(z, 120, 122, 20.0) == recovers
        assert recurring._recovers(z, 120, 122, 5.0) is False


def seen(
    monkeypatch, *, last=False, little=True, shaken=False, one=True, events=(), bursts=(), before=90.0, after=80.0
):
    """What is asked of spikes that no norm leads, and what is said of them."""
    asked = {}
    first, second, third = wide(0, 20.0), wide(0, 30.0, first=500), wide(0, 15.0, first=800)
    monkeypatch.setattr(recurring, "wide_spikes", lambda _: [first, second, third])
    monkeypatch.setattr(
        recurring, "last_batches", lambda _, *at: asked.update(last=at) or ((10, 3.0) if last else None)
    )
    monkeypatch.setattr(recurring, "costs_little", lambda _, cost: asked.update(cost=cost) or little)
    monkeypatch.setattr(recurring, "is_shaken", lambda _, *spikes: asked.update(spikes=spikes) or shaken)
    monkeypatch.setattr(recurring, "_is_one_batch", lambda *_: one)
    monkeypatch.setattr(recurring, "at_little_cost", lambda _, *spikes: (spikes,))
    case = spiking()
    loss = case.signals.loss.copy()
    loss[[469, 470, 505, 506]] = 99.0, before, after, 99.0
    case.signals = replace(case.signals, loss=loss)
    case.__dict__["norm"] = replace(
        case.norm, value=np.where(np.isin(np.arange(1200), (198, 490, 805, 189, 489)), 5.0, 0.0)
    )
    case.norm.value[[189, 489, 806]] = 9.0
    case.__dict__["events"], case.__dict__["bursts"] = events, bursts
    return recurring.find(case), asked


def test_what_is_asked_of_spikes(monkeypatch):
    found, asked = seen(monkeypatch)
    # The highest norm from ten rows before each; the first loss from thirty rows before.
    assert asked["last"] == (490, [198, 490, 805])
    assert asked["cost"] == 90.0
    assert asked["spikes"] == ([200, 500, 800], pytest.approx([np.exp(0.4)] * 3))
    assert found == (([200, 500, 800], 90.0),)
    assert seen(monkeypatch, after=95.0)[1]["cost"] == 95.0


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"last": True}, []),
        ({"events": (1,)}, []),
        ({"bursts": (1,)}, []),
        ({"little": False}, ["GL513"]),
        ({"shaken": True}, ["GL513"]),
        ({"one": False}, ["GL513"]),
    ],
)
def test_single_batches_that_cost_little(change, said, monkeypatch):
    found, _ = seen(monkeypatch, **change)
    assert [fact.code for fact in found] == said


@pytest.mark.parametrize(
    ("high", "one"), [((205,), True), ((204, 205), True), ((203, 204, 205), False), ((169, 203, 204), True), ((170, 203, 204), False), ((203, 204, 206), True)]
)  # fmt: skip
def test_one_batch_raises_two_rows_by_half_of_its_height(high, one):
    value = np.ones(1200)
    value[list(high)] = 3.0
    value[[190, 191, 192]] = 2.0
    case = SimpleNamespace(loss=SimpleNamespace(value=value))
    assert recurring._is_one_batch(case, wide(0)) == one

"""Losses without bounds, losses that come down to guessing, gradients that do not vanish, agents without a reward: at their limits."""

from __future__ import annotations

import numpy as np
import pytest

from gradlens.diagnosis.facts import boundless, fading, guessing, returns
from tests.diagnosis.facts.shown import line, lines, logged
from tests.diagnosis.test_sign_limits import measured
from tests.synthetic import make

LN10 = float(np.log(10.0))


def run(loss, *, every=10, **more):
    loss = np.asarray(loss, dtype=float)
    case = make(
        {"loss": loss, "grad_norm": np.ones(len(loss)), **more}, step=50 + every * np.arange(len(loss)), threshold=None
    )
    case.__dict__["loss_descends"] = True
    return case


# --- without a floor


def falls(rows=80, *, start=1.0, pace=2.0, end=-100.0):
    """Eight levels that begin at one, fall to another, and in the second half by so many times the first."""
    half = (start - end) / (1.0 + pace)
    level = np.array([start, start - half / 3, start - 2 * half / 3, start - half, 0.0, 0.0, 0.0, end])
    level[4:7] = end + (pace * half) * np.array([0.99999, 2 / 3, 1 / 3])
    return np.repeat(level, rows // 8)


def test_what_is_said_of_a_loss_without_a_floor():
    facts = boundless.find(run(falls()))
    assert lines(facts) == ["GL510 | warning | unknown? | diverged from 50 | - | 2 of 1.2 in 80"]
    assert "the loss falls from 1 to -100, ever faster" in facts[0].message
    assert facts[0].rules_out == boundless.OF_LEVELS


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"rows": 24}, True),
        ({"rows": 16}, False),
        ({"end": -30.1}, True),
        ({"end": -29.9}, False),  # thirty times its start
        ({"start": -1.0, "end": -29.0}, False),
        ({"start": -1.0, "end": -31.0}, True),
        ({"pace": 1.21}, True),
        ({"pace": 1.19}, False),
    ],
)
def test_when_a_loss_has_no_floor(change, found):
    assert bool(boundless.find(run(falls(**change)))) == found


def test_a_loss_that_rises_meanwhile_has_one():
    loss = falls()
    loss[30:40] = loss[20:30]
    assert boundless.find(run(loss)) == ()
    case = run(falls())
    case.__dict__["loss_descends"] = False
    assert boundless.find(case) == ()
    assert boundless.find(run(np.append(falls(), np.nan))) == ()


# --- absurd


def absurd(top=2e15, end=1e5, rows=20, at=5):
    loss = np.full(rows, 1e5)
    loss[at], loss[-3:] = top, [1.0, end, 9e9]
    return loss


def test_what_is_said_of_an_absurd_loss():
    facts = boundless.find(run(absurd()))
    assert lines(facts) == ["GL510 | warning | lr_too_high? | diverged from 100 | 100 | 2e+15 of 1e+15 in 20"]
    assert "the loss is 2e15 at step 100 and 100,000 at the end" in facts[0].message
    loss = absurd()
    loss[8] = 3e15
    assert "the loss is 3e15 at step 130" in boundless.find(run(loss))[0].message


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"top": 1.1e15}, True),
        ({"top": 0.9e15}, False),
        ({"end": 10_000.0}, True),
        ({"end": 9_999.0}, False),  # it has come back
        ({"rows": 12}, True),
        ({"rows": 11}, False),
    ],
)
def test_when_a_loss_is_absurd(change, found):
    assert bool(boundless.find(run(absurd(**change)))) == found


# --- down to guessing


def down(level=LN10, *, start=3.0, rows=80, at=20, low=None, away=0, by=0.02):
    """A loss that falls within some rows to a level, from which some of the later ones lie away."""
    loss = np.full(rows, level)
    loss[:at] = np.linspace(start, level, at + 1)[:-1]
    loss[:3] = start
    if low is not None:
        loss[at : at + rows // 8] = low
    loss[rows // 2 : rows // 2 + 8 * away : 8] *= 1.0 + by
    return loss


def test_what_is_said_of_a_loss_that_falls_to_guessing():
    facts = guessing.find(run(down()))
    assert lines(facts) == ["GL511 | warning | not_learning? | stalled from 250 | 250 | 1 of 1.001 in 80"]
    assert (
        "falls from 3 to 2.3026 by step 250 and stays there, which is ln 10: what guessing among 10 classes gives"
        in facts[0].message
    )
    assert facts[0].rules_out == guessing.MOVES


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"rows": 64}, True),
        ({"rows": 56}, False),
        ({"level": LN10 * 1.0009}, True),
        ({"level": LN10 * 1.0011}, False),
        ({"start": LN10 * 1.151}, True),
        ({"start": LN10 * 1.149}, False),
        ({"away": 4}, True),
        ({"away": 15}, True),
        ({"away": 5, "by": 0.009}, True),
        ({"low": LN10 * 0.991}, True),
        ({"low": LN10 * 0.989}, False),  # it knew better
        ({"at": 64}, True),
        ({"at": 68}, False),
    ],
)
def test_when_a_loss_falls_to_guessing(change, found):
    assert (guessing._falls_to_chance(run(down(**change))) is not None) == found


def test_where_nothing_is_told_of_guessing():
    case = run(down())
    case.__dict__["loss_descends"] = False
    assert guessing.find(case) == ()
    assert guessing._falls_to_chance(run(np.append(down(), 0.0))) is None
    case = measured(columns={"loss": down(rows=80), "grad_norm": np.ones(80)}, numerics={"dead_from": 70})
    assert guessing.find(case) == ()


# --- a part at chance


def with_part(first=1.0, last=1.0, *, rows=120, name="cls_loss", relative=0.1, level=LN10, holes=0):
    """A loss that falls, and a part of it that begins and ends some times ln 10."""
    part = level * np.repeat(np.linspace(first, last, 8), rows // 8)
    part[:holes] = np.nan
    columns = {"loss": np.linspace(9.0, 4.0, len(part)), "grad_norm": np.ones(len(part)), name: part}
    return measured(columns=columns, progress={"relative": relative, "start": 9.0, "end": 4.0}, loss_descends=True)


def test_what_is_said_of_a_part():
    fact = guessing._part_at_chance(with_part())
    assert line(fact) == "GL511 | warning | not_learning? | - | - | 1 of 1.03"
    assert "cls_loss stays at about ln 10 (2.303) from beginning to end" in fact.message
    assert "while loss falls from 9 to 4" in fact.message


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"rows": 104}, True),
        ({"rows": 96}, False),
        ({"relative": 0.099}, False),
        ({"first": 1.029, "last": 1.029}, True),
        ({"first": 1.031, "last": 1.031}, False),
        ({"first": 0.991, "last": 0.991}, True),
        ({"first": 0.989, "last": 0.989}, False),
        ({"first": 1.0, "last": 0.996}, True),
        ({"first": 1.0, "last": 0.994}, False),  # it came down by half a per cent
        ({"name": "accuracy"}, False),
        ({"name": "val_loss"}, False),
        ({"name": "entropy_loss"}, False),
        ({"holes": 1}, False),
        ({"level": 0.0}, False),
        ({"level": float(np.log(2.0))}, True),
    ],
)
def test_when_a_part_is_at_chance(change, found):
    assert (guessing._part_at_chance(with_part(**change)) is not None) == found


@pytest.mark.parametrize(("rows", "found"), [(100, True), (99, False)])
def test_a_hundred_rows_of_a_part(rows, found):
    columns = {"loss": np.linspace(9.0, 4.0, rows), "cls_loss": np.full(rows, LN10)}
    case = measured(columns=columns, progress={"relative": 0.1}, loss_descends=True)
    assert (guessing._part_at_chance(case) is not None) == found


def test_without_a_course_no_part_is_judged():
    case = with_part()
    case.__dict__["progress"] = None
    assert guessing._part_at_chance(case) is None


# --- whether anything shows that gradients vanish


def standing(norm, loss=None, rows=120):
    norm = np.resize(np.asarray(norm, dtype=float), rows)
    return make(
        {"loss": np.full(rows, 5.0) if loss is None else np.resize(loss, rows), "grad_norm": norm}, threshold=None
    )


def scattered(numbers, level=1.0):
    """Norms whose neighbours differ as the lengths of that many independent numbers do."""
    by = 0.5 * 0.9539 / np.sqrt(2.0 * numbers)
    return level * np.exp(by * np.array([1.0, -1.0]))


@pytest.mark.parametrize(("grade", "found"), [(0.3, True), (0.29, False)])
def test_what_is_said_of_a_loss_that_does_not_come_down(grade, found, monkeypatch):
    monkeypatch.setattr(fading, "never_learned_with_norms", lambda _: grade)
    facts = fading.find(standing(scattered(50)))
    assert lines(facts) == (["GL502 | note | unknown? | - | - | 50"] if found else [])
    if found:
        assert facts[0].unnamed == {"vanishing"}


@pytest.mark.parametrize(("grade", "shows"), [(0.3, True), (0.29, False)])
def test_layers_that_fade_show_it(grade, shows, monkeypatch):
    monkeypatch.setattr(fading, "layers_fade", lambda _: grade)
    assert fading.shows_in_norms(standing(scattered(50))) == shows


@pytest.mark.parametrize(
    ("case", "shows"),
    [
        (standing(scattered(50, 0.0049)), True),
        (standing(scattered(50, 0.0052)), False),  # a thousandth of the loss
        (standing(scattered(50, 0.0049), rows=59), False),
        (standing(np.append(np.full(60, 300.0), np.full(60, 2.9))), True),
        (standing(np.append(np.full(60, 300.0), np.full(60, 3.1))), False),  # a hundredth of what it was
        (standing(scattered(9), np.full(120, LN10)), True),
        (standing(scattered(3.7), np.full(120, LN10)), True),
        (standing(scattered(3.5), np.full(120, LN10)), False),  # .4 of nine numbers
        (standing(scattered(13.4), np.full(120, LN10)), True),
        (standing(scattered(13.6), np.full(120, LN10)), False),  # one and a half times nine
        (standing(scattered(9), np.full(120, 1.019 * LN10)), True),
        (standing(scattered(12.5), np.full(120, 3.2)), False),  # ln 25
        (standing(scattered(1), np.full(120, np.log(2))), True),
        (standing(scattered(19), np.full(120, np.log(20))), True),
        (standing(scattered(20), np.full(120, 1.05 * np.log(21))), False),
    ],
)
def test_what_shows_that_gradients_vanish(case, shows):
    assert fading.shows_in_norms(case) == shows


@pytest.mark.parametrize(
    ("norm", "rows", "numbers"),
    [
        (scattered(8), 60, 8.0),
        (scattered(8), 59, 0.0),
        ([1.0], 60, np.inf),
        ([1.0, 0.0], 60, 0.0),
        (np.append(np.resize([1.0, 9.0], 30), np.resize(scattered(8), 90)), 120, 8.0),  # after the first quarter
    ],
)
def test_as_how_many_numbers_a_norm_scatters(norm, rows, numbers):
    assert fading.scatters_like(standing(norm, rows=rows)) == pytest.approx(numbers)


# --- an agent that was never rewarded


def agent(rows=60, reward=0.0, **others):
    step = 5 * np.arange(rows)
    columns = {"loss": 0.01 * np.resize([1.0, -1.0], rows), "reward": np.full(rows, reward), **others}
    return logged({name: (step, np.resize(value, rows)) for name, value in columns.items()})


def test_what_is_said_of_an_agent_that_was_never_rewarded():
    facts = returns.find(agent())
    assert lines(facts) == ["GL514 | warning | not_learning 0.8 | not_learning from 0 | - | 60 in 60"]
    assert "reward is exactly 0 in all 60 rows" in facts[0].message


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ({"rows": 59}, False),
        ({"reward": 1e-9}, False),
        ({"success": 1.0}, False),
        ({"success": 0.0}, True),
        ({"success": np.nan}, True),
        ({"lives": 1.0}, True),
    ],
)
def test_when_an_agent_was_never_rewarded(options, found):
    assert bool(returns.find(agent(**options))) == found


def test_what_is_written_with_few_digits():
    loss = np.round(np.log(10.0) * (1.0 + 3.0 * np.exp(-np.arange(120) / 6)), 1)
    assert guessing.find(run(loss))
    assert not guessing.find(run(np.where(loss == 2.3, 2.31, loss)))


@pytest.mark.parametrize(
    ("digits", "last"),
    [((2.0, 3.0), 1.0), ((2.3, 3.0), 0.1), ((2.3, 2.31), 0.01), ((2.303, 2.3), 0.001), ((2.3026, 2.3), 0.0)],
)
def test_the_last_digit_that_a_loss_is_written_with(digits, last):
    assert guessing._last_digit(np.array(digits)) == last


def test_a_loss_of_few_digits_may_lie_half_of_the_last_one_off():
    for level, found in ((2.30, True), (2.31, False)):
        assert (guessing._falls_to_chance(run(np.round(down(level), 2))) is not None) == found


@pytest.mark.parametrize(
    ("rows", "level", "found"), [(60, LN10, True), (59, LN10, False), (80, float(np.log(2.0)), True)]
)
def test_rows_and_levels_of_a_fall_to_guessing(rows, level, found):
    loss = np.append(np.full(15, 3.0), np.full(rows - 15, level))
    assert (guessing._falls_to_chance(run(loss)) is not None) == found


def test_both_levels_of_the_last_quarter_are_at_chance():
    loss = down()
    loss[60:70] *= 1.002
    assert guessing._falls_to_chance(run(loss)) is None

"""A rate of zero, and schedules that are longer or shorter than the run: what is said of them, and at their limits."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gradlens.config import TrainingConfig
from gradlens.diagnosis.facts import rate
from gradlens.diagnosis.facts.base import SILENT
from gradlens.diagnosis.facts.rate import NO_STEP_TAKEN
from tests.diagnosis.facts.shown import lines
from tests.diagnosis.test_sign_limits import measured
from tests.synthetic import healthy, make


def run(*parts, name=None, loss=None, **progress):
    """A run whose rate is made of some parts, ten steps a row from step 50 on."""
    lr = np.concatenate([np.asarray(part, dtype=float) for part in parts])
    loss = np.linspace(3.0, 1.0, len(lr)) if loss is None else loss
    case = make(
        {"loss": loss, "grad_norm": np.ones(len(lr)), "lr": lr}, step=50 + 10 * np.arange(len(lr)), threshold=None,
        config=TrainingConfig(lr_schedule=name),
    )  # fmt: skip
    if progress:
        case.__dict__["progress"] = replace(measured().progress, **progress)
    return case


def cosine(n, *, down=True):
    half = 0.5 * (1.0 + np.cos(np.pi * np.arange(n) / n))
    return half if down else half[::-1]


@pytest.mark.parametrize(
    ("case", "shown", "said"),
    [
        (run(np.zeros(40), in_noise=6.0), "GL204 | error | lr_zero 0.95 | not_learning from 50 | 50 | 40 in 40",
         "is 0 in all 40 rows, from step 50 to 440"),
        (run(np.zeros(40), in_noise=6.1, relative=0.11), "GL204 | note | unknown? | - | 50 | 40 in 40", "yet the loss comes down"),
        (run(np.linspace(1, 0.1, 60), np.zeros(40)), "GL204 | warning | schedule_mismatch 0.9 | - | 650 | 0.4 of 0.1 in 100",
         "has decayed to 0 at step 650 and stays there to the end, for 40 rows (40 % of the run)"),
        (run(np.ones(60), np.zeros(40)), "GL204 | warning | lr_zero 0.9 | - | 650 | 0.4 of 0.1 in 100", "drops to 0 at step 650"),
        (run(cosine(100), cosine(100, down=False)), "GL205 | warning | schedule_mismatch 0.85 | - | 1050 | 1 in 200",
         "falls to 0 and rises again as gradually, to 100 %, 1 time, from step 1,050: the schedule is shorter than the run"),
        (run(np.linspace(1, 0.05, 60), np.full(40, 0.05)), "GL205 | warning | schedule_mismatch 0.8 | - | 640 | 0.41 of 0.3 in 100",
         "has come down to 5.0 % of its peak at step 640 and stays there to the end, for 41 rows (41 % of the run)"),
        (run(np.linspace(0.1, 0.4, 100)), "GL205 | warning | schedule_mismatch 0.7 | - | 1040 | 4 of 2 in 100",
         "rises to the very end, from 0.1 at step 50 to 0.4 at step 1,040"),
        (run(np.linspace(0.0, 1.0, 100)), "GL205 | warning | schedule_mismatch 0.7 | - | 1040 | 1e+300 of 2 in 100", "from 0 at step 50"),
        (run(np.linspace(0.1, 1, 99), [0.9]), "GL205 | warning | schedule_mismatch 0.7 | - | 1030 | 0.9899 of 0.8 in 100",
         "rises to step 1,030 of 1,040, from 0.1 to 1: the warm-up takes 99 % of the run"),
    ],
)  # fmt: skip
def test_what_is_said(case, shown, said):
    (fact,) = rate.find(case)
    assert lines((fact,)) == [shown]
    assert said in fact.message


def test_how_long_a_warm_up_should_be():
    assert "(about 99 steps)" in rate.find(run(np.linspace(0.1, 1.0, 100)))[0].advice
    assert "(about 99 steps)" in rate.find(run(np.linspace(0.1, 1.0, 90), np.full(10, 0.9)))[0].advice


@pytest.mark.parametrize(
    ("change", "trained"),
    [({}, True), ({"in_noise": 6.0}, False), ({"relative": 0.1}, False)],
)
def test_a_loss_that_comes_down_at_a_rate_of_zero_is_trained_by_another(change, trained):
    (fact,) = rate.find(run(np.zeros(40), **({"in_noise": 6.1, "relative": 0.11} | change)))
    assert fact.rules_out == (frozenset() if trained else NO_STEP_TAKEN)


def cycles(count, *, floor=0.05, **options):
    """A rate that falls and rises over sixty rows each, to a floor."""
    return run(*[floor + (1.0 - floor) * cosine(60, down=k % 2 == 0) for k in range(2 * count)], **options)


def test_cycles_that_are_steep_are_told_as_restarts():
    assert rate.find(cycles(8, floor=0.0)) == ()
    assert len(rate.find(cycles(7, floor=0.0))) == 1


@pytest.mark.parametrize(
    ("count", "name", "fell", "severity"),
    [
        (3, None, True, "warning"),
        (3, "CyclicLR", True, "note"),
        (8, None, True, "note"),
        (7, None, True, "warning"),
        (8, None, False, "warning"),  # the loss minds
        (9, "CyclicLR", True, "note"),
    ],
)
def test_cycles_that_are_meant(count, name, fell, severity):
    loss = np.linspace(3.0, 1.0, 120 * count) if fell else np.linspace(1.0, 3.0, 120 * count)
    (fact,) = rate.find(cycles(count, name=name, loss=loss))
    assert fact.severity.value == severity
    assert ("a cycle, and" in fact.message) == (severity == "note")
    assert len(fact.steps) == (count if severity == "warning" else min(count, 8))
    assert ("nothing, if a cyclic rate is meant" in fact.advice) == (severity == "note")


@pytest.mark.parametrize(
    ("low", "word"),
    [
        (0.0009, "falls to 0 and"),
        (0.001, "falls to 0 and"),
        (0.002, "falls to 0 % of its peak"),
        (0.05, "falls to 5 % of its peak"),
    ],
)
def test_how_low_it_falls(low, word):
    down = np.maximum(cosine(100), low)
    (fact,) = rate.find(run(down, down[::-1]))
    assert word in fact.message


@pytest.mark.parametrize(
    ("lr", "found"),
    [
        ([1.0] * 5 + [0.0] * 10, True),
        ([1.0] * 5 + [0.0] * 9, False),
        ([1.0] * 89 + [-1.0] * 1 + [0.0] * 20, False),
    ],
)
def test_ten_rows_of_zero(lr, found):
    assert bool(rate.find(run(lr))) == found


def test_a_rate_that_rises_at_the_end_of_a_run_that_goes_on_is_a_warm_up():
    case = run(np.linspace(0.1, 1.0, 100))
    case._is_running = True
    (fact,) = rate.find(case)
    assert fact.code == SILENT
    assert fact.rules_out == {"schedule_mismatch"}


@pytest.mark.parametrize(("dip", "found"), [(1e-13, True), (1e-9, False)])
def test_a_rise_may_dip_by_its_rounding(dip, found):
    lr = np.linspace(1e-4, 1e-3, 120)
    lr[60] = lr[59] - dip
    assert bool(rate.find(run(lr))) == found


@pytest.mark.parametrize(("left", "said"), [(1e-7, True), (1e-6, True), (2e-6, False), (0.0, True)])
def test_a_millionth_of_the_peak_moves_nothing(left, said):
    columns = {**healthy(200), "lr": np.where(np.arange(200) < 80, 1e-3, left * 1e-3)}
    facts = [fact for fact in rate.find(make(columns, threshold=None)) if fact.code == "GL204"]
    assert bool(facts) == said
    if said:
        assert ("drops to 0 at" if left == 0 else "drops to less than a millionth of its peak at") in facts[0].message


@pytest.mark.parametrize(
    ("case", "message", "advice"),
    [
        (run(np.linspace(1, 0.1, 60), np.zeros(40)), "after it, the schedule ends long", "ends at step 650 of 1,040)"),
        (run(np.ones(60), np.zeros(40)), "nothing is learned after it", "ends at step 650 of 1,040)"),
        (run(np.linspace(1, 0.05, 60), np.full(40, 0.05)), "ends long before", "ends at step 640 of 1,040)"),
        (run(cosine(100), cosine(100, down=False)), "from step 1,050:", "of the run, 2,040, not 1,050; or"),
        (
            run(np.linspace(0, 1, 50), cosine(100), cosine(100, down=False)),
            "1 time, from step 1,550:",
            "2,540, not 1,550",
        ),
    ],
)
def test_which_steps_are_named(case, message, advice):
    (fact,) = rate.find(case)
    assert message in fact.message
    assert advice in fact.advice
    if message.endswith("it"):
        assert fact.message.endswith(message)


def test_of_many_turns_the_first_four_are_named():
    (fact,) = rate.find(cycles(6, loss=np.linspace(1.0, 3.0, 720)))
    assert "6 times, from step 650, 1,850, 3,050, 4,250: the schedule" in fact.message


@pytest.mark.parametrize(("jitter", "early"), [(4e-4, True), (6e-4, False)])
def test_a_rate_that_moves_by_a_thousandth_has_not_ended(jitter, early):
    lr = np.concatenate((np.full(10, 3.0), np.linspace(2.99, 0.15, 50), 0.15 * (1.0 + jitter * np.resize([1, -1], 60))))
    assert bool(rate.find(run(lr))) == early


@pytest.mark.parametrize(("steps", "early"), [(8, True), (7, False)])
def test_a_gradual_decay_has_eight_steps(steps, early):
    lr = np.concatenate((np.ones(20), np.full(20, 0.995), np.linspace(1.0, 0.05, steps + 1)[1:], np.full(60, 0.05)))
    assert bool(rate.find(run(lr))) == early


def test_what_the_peak_is_changes_nothing():
    (fact,) = rate.find(run(3.0 * cosine(100), 3.0 * cosine(100, down=False)))
    assert "falls to 0 and rises again as gradually, to 100 %, 1 time, from step 1,050" in fact.message


@pytest.mark.parametrize(("rise", "wraps"), [(15, True), (14, False)])
def test_a_rise_that_mirrors_a_fall_takes_a_fifth_of_its_rows(rise, wraps):
    # From three tenths down the fall takes 75 rows.
    down, up = np.linspace(1.0, 0.0, 251), np.linspace(0.0, 0.3, rise + 1)[1:]
    down[175] = 0.301
    assert bool(rate.find(run(down, up, np.linspace(0.4, 1.0, 20)))) == wraps


@pytest.mark.parametrize(("rows", "early"), [(71, True), (72, False)])
def test_exactly_three_tenths_of_the_rows_come_after_a_decay(rows, early):
    assert bool(rate.find(run(np.linspace(1.0, 0.05, rows), np.full(100 - rows, 0.05)))) == early


def test_a_warm_up_that_dips_or_only_doubles_but_for_one_row():
    lr = np.append(0.49, np.linspace(0.51, 1.0, 119))
    assert len(rate.find(run(lr))) == 1
    lr[-2] = lr[-3] - 1e-3
    assert rate.find(run(lr)) == ()


def test_what_is_not_said_of_a_rate_of_zero():
    (fact,) = rate.find(run(np.zeros(40), in_noise=6.0))
    assert fact.message.endswith("from step 50 to 440")
    (fact,) = rate.find(run(np.zeros(40), in_noise=6.1, relative=0.11))
    assert fact.since_step is None
    (fact,) = rate.find(run(np.ones(60), np.zeros(39), [1e-9]))
    assert "less than a millionth of its peak" in fact.message


def test_the_steps_of_a_cycle_that_is_meant():
    (fact,) = rate.find(cycles(3, name="CyclicLR"))
    assert "the steps of the run, 3,640" in fact.advice

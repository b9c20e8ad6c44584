"""What a resume did, at its limits."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from gradlens.diagnosis.facts import restart
from gradlens.diagnosis.facts.restart import LEVELS
from gradlens.signals.attempts import Restart
from tests.diagnosis.facts.shown import line, lines, logged
from tests.synthetic import make


def resumed(
    *, at=100, back=20, rows=200, jump=0.0, sway=0.05, factor=1.0, every=1, shuffle=None, before=None, loss=None
):
    """A run that goes back by some rows at one and repeats them; its loss then jumps, its rate has a factor."""
    step = every * np.concatenate((np.arange(at), np.arange(at - back, rows)))
    value = 2.0 + sway * np.resize([1.0, -1.0, 0.0], len(step))
    value[at:] += jump
    if before is not None:
        value[:at] += before
    if shuffle is not None:
        value = shuffle[: len(step)]
    rate = np.where(np.arange(len(step)) < at, 1e-3, factor * 1e-3)
    return make(
        {"loss": value if loss is None else loss, "grad_norm": np.ones(len(step)), "lr": rate},
        step=step,
        threshold=None,
    )


# --- a loss that jumps


def test_what_is_said_of_a_jump():
    facts = restart.find(resumed(jump=1.0, every=10))
    assert lines(facts) == ["GL007 | warning | resume_artifact 0.9 | - | 800 | 1"]
    assert (
        "at the resume at step 800 (steps go back from 990) the loss jumps by 1, from 2 to 3: weights or optimizer state were not "
        "restored" in facts[0].message
    )
    assert facts[0].rules_out == LEVELS
    assert "in all" not in facts[0].message


def test_what_is_said_of_none():
    facts = restart.find(resumed(back=18, every=10))
    assert lines(facts) == ["GL007 | note | unknown? | - | 820 | 1"]
    assert (
        "the log goes back 1 time, first from step 990 to step 820; loss and rate go on as before" in facts[0].message
    )
    assert facts[0].rules_out == {"resume_artifact"}


def damage(before, after, *, reached=None, descends=True):
    """How bad a resume between two parts of a loss is, in which each step is logged once."""
    loss = np.concatenate((before, after))
    case = logged({"loss": (np.arange(len(loss)), loss), "grad_norm": (np.arange(len(loss)), np.ones(len(loss)))})
    case.__dict__["loss_descends"] = descends
    row = len(before)
    found = restart._damage(
        case, Restart(index=row, step=row, reached=row if reached is None else reached, superseded=1)
    )
    return None if found is None else found[0]


def around(level, rows, by=0.05):
    """Rows whose neighbours differ by twice `by`, with `level` in the middle."""
    return level + by * np.resize([1.0, -1.0], rows)


def test_a_jump_is_measured_in_standard_errors():
    # Neighbours differ by .1, which is a noise of .1048; of twenty rows on either side: (1 - 0) / (1.2533 * .1048 * sqrt(.1)).
    assert damage(around(2.0, 60), around(3.0, 60)) == pytest.approx(1.0 / (1.2533 * 0.1 / 0.9539 * 0.1**0.5))
    assert damage(around(2.0, 6), around(3.0, 5) + 0.05) == pytest.approx(
        1.0 / (1.2533 * 0.1 / 0.9539 * (1 / 6 + 1 / 5) ** 0.5), rel=0.11
    )


@pytest.mark.parametrize(
    ("before", "after", "damaged"),
    [
        (around(2.0, 60), around(2.26, 60), True),
        (around(2.0, 60), around(2.24, 60), False),  # six standard errors
        (around(2.0, 60), around(1.0, 60), False),
        (around(2.0, 6), around(2.5, 6), True),
        (around(2.0, 6), around(2.44, 6), False),
        (around(2.0, 6), around(9.0, 4), False),  # five rows
        (around(2.0, 4), around(9.0, 6), False),
        (np.append(np.full(60, 9.0), around(2.0, 20)), around(3.0, 60), True),  # twenty rows before
        (around(2.0, 60), np.append(around(3.0, 20), np.full(60, 1.0)), True),  # and after
        (np.full(60, 2.0), np.full(60, 2.0 + 1e-7), True),
        (np.full(60, 2.0), np.full(60, 2.0 + 1e-9), False),
        (np.append(around(2.0, 55), np.full(5, np.nan)), around(3.0, 60), True),
        (np.append(around(2.0, 55), np.full(16, np.nan)), around(9.0, 60), False),
        # The noisier side counts.
        (around(2.0, 60, 0.5), around(3.0, 60), False),
        (around(2.0, 60), around(3.0, 60, 0.5), False),
    ],
)
def test_how_far_a_loss_jumps(before, after, damaged):
    assert (damage(before, after) is not None) == damaged
    assert damage(before, after, descends=False) is None


def test_a_jump_of_two_deviations():
    # Of many rows on both sides six errors are less than two deviations: they never are of twenty.
    assert restart.SIDE == 20
    assert 6.0 * 1.2533 * (2 / restart.SIDE) ** 0.5 > 2.0


# --- rates and batches


@pytest.mark.parametrize(
    ("factor", "back", "said"),
    [(1.03, 20, True), (1.019, 18, False), (0.97, 20, True), (1.03, 3, True)],
)
def test_a_rate_that_was_not_restored(factor, back, said):
    (fact,) = restart.find(resumed(factor=factor, back=back, every=5))
    assert (
        "the learning rate of the repeated steps differs from before: the schedule was not restored" in fact.message
    ) == said
    assert (fact.cause == "resume_artifact") == said


def randoms(rows, seed):
    return 2.0 + 0.1 * np.random.default_rng(seed).standard_normal(rows)


def repeated(back, correlation, *, every=1):
    """A log that repeats some rows with losses that have this correlation with the first ones."""
    first, other = randoms(200, 0), randoms(200, 1)
    again = correlation * (first - 2.0) + (1.0 - correlation**2) ** 0.5 * (other - 2.0) + 2.0
    loss = np.concatenate((first[:100], again[100 - back : 100], first[100:]))
    return restart.find(resumed(back=back, every=every, shuffle=loss))


@pytest.mark.parametrize(
    ("back", "correlation", "every", "said"),
    [
        (60, 0.0, 1, True),
        (20, 0.0, 1, True),
        (19, 0.0, 1, False),
        (60, 0.3, 1, True),
        (60, 0.7, 1, False),
        (30, 0.0, 2, True),
    ],
)
def test_batches_that_were_not_the_same(back, correlation, every, said):
    (fact,) = repeated(back, correlation, every=every)
    assert ("steps were trained twice with other losses" in fact.message) == said
    if said:
        assert f"{back} logged steps were trained twice" in fact.message
        assert fact.cause == "resume_artifact"


def test_losses_that_do_not_vary_tell_nothing_of_batches():
    (fact,) = restart.find(resumed(back=60, sway=0.0))
    assert fact.cause is None


def test_the_worst_of_several_counts():
    step = np.concatenate((np.arange(100), np.arange(80, 200), np.arange(180, 300)))
    loss = 2.0 + 0.05 * np.resize([1.0, -1.0, 0.0], len(step))
    loss[100:] += 1.0
    loss[220:] += 3.0
    (fact,) = restart.find(make({"loss": loss, "grad_norm": np.ones(len(step))}, step=step, threshold=None))
    assert line(fact) == "GL007 | warning | resume_artifact 0.9 | - | 80 180 | 2"
    assert "at the resume at step 180 (steps go back from 199) the loss jumps by 3" in fact.message
    assert fact.message.endswith("; 2 restarts in all")


# --- rows that are logged twice


def twice(*rows, jump=1.0, same=False, step=None, **options):
    """A run that logs some steps twice; from the last of them on its loss is higher."""
    step = np.sort(np.concatenate((np.arange(200), rows))) if step is None else step
    loss = 2.0 + 0.05 * np.resize([1.0, -1.0, 0.0], len(step))
    if rows:
        loss[int(np.flatnonzero(np.diff(step) == 0)[-1]) + 1 :] += jump
    if same:
        again = np.flatnonzero(np.diff(step) == 0)
        loss[again + 1] = loss[again]
    return make({"loss": loss, "grad_norm": np.ones(len(step))}, step=step.astype(int), threshold=None)


def test_what_is_said_of_a_step_that_is_logged_twice():
    facts = restart.find(twice(100))
    assert lines(facts) == ["GL007 | warning | resume_artifact 0.9 | - | 100 | 1"]
    assert "at the resume at step 100 (this step is logged twice) the loss jumps by 1" in facts[0].message
    assert restart.find(twice(100, jump=0.0)) == ()


@pytest.mark.parametrize(
    ("rows", "options", "found"),
    [
        ((20, 50, 80, 90, 100), {}, True),
        ((20, 50, 70, 80, 90, 100), {}, False),  # a habit
        ((100,), {"same": True}, False),
        ((), {}, False),
        ((0,), {}, False),  # no row before
    ],
)
def test_which_steps_are_resumes(rows, options, found):
    assert bool(restart._logged_twice(twice(*rows, **options))) == found


def test_a_log_that_goes_back_or_has_no_loss():
    case = twice(100)
    case.signals = SimpleNamespace(order=SimpleNamespace(writers=2), step=case.signals.step)
    assert restart._logged_twice(case) == ()
    backwards = np.concatenate((np.arange(100), [99], np.arange(50, 150)))
    assert restart._logged_twice(twice(step=backwards)) == ()
    assert restart._logged_twice(make({"grad_norm": np.ones(50)}, threshold=None)) == ()


def test_where_it_is_logged_twice():
    (found,) = restart._logged_twice(twice(100))
    assert (found.index, found.step, found.reached, found.superseded, found.fresh) == (100, 100, 100, 1, False)


# --- steps that are counted again


def counted_again(earlier, later, *, descends=True):
    step = np.concatenate((1 + np.arange(len(earlier)), 1 + np.arange(len(later))))
    case = make({"loss": np.concatenate((earlier, later)), "grad_norm": np.ones(len(step))}, step=step, threshold=None)
    case.__dict__["loss_descends"] = descends
    found = restart._counted_again(case, Restart(index=0, step=1, reached=len(earlier), superseded=1))
    return None if found is None else found[1]


FELL = np.concatenate((np.full(20, 4.0), np.full(20, 2.0)))


def test_what_is_said_of_steps_that_are_counted_again():
    told = counted_again(FELL, np.full(40, 2.1))
    assert (
        told
        == "at the resume steps are counted again, from 1 after 40: two parts of one training share their step numbers"
    )


@pytest.mark.parametrize(
    ("earlier", "later", "again"),
    [
        (FELL, np.full(40, 2.49), True),
        (FELL, np.full(40, 2.51), False),  # a quarter of the way back
        (np.full(40, 2.0), np.full(40, 2.0), False),
        (FELL[:15] - np.linspace(0, 2, 15), np.full(15, 1.0), True),
        (FELL[:14] - np.linspace(0, 2, 14), np.full(15, 1.0), False),  # fifteen rows
        (FELL, np.full(14, 2.0), False),
        (np.append(FELL, np.nan), np.append([np.nan], np.full(40, 2.1)), True),
        (FELL, np.append([2.0, 2.0], np.full(40, 9.0)), True),  # the middle of the first three
        (FELL, np.append([2.0, 9.0], np.full(40, 9.0)), False),
        (np.append([2.0, 4.0], FELL), np.full(40, 2.1), True),
        (np.append([2.0, 2.0], FELL), np.full(40, 2.1), False),
        (np.append(np.full(60, 4.0), np.full(20, 2.0)), np.full(40, 2.1), True),  # the last twenty
    ],
)
def test_when_steps_are_counted_again(earlier, later, again):
    assert (counted_again(earlier, later) is not None) == again
    assert counted_again(earlier, later, descends=False) is None


def test_without_a_fall_nothing_is_counted_again():
    found = Restart(index=0, step=0, reached=9, superseded=1)
    assert (
        restart._counted_again(make({"loss": np.linspace(4, 2, 90), "grad_norm": np.ones(90)}, threshold=None), found)
        is None
    )
    assert restart._counted_again(make({"grad_norm": np.ones(90)}, threshold=None), found) is None


def test_starts_from_scratch():
    earlier = np.linspace(4.0, 2.0, 60)
    step = np.concatenate((np.arange(60), np.arange(100)))
    loss = np.concatenate((earlier, np.linspace(4.0, 1.5, 100)))
    (fact,) = restart.find(make({"loss": loss, "grad_norm": np.ones(160)}, step=step, threshold=None))
    assert line(fact) == "GL007 | note | unknown? | - | 0 | 1"
    assert (
        "the log starts again 1 time, first from step 59 to step 0; each time from scratch: the last start counts"
        in fact.message
    )


def test_the_same_steps_of_both_attempts():
    series = resumed(at=10, back=4, rows=14, loss=np.arange(18.0)).run.loss
    old, new = restart._same_steps(Restart(index=6, step=6, reached=9, superseded=4), series)
    assert (old.tolist(), new.tolist()) == ([6, 7, 8, 9], [10, 11, 12, 13])
    value = np.arange(18.0)
    value[[7, 12]] = np.nan
    series = resumed(at=10, back=4, rows=14, loss=value).run.loss
    old, new = restart._same_steps(Restart(index=6, step=6, reached=9, superseded=4), series)
    assert (old.tolist(), new.tolist()) == ([6, 9], [10, 13])
    old, new = restart._same_steps(Restart(index=7, step=7, reached=9, superseded=4), series)
    assert (len(old), len(new)) == (0, 0)
    assert len(restart._same_steps(Restart(index=7, step=7, reached=9, superseded=4), None)[0]) == 0


@pytest.mark.parametrize(
    ("later", "repeated", "said"), [(51.0, 5, False), (51.1, 5, True), (51.1, 2, True), (51.1, 1, False)]
)
def test_a_rate_that_differs_by_a_fiftieth(later, repeated, said):
    step = np.concatenate((np.arange(60), np.arange(60 - repeated, 100)))
    rate = np.where(np.arange(len(step)) < 60, 50.0, later)
    loss = np.full(len(step), 2.0)
    case = make({"loss": loss, "grad_norm": loss, "lr": rate}, step=step, threshold=None)
    found = restart._damage(case, Restart(index=60 - repeated, step=60 - repeated, reached=59, superseded=repeated))
    assert (found is not None) == said

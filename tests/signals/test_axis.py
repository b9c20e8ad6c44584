"""One time axis: restarts resolved, repeats dropped, other steps laid on the axis of the norm."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from gradlens.run import Columns, Run, Series
from gradlens.signals.axis import notices_of, signals_of


def series(name, step, value=None):
    step = np.asarray(step, dtype=np.int64)
    value = np.asarray(step * 1.0 if value is None else value, dtype=np.float64)
    return Series(name=name, step=step, value=value.copy())


def run_of(**given):
    names = {"norm": "grad_norm"}
    made = {names.get(k, k): series(k, *v) for k, v in given.items()}
    return Run(
        id="r", source="r", format="jsonl", series={s.name: s for s in made.values()},
        columns=Columns(**{role: s.name for role, s in made.items()}),
    )  # fmt: skip


def test_plain_series_are_taken_as_they_are():
    run = run_of(loss=([0, 1, 2],), norm=([0, 1, 2],))
    s = signals_of(run)
    assert s.loss is run.loss.value
    assert s.log_interval == 1
    assert s.irregular == 0
    assert not s.restarts


def test_the_later_attempt_wins_from_its_first_step_on():
    step = [0, 1, 2, 3, 4, 2, 3, 4, 5]
    s = signals_of(run_of(loss=(step, range(9)), norm=(step, range(9))))
    assert s.step.tolist() == [0, 1, 2, 3, 4, 5]
    assert s.norm.tolist() == [0, 1, 5, 6, 7, 8]
    (restart,) = s.restarts
    assert (restart.step, restart.reached, restart.superseded, restart.index) == (2, 4, 3, 2)


def test_a_sparser_series_follows_the_restarts_of_the_denser_one():
    step = [*range(100), *range(45, 60)]
    s = signals_of(run_of(norm=(step, range(115)), loss=([0, 30, 60, 90, 50], range(5))))
    assert s.step[s.has_loss].tolist() == [0, 30, 50]
    assert s.loss[s.has_loss].tolist() == [0, 1, 4]


def test_repeated_steps_count_and_the_last_row_is_judged():
    s = signals_of(run_of(norm=([0, 1, 1, 2], [5, 6, 7, 8])))
    assert s.order.repeated == 1
    assert s.norm.tolist() == [5, 7, 8]


def test_loss_and_norm_on_different_steps_share_an_axis():
    s = signals_of(run_of(loss=([0, 10, 20],), norm=([0, 5, 10, 15, 20],), lr=([0, 10], [1.0, 0.5])))
    assert s.step.tolist() == [0, 5, 10, 15, 20]
    assert s.has_loss.tolist() == [True, False, True, False, True]
    assert s.lr.tolist() == [1.0, 1.0, 0.5, 0.5, 0.5]


def test_logged_nan_differs_from_nothing_logged():
    s = signals_of(run_of(loss=([0, 2], [np.nan, 1.0]), norm=([0, 1, 2],)))
    assert s.has_loss.tolist() == [True, False, True]
    assert np.isnan(s.loss[:2]).all()


def test_a_run_with_one_series_only():
    s = signals_of(run_of(loss=([0, 1],)))
    assert not s.has_norm.any()
    assert np.isnan(s.norm).all()


@given(st.lists(st.integers(-50, 50), max_size=60), st.lists(st.integers(-50, 50), max_size=60))
def test_the_axis_rises_and_every_value_was_logged(loss_steps, norm_steps):
    run = run_of(loss=(loss_steps, range(len(loss_steps))), norm=(norm_steps, range(len(norm_steps))))
    s = signals_of(run)
    assert (np.diff(s.step) > 0).all()
    for value, logged in ((s.loss, run.loss), (s.norm, run.grad_norm)):
        kept = value[np.isfinite(value)]
        assert set(kept.tolist()) <= set(logged.value.tolist())


def test_each_row_is_told_of_in_one_count():
    step = [*range(100), 3, *range(60, 120), 119, 121, 120, 122]
    notices = list(notices_of(signals_of(run_of(loss=(step,), norm=(step,)))))
    assert [(n.code, n.count) for n in notices] == [
        ("restarts-resolved", 1), ("repeated-steps", 1), ("rows-sorted", 1), ("stray-rows", 1),
    ]  # fmt: skip
    assert "40 earlier rows are not" in notices[0].message


def test_rows_of_several_ranks_are_one_notice():
    step = [row for block in range(0, 60, 2) for _ in range(3) for row in (block, block + 1)]
    (notice,) = notices_of(signals_of(run_of(loss=(step,), norm=(step,))))
    assert (notice.code, notice.count) == ("interleaved-rows", 120)
    assert "3 times" in notice.message


def test_values_that_are_not_finite_are_counted_in_rows_that_are_left_out():
    step = [*range(50), 20, 20, 20]
    value = [1.0] * 50 + [float("nan"), 1.0, 1.0]
    s = signals_of(run_of(loss=(step, value), norm=(step, [1.0] * 53)))
    assert s.nonfinite_left_out == 1
    assert {n.code: n.count for n in notices_of(s)}["nonfinite-left-out"] == 1


def test_a_superseded_attempt_may_have_ended_in_nan():
    step = [*range(50), *range(30, 60)]
    value = [1.0] * 45 + [float("nan")] * 5 + [1.0] * 30
    s = signals_of(run_of(loss=(step, value), norm=(step, [1.0] * 80)))
    assert s.nonfinite_left_out == 0
    assert np.isfinite(s.loss).all()


def test_rows_that_may_begin_an_attempt_are_said_to():
    step = [*range(500), 300, 301, 302]
    notices = {n.code: n for n in notices_of(signals_of(run_of(loss=(step,), norm=(step,))))}
    assert notices["stray-rows"].count == 3
    assert "the last 3 may be a new attempt" in notices["stray-rows"].message
    lone = {n.code: n for n in notices_of(signals_of(run_of(loss=([*range(500), 0],), norm=([*range(500), 0],))))}
    assert "attempt" not in lone["stray-rows"].message

"""One time axis: restarts resolved, repeats dropped, other steps laid on the axis of the norm."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from gradlens.run import Columns, Run, Series
from gradlens.signals import find_restarts, signals_of


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


def test_a_restart_with_a_sparse_later_attempt_still_drops_the_earlier_rows():
    s = signals_of(run_of(norm=([0, 10, 20, 30, 15, 40], range(6))))
    assert s.step.tolist() == [0, 10, 15, 40]


def test_repeated_steps_count_and_the_last_row_is_judged():
    s = signals_of(run_of(norm=([0, 1, 1, 2], [5, 6, 7, 8])))
    assert s.duplicates == 1
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
    find_restarts(np.asarray(norm_steps, dtype=np.int64))

"""Windows: what they count, and that wider ones are the same run."""

from __future__ import annotations

import numpy as np
import pytest

from gradlens.gating.summary import COLUMNS, MAX_WINDOWS, SUMS, bring_together, split_nonfinite
from gradlens.signals.axis import signals_of


@pytest.mark.parametrize("n", [1, 2, 7, 128, 129, 1000, 5001])
def test_few_windows_of_a_power_of_two(make_summary, n):
    s = make_summary(n=n)
    assert len(s.window) <= MAX_WINDOWS
    assert s.width & (s.width - 1) == 0
    assert s.total("rows") == n


def test_counts_are_those_of_the_log(make_run, make_summary):
    norm = make_run(3).grad_norm.value
    s = make_summary(3, threshold=1.3)
    assert s.total("clipped") == np.count_nonzero(norm > 1.3)
    assert s.clip_rate == pytest.approx(np.mean(norm > 1.3))
    assert s.total("nearly") == np.count_nonzero(norm * 1.05 > 1.3)


@pytest.mark.parametrize("factor", [2, 8, 1024])
def test_wider_windows_keep_sums_and_means(make_summary, factor):
    s = make_summary(n=1000)
    wide = s.at_width(s.width * factor)
    for name in SUMS:
        assert wide.columns[name].sum() == s.columns[name].sum()
    assert np.nanmax(wide.columns["peak"]) == np.nanmax(s.columns["peak"])
    weighted = np.average(wide.columns["log_norm"], weights=wide.columns["norms"])
    assert weighted == pytest.approx(np.average(s.columns["log_norm"], weights=s.columns["norms"]))


def test_runs_of_other_length_meet_in_the_same_steps(make_summary):
    short, long = make_summary(0, n=700), make_summary(1, n=4000)
    cut, window = bring_together([short, long])
    assert cut[0].width == cut[1].width == long.width
    last = (window[-1] + 1) * cut[0].width
    assert 0.9 * 700 < last < 1.1 * 700
    assert all(len(c.columns[name]) == len(window) for c in cut for name in COLUMNS)


def test_other_log_intervals_still_meet(make_run, make_summary):
    dense = make_summary(0, n=1000)
    every_tenth = make_summary(1, n=100, replace={"step": np.arange(0, 1000, 10)})
    _, window = bring_together([dense, every_tenth])
    assert len(window) > 50


def test_runs_without_common_steps_share_no_window(make_summary):
    _, window = bring_together([make_summary(n=100), make_summary(n=100, start=5000)])
    assert len(window) == 0


def test_overflow_with_back_off_is_told_from_nan(make_run):
    n = 60
    norm, scale = np.ones(n), np.full(n, 1024.0)
    norm[20], scale[20:] = np.inf, 512.0
    norm[40] = np.nan
    signals = signals_of(make_run(n=n, replace={"grad_norm": norm, "loss_scale": scale}))
    nonfinite, overflow = split_nonfinite(signals)
    assert np.flatnonzero(overflow).tolist() == [20]
    assert np.flatnonzero(nonfinite).tolist() == [40]


def test_a_nan_loss_is_never_an_ordinary_overflow(make_run):
    n = 60
    loss, scale = np.ones(n), np.full(n, 1024.0)
    loss[20], scale[20:] = np.nan, 512.0
    nonfinite, overflow = split_nonfinite(signals_of(make_run(n=n, replace={"loss": loss, "loss_scale": scale})))
    assert not overflow.any()
    assert nonfinite.sum() == 1


def test_no_value_at_all(make_run, make_summary):
    s = make_summary(n=50, replace={"grad_norm": np.full(50, np.nan), "loss": np.full(50, np.nan)})
    assert s.clip_rate is None
    assert s.loss_first is None
    assert s.total("nonfinite") == 50

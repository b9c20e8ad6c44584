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


def test_columns_by_hand(make_run, make_summary):
    norm = np.array([0.5, 2.0, 0.97, 4.0, 0.0, np.nan, 1.0, -1.0])
    loss = np.array([3.0, 2.0, np.nan, 1.0, 1.0, 1.0, 9.0, 1.0])
    s = make_summary(n=8, threshold=1.0, replace={"grad_norm": norm, "loss": loss})
    assert s.width == 1
    assert s.columns["clipped"].tolist() == [0, 1, 0, 1, 0, 0, 0, 0]  # strictly above
    assert s.columns["nearly"].tolist() == [0, 1, 1, 1, 0, 0, 1, 0]
    assert s.columns["norms"].tolist() == [1, 1, 1, 1, 0, 0, 1, 0]
    assert s.columns["losses"].tolist() == [1, 1, 0, 1, 1, 1, 1, 1]
    assert s.columns["dead"].tolist() == [0, 0, 0, 0, 1, 0, 0, 1]
    assert s.columns["nonfinite"].tolist() == [0, 0, 1, 0, 0, 1, 0, 0]
    np.testing.assert_allclose(s.columns["log_norm"], [np.log(v) if v > 0 else np.nan for v in norm])
    np.testing.assert_allclose(s.columns["pressure"], [v**4 / (v**4 + 1) if v > 0 else np.nan for v in norm])
    assert s.loss_first == 2.0  # of 3, 2 and 1
    assert s.percentiles["50"] == 1.0
    assert (s.rows, s.first_step, s.last_step, s.rows_missing) == (8, 0, 7, 0)


def test_rows_in_one_window_are_averaged(make_summary):
    loss = np.tile([1.0, 2.0, 6.0, 3.0], 64)
    norm = np.tile([1.0, np.e, np.e**2, np.e**3], 64)
    s = make_summary(n=256, threshold=5.0, replace={"loss": loss, "grad_norm": norm})
    assert s.width == 2
    assert s.columns["rows"][0] == 2
    assert s.columns["loss"][:2].tolist() == [1.5, 4.5]
    np.testing.assert_allclose(s.columns["log_norm"][:2], [0.5, 2.5])
    assert s.clip_rate == 0.5
    wide = s.at_width(4)
    assert wide.columns["loss"][0] == 3.0  # the mean of medians, by their rows
    assert wide.columns["clipped"][0] == 2
    assert wide.columns["peak"][0] == max(s.columns["peak"][:2])


@pytest.mark.parametrize(("n", "width"), [(128, 1), (129, 2), (256, 2), (257, 4), (512, 4), (513, 8)])
def test_widths_are_the_smallest_powers_that_do(make_summary, n, width):
    assert make_summary(n=n).width == width
    # Steps count, not rows.
    assert make_summary(n=n, replace={"step": np.arange(n) * 4}).width == width * 4


def test_one_exploded_row_counts_as_the_run_came_down(make_summary):
    loss = np.linspace(5.0, 1.0, 512)
    loss[300] = 1e6
    s = make_summary(n=512, replace={"loss": loss})
    at = 300 // s.width
    usual = np.median(loss[300 - 300 % 4 : 304 - 300 % 4])
    # From 5 to about 1.4, the median of the last fifth; the median size of the losses, 3, is less.
    final = np.median(s.columns["loss"][-len(s.window) // 5 :])
    reach = s.columns["loss"][0] - final
    assert s.columns["loss"][at] == pytest.approx(usual)
    part = np.clip(loss[300 - 300 % 4 : 304 - 300 % 4], usual - reach, usual + reach)
    assert s.columns["loss_mean"][at] == pytest.approx(part.mean(), rel=0.02)


def test_half_filled_windows_are_not_compared(make_summary):
    # The shorter run reaches one of the last four steps, or two of them.
    for n, reached in ((297, False), (298, True)):
        _, window = bring_together([make_summary(0, n=n), make_summary(1, n=512)])
        assert (window[-1] == 74) == reached


def test_rows_that_are_missing_are_those_of_the_interval(make_summary):
    step = np.delete(np.arange(0, 1000, 5), [10, 11, 50])
    columns = {k: np.ones(197) for k in ("loss", "grad_norm", "lr")}
    s = make_summary(n=197, replace={**columns, "step": step})
    assert (s.log_interval, s.rows, s.rows_missing) == (5.0, 197, 3)


@pytest.mark.parametrize("provenance", ["pre_clip", "averaged", "unknown", "post_clip", "loss_scaled"])
def test_which_norms_tell_of_clipping(make_summary, provenance):
    from gradlens.reports.analysis import Provenance

    s = make_summary(n=50, provenance=Provenance(verdict=provenance, reason=""))
    assert s.clip_trusted == (provenance in {"pre_clip", "averaged", "unknown"})
    assert make_summary(n=50, threshold=None).clip_rate is None

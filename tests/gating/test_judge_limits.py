"""What the gate refuses to compare, what may hide a NaN, and the rest of a verdict at its limits: summaries by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from gradlens.errors import MalformedLogError
from gradlens.gating.assess import described
from gradlens.gating.baseline import dump_baseline, load_baseline
from gradlens.gating.checked import digest_of, rounded
from gradlens.gating.judge import _decide, _progress, judge_against, judge_nonfinite, may_hide_nan
from gradlens.gating.limits import final_loss, judge_limits
from gradlens.gating.measures import Measured, Tolerance, events, loss, spikes
from gradlens.gating.metrics import METRICS
from gradlens.gating.noise import row_noise
from gradlens.gating.settings import GateSettings
from gradlens.gating.summary import bring_together, clip_pressure
from gradlens.stats.comparison import Difference
from tests.gating.by_hand import sides, summary


def result(metric, candidate, baseline=None, **settings):
    """Outcome and reason of one metric."""
    usual = [summary("usual")] if baseline is None else baseline
    found = judge_against([candidate], usual, GateSettings(metrics=(metric,), **settings)).metrics
    (told,) = [m for m in found if m.name == metric]
    return told.outcome, told.reason


@pytest.mark.parametrize(
    ("metric", "candidate", "baseline", "told"),
    [
        ("final_loss", {"losses": 0}, {"losses": 0}, ("skipped", "no finite loss in the log")),
        ("final_loss", {"losses": 0}, {}, ("inconclusive", "cannot judge: no finite loss in the candidate")),
        ("final_loss", {}, {"losses": 0}, ("inconclusive", "cannot judge: no finite loss in the baseline")),
        ("norm_level", {"norms": 0}, {}, ("inconclusive", "cannot judge: no finite gradient norm in the candidate")),
        ("overflow", {}, {}, ("skipped", "no overflow in either")),
        ("final_loss", {"ends_early": {"loss": "it ends"}}, {}, ("inconclusive", "cannot judge: it ends")),
        ("final_loss", {}, {"ends_early": {"loss": "it ends"}}, ("inconclusive", "cannot judge: it ends")),
        ("loss", {"ends_early": {"loss": "it ends"}}, {}, ("pass", "within tolerance")),
        ("final_loss", {"ends_early": {"grad_norm": "it ends"}}, {}, ("pass", "within tolerance")),
        ("norm_level", {"provenance": "post_clip"}, {},
         ("inconclusive", "cannot judge: the norms are different quantities (after clipping and before clipping)")),
        ("norm_level", {"provenance": "loss_scaled"}, {"provenance": "post_clip"},
         ("inconclusive", "cannot judge: the norms are different quantities (after clipping and still loss-scaled)")),
        ("norm_level", {"provenance": "averaged"}, {}, ("pass", "within tolerance")),
        ("final_loss", {"provenance": "post_clip"}, {}, ("pass", "within tolerance")),
        ("clip_rate", {"threshold": None}, {"threshold": None}, ("skipped", "the runs do not clip")),
        ("clip_rate", {"threshold": None}, {},
         ("inconclusive", "cannot judge: thresholds differ (candidate none, baseline 1); refresh the baseline if that is intended")),
        ("clip_rate", {"threshold": 1.0 + 2e-9}, {},
         ("inconclusive", "cannot judge: thresholds differ (candidate 1, baseline 1); refresh the baseline if that is intended")),
        ("clip_rate", {"provenance": "post_clip", "provenance_reason": "they bunch"}, {"provenance": "post_clip"},
         ("inconclusive", "cannot judge: they bunch")),
        ("clip_rate", {"provenance": "post_clip"}, {"provenance": "post_clip"}, ("inconclusive", "cannot judge: post_clip")),
        ("clip_rate", {"norms": 6.125}, {}, ("inconclusive", "cannot judge: only 49 norms, 50 needed")),
    ],
)  # fmt: skip
def test_what_cannot_be_compared(metric, candidate, baseline, told):
    assert result(metric, summary(**candidate), [summary("usual", **baseline)]) == told


def test_thresholds_that_differ_by_rounding_are_one():
    assert "thresholds" not in result("clip_rate", summary(threshold=1.0 + 5e-10))[1]
    assert "norms, 50 needed" not in result("clip_rate", summary(norms=6.25))[1]


def test_few_norms_of_the_same_batches_are_compared_step_by_step():
    ups = np.cumsum(np.random.default_rng(0).standard_normal(8))
    one, two = (summary(name, norms=3, loss=ups, clipped=1) for name in "ab")
    assert result("clip_rate", one, [two]) == (
        "skipped",
        "24 steps are too few for a rate; the norms are compared step by step",
    )


# --- how much of the baseline is compared


def test_a_judgement_of_runs_of_other_lengths():
    settings = GateSettings(metrics=("final_loss",))
    short = judge_against([summary(size=90)], [summary(size=100)], settings)
    assert [m.name for m in short.metrics] == ["overlap", "final_loss"]
    assert short.compared_steps == (0, 899)
    assert short.notices == ()
    near = judge_against([summary(size=98)], [summary(size=100)], settings)
    assert [m.name for m in near.metrics] == ["final_loss"]
    assert [(n.code, n.message, n.count) for n in near.notices] == [
        ("partial-overlap", "the candidate covers 98% of the baseline's steps", 1)
    ]
    apart = judge_against([summary(first=500)], [summary()], settings)
    assert [(m.name, apart.compared_steps) for m in apart.metrics] == [("overlap", None)]
    assert "no steps in common" in apart.metrics[0].reason


def test_assumed_thresholds_are_told():
    assumed = [summary(name, threshold_source="assumed", threshold=1.5) for name in "ab"]
    found = judge_against([assumed[0]], [assumed[1]], GateSettings(metrics=("final_loss",)))
    assert [(n.code, n.count) for n in found.notices] == [("threshold-assumed", 2)]
    assert "of a is assumed to be 1.5" in found.notices[0].message


@pytest.mark.parametrize(
    ("value", "first", "progress"),
    [
        (np.append(np.full(8, 9.0), [1.0, 2.0]), 5.0, 3.5),
        (np.append(np.full(9, 9.0), math.nan), 5.0, 0.0),
        (np.append(np.full(7, 9.0), [1.0, 2.0, math.nan]), 5.0, 3.0),  # of nine the last one
        (np.full(10, math.nan), 5.0, 0.0),
        (np.full(10, 1.0), None, 0.0),
    ],
)
def test_how_far_a_loss_came_down(value, first, progress):
    assert _progress([summary(size=10, loss=value, loss_first=first)]) == pytest.approx(progress)


def test_progress_is_the_mean_of_the_baselines():
    runs = [summary(loss=1.0, loss_first=3.0), summary(loss=1.0, loss_first=7.0), summary(loss_first=None)]
    assert _progress(runs) == 4.0
    assert _progress([]) == 0.0


# --- NaN


def nonfinite(candidates, baselines=()):
    found = judge_nonfinite(candidates, baselines)
    return found.outcome, found.candidate, found.baseline, found.worst_steps


def test_what_is_not_finite():
    bad = summary(nonfinite=[0, 2, 0, 0, 1, 0, 0, 0])
    assert nonfinite([summary()], [bad, summary()]) == ("pass", 0.0, 1.5, None)
    assert nonfinite([summary(), bad, bad]) == ("fail", 6.0, None, (10, 49))
    assert nonfinite([summary(nonfinite_left_out=2)]) == ("fail", 2.0, None, None)
    assert "2 of them in rows that repeat a step" in judge_nonfinite([summary(nonfinite_left_out=2)], ()).reason
    assert "repeat" not in judge_nonfinite([bad], ()).reason


@pytest.mark.parametrize(
    "change",
    [{"ends_early": {"loss": "it ends"}}, {"missing_inside": "rows hold none"}, {"nonfinite_replaced": 1200}],
)
def test_what_may_hide_a_nan(change):
    run = summary("it", **change)
    (told,) = may_hide_nan(run)
    found = judge_nonfinite([summary(), run], ())
    assert (found.outcome, found.reason) == ("inconclusive", f"cannot judge: {told}")
    assert found.advice
    assert told in {
        "it ends",
        "rows hold none",
        "1,200 losses or norms of it are NaN or infinite in an attempt that a later one replaced",
    }
    assert judge_nonfinite([summary()], ()).advice == ""


# --- the decision

CLEAR = Difference(
    change=0.5, standard_error=0.05, df=0.5, interval=(0.4, 0.6), p_higher=1e-6, p_two_sided=2e-6, n_effective=400.0
)


def test_half_a_degree_of_freedom_is_one():
    measured = Measured(candidate=1.5, baseline=1.0, difference=CLEAR, tolerance=0.3, method="blocks", worst_steps=None)
    found = _decide(METRICS["final_loss"], measured, 1e-5, GateSettings())
    assert (found.outcome, found.interval) == ("fail", (0.4, 0.6))
    both = replace(measured, difference=replace(CLEAR, interval=(-0.6, -0.4), change=-0.5, p_higher=1.0))
    assert _decide(METRICS["norm_level"], both, 1e-5, GateSettings()).outcome == "fail"
    zero = replace(measured, difference=replace(CLEAR, interval=(-0.6, 0.0), change=-0.5, p_higher=1.0))
    assert _decide(METRICS["norm_level"], zero, 1e-5, GateSettings()).outcome == "inconclusive"


def test_which_metrics_look_both_ways_and_what_they_weigh():
    assert {name for name, m in METRICS.items() if m.both_ways} == {"norm_level", "norm_spread"}
    assert {name: m.weight for name, m in METRICS.items() if m.weight != 1.0} == {"clip_rate": 8.0}
    assert METRICS["norm_level"].p_value(CLEAR) == 2e-6
    assert METRICS["loss"].p_value(CLEAR) == 1e-6


# --- limits, noise, measures


def test_the_last_fifth_of_a_run_that_begins_late():
    assert final_loss(summary(window=range(100, 110), loss_mean=np.arange(10.0))) == 8.5
    assert (
        final_loss(summary(loss_mean=[1.0] * 7 + [math.inf])) is None
        or final_loss(summary(loss_mean=[1.0] * 7 + [math.inf])) == 1.0
    )


def test_a_limit_tells_its_value():
    (told,) = judge_limits([summary("it", percentiles={"99": 7})], GateSettings(max_grad_norm=7.5))
    assert (told.run, told.value, told.limit, told.reason, told.advice) == ("it", 7.0, 7.5, "within the limit", "")
    (told,) = judge_limits([summary(threshold=None)], GateSettings(max_clip_rate=0.5))
    assert (told.outcome, told.reason, told.value) == ("pass", "the run does not clip", None)
    (told,) = judge_limits(
        [summary(provenance="post_clip", provenance_reason="they bunch")], GateSettings(max_clip_rate=0.5)
    )
    assert (told.outcome, told.reason) == ("inconclusive", "cannot judge: they bunch")
    (told,) = judge_limits([summary(percentiles={"99": math.inf})], GateSettings(max_grad_norm=7.5))
    assert told.outcome == "inconclusive"


def test_the_noise_of_rows_where_windows_are_missing():
    place = np.arange(24.0)
    value = np.where(place % 2 == 0, 1.0, -1.0) + 0.5 * place
    gaps = value.copy()
    gaps[5:9] = math.nan
    part = np.ones(24, dtype=bool)
    whole, missing = (row_noise([summary(size=24, loss=v)], part) for v in (value, gaps))
    assert missing == pytest.approx(whole, rel=0.15)


def test_the_final_loss_of_late_steps():
    window = range(50, 90)
    one = summary(window=window, loss=np.arange(40.0), loss_mean=np.arange(40.0))
    found = loss(sides(one, one), Tolerance(absolute=1.0), final=True)
    assert found.candidate == pytest.approx(np.arange(32.0, 40.0).mean())


def test_spikes_are_shown_per_thousand_rows():
    found = spikes(sides(summary(loss_spikes=1), summary()), Tolerance(absolute=2.0), "loss_spikes")
    assert (found.candidate, found.baseline, found.difference.change) == (100.0, 0.0, pytest.approx(100.0))
    assert found.difference.interval[0] < 100.0 < found.difference.interval[1]


# --- summaries


@pytest.mark.parametrize(
    ("norm", "threshold", "pressure"),
    [(1.0, 1.0, 0.5), (2.0, 1.0, 16 / 17), (0.5, 1.0, 1 / 17), (6.0, 3.0, 16 / 17), (0.0, 1.0, math.nan), (1.0, 0.0, math.nan), (1.0, None, math.nan)],
)  # fmt: skip
def test_the_clip_pressure(norm, threshold, pressure):
    (found,) = clip_pressure(np.array([norm]), threshold)
    assert found == pytest.approx(pressure, nan_ok=True)


@pytest.mark.parametrize(("rows", "kept"), [(5.0, 8), (4.9, 7)])
def test_a_window_that_is_half_as_full_is_compared(rows, kept):
    _, window = bring_together([summary(rows=[10.0] * 7 + [rows]), summary()])
    assert len(window) == kept


def test_runs_meet_at_the_wider_windows():
    one, two = summary(size=8, width=10), summary(size=4, width=20)
    cut, window = bring_together([one, two])
    assert [run.width for run in cut] == [20, 20]
    assert window.tolist() == [0, 1, 2, 3]
    assert cut[0].columns["rows"].tolist() == [20.0] * 4


@pytest.mark.parametrize(
    ("interval", "rows", "missing"), [(1.0, 80, 0), (1.0, 70, 10), (2.0, 38, 3), (None, 70, 0), (0.0, 70, 0), (1.0, 90, 0)]
)  # fmt: skip
def test_rows_that_are_missing(interval, rows, missing):
    assert replace(summary(log_interval=interval), rows=rows).rows_missing == missing


def test_a_run_as_it_is_described():
    found = described(summary("it", clipped=1, nonfinite=[2] + [0] * 7), "candidate")
    assert (found.role, found.clip_rate, found.nonfinite) == ("candidate", 0.1, 2)
    assert described(summary(provenance="post_clip", clipped=1), "other").clip_rate is None


# --- what a file keeps


@pytest.mark.parametrize(
    ("value", "kept"),
    [(1.23456789, 1.23457), (3.0, 3), (1e15, 1e15), (9.99999e14, 999999000000000), (None, None), (math.nan, None), (math.inf, None), (-0.5, -0.5)],
)  # fmt: skip
def test_numbers_of_a_file_have_six_digits(value, kept):
    assert rounded(value) == kept
    assert type(rounded(value)) is type(kept)


def test_a_checksum_is_of_the_numbers_and_not_of_their_spelling():
    assert digest_of([{"a": 1, "b": 2}]) == digest_of([{"b": 2, "a": 1}])
    assert digest_of([{"a": 1}]) != digest_of([{"a": 2}])
    assert len(digest_of([])) == 16


def test_a_baseline_that_was_edited_is_refused(tmp_path):
    path = tmp_path / "baseline.json"
    path.write_text(dump_baseline([summary("it", width=16, loss=1.5)]))
    (loaded,) = load_baseline(path)
    assert loaded.columns["loss"].tolist() == [1.5] * 8
    path.write_text(path.read_text().replace('"loss": 1.5', '"loss": 1.4'))
    with pytest.raises(MalformedLogError, match="does not match its own checksum"):
        load_baseline(path)


def test_what_is_skipped_or_passed_has_no_advice():
    found = judge_against([summary()], [summary("b")], GateSettings(metrics=("overflow", "final_loss")))
    assert [(m.outcome, m.advice) for m in found.metrics] == [("skipped", ""), ("pass", "")]


def test_events_are_judged_alike_in_any_unit():
    many = [
        [summary(f"{side}{i}", overflow=[n] + [0] * 7) for i, n in enumerate(counts)]
        for side, counts in (("c", (4, 5)), ("b", (1, 2)))
    ]
    one = events(sides(*many), Tolerance(absolute=1e-9), "overflow", per=1.0).difference
    thousand = events(sides(*many), Tolerance(absolute=1e-6), "overflow", per=1000.0).difference
    assert thousand.change == pytest.approx(1000 * one.change)
    assert thousand.standard_error == pytest.approx(1000 * one.standard_error)
    assert thousand.p_higher == pytest.approx(one.p_higher)

"""The gate around its metrics: streams, thresholds, causes, what is told, and what cannot be compared."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from gradlens.errors import UsageError
from gradlens.gating.assess import assess, known_threshold, told, verdict_of, with_causes
from gradlens.gating.curves import gate_picture
from gradlens.gating.judge import judge_against, judge_nonfinite
from gradlens.gating.settings import GateSettings
from gradlens.run import Notice
from tests.gating.by_hand import summary


def results(*outcomes):
    return [SimpleNamespace(outcome=o) for o in outcomes]


@pytest.mark.parametrize(
    ("outcomes", "verdict"),
    [
        (("pass", "fail", "inconclusive"), "fail"),
        (("pass", "inconclusive"), "inconclusive"),
        (("pass", "skipped"), "pass"),
        (("skipped",), "inconclusive"),
        ((), "inconclusive"),
    ],
)
def test_red_before_what_cannot_be_judged_before_green(outcomes, verdict):
    assert verdict_of(results(*outcomes)) == verdict


def test_one_known_threshold_is_known():
    assert known_threshold([summary(threshold=2.0), summary(threshold=9.0, threshold_source="assumed")]) == 2.0
    assert known_threshold([summary(threshold=2.0), summary(threshold=3.0)]) == "auto"
    assert known_threshold([summary(threshold_source="assumed")]) == "auto"
    assert known_threshold([summary(threshold=None)]) is None


def test_what_is_told_has_its_count_and_its_run():
    notices = (Notice(code="x", message="one thing", count=1), Notice(code="y", message="many", count=1200))
    one, two = summary("one", notices=notices), summary("two", notices=notices[:1])
    assert [n.message for n in told([one])] == ["one thing", "many (×1,200)"]
    assert [n.message for n in told([one, two])] == ["one: one thing", "one: many (×1,200)", "two: one thing"]


@pytest.mark.parametrize(
    ("cause", "confidence", "named"),
    [("lr_too_high", 0.3, True), ("lr_too_high", 0.29, False), ("healthy", 0.9, False), ("undetermined", 0.9, False)],
)
def test_causes_less_likely_than_three_tenths_are_not_named(cause, confidence, named):
    report = assess([summary()], [summary()], GateSettings())
    diagnosis = SimpleNamespace(cause=cause, confidence=confidence, summary="the rate")
    analysed = SimpleNamespace(runs=[SimpleNamespace(id="run", diagnosis=diagnosis)])
    found = with_causes(report, analysed).causes
    assert [(c.run, c.cause, c.confidence, c.summary) for c in found] == [
        ("run", cause, confidence, "the rate")
    ] * named


def stream(name, source, **given):
    return summary(f"{source}:{name}", source=source, size=20, **given)


def test_streams_of_one_log_are_judged_each_with_its_share_of_the_alarms():
    loss = {"loss": 2.0, "loss_mean": 2.0}
    candidate = [stream("actor", "c"), stream("critic", "c", **loss)]
    baseline = [stream("actor", "b"), stream("critic", "b")]
    report = assess(candidate, baseline, GateSettings())
    assert [m.name for m in report.metrics if m.outcome == "fail"] == ["critic/final_loss", "critic/loss"]
    assert next(m.title for m in report.metrics if m.outcome == "fail") == "critic: final loss"
    assert report.compared_steps == (0, 199)
    # With other streams on one side they are runs like others.
    other = assess(candidate, [stream("actor", "b"), stream("teacher", "b")], GateSettings())
    assert not any("/" in m.name for m in other.metrics)
    assert not any("/" in m.name for m in assess([summary("a"), summary("b")], baseline, GateSettings()).metrics)


def test_nothing_to_judge_by():
    with pytest.raises(UsageError, match="nothing to judge by"):
        assess([summary()], [], GateSettings())
    assert assess([summary()], [], GateSettings(max_spikes=0)).outcome == "pass"


def of_metric(name, candidates, baselines, **settings):
    judged = judge_against(candidates, baselines, GateSettings(**settings))
    return next(m for m in judged.metrics if m.name == name)


@pytest.mark.parametrize(
    ("one", "two", "reason"),
    [
        ({"norms": 0}, {}, "cannot judge: no finite gradient norm in the candidate"),
        ({}, {"norms": 0}, "cannot judge: no finite gradient norm in the baseline"),
        ({"norms": 0}, {"norms": 0}, "no finite gradient norm in the log"),
        ({"threshold": None}, {"threshold": None}, "the runs do not clip"),
        ({"threshold": 1.0}, {"threshold": None}, "cannot judge: thresholds differ (candidate 1, baseline none)"),
        ({"threshold": 1.0}, {"threshold": 1.5}, "cannot judge: thresholds differ (candidate 1, baseline 1.5)"),
        ({"provenance": "post_clip"}, {}, "cannot judge: the norms are different quantities (after clipping and before"),
        ({"provenance": "post_clip", "provenance_reason": "they end at 1"}, {"provenance": "post_clip"},
         "cannot judge: they end at 1"),
        ({"norms": 6.125}, {}, "cannot judge: only 49 norms, 50 needed"),
    ],
)  # fmt: skip
def test_why_clip_rates_are_not_compared(one, two, reason):
    result = of_metric("clip_rate", [summary(**one)], [summary(**two)])
    assert result.reason.startswith(reason)
    assert result.outcome == ("inconclusive" if reason.startswith("cannot") else "skipped")


def test_thresholds_that_differ_by_rounding_are_one():
    assert of_metric("clip_rate", [summary(threshold=1.0 + 1e-10)], [summary()]).outcome == "pass"
    assert of_metric("clip_rate", [summary(threshold=1.0 + 1e-8)], [summary()]).outcome == "inconclusive"
    # Norms of one kind in different words are comparable.
    averaged = of_metric("norm_level", [summary(provenance="averaged")], [summary(provenance="unknown")])
    assert averaged.outcome == "pass"


def test_no_loss_or_overflow_on_either_side_is_skipped():
    none = {"losses": 0, "loss": float("nan")}
    assert of_metric("loss", [summary(**none)], [summary(**none)]).reason == "no finite loss in the log"
    assert of_metric("overflow", [summary()], [summary()]).reason == "no overflow in either"
    assert of_metric("overflow", [summary(overflow=5)], [summary()]).outcome == "fail"


def test_an_ended_loss_has_no_final_one():
    ended = summary(ends_early={"loss": "the loss ends at step 5"})
    assert of_metric("final_loss", [ended], [summary()]).reason == "cannot judge: the loss ends at step 5"
    assert of_metric("final_loss", [summary()], [ended]).outcome == "inconclusive"
    assert of_metric("loss", [ended], [summary()]).outcome == "pass"


@pytest.mark.parametrize(("size", "told_of"), [(96, "overlap"), (97, "partial-overlap"), (100, None)])
def test_how_much_of_the_baseline_must_be_covered(size, told_of):
    judged = judge_against([summary(size=size)], [summary(size=100)], GateSettings())
    assert (judged.metrics[0].name == "overlap") == (told_of == "overlap")
    assert [n.code for n in judged.notices] == (["partial-overlap"] if told_of == "partial-overlap" else [])
    assert judged.compared_steps == (0, 10 * size - 1)


def test_assumed_thresholds_are_told_with_their_number():
    runs = [summary(f"r{i}", threshold_source="assumed") for i in range(2)]
    (notice,) = judge_against(runs, [summary()], GateSettings()).notices
    assert (notice.code, notice.count) == ("threshold-assumed", 2)


def test_what_is_not_finite_fails_wherever_it_is():
    bad = [summary("a", nonfinite=[0, 0, 1, 0, 2, 0, 0, 0]), summary("b", nonfinite_left_out=4), summary("c")]
    result = judge_nonfinite(bad, [summary(nonfinite=1), summary()])
    assert (result.outcome, result.candidate, result.baseline) == ("fail", 7.0, 4.0)
    assert result.worst_steps == (20, 49)
    assert (
        result.reason
        == "7 steps with a NaN or infinite loss or norm, 4 of them in rows that repeat a step or were set aside"
    )
    only_left_out = judge_nonfinite(bad[1:], [])
    assert (only_left_out.worst_steps, only_left_out.baseline) == (None, None)
    assert "of them" not in judge_nonfinite(bad[:1], []).reason
    assert judge_nonfinite(bad[2:], []).outcome == "pass"
    assert judge_nonfinite([summary(nonfinite_replaced=1)], []).outcome == "inconclusive"


def test_the_picture_shows_what_was_compared():
    one = summary("a", first=3, first_step=35, loss_spikes=[0, 2, 0, 0, 0, 0, 0, 0], clipped=1, log_norm=0.5)
    (curves,) = gate_picture([one], []).runs
    traces = {t.name: t for t in curves.traces}
    assert curves.run == "candidate a"
    assert set(traces) == {"loss", "grad_norm", "lr", "clip_rate", "spikes"}
    assert list(traces["loss"].step)[:2] == [35, 40]  # where the run begins, not where its window does
    assert list(traces["clip_rate"].value) == [0.1] * 8
    assert list(traces["grad_norm"].value) == pytest.approx([2.718281828**0.5] * 8)
    without = gate_picture(
        [], [summary(threshold_source="assumed"), summary(threshold=None), summary(provenance="post_clip")]
    )
    assert [{t.name for t in c.traces} for c in without.runs] == [{"loss", "grad_norm", "lr"}] * 3


def test_the_clip_rate_has_half_of_the_false_alarms():
    from gradlens.gating.metrics import METRICS

    weights = {name: metric.weight for name, metric in METRICS.items()}
    assert weights.pop("clip_rate") == sum(weights.values())
    assert set(weights.values()) == {1.0}
    assert {name for name, metric in METRICS.items() if metric.both_ways} == {"norm_level", "norm_spread"}


def test_the_other_sides_threshold_stands_in_for_one_that_is_only_assumed(make_run):
    from gradlens.gating.assess import summarize_runs

    for given, known, threshold, source in (
        (2.0, 9.0, 2.0, "option"), ("auto", 9.0, 9.0, "assumed"), ("auto", None, None, "assumed"), (None, 9.0, None, "option"),
    ):  # fmt: skip
        (found,) = summarize_runs([make_run(0, n=50)], threshold=given, known=known)
        assert (found.threshold, found.threshold_source) == (threshold, source)


def test_a_loss_scale_is_not_drawn_beside_another_run(make_run):
    import numpy as np

    from gradlens.gating.compare import compare_runs

    runs = [make_run(seed, n=200, replace={"loss_scale": np.full(200, 1024.0)}) for seed in (0, 1)]
    picture = compare_runs(runs, threshold=1.3, picture=True).picture
    assert [{t.name for t in run.traces} for run in picture.runs] == [{"loss", "grad_norm", "lr"}] * 2

"""What passes, what fails, and what cannot be judged."""

from __future__ import annotations

import math

import numpy as np
import pytest

import gradlens
from gradlens.errors import GradlensError
from gradlens.gating.assess import assess
from gradlens.gating.settings import GateSettings
from gradlens.reports.analysis import Provenance

POST_CLIP = Provenance(verdict="post_clip", reason="the norms never exceed 1.3")


def outcomes(report):
    return {m.name: m.outcome for m in report.metrics}


def gate(candidates, baselines, **settings):
    candidates = candidates if isinstance(candidates, list) else [candidates]
    baselines = baselines if isinstance(baselines, list) else [baselines]
    return assess(candidates, baselines, GateSettings(**settings))


def test_the_same_process_passes(make_summary):
    report = gate(make_summary(1), make_summary(0))
    assert report.outcome == "pass"
    assert report.headline.startswith("9 of 9 checks passed")
    assert report.compared_steps == (0, 1199)


@pytest.mark.parametrize(
    ("change", "metric"),
    [
        ({"level": 1.6}, "norm_level"),
        ({"level": 0.5}, "norm_level"),
        ({"level": 1.3}, "clip_rate"),
        ({"noise": 0.6}, "norm_spread"),
        ({"loss_factor": 1.2}, "final_loss"),
        ({"loss_factor": 1.2}, "loss"),
    ],
)
def test_a_change_for_the_worse_fails(make_summary, change, metric):
    report = gate(make_summary(1, **change), make_summary(0))
    assert report.outcome == "fail"
    (failed,) = [m for m in report.metrics if m.name == metric]
    assert failed.outcome == "fail"
    assert failed.p_adjusted < 0.05
    assert failed.worst_steps is not None
    assert failed.advice


@pytest.mark.parametrize("change", [{"loss_factor": 0.8}, {"level": 0.85}, {"noise": 0.28}])
def test_better_or_a_little_different_passes(make_summary, change):
    assert gate(make_summary(1, **change), make_summary(0)).outcome == "pass"


@pytest.mark.parametrize("column", ["loss", "grad_norm"])
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_nan_never_passes(make_run, column, value):
    bad = make_run(1).series[column].value.copy()
    bad[700] = value
    candidate = make_run(1, replace={column: bad})
    report = gradlens.gate(candidate, make_run(0), threshold=1.3)
    assert report.outcome == "fail"
    assert outcomes(report)["nonfinite"] == "fail"


def test_nan_on_both_sides_is_not_equal(make_run):
    bad = make_run(1).loss.value.copy()
    bad[700] = math.nan
    run = make_run(1, replace={"loss": bad})
    assert gradlens.gate(run, run, threshold=1.3).outcome == "fail"


def test_all_nan_fails(make_run):
    lost = {"loss": np.full(1200, math.nan), "grad_norm": np.full(1200, math.nan)}
    assert gradlens.gate(make_run(1, replace=lost), make_run(0), threshold=1.3).outcome == "fail"


def test_nan_fails_under_limits_alone(make_run):
    bad = make_run(1).loss.value.copy()
    bad[-1] = math.nan
    report = gradlens.gate(make_run(1, replace={"loss": bad}), threshold=1.3, settings={"max_clip_rate": 0.9})
    assert report.outcome == "fail"


def test_an_own_limit_allows_what_it_says(make_run):
    bad = make_run(1).loss.value.copy()
    bad[700] = math.nan
    run = make_run(1, replace={"loss": bad})
    assert gradlens.gate(run, make_run(0), threshold=1.3, settings={"max_nonfinite": 1}).outcome == "pass"
    assert gradlens.gate(run, make_run(0), threshold=1.3, settings={"max_nonfinite": 0}).outcome == "fail"


def test_other_thresholds_cannot_be_judged(make_summary):
    report = gate(make_summary(1, threshold=2.0), make_summary(0, threshold=1.0))
    assert report.outcome == "inconclusive"
    (metric,) = report.inconclusive
    assert metric.name == "clip_rate"
    assert "thresholds differ" in metric.reason
    rest = gate(make_summary(1, threshold=2.0), make_summary(0, threshold=1.0), metrics=("final_loss", "norm_level"))
    assert rest.outcome == "pass"


def test_clipping_switched_off_cannot_be_judged(make_summary):
    assert outcomes(gate(make_summary(1, threshold=None), make_summary(0)))["clip_rate"] == "inconclusive"


def test_runs_that_do_not_clip_are_judged_by_the_rest(make_summary):
    report = gate(make_summary(1, threshold=None), make_summary(0, threshold=None))
    assert outcomes(report)["clip_rate"] == "skipped"
    assert report.outcome == "pass"


def test_norms_after_clipping_say_nothing_about_clipping(make_summary):
    both = gate(make_summary(1, provenance=POST_CLIP), make_summary(0, provenance=POST_CLIP))
    assert outcomes(both)["clip_rate"] == "inconclusive"
    assert "never exceed" in both.headline
    one = gate(make_summary(1, provenance=POST_CLIP), make_summary(0))
    assert outcomes(one)["norm_level"] == "inconclusive"
    assert outcomes(one)["final_loss"] == "pass"


def test_other_steps_cannot_be_judged(make_summary):
    report = gate(make_summary(1, start=100_000), make_summary(0))
    assert report.outcome == "inconclusive"
    assert "no steps in common" in report.headline


def test_a_run_cut_short_is_inconclusive(make_summary):
    assert outcomes(gate(make_summary(1, n=300), make_summary(0)))["overlap"] == "inconclusive"
    assert outcomes(gate(make_summary(1, n=1000), make_summary(0)))["overlap"] == "inconclusive"
    assert "overlap" not in outcomes(gate(make_summary(1, n=1000), make_summary(0), min_overlap=0.5))
    whole = gate(make_summary(1, n=1190), make_summary(0))
    assert "overlap" not in outcomes(whole)
    assert whole.outcome == "pass"


def test_a_longer_candidate_is_compared_over_the_shared_steps(make_columns, make_summary):
    first_half = {name: values[:1200] for name, values in make_columns(0, n=2400).items()}
    report = gate(make_summary(1, n=2400), make_summary(replace=first_half))
    assert report.outcome == "pass"
    assert report.compared_steps[1] < 1300


def test_stretched_schedules_are_compared_in_the_same_phase_only(make_summary):
    def cosine(n):
        return {"lr": 0.05 * (1 + np.cos(np.pi * np.arange(n) / n))}

    report = gate(make_summary(1, n=2400, replace=cosine(2400)), make_summary(0, replace=cosine(1200)))
    assert "phases-differ" in {n.code for n in report.notices}
    assert report.compared_steps[1] < 900


def test_why_too_few_steps_are_shared(make_summary):
    def cosine(n):
        return {"lr": 0.05 * (1 + np.cos(np.pi * np.arange(n) / n))}

    def overlap(candidate, baseline):
        (found,) = [m for m in gate(candidate, baseline).metrics if m.name == "overlap"]
        return f"{found.reason} {found.advice}"

    short = overlap(make_summary(1, n=300), make_summary(0))
    assert "ends at step 299 of 1,199" in short
    assert "Let the run finish" in short
    stretched = overlap(make_summary(1, n=3600, replace=cosine(3600)), make_summary(0, replace=cosine(1200)))
    assert "schedules have different lengths" in stretched
    late = overlap(make_summary(1, start=900), make_summary(0))
    assert "the runs share 25% of the baseline's steps" in late
    for text in (stretched, late):
        assert "ends at step" not in text
        assert "Let the run finish" not in text


@pytest.mark.parametrize("scale", [1.0, 1e-6, 1e60])
def test_the_norm_level_is_shown_as_norms(make_run, make_summary, scale):
    norm = scale * make_run(0).grad_norm.value
    candidate, baseline = (make_summary(0, replace={"grad_norm": by * norm}) for by in (1.1, 1.0))
    (level,) = [m for m in gate(candidate, baseline).metrics if m.name == "norm_level"]
    assert level.baseline == pytest.approx(np.mean(norm), rel=0.1)
    assert level.candidate / level.baseline == pytest.approx(level.change)
    assert level.change == pytest.approx(1.1)


def test_norms_of_no_usable_size_are_not_judged(make_summary):
    beyond = make_summary(0, replace={"grad_norm": np.full(1200, 1e200)})
    assert outcomes(gate(make_summary(1), beyond))["norm_level"] == "inconclusive"
    assert gate(beyond, make_summary(1)).outcome != "pass"


def test_a_changed_schedule_of_the_same_length_is_judged(make_summary):
    report = gate(make_summary(1, replace={"lr": np.linspace(0.1, 0, 1200)}, loss_factor=1.3), make_summary(0))
    assert report.outcome == "fail"
    assert "schedules-differ" in {n.code for n in report.notices}


@pytest.mark.parametrize("n", [1, 2, 5, 30])
def test_too_few_steps_are_inconclusive(make_summary, n):
    assert gate(make_summary(1, n=n), make_summary(0, n=n)).outcome == "inconclusive"


def test_strongly_dependent_norms_are_inconclusive(make_summary):
    slow = {"grad_norm": 1.3 * np.exp(np.sin(np.arange(1200) / 150.0))}
    other = {"grad_norm": 1.3 * np.exp(np.sin(np.arange(1200) / 150.0 + 2.5))}
    (metric,) = [
        m for m in gate(make_summary(replace=slow), make_summary(replace=other)).metrics if m.name == "clip_rate"
    ]
    assert metric.outcome == "inconclusive"
    assert metric.n_effective < 50


def test_a_missing_column_on_one_side_is_inconclusive(make_summary):
    report = gate(make_summary(1, drop=("loss",)), make_summary(0))
    assert outcomes(report)["final_loss"] == "inconclusive"
    assert outcomes(gate(make_summary(1, drop=("loss",)), make_summary(0, drop=("loss",))))["final_loss"] == "skipped"


def test_one_norm_that_exploded_does_not_hide_itself(make_summary):
    norm = np.exp(np.linspace(0, 300, 1200))
    assert gate(make_summary(1, replace={"grad_norm": norm}), make_summary(0)).outcome == "fail"


def test_seeds_are_the_unit(make_summary):
    baselines = [make_summary(seed) for seed in range(5)]
    assert gate([make_summary(seed) for seed in range(10, 15)], baselines).outcome == "pass"
    report = gate([make_summary(seed, level=1.35) for seed in range(10, 15)], baselines)
    (clip,) = [m for m in report.metrics if m.name == "clip_rate"]
    assert clip.outcome == "fail"
    assert clip.method == "runs"
    assert clip.p_permutation == pytest.approx(1 / 252)


def test_one_candidate_against_seeds(make_summary):
    baselines = [make_summary(seed) for seed in range(4)]
    assert gate(make_summary(9), baselines).outcome == "pass"
    assert gate(make_summary(9, loss_factor=1.3), baselines).outcome == "fail"


def test_seeds_that_differ_widen_the_test(make_summary):
    alike = [make_summary(seed) for seed in range(4)]
    apart = [make_summary(seed, level=level) for seed, level in enumerate((0.75, 0.9, 1.1, 1.35))]
    candidate = make_summary(9, level=1.4)
    assert gate(candidate, alike).outcome == "fail"
    assert gate(candidate, apart).outcome != "fail"


def test_spikes_are_counted_and_compared(make_run, make_summary):
    loss = make_run(1).loss.value.copy()
    loss[200:1200:60] *= 4.0
    report = gate(make_summary(1, replace={"loss": loss}), make_summary(0))
    assert outcomes(report)["loss_spikes"] == "fail"


def test_no_stretch_goes_beyond_the_last_step(make_summary):
    report = gate(make_summary(1, n=1000, loss_factor=1.3, level=1.6), make_summary(0, n=1000))
    assert report.compared_steps[1] == 999
    assert max(m.worst_steps[1] for m in report.metrics if m.worst_steps) <= 999


def falling(seed, n=1200, *, noise=0.05, end=3.0, wander=0.0):
    """A loss that falls from 11, with noise from row to row and slow wandering."""
    rng = np.random.default_rng(seed)
    slow = np.convolve(rng.normal(size=n + 60), np.ones(60) / np.sqrt(60), mode="valid")[:n]
    return {"loss": end + 8.0 * np.exp(-np.arange(n) / (0.1 * n)) + noise * rng.normal(size=n) + wander * slow}


def tolerance_of(metric, report):
    return next(m.tolerance for m in report.metrics if m.name == metric)


@pytest.mark.parametrize("n", [600, 1200, 6000])
def test_a_high_first_loss_does_not_hide_a_regression(make_summary, n):
    baseline = make_summary(0, n=n, replace=falling(0, n))
    report = gate(make_summary(1, n=n, replace=falling(1, n, end=3.25)), baseline)
    assert outcomes(report)["final_loss"] == "fail"
    assert tolerance_of("final_loss", report) == pytest.approx(0.1, rel=0.5)  # twice the noise of a row
    assert outcomes(gate(make_summary(1, n=n, replace=falling(1, n)), baseline))["final_loss"] == "pass"


def test_a_loss_that_wanders_or_is_noisy_has_a_wider_tolerance(make_summary):
    def bound(**options):
        runs = [make_summary(seed, replace=falling(seed, **options)) for seed in (1, 0)]
        return tolerance_of("final_loss", gate(*runs))

    assert bound() < bound(wander=0.1)
    assert bound() < bound(noise=0.1) < bound(noise=0.5) == pytest.approx(0.04 * 8.0, rel=0.3)


def test_the_cap_on_the_tolerance_is_a_setting(make_run):
    runs = [make_run(seed, replace=falling(seed)) for seed in (1, 0)]
    settings = {"tolerances": {"final_loss": {"progress": 0.04}}}
    assert tolerance_of("final_loss", gradlens.gate(*runs, threshold=1.3, settings=settings)) == pytest.approx(
        0.32, rel=0.1
    )


def test_metrics_and_tolerances_are_configurable(make_run):
    candidate, baseline = make_run(1, loss_factor=1.2), make_run(0)
    strict = gradlens.gate(candidate, baseline, threshold=1.3)
    assert strict.outcome == "fail"
    only = gradlens.gate(candidate, baseline, threshold=1.3, settings={"metrics": ["clip_rate", "norm_level"]})
    assert only.outcome == "pass"
    loose = {"tolerances": {"loss": 0.5, "final_loss": {"relative": 0.5}}}
    assert gradlens.gate(candidate, baseline, threshold=1.3, settings=loose).outcome == "pass"


@pytest.mark.parametrize(
    ("limit", "outcome"),
    [
        ({"max_clip_rate": 0.001}, "fail"),
        ({"max_clip_rate": 0.9}, "pass"),
        ({"max_loss": 0.5}, "fail"),
        ({"max_loss": 5.0}, "pass"),
        ({"max_grad_norm": 0.1}, "fail"),
        ({"max_nonfinite": 0}, "pass"),
        ({"max_spikes": 10}, "pass"),
    ],
)
def test_limits_work_alone_and_with_a_baseline(make_run, limit, outcome):
    assert gradlens.gate(make_run(1), threshold=1.3, settings=limit).outcome == outcome
    assert gradlens.gate(make_run(1), make_run(0), threshold=1.3, settings=limit).outcome == outcome


def test_limits_hold_for_each_candidate(make_run):
    report = gradlens.gate([make_run(0), make_run(1, level=3.0)], threshold=1.3, settings={"max_clip_rate": 0.3})
    assert [(r.run, r.outcome) for r in report.limits] == [("run-0", "pass"), ("run-1", "fail")]


def test_a_limit_on_what_is_not_there_is_inconclusive(make_run):
    report = gradlens.gate(make_run(1, drop=("grad_norm",)), threshold=1.3, settings={"max_clip_rate": 0.1})
    assert report.outcome == "inconclusive"


def test_nothing_to_judge_by_is_an_error(make_run):
    with pytest.raises(GradlensError, match="nothing to judge by"):
        gradlens.gate(make_run(1))


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"unknown": 1}, "unknown setting"),
        ({"metrics": "clip_rate"}, "list"),
        ({"metrics": ["speed"]}, "unknown metric 'speed'"),
        ({"tolerances": {"speed": 1}}, "unknown metric"),
        ({"tolerances": {"loss": {"size": 1}}}, "unknown part"),
        ({"tolerances": {"loss": "big"}}, "number"),
        ({"max-clip-rate": 10}, "between 0 and 1"),
        ({"alpha": True}, "number"),
        ({"allow_inconclusive": 1}, "true or false"),
    ],
)
def test_bad_settings_are_named(make_run, table, message):
    with pytest.raises(GradlensError, match=message):
        gradlens.gate(make_run(1), make_run(0), settings=table)


def test_a_threshold_known_on_one_side_serves_both(make_run):
    report = gradlens.gate(make_run(1), make_run(0), settings={"metrics": ["clip_rate"]})
    assert {r.threshold for r in report.runs} == {1.0}
    assert report.notices[0].code == "threshold-assumed"


@pytest.mark.parametrize(("n", "share"), [(1150, 0.96), (1170, 0.973)])
def test_a_candidate_that_ends_a_little_early_is_judged_and_told(make_summary, n, share):
    candidate, baseline = make_summary(1, n=n), make_summary(0)
    report = gate(candidate, baseline, min_overlap=0.95)
    (notice,) = [found for found in report.notices if found.code == "partial-overlap"]
    assert (notice.message, notice.count) == (f"the candidate covers {share:.0%} of the baseline's steps", 1)
    assert "overlap" not in outcomes(report)
    assert report.compared_steps[1] == pytest.approx(n, abs=3)
    missed = gate(candidate, baseline, min_overlap=share + 0.005)
    assert "partial-overlap" not in {found.code for found in missed.notices}
    (overlap,) = [m for m in missed.metrics if m.name == "overlap"]
    assert overlap.candidate == pytest.approx(share, abs=0.001)
    # What reaches the share exactly has reached it.
    assert "overlap" not in outcomes(gate(candidate, baseline, min_overlap=overlap.candidate))


def test_a_candidate_of_the_same_length_or_longer_covers_everything(make_summary):
    for n in (1200, 1300):
        codes = {notice.code for notice in gate(make_summary(1, n=n), make_summary(0)).notices}
        assert "partial-overlap" not in codes


def nonfinite_at(make_run, seed, *rows, value=math.nan):
    loss = make_run(seed).loss.value.copy()
    loss[list(rows)] = value
    return make_run(seed, replace={"loss": loss})


def test_non_finite_rows_are_counted_over_candidates_and_averaged_over_baselines(make_run):
    candidates = [make_run(1), nonfinite_at(make_run, 2, 40, 41, 900), nonfinite_at(make_run, 3, 700)]
    baselines = [nonfinite_at(make_run, 4, 5, 6, 7), make_run(5)]
    report = gradlens.gate(candidates, baselines, threshold=1.3)
    (result,) = [m for m in report.metrics if m.name == "nonfinite"]
    assert (result.outcome, result.candidate, result.baseline, result.tolerance) == ("fail", 4.0, 1.5, 0.0)
    assert result.reason == "4 steps with a NaN or infinite loss or norm"
    first, last = result.worst_steps
    assert first <= 40
    assert 900 <= last < 920
    # Those of the baselines excuse nothing, and accuse nobody.
    report = gradlens.gate([make_run(1)], baselines, threshold=1.3)
    (result,) = [m for m in report.metrics if m.name == "nonfinite"]
    assert (result.outcome, result.candidate, result.baseline) == ("pass", 0.0, 1.5)
    alone = gradlens.gate([make_run(1)], threshold=1.3, settings={"max_clip_rate": 0.9})
    assert [m.baseline for m in alone.metrics if m.name == "nonfinite"] == [None]


def test_norms_of_other_kinds_refuse_what_is_drawn_from_them_alone(make_summary):
    scaled = Provenance(verdict="loss_scaled", reason="a scale of 65,536")
    report = gate(make_summary(1, provenance=scaled), make_summary(0))
    reasons = {m.name: m.reason for m in report.metrics if m.outcome == "inconclusive"}
    assert set(reasons) == {"clip_rate", "norm_level", "norm_spread", "norm_tail", "norm_spikes"}
    assert "(before clipping and still loss-scaled)" in reasons["norm_level"]
    same = gate(make_summary(1, provenance=scaled), make_summary(0, provenance=scaled))
    assert {m.name for m in same.metrics if m.outcome == "inconclusive"} == {"clip_rate"}
    # What may be the norm before clipping is compared with what is.
    unknown = Provenance(verdict="unknown", reason="too few rows")
    assert gate(make_summary(1, provenance=unknown), make_summary(0)).outcome == "pass"


def test_thresholds_that_differ_by_rounding_are_one(make_summary):
    near = gate(make_summary(1, threshold=1.3 * (1 + 1e-12)), make_summary(0, threshold=1.3))
    assert outcomes(near)["clip_rate"] == "pass"
    apart = gate(make_summary(1, threshold=1.3 * (1 + 1e-6)), make_summary(0, threshold=1.3))
    assert outcomes(apart)["clip_rate"] == "inconclusive"
    (metric,) = [m for m in gate(make_summary(1, threshold=None), make_summary(0)).metrics if m.name == "clip_rate"]
    assert "candidate none, baseline 1.3" in metric.reason


def test_a_clip_rate_needs_rows_unless_the_steps_saw_the_same_batches(make_columns, make_summary):
    few, enough = (make_summary(1, n=n) for n in (49, 50))
    assert "only 49 norms, 50 needed" in next(
        m.reason for m in gate(few, make_summary(0, n=49)).metrics if m.name == "clip_rate"
    )
    reasons = [m.reason for m in gate(enough, make_summary(0, n=50)).metrics if m.name == "clip_rate"]
    assert "norms, 50 needed" not in reasons[0]
    columns = make_columns(1, n=49)
    same = make_summary(1, n=49, replace={"grad_norm": 1.01 * columns["grad_norm"]})
    (metric,) = [m for m in gate(same, few).metrics if m.name == "clip_rate"]
    assert metric.outcome == "skipped"
    assert metric.reason == "49 steps are too few for a rate; the norms are compared step by step"


def test_a_side_without_a_column_is_named(make_summary):
    for candidate, baseline, side in ((("loss",), (), "candidate"), ((), ("loss",), "baseline")):
        report = gate(make_summary(1, drop=candidate), make_summary(0, drop=baseline))
        (metric,) = [m for m in report.metrics if m.name == "final_loss"]
        assert metric.reason == f"cannot judge: no finite loss in the {side}"


def test_advice_is_for_what_got_worse(make_summary):
    report = gate(make_summary(1, level=1.6, threshold=None), make_summary(0, threshold=None))
    for metric in report.metrics:
        assert bool(metric.advice) == (metric.outcome == "fail"), metric.name
    assert {"pass", "fail", "skipped"} <= {metric.outcome for metric in report.metrics}


def test_what_cannot_be_compared_is_not_said_to_have_got_worse(make_summary):
    report = gate(make_summary(1, threshold=2.0), make_summary(0, threshold=1.3))
    (rate,) = [m for m in report.metrics if m.name == "clip_rate"]
    assert (rate.outcome, rate.advice) == ("inconclusive", "")
    report = gate(make_summary(1, n=300, loss_factor=0.5), make_summary(0, n=30, loss_factor=1.0))
    for metric in report.metrics:
        worse = metric.change is not None and metric.tolerance is not None and metric.change > metric.tolerance
        assert worse or not metric.advice or metric.name in {"overlap", "clip_rate"}, metric
    report = gate(make_summary(1), make_summary(0, drop=("loss",)))
    (loss,) = [m for m in report.metrics if m.name == "final_loss"]
    assert loss.advice.startswith("Log it on both sides")


def test_a_change_for_the_worse_that_chance_could_explain_has_advice(make_summary):
    found = [
        metric
        for seed in range(6)
        for metric in gate(make_summary(seed + 10, n=120, loss_factor=1.05), make_summary(seed, n=120)).metrics
        if metric.outcome == "inconclusive" and metric.change is not None and metric.tolerance is not None
    ]
    assert found
    for metric in found:
        assert bool(metric.advice) == (metric.change > metric.tolerance or metric.unit == "ratio"), metric

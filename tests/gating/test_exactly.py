"""Parts of the gate by hand: layouts, factors, rows that are replaced, events of several runs."""

from __future__ import annotations

import json
import math
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from scipy import stats

from gradlens.config import TrainingConfig
from gradlens.errors import MalformedLogError
from gradlens.gating import assess, baseline, checked, compare
from gradlens.gating.judge import judge_against
from gradlens.gating.logged import judge_log
from gradlens.gating.measures import Tolerance, clip_rate, events, norm_tail, spikes
from gradlens.gating.metrics import METRICS
from gradlens.gating.settings import GateSettings
from gradlens.gating.summary import split_nonfinite, summarize
from gradlens.signals.axis import signals_of
from gradlens.stats.comparison import count_difference
from tests.gating.by_hand import sides, summary
from tests.gating.conftest import PRE_CLIP

# --- files


@pytest.mark.parametrize(("values", "kept"), [([2.0, 2.0], 2), ([2.0], 2), ([1.0, 2.5], [1, 2.5]), ([], [])])
def test_a_column_of_equal_numbers_is_one(values, kept):
    assert baseline._column(np.array(values)) == kept


def test_a_file_is_laid_out_by_its_depth():
    document = {"b": {"y": 2, "x": [1, 2.5]}, "a": [{"k": None}, {"k": "é"}], "empty": [], "none": {}}
    text = "".join(checked._lines(document, 0))
    assert text == (
        '{\n "a": [\n  {\n   "k": null\n  },\n  {\n   "k": "\\u00e9"\n  }\n ],\n'
        ' "b": {\n  "x": [1, 2.5],\n  "y": 2\n },\n "empty": [],\n "none": {}\n}'
    )
    assert json.loads(text) == document


def test_a_line_of_numbers_is_full_at_its_width():
    # One space, 53, a comma and a space, 54: 110 characters.
    words = ["1" * 53, "2" * 54, "3"]
    assert "".join(checked._filled(words, 0)) == f"[\n {words[0]}, {words[1]},\n 3\n]"
    assert "".join(checked._filled(words, 1)) == f"[\n  {words[0]},\n  {words[1]}, 3\n ]"
    assert "".join(checked._filled(words[:2], 0)) == f"[{words[0]}, {words[1]}]"


@pytest.mark.parametrize("value", [math.nan, [math.nan], {"a": math.inf}])
def test_no_file_holds_what_json_has_not(value):
    with pytest.raises(ValueError, match="JSON"):
        "".join(checked._lines(value, 0))


def test_the_checksum_is_that_of_the_runs():
    runs = [{"a": 1}]
    checked.require_digest(Path("b.json"), {"runs": runs, "digest": checked.digest_of(runs)}, hint="")
    for document in (
        {"runs": [{"a": 2}], "digest": checked.digest_of(runs)},
        {"runs": runs},
        {"runs": runs, "digest": ""},
    ):
        with pytest.raises(MalformedLogError, match="its own checksum"):
            checked.require_digest(Path("b.json"), document, hint="")


@pytest.mark.parametrize(
    ("text", "named"),
    [('{"schema": "s"}', True), ('\n \ufeff{"schema": "s"}', True), ('["s"]', False), ('x {"s"}', False), ('{"a": 1}', False)],
)  # fmt: skip
def test_a_file_that_names_a_schema(tmp_path, text, named):
    path = tmp_path / "f.json"
    path.write_text(text)
    assert checked.is_schema(path, "s") == named
    assert not checked.is_schema(tmp_path, "s")


# --- what is said


def test_only_what_is_wrong_has_advice():
    def told(**candidate):
        found = judge_against([summary(**candidate)], [summary()], GateSettings(metrics=("final_loss", "overflow")))
        return {m.name: (m.outcome, m.advice) for m in found.metrics}

    assert told()["final_loss"] == ("pass", "")
    assert told()["overflow"] == ("skipped", "")
    assert told(loss=9.0, loss_mean=9.0)["final_loss"] == ("fail", METRICS["final_loss"].advice)
    outcome, advice = told(losses=0)["final_loss"]
    assert outcome == "inconclusive"
    assert advice.startswith("Log it on both sides")


def test_a_baseline_of_one_dead_norm_is_dead_throughout():
    dead = summary("usual", size=1, dead=1, norms=0)
    run = summary("it", dead=8, norms=2)
    assert list(judge_log([run], [dead], frozenset())) == []  # .8 is no more than twice as many as all
    (found,) = judge_log([run], [summary("usual")], frozenset())
    assert (found.name, found.candidate, found.baseline, found.outcome) == ("dead_norms", 0.8, 0.0, "fail")


@pytest.mark.parametrize(
    "k", [2, 3, 4, 5, 6, 7, 8, 10, 12, 16, 20, 24, 32, 48, 64, 96, 128, 256, 512, 1024, 2048, 4096]
)
def test_usual_factors_are_named_in_four_ways(k):
    run = SimpleNamespace(config=TrainingConfig())
    signals = SimpleNamespace(loss_scale=np.array([1.0, np.nan]))
    found = {name: value for name, value, _ in compare._factors(run, run, signals)}
    expected = {f"{k}": k, f"1/{k}": 1 / k, f"sqrt({k})": k**0.5, f"1/sqrt({k})": k**-0.5}
    assert {name: found[name] for name in expected} == pytest.approx(expected)
    assert len(found) == 4 * 22  # and none of a loss scale of 1


def test_ranks_and_loss_scale_come_first():
    one, two = (SimpleNamespace(config=TrainingConfig(world_size=n)) for n in (1, 9))
    signals = SimpleNamespace(loss_scale=np.array([1.5, 1.5, np.inf]))
    found = [(name, value) for name, value, _ in compare._factors(one, two, signals)][:4]
    assert found == [
        ("loss scale", 1.5),
        ("9 = ranks", 9),
        ("1/9 = 1/ranks", 1 / 9),
        ("1/sqrt(9)", pytest.approx(1 / 3)),
    ]


# --- rows


def test_an_overflow_is_explained_by_a_fall_of_the_scale_beside_it(make_run):
    norm = np.ones(12)
    norm[[0, 4, 5, 8, 11]] = np.inf
    scale = np.repeat([8.0, 4.0, 2.0], [5, 5, 2])  # falls after the rows 4 and 9
    columns = {"loss": np.ones(12), "grad_norm": norm, "lr": np.ones(12), "loss_scale": scale}
    wrong, explained = split_nonfinite(signals_of(make_run(n=12, replace=columns)))
    assert np.flatnonzero(wrong).tolist() == [0, 8, 11]
    assert np.flatnonzero(explained).tolist() == [4, 5]


@pytest.mark.parametrize(
    ("step", "loss", "replaced"),
    [
        ([0, 1, 2, 3], [4.0, 3.0, 2.0, 1.0], 0),
        ([0, 1, 1, 2], [4.0, 3.0, 3.0, 1.0], 0),
        ([0, 1, 1, 2], [4.0, 3.0, 2.0, 1.0], 1),
        ([0, 1, 2, 1, 2], [4.0, 3.0, 2.0, 3.5, 2.5], 2),
        ([0, 1, 2, 1, 2], [4.0, math.nan, 2.0, math.nan, 2.5], 1),
    ],
)
def test_rows_that_say_something_else_than_what_was_judged(make_run, step, loss, replaced):
    run = make_run(n=len(step), replace={"step": np.array(step), "loss": np.array(loss)}, drop=("grad_norm", "lr"))
    found = summarize(run, threshold=None, threshold_source="none", provenance=PRE_CLIP)
    assert found.replaced == replaced


# --- events and tails


def test_events_of_two_runs_have_the_interval_of_their_counts():
    found = spikes(sides(summary(loss_spikes=1), summary()), Tolerance(absolute=2.0), "loss_spikes")
    exact = count_difference(8, 80, 0, 80)
    assert found.difference.interval == pytest.approx((1000 * exact.interval[0], 1000 * exact.interval[1]))
    assert found.difference.standard_error == pytest.approx(1000 * exact.standard_error)
    assert (found.difference.p_higher, found.method) == (exact.p_higher, "counts")


def test_events_of_several_runs_vary_at_least_as_poisson_counts_do():
    runs = [summary(name, loss_spikes=1) for name in "abcd"]
    found = events(sides(runs[:2], runs[2:]), Tolerance(), "loss_spikes", per=1000.0)
    # 32 events and one more in 320 rows, of a run of 80: rate times 1000^2 over 80; two runs per side.
    assert found.difference.standard_error == pytest.approx(1000 * math.sqrt(33 / 320 / 80))
    assert (found.candidate, found.baseline, found.method) == (100.0, 100.0, "runs")


def test_the_clip_rate_of_several_runs_is_a_t_test():
    rng = np.random.default_rng(0)
    runs = [summary(name, clipped=rng.integers(0, 4, 8), norms=60, rows=60) for name in "abc"]
    found = clip_rate(sides(runs[:1], runs[1:]), METRIC_TOLERANCE)
    d = found.difference
    assert found.method == "runs"
    assert d.p_two_sided == pytest.approx(2 * stats.t.sf(abs(d.change) / d.standard_error, d.df))


METRIC_TOLERANCE = Tolerance(absolute=0.02, relative=0.25)


def test_windows_without_norms_have_no_tail():
    one = summary(norms=[10] * 7 + [0], peak=[0.5] * 7 + [9.0])
    found = norm_tail(sides(one, summary(peak=0.25)), METRIC_TOLERANCE)
    assert (found.candidate, found.baseline) == pytest.approx((0.5, 0.25))


def test_wider_windows_have_the_mean_of_what_is_finite():
    found = summary(size=4, width=10, loss=[4.0, math.nan, 2.0, 6.0], losses=[5, 0, 10, 30]).at_width(20)
    assert found.columns["loss"].tolist() == [4.0, 5.0]
    assert found.columns["losses"].tolist() == [5.0, 40.0]
    gone = summary(size=2, width=10, loss=math.nan, losses=0).at_width(20)
    assert math.isnan(gone.columns["loss"][0])


def test_runs_of_one_log_are_told_apart():
    one, two = (summary(f"log.jsonl:{name}", source="log.jsonl") for name in "ab")
    assert assess._streams([one, two, summary("c")]) == ["a", "b", ""]
    assert assess._streams([one]) == [""]


@pytest.mark.parametrize(
    ("change", "rate"),
    [({}, 0.1), ({"threshold_source": "assumed"}, None), ({"provenance": "post_clip"}, None), ({"clipped": 0}, 0.0)],
)
def test_a_clip_rate_that_cannot_be_trusted_is_not_shown(change, rate, make_run):
    run = summary("it", **({"clipped": 1} | change))
    assert compare._figures(run, signals_of(make_run(n=40))).clip_rate == rate

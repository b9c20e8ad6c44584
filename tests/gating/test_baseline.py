"""Baseline files: stable, small, readable, and as good as the log."""

from __future__ import annotations

import json

import numpy as np
import pytest

from gradlens.errors import GradlensError
from gradlens.gating.assess import assess
from gradlens.gating.baseline import describe_update, dump_baseline, is_baseline, load_baseline, load_sides
from gradlens.gating.settings import GateSettings


@pytest.fixture
def written(tmp_path, make_summary):
    def write(*summaries):
        path = tmp_path / "baseline.json"
        path.write_text(dump_baseline(summaries))
        return path

    return write


def test_small_sorted_and_stable(make_summary):
    runs = [make_summary(seed, n=5000) for seed in range(2)]
    text = dump_baseline(runs)
    assert text == dump_baseline(runs)
    assert len(text) < 2 * 15_000
    document = json.loads(text)
    assert list(document) == sorted(document)
    assert list(document["runs"][0]["columns"]) == sorted(document["runs"][0]["columns"])
    assert document["schema"] == "gradlens-baseline"
    assert document["gradlens_version"]
    assert max(map(len, text.splitlines())) <= 120
    assert "time" not in document


def test_what_is_read_is_what_was_written(written, make_summary):
    before = make_summary(2, n=3000)
    (after,) = load_baseline(written(before))
    assert dump_baseline([after]) == dump_baseline([before])
    np.testing.assert_array_equal(after.window, before.window)
    np.testing.assert_allclose(after.columns["log_norm"], before.columns["log_norm"], rtol=1e-5)


def test_gaps_and_missing_values_survive(written, make_summary):
    n = 400
    step = np.concatenate([np.arange(200), np.arange(1000, 1200)])
    norm = np.ones(n)
    norm[:40] = np.nan
    before = make_summary(n=n, replace={"step": step, "grad_norm": norm})
    (after,) = load_baseline(written(before))
    np.testing.assert_array_equal(after.window, before.window)
    np.testing.assert_array_equal(np.isnan(after.columns["log_norm"]), np.isnan(before.columns["log_norm"]))


@pytest.mark.parametrize("level", [1.0, 1.15, 1.6])
def test_the_file_judges_like_the_log(written, make_summary, level):
    base, candidate = make_summary(0), make_summary(1, level=level)
    from_log = assess([candidate], [base], GateSettings())
    from_file = assess([candidate], load_baseline(written(base)), GateSettings())
    assert from_log.outcome == from_file.outcome
    for one, two in zip(from_log.metrics, from_file.metrics, strict=True):
        assert one.outcome == two.outcome
        if one.change is not None:
            assert one.change == pytest.approx(two.change, rel=1e-3, abs=1e-4)


def test_several_seeds_in_one_file(written, make_summary):
    path = written(*(make_summary(seed) for seed in range(3)))
    assert [r.id for r in load_baseline(path)] == ["run-0", "run-1", "run-2"]
    runs, summaries = load_sides([path], lambda _: [])
    assert (len(runs), len(summaries)) == (0, 3)


def test_a_log_is_no_baseline(tmp_path, write_log):
    log = write_log("run.jsonl")
    assert not is_baseline(log)
    assert not is_baseline(tmp_path)
    assert not is_baseline(tmp_path / "missing")


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda d: d.update(schema_version=99), "version 99"),
        (lambda d: d.update(runs=[]), "no run"),
        (lambda d: d.update(schema="other"), "not a gradlens baseline"),
        (lambda d: d["runs"][0].pop("columns"), "columns"),
        (lambda d: d["runs"][0]["columns"].update(rows=[1, 2]), "2 values"),
        (lambda d: d["runs"][0]["columns"].update(rows="x"), "run 1"),
        (lambda d: d["runs"][0].update(width=3), "width 3"),
        (lambda d: d["runs"][0].update(window=[[50, 50], [0, 50]]), "order"),
        (lambda d: d["runs"][0].update(threshold_source="hearsay"), "hearsay"),
    ],
)
def test_damage_is_named(written, make_summary, edit, message):
    path = written(make_summary(n=100))
    document = json.loads(path.read_text())
    edit(document)
    path.write_text(json.dumps(document))
    with pytest.raises(GradlensError, match=message) as caught:
        load_baseline(path)
    assert "baseline.json" in str(caught.value)
    assert "gradlens baseline" in caught.value.hint


@pytest.mark.parametrize("text", ["", "{", "[1]", '"gradlens-baseline"'])
def test_not_json_or_not_ours(tmp_path, text):
    path = tmp_path / "b.json"
    path.write_text(text)
    with pytest.raises(GradlensError):
        load_baseline(path)


def test_what_an_update_changes(make_summary):
    before, after = [make_summary(0)], [make_summary(1, level=1.3, n=1500)]
    assert describe_update(before, before) == []
    changes = "\n".join(describe_update(before, after))
    assert "last step: 1199 -> 1499" in changes
    assert "clip rate" in changes

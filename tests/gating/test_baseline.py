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


def edited(path, change):
    """The file with its first run changed and a checksum that fits."""
    from gradlens.gating.checked import digest_of

    document = json.loads(path.read_text())
    change(document["runs"][0])
    document["digest"] = digest_of(document["runs"])
    path.write_text(json.dumps(document))
    return path


@pytest.mark.parametrize(
    ("change", "is_read"),
    [
        (lambda r: r.update(rows=2**53 - 1), True),
        (lambda r: r.update(rows=2**53), False),
        (lambda r: r.update(rows=0), True),
        (lambda r: r.update(rows=-1), False),
        (lambda r: r.update(rows=True), False),
        (lambda r: r.update(rows=1.0), False),
        (lambda r: r.update(first_step=-(2**62) + 1), True),
        (lambda r: r.update(first_step=-(2**62)), False),
        (lambda r: r.update(last_step=2**62 - 1), True),
        (lambda r: r.update(last_step=2**62), False),
        (lambda r: r.update(first_step=False), False),
        (lambda r: r.update(width=2**61), True),
        (lambda r: r.update(width=2**62), False),
        (lambda r: r.update(width=0), False),
        (lambda r: r.update(width=1), True),
        (lambda r: r.update(threshold=None), True),
        (lambda r: r.update(threshold=1), True),
        (lambda r: r.update(threshold=True), False),
        (lambda r: r.update(threshold=10**400), False),
        (lambda r: r.update(threshold="1"), False),
        (lambda r: r.update(window=[[0, 100], [99, 0]]), True),
        (lambda r: r.update(window=[[0, 50], [49, 50]]), False),
        (lambda r: r.update(window=[[0, 50], [60, 50]]), True),
        (lambda r: r["columns"].update(clipped=2), False),  # one row each
        (lambda r: r["columns"].update(clipped=1), True),
        (lambda r: r["columns"].update(clipped=0.5), False),
        (lambda r: r["columns"].update(loss=None), True),
        (lambda r: r["columns"].update(loss=-1e300), True),
        (lambda r: r.update(percentiles={"50": None, "99": 2}), True),
    ],
)
def test_numbers_at_the_ends_of_their_ranges(written, make_summary, change, is_read):
    path = edited(written(make_summary(n=100)), change)
    if is_read:
        assert len(load_baseline(path)) == 1
    else:
        with pytest.raises(GradlensError, match="run 1"):
            load_baseline(path)


@pytest.mark.parametrize(("windows", "is_read"), [(512, True), (513, False), (0, False)])
def test_a_baseline_has_some_windows_and_not_too_many(written, make_summary, windows, is_read):
    path = edited(
        written(make_summary(n=100)),
        lambda r: r.update(window=[[0, windows]], columns=dict.fromkeys(r["columns"], 1)),
    )
    if is_read:
        assert len(load_baseline(path)[0].window) == windows
    else:
        with pytest.raises(GradlensError, match="the number of windows"):
            load_baseline(path)


def test_an_update_names_each_change(make_summary):
    from tests.gating.by_hand import summary

    before = summary(size=10, clipped=1, loss=[9] * 8 + [1, 3], percentiles={"50": 1.0, "99": 2.0})
    changes = {
        "threshold": {"threshold": 2.0}, "clip rate": {"clipped": 2}, "median norm": {"percentiles": {"50": 3.0, "99": 2.0}},
        "99th percentile of the norm": {"percentiles": {"50": 1.0, "99": 4.0}}, "final loss": {"loss": [9] * 8 + [1, 5]},
        "nonfinite": {"nonfinite": 1}, "overflow": {"overflow": 1}, "loss spikes": {"loss_spikes": 1},
        "norm spikes": {"norm_spikes": 1}, "dead": {"dead": 1},
    }  # fmt: skip
    usual = {"size": 10, "clipped": 1, "loss": [9] * 8 + [1, 3], "percentiles": {"50": 1.0, "99": 2.0}}
    for title, change in changes.items():
        (line,) = describe_update([before], [summary(**(usual | change))])
        assert line.startswith(f"{title}: ")
    assert describe_update([before], [summary(**(usual | {"loss": [9] * 8 + [1, 5]}))]) == ["final loss: 2 -> 3"]
    assert describe_update([before], [before, before])[0] == "runs: 1 -> 2"
    assert describe_update([before], [summary(**(usual | {"spread": 0.3}))]) == ["only details within the windows"]
    none = [summary(**(usual | {"loss": float("nan")}))]
    assert describe_update([before], none) == ["final loss: 2 -> none"]


@pytest.mark.parametrize(
    ("value", "kept"), [(1.0, "1"), (0.123456789, "0.123457"), (1e15, "1e+15"), (123456.7, "123457")]
)
def test_numbers_are_short(value, kept):
    from gradlens.gating.checked import rounded

    assert f"{rounded(value)}" == kept or float(kept) == rounded(value)
    assert rounded(None) is None
    assert rounded(float("inf")) is None
    assert isinstance(rounded(3.0), int)


def test_a_file_is_laid_out_for_diffs():
    from gradlens.gating.checked import dump_checked

    lines = dump_checked("s", 1, [{"b": {"y": [1, 2], "x": {}}, "a": []}, {"a": [{"k": None}]}]).splitlines()
    start = lines.index(' "runs": [')
    assert lines[start + 1 : -3] == [
        "  {", '   "a": [],', '   "b": {', '    "x": {},', '    "y": [1, 2]', "   }", "  },",
        "  {", '   "a": [', "    {", '     "k": null', "    }", "   ]", "  }", " ],",
    ]  # fmt: skip
    assert json.loads("\n".join(lines))["runs"][1] == {"a": [{"k": None}]}

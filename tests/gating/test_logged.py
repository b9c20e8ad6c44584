"""What a candidate's log leaves open never passes in silence."""

from __future__ import annotations

import json
import math
import os

import numpy as np
import pytest

import gradlens
from gradlens.cli.app import run as command_line
from gradlens.run import Notice
from tests.gating.by_hand import summary


def rows(seed=0, n=600, **change):
    """Records of a healthy run; `change` maps a column to a function of the step and the value."""
    noise = np.random.default_rng(seed)
    out, x = [], 0.0
    for step in range(n):
        x = 0.5 * x + noise.normal(scale=0.25)
        row = {
            "step": step,
            "loss": 3 * math.exp(-step / 100) + 1 + noise.normal(scale=0.03),
            "grad_norm": 0.5 * math.exp(x),
            "lr": 1e-3,
        }
        out.append(row | {name: function(step, row[name]) for name, function in change.items()})
    return out


@pytest.fixture
def gate(tmp_path):
    """Gate a candidate's records (or text, or a folder of both) against a healthy baseline: exit code and document."""

    def run(candidate, *options, base=None, baseline_file=False):
        put(tmp_path / "base.jsonl", base or rows(1))
        against = tmp_path / "base.jsonl"
        if baseline_file:
            against = tmp_path / "b.json"
            assert command_line(["baseline", str(tmp_path / "base.jsonl"), "-o", str(against), "--threshold", "1"]) == 0
        if isinstance(candidate, dict):
            for name, content in candidate.items():
                put(tmp_path / "cand" / name, content)
            target = tmp_path / "cand"
        else:
            target = put(tmp_path / "cand.jsonl", candidate)
        out = tmp_path / "gate.json"
        code = command_line(
            ["gate", str(target), "--baseline", str(against), "--threshold", "1", "--save", str(out), *options]
        )
        document = json.loads(out.read_text())
        assert code == {"pass": 0, "fail": 1, "inconclusive": 2}[document["outcome"]]
        return document

    return run


def put(path, content):
    path.parent.mkdir(exist_ok=True)
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        path.write_text("".join((c if isinstance(c, str) else json.dumps(c)) + "\n" for c in content))
    return path


def codes(document):
    return {n["code"] for n in document["notices"]}


def outcome(document, name):
    (found,) = [r for r in (*document["metrics"], *document["limits"]) if r["name"] == name]
    return found["outcome"]


def test_a_whole_log_passes_without_a_word(gate):
    document = gate(rows(2))
    assert document["outcome"] == "pass"
    assert not document["notices"]
    assert "log" not in {m["name"] for m in document["metrics"]}


@pytest.mark.parametrize("content", [b"", b"\x1f\x8b\x08\x00damaged"])
def test_a_seed_that_cannot_be_read_is_not_left_out_in_silence(gate, content):
    document = gate({"a.jsonl": rows(2), "b.jsonl": content})
    assert document["outcome"] == "inconclusive"
    assert outcome(document, "log") == "inconclusive"
    assert codes(document) <= {"unreadable-file", "empty-file"}


def test_a_seed_without_a_loss_is_told(gate):
    document = gate({"a.jsonl": rows(2), "b.jsonl": [{"step": i, "score": 2.0} for i in range(9)]})
    assert "file-without-series" in codes(document)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may enter every folder")
def test_a_folder_that_cannot_be_entered_is_not_left_out_in_silence(gate, tmp_path):
    put(tmp_path / "cand" / "locked" / "b.jsonl", rows(3)) if (tmp_path / "cand").mkdir() else None
    (tmp_path / "cand" / "locked").chmod(0)
    try:
        assert "unreadable-folder" in codes(gate({"a.jsonl": rows(2)}))
    finally:
        (tmp_path / "cand" / "locked").chmod(0o755)


@pytest.mark.parametrize("share", [0.02, 0.4])
def test_records_that_cannot_be_read_are_counted(gate, share):
    lines = [json.dumps(r) for r in rows(2)]
    step = round(1 / share)
    lines[300::step] = [line[:20] for line in lines[300::step]]
    document = gate(lines)
    assert document["outcome"] == "inconclusive"
    (notice,) = [n for n in document["notices"] if n["code"] == "malformed-record"]
    assert f"×{notice['count']}" in notice["message"]


def test_one_damaged_line_is_told_and_passes(gate):
    lines = [json.dumps(r) for r in rows(2)]
    lines[300] = lines[300][:20]
    document = gate(lines)
    assert document["outcome"] == "pass"
    assert "malformed-record" in codes(document)


def test_a_bad_attempt_before_a_good_one_does_not_pass(gate):
    nan = rows(3, loss=lambda step, value: math.nan if step > 200 else value)
    document = gate([*nan, *rows(2)])
    assert outcome(document, "nonfinite") == "inconclusive"
    document = gate([*nan, *rows(2)], "--max-nonfinite", "0")
    assert outcome(document, "max_nonfinite") == "inconclusive"
    worse = rows(3, loss=lambda _, value: value + 2)
    document = gate([*worse, *rows(2)])
    assert outcome(document, "log") == "inconclusive"
    assert "earlier-starts" in codes(document)


def test_a_resume_from_the_last_checkpoint_passes_with_a_notice(gate):
    first, again = rows(2), rows(2)
    document = gate([*first[:330], *again[300:]])
    assert document["outcome"] == "pass"
    first, again = rows(2), rows(3)
    document = gate([*first[:330], *again[300:]])
    assert document["outcome"] == "pass"
    assert "restarts-resolved" in codes(document)


@pytest.mark.parametrize("baseline_file", [False, True])
def test_the_column_of_the_baseline_counts(gate, baseline_file):
    base = [{"train/loss": r.pop("loss"), **r} for r in rows(1)]
    candidate = [{"train/loss": math.nan, **r} for r in rows(2)]
    document = gate(candidate, base=base, baseline_file=baseline_file)
    assert outcome(document, "nonfinite") == "fail"
    assert "column-of-baseline" in codes(document)
    # The user's word is stronger.
    document = gate(candidate, "--loss", "loss", base=base, baseline_file=baseline_file)
    assert document["outcome"] == "pass"


def test_another_name_for_the_loss_must_be_named(gate):
    base = [{"train/loss": r.pop("loss"), **r} for r in rows(1)]
    document = gate(rows(2), base=base)
    assert outcome(document, "log") == "inconclusive"
    assert "columns-differ" in codes(document)
    assert "--loss" in json.dumps(document)
    assert gate(rows(2), "--loss", "loss", base=base)["outcome"] == "pass"


@pytest.mark.parametrize("value", ["-nan(ind)", "1.#QNAN", "nan(0x7)", "-1.#IND", "1.#INF", "Infinity"])
def test_what_c_prints_for_nan_is_one(gate, value):
    candidate = rows(2, loss=lambda step, loss: value if 400 <= step < 410 else loss)
    assert outcome(gate(candidate), "nonfinite") == "fail"


@pytest.mark.parametrize("value", [None, "", "N/A"])
def test_a_value_that_is_missing_on_the_way_may_be_nan(gate, value):
    candidate = rows(2, loss=lambda step, loss: value if 400 <= step < 410 else loss)
    document = gate(candidate)
    assert outcome(document, "nonfinite") == "inconclusive"
    assert "missing-values" in codes(document)


@pytest.mark.parametrize("value", [10.0, 1e30])
@pytest.mark.parametrize("every", [3, 10])
def test_losses_that_explode_in_every_third_row_do_not_hide_behind_the_median(gate, value, every):
    candidate = rows(2, loss=lambda step, loss: value if step > 480 and step % every == 0 else loss)
    document = gate(candidate)
    assert outcome(document, "final_loss") in {"fail", "inconclusive"}
    limited = gate(candidate, "--max-loss", "1.2")
    assert outcome(limited, "max_loss") == "fail"


def test_one_exploded_loss_is_one(gate):
    candidate = rows(2, loss=lambda step, loss: 1e30 if step == 550 else loss)
    document = gate(candidate, "--max-loss", "1.2")
    assert document["outcome"] == "pass"


@pytest.mark.parametrize("value", [0.0, -5.0])
def test_dead_norms_fail(gate, value):
    candidate = rows(2, grad_norm=lambda step, norm: value if step > 300 else norm)
    assert outcome(gate(candidate), "dead_norms") == "fail"
    every = rows(2, grad_norm=lambda step, norm: value if step % 5 == 0 else norm)
    assert outcome(gate(every), "dead_norms") == "fail"
    # Where the baseline has as many, it is how this training logs.
    assert gate(every, base=every)["outcome"] == "pass"
    few = rows(2, grad_norm=lambda step, norm: value if step < 2 else norm)
    assert gate(few)["outcome"] == "pass"


def test_a_log_thinned_or_with_holes_does_not_pass(gate):
    assert outcome(gate(rows(2)[::2]), "log") == "inconclusive"
    assert outcome(gate([r for r in rows(2) if not 200 <= r["step"] < 220]), "log") == "inconclusive"
    assert outcome(gate([r for r in rows(2) if r["step"] % 12]), "log") == "inconclusive"
    # A denser log shows more, and one as thin as the baseline as much.
    assert gate(rows(2), base=rows(1)[::2])["outcome"] == "pass"
    assert gate(rows(2)[::2], base=rows(1)[::2])["outcome"] == "pass"


@pytest.mark.parametrize("kept", [590, 300])
def test_a_log_that_ends_early_does_not_pass(gate, kept):
    document = gate([*rows(2)[:kept], *({"step": s, "eval_loss": 1.0} for s in range(kept, 800))])
    assert document["outcome"] == "inconclusive"
    assert outcome(document, "nonfinite") == "inconclusive"


def test_a_closing_evaluation_is_no_end(gate):
    assert gate([*rows(2), {"step": 601, "eval_loss": 1.0}])["outcome"] == "pass"


def test_a_settings_file_that_changes_what_passes_is_named(gate, tmp_path, monkeypatch):
    (tmp_path / "gradlens.toml").write_text("[gate]\nallow_inconclusive = false\nmin_overlap = 0.1\n")
    monkeypatch.chdir(tmp_path)
    (notice,) = gate(rows(2))["notices"]
    assert notice["code"] == "settings-file"
    assert "min_overlap" in notice["message"]


def test_runs_of_python_are_judged_alike(make_run):
    bad = make_run(1).grad_norm.value.copy()
    bad[600:] = 0.0
    report = gradlens.gate(make_run(1, replace={"grad_norm": bad}), make_run(0), threshold=1.3)
    assert report.outcome == "fail"
    assert report.failed[0].name == "dead_norms"
    assert report.failed[0].worst_steps == (600, 1199) or report.failed[0].worst_steps[0] >= 590


def judged_log(candidate, *baselines, named=frozenset()):
    from gradlens.gating.logged import judge_log

    return {m.name: m for m in judge_log([candidate], baselines, named)}


@pytest.mark.parametrize(("lost", "rows", "told"), [(2, 80, False), (3, 80, True), (3, 300, False), (4, 300, True)])
def test_three_lost_records_of_less_than_three_hundred_are_too_many(lost, rows, told):
    notices = (Notice(code="malformed-record", message="left out", count=lost),)
    found = judged_log(summary(rows=rows / 8, notices=notices))
    assert ("log" in found) == told


@pytest.mark.parametrize(("replaced", "told"), [(8, False), (9, True)])
def test_a_tenth_of_the_rows_may_be_replaced(replaced, told):
    assert ("log" in judged_log(summary(replaced=replaced))) == told


@pytest.mark.parametrize(("interval", "told"), [(15.0, False), (15.1, True), (None, False)])
def test_half_as_sparse_again_is_as_dense(interval, told):
    found = judged_log(summary(log_interval=interval), summary(log_interval=10.0), summary(log_interval=2.0))
    assert ("log" in found) == told


@pytest.mark.parametrize(("missing", "told"), [(2, False), (3, True)])
def test_three_missing_rows_are_holes(missing, told):
    candidate = summary(rows=[10] * 7 + [10 - missing])
    assert candidate.rows_missing == missing
    assert ("log" in judged_log(candidate, summary())) == told
    # As many as a baseline lacks, and one in a hundred, are usual.
    assert "log" not in judged_log(candidate, summary(rows=[10] * 7 + [10 - missing]))
    assert "log" not in judged_log(candidate)


@pytest.mark.parametrize(("dead", "norms", "told"), [(2, 80, False), (3, 80, True), (3, 597, False), (4, 597, True)])
def test_dead_norms_beyond_half_a_percent(dead, norms, told):
    candidate = summary(dead=[dead, *[0] * 7], norms=norms / 8, rows=100)
    found = judged_log(candidate, summary(rows=100))
    assert ("dead_norms" in found) == told
    if told:
        result = found["dead_norms"]
        assert result.outcome == "fail"
        assert result.candidate == pytest.approx(dead / (dead + norms))
        assert result.worst_steps == (0, 9)
        assert judged_log(candidate)["dead_norms"].outcome == "inconclusive"


def test_as_many_dead_norms_as_twice_the_baselines_are_usual():
    baseline = summary(dead=1, norms=9)
    assert "dead_norms" not in judged_log(summary(dead=2, norms=8), baseline)
    assert "dead_norms" in judged_log(summary(dead=3, norms=7), baseline)


def test_another_column_in_the_same_format():
    baseline = summary(taken={"loss": "loss"})
    other = summary(taken={"loss": "main_loss"})
    (found,) = judged_log(other, baseline).values()
    assert found.reason.startswith(
        "cannot judge: the loss of run is its column main_loss, that of the baseline was loss"
    )
    assert not judged_log(other, baseline, named={"loss"})
    assert not judged_log(other, summary(taken={"loss": "loss"}, format="another"))
    assert not judged_log(other, baseline, summary(taken={"loss": "main_loss"}))
    assert not judged_log(summary(), baseline)


def test_several_reasons_are_counted():
    notices = (Notice(code="unreadable-file", message="b.jsonl could not be read", count=2),)
    (found,) = judged_log(summary(notices=notices, replaced=50)).values()
    assert found.candidate == 2.0
    assert found.reason == "cannot judge: b.jsonl could not be read (2); and 1 more"
    assert "50 rows of run repeat steps" in found.advice


def test_one_reason_comes_with_what_to_do_and_names_of_columns_are_told():
    from gradlens.gating.logged import column_notices

    (found,) = judged_log(summary(replaced=50)).values()
    assert found.advice.endswith("mend the log, or make a new baseline if it is meant.")
    assert "and 0 more" not in found.reason
    one, two = summary(taken={"loss": "loss"}), summary(taken={"loss": "train_loss"})
    (notice,) = column_notices([one], [two, two])
    assert notice.message == "the loss is loss in the candidate and train_loss in the baseline"
    assert not list(column_notices([one], [one]))
    assert not list(column_notices([one], [summary()]))


@pytest.mark.parametrize(("missing", "told"), [(8, False), (9, True)])
def test_holes_as_usual_as_those_of_the_baseline(missing, told):
    # The baseline lacks eight of eighty rows, a tenth; one in a hundred more may be missing.
    baseline = summary(rows=[10] * 7 + [2])
    assert baseline.rows_missing == 8
    candidate = summary(rows=[10] * 7 + [10 - missing])
    assert ("log" in judged_log(candidate, baseline)) == told


def test_the_share_of_dead_norms_is_one_of_all_norms():
    baseline = summary(rows=100)
    for dead, told in ((4, False), (5, True)):
        # 4 of 800 are half a percent.
        candidate = summary(dead=[dead, *[0] * 7], norms=[100 - dead, *[100] * 7], rows=100)
        assert ("dead_norms" in judged_log(candidate, baseline)) == told

"""Bad input: one clear line or a notice with a count, the right exit code, never a traceback."""

from __future__ import annotations

import json
import math

import pytest

from gradlens.cli.app import run as command_line


def rows(n=300):
    return [{"step": i, "loss": 2 / (1 + i / 50), "grad_norm": 0.5 + 0.1 * math.sin(i * 7.3)} for i in range(n)]


def fails(capsys, *arguments) -> str:
    assert command_line([str(a) for a in arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "Traceback" not in captured.err
    first = captured.err.splitlines()[0]
    assert first.startswith("gradlens: error: ")
    return captured.err


def report(capsys, *arguments) -> dict:
    assert command_line(["analyze", *map(str, arguments), "--format", "json"]) == 0
    captured = capsys.readouterr()
    return json.loads(captured.out)["runs"][0]


def codes(run: dict) -> dict[str, int]:
    return {n["code"]: n["count"] for n in run["notices"]}


def test_missing_file(capsys):
    assert "no such file" in fails(capsys, "analyze", "nowhere.jsonl")


def test_empty_file(capsys, tmp_path):
    (tmp_path / "run.jsonl").write_text("")
    assert "empty" in fails(capsys, "analyze", tmp_path / "run.jsonl")


def test_empty_folder(capsys, tmp_path):
    assert "empty folder" in fails(capsys, "analyze", tmp_path)


def test_folder_without_a_log(capsys, tmp_path):
    (tmp_path / "notes.md").write_text("# Notes\n\nnothing here\n")
    assert "no log in this folder" in fails(capsys, "analyze", tmp_path)


def test_no_gradient_norm_still_gives_a_report(capsys, write_jsonl):
    run = report(capsys, write_jsonl([{"step": r["step"], "loss": r["loss"]} for r in rows()]))
    assert run["columns"]["grad_norm"] is None
    assert run["clipping"]["clip_rate"] is None
    assert run["clipping"]["withheld"]
    assert run["suggestion"]["abstained"]


def test_no_loss_still_gives_a_report(capsys, write_jsonl):
    run = report(capsys, write_jsonl([{"step": r["step"], "grad_norm": r["grad_norm"]} for r in rows()]))
    assert run["columns"]["loss"] is None
    assert run["clipping"]["clip_rate"] is None
    assert "does not say the threshold" in run["clipping"]["withheld"]


def test_neither_loss_nor_norm(capsys, write_jsonl):
    message = fails(capsys, "analyze", write_jsonl([{"step": i, "accuracy": 0.5} for i in range(50)]))
    assert "accuracy" in message


def test_unknown_column_override(capsys, write_jsonl):
    message = fails(capsys, "analyze", write_jsonl(rows()), "--grad-norm", "gnrom")
    assert "gnrom" in message
    assert "grad_norm" in message


def test_unknown_threshold(capsys, write_jsonl):
    assert "--threshold" in fails(capsys, "analyze", write_jsonl(rows()), "--threshold", "tight")


def test_truncated_last_line(capsys, write_jsonl):
    path = write_jsonl(rows())
    path.write_text(path.read_text()[:-20])
    run = report(capsys, path)
    assert codes(run)["truncated-record"] == 1
    assert run["steps"] == 299


def test_bare_nan_and_infinity_tokens(capsys, write_jsonl):
    data = rows()
    data[10]["grad_norm"], data[11]["loss"] = math.inf, math.nan
    run = report(capsys, write_jsonl(data))
    assert run["nonfinite"]["grad_norm"] == 1
    assert run["nonfinite"]["loss"] == 1


def test_numbers_written_as_strings(capsys, write_jsonl):
    data = rows()
    data[10]["grad_norm"], data[11]["loss"] = "NaN", "1.5"
    run = report(capsys, write_jsonl(data))
    assert run["nonfinite"] == run["nonfinite"] | {"grad_norm": 1, "loss": 0}
    assert codes(run)["string-number"] == 2


def test_duplicate_steps(capsys, write_jsonl):
    data = rows()
    run = report(capsys, write_jsonl([*data[:100], data[99], *data[100:]]))
    assert run["steps"] == 300
    assert any("repeat" in n["message"] or "duplicate" in n["code"] for n in run["notices"])


def test_backward_steps_are_a_notice_with_a_count(capsys, write_jsonl):
    data = rows()
    run = report(capsys, write_jsonl([*data[:200], *data[150:]]))
    assert run["steps"] == 300
    assert codes(run)["restarts-resolved"] == 1


def test_binary_file_with_the_name_of_a_log(capsys, tmp_path):
    path = tmp_path / "run.jsonl"
    path.write_bytes(bytes(range(256)) * 20)
    assert "binary" in fails(capsys, "analyze", path)


def test_hostile_names_do_not_reach_the_terminal(capsys, write_jsonl):
    path = write_jsonl([{**row, "\x1b[31mgrad_norm": 1.0} for row in rows()])
    assert command_line(["analyze", str(path), "--grad-norm", "\x1b[31mgrad_norm"]) == 0
    assert "\x1b[31m" not in capsys.readouterr().out


def test_wrong_usage_exits_2(capsys):
    assert command_line(["analyze"]) == 2
    assert command_line(["analyze", "x", "--no-such-option"]) == 2
    assert "Traceback" not in capsys.readouterr().err


def test_an_internal_error_exits_70(capsys, monkeypatch, write_jsonl):
    monkeypatch.setattr("gradlens.analyzer.analyze_run", lambda *_: 1 / 0)
    assert command_line(["analyze", str(write_jsonl(rows()))]) == 70
    assert "bug in gradlens" in capsys.readouterr().err


@pytest.mark.parametrize("level", ["warning", "note"])
def test_fail_on_exits_1(capsys, samples, level):
    path = samples / "clip_too_tight.jsonl"
    assert command_line(["analyze", str(path), "--threshold", "0.05", "--fail-on", level]) == 1
    assert command_line(["analyze", str(path), "--threshold", "0.05"]) == 0


def test_a_file_is_written_whole_or_not_at_all(capsys, tmp_path, write_jsonl):
    path = write_jsonl(rows())
    assert command_line(["analyze", str(path), "--save", str(tmp_path / "no" / "report.json")]) == 2
    assert command_line(["analyze", str(path), "--save", str(tmp_path / "report.docx")]) == 2
    target = tmp_path / "report.json"
    assert command_line(["analyze", str(path), "--save", str(target)]) == 0
    assert json.loads(target.read_text())["schema_version"] == 1


@pytest.mark.parametrize(
    ("words", "near"),
    [("GL99", "GL509"), ("GL201,GL1O1", "GL101"), ("bad-bach", "bad-batch"), ("qqq", "lists them")],
)
@pytest.mark.parametrize("option", ["--select", "--ignore"])
def test_a_code_of_no_check_does_not_switch_the_checks_off(capsys, write_jsonl, option, words, near):
    message = fails(capsys, "analyze", write_jsonl(rows()), option, words, "--fail-on", "error")
    assert option in message
    assert near in message


def test_a_code_of_no_check_in_the_settings_is_named_with_its_file(capsys, write_jsonl, tmp_path, monkeypatch):
    (tmp_path / "gradlens.toml").write_text('ignore = ["GL99"]\n')
    monkeypatch.chdir(tmp_path)
    message = fails(capsys, "analyze", write_jsonl(rows()))
    assert "gradlens.toml ignore" in message


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("max_grad_norm", "abc"), ("max_grad_norm", ".nan"), ("lr", "[0.1, 0.2]"), ("betas", "0.9"), ("optimizer", "[a]"),
        ("train.max_grad_norm", "abc"), ("decoupled_weight_decay", "maybe"),
    ],
)  # fmt: skip
def test_a_known_setting_that_cannot_be_read_is_named(capsys, write_jsonl, tmp_path, key, value):
    outer, _, inner = key.rpartition(".")
    text = f"{outer}:\n  {inner}: {value}\n" if outer else f"{key}: {value}\n"
    (tmp_path / "train.yaml").write_text("weight_decay: 0.1\n" + text)
    message = fails(capsys, "analyze", write_jsonl(rows()), "--config", tmp_path / "train.yaml")
    assert "train.yaml" in message
    assert f"{key}: " in message


@pytest.mark.parametrize(
    "text", ["max_grad_norm: none", "gradient_clipping: auto", "warmup: -1", "data:\n  batch: two", "max_norm: .inf"]
)
def test_settings_that_are_not_set_or_mean_something_else_are_no_error(capsys, write_jsonl, tmp_path, text):
    (tmp_path / "train.yaml").write_text(f"weight_decay: 0.1\n{text}\n")
    report(capsys, write_jsonl(rows()), "--config", tmp_path / "train.yaml")


def test_a_setting_that_looks_like_a_typo_is_pointed_out(capsys, write_jsonl, tmp_path):
    config = tmp_path / "train.yaml"
    config.write_text("max_grad_norm: 1\nlearnin_rate: 3\nweight_decay_end: 0\neval_batch_size: 3\nmax_steps: 9\n")
    assert command_line(["analyze", str(write_jsonl(rows())), "--config", str(config)]) == 0
    told = capsys.readouterr().err
    assert "unknown setting 'learnin_rate', did you mean learning_rate?" in told
    assert told.count("unknown") == 1


@pytest.mark.parametrize("words", ["GL2", "gl2", "GL201,bad-batch", ""])
def test_groups_and_names_of_checks_are_taken(write_jsonl, words):
    assert command_line(["analyze", str(write_jsonl(rows())), "--select", words]) == 0

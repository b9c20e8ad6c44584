"""What commands say where something was asked for that cannot be, and how wide they say it."""

from __future__ import annotations

import json

import pytest

from gradlens.cli.app import run
from gradlens.readers import SERVICES


def write(path, n=400, norm=lambda i: 1.0 + (i * 7 % 11) / 20):
    path.write_text(
        "".join(json.dumps({"step": i, "loss": 2.0 - i / n, "grad_norm": norm(i)}) + "\n" for i in range(n))
    )
    return str(path)


@pytest.mark.parametrize("columns", [60, 80, 120])
def test_the_list_of_formats_is_as_wide_as_the_terminal(capsys, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    assert run(["formats"]) == 0
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= columns
    assert "one object per record" in " ".join(out.split())


def test_an_unknown_format_and_a_service(capsys, tmp_path):
    log = write(tmp_path / "run.jsonl")
    assert run(["analyze", log, "--input-format", "nope"]) == 2
    told = capsys.readouterr().err
    assert all(f"{scheme}://" in told for entry in SERVICES.values() for scheme in entry.schemes)
    assert run(["analyze", log, "--input-format", "wandb-server"]) == 2
    assert "such as wandb://" in capsys.readouterr().err


def test_a_log_without_a_command(capsys, tmp_path):
    log = write(tmp_path / "run.jsonl")
    assert run([log]) == 2
    assert f"gradlens analyze {log}" in capsys.readouterr().err


def test_a_target_is_no_mode(capsys, tmp_path):
    log = write(tmp_path / "run.jsonl")
    assert run(["suggest-threshold", log, "--target-clip-rate", "0.5"]) == 0
    out = capsys.readouterr().out
    assert "target 50 %" in out
    assert "safety net" not in out
    assert run(["suggest-threshold", log]) == 0
    assert "safety net" in capsys.readouterr().out
    assert run(["suggest-threshold", log, "--mode", "step-limiter", "--target-clip-rate", "0.5"]) == 2
    assert "give one of them" in capsys.readouterr().err


def test_numbers_of_several_runs_have_names(capsys, tmp_path):
    logs = [write(tmp_path / "a.jsonl"), write(tmp_path / "b.jsonl")]
    assert run(["suggest-threshold", "--quiet", logs[0]]) == 0
    assert float(capsys.readouterr().out) > 1
    assert run(["suggest-threshold", "--quiet", *logs]) == 0
    assert [line.partition(": ")[0].rpartition("/")[2] for line in capsys.readouterr().out.splitlines()] == [
        "a.jsonl", "b.jsonl",
    ]  # fmt: skip


def test_an_update_that_does_not_write_says_so(capsys, tmp_path):
    baseline = tmp_path / "baseline.json"
    assert run(["baseline", write(tmp_path / "good.jsonl"), "-o", str(baseline), "--threshold", "2"]) == 0
    before = baseline.read_bytes()
    bad = write(tmp_path / "bad.jsonl", norm=lambda i: float("nan") if i == 300 else 1.0 + (i * 7 % 11) / 20)
    capsys.readouterr()
    assert run(["gate", bad, "--baseline", str(baseline), "--update", "--threshold", "2"]) == 1
    assert "not updated" in capsys.readouterr().err
    assert baseline.read_bytes() == before


@pytest.mark.parametrize(
    ("word", "page"), [("zclip", "policies"), ("AutoClip", "policies"), ("safety-net", "suggestion")]
)
def test_words_of_reports_have_a_page(capsys, word, page):
    assert run(["explain", word]) == 0
    assert capsys.readouterr().out.startswith(f"Method {page}")


@pytest.mark.parametrize(
    "arguments",
    [
        ["gate", "--max-clip-rate", "2"],
        ["gate", "--max-spikes", "-1"],
        ["gate", "--max-loss", "nan"],
        ["suggest-threshold", "--target-clip-rate", "2"],
        ["suggest-threshold", "--target-clip-rate", "nan"],
    ],
)
def test_an_error_names_the_option(capsys, tmp_path, arguments):
    assert run([*arguments, write(tmp_path / "run.jsonl")]) == 2
    assert arguments[1] in capsys.readouterr().err.splitlines()[0]

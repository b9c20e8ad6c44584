"""The commands end to end: exit codes, updates, settings, and a repository of its own."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from gradlens.cli.app import run as command_line

BAD = {"level": 1.7, "loss_factor": 1.3}


def gradlens(*arguments):
    return command_line([str(a) for a in arguments])


@pytest.fixture
def baseline(tmp_path, write_log, capsys):
    path = tmp_path / "baseline.json"
    assert gradlens("baseline", write_log("base.jsonl", 0), "-o", path, "--threshold", 1.3) == 0
    assert "1 run" in capsys.readouterr().out
    return path


def test_green_red_and_the_words_for_it(baseline, write_log, capsys):
    assert gradlens("gate", write_log("good.jsonl", 1), "--baseline", baseline, "--threshold", 1.3) == 0
    assert capsys.readouterr().out.startswith("PASSED")
    assert gradlens("gate", write_log("bad.jsonl", 1, **BAD), "--baseline", baseline, "--threshold", 1.3) == 1
    out = capsys.readouterr().out
    assert out.startswith("FAILED  clip rate")
    for expected in ("tolerance", "95 % interval", "worst in steps", "What to do", "All checks"):
        assert expected in out


def test_inconclusive_is_two_unless_allowed(baseline, write_log, capsys):
    short = write_log("short.jsonl", 1, n=100)
    assert gradlens("gate", short, "--baseline", baseline, "--threshold", 1.3) == 2
    assert capsys.readouterr().out.startswith("INCONCLUSIVE")
    assert gradlens("gate", short, "--baseline", baseline, "--threshold", 1.3, "--allow-inconclusive") == 0
    assert gradlens("gate", write_log("bad.jsonl", 1, **BAD), "--baseline", baseline, "--allow-inconclusive") == 1


@pytest.mark.parametrize("content", ["", "not a log at all\n", "{}\n"])
def test_what_cannot_be_read_is_two(baseline, tmp_path, content, capsys):
    path = tmp_path / "broken.jsonl"
    path.write_text(content)
    assert gradlens("gate", path, "--baseline", baseline) == 2
    assert capsys.readouterr().err.startswith("gradlens: error: ")


def test_a_missing_baseline_is_two(write_log, capsys):
    assert gradlens("gate", write_log("good.jsonl", 1), "--baseline", "missing.json") == 2
    assert "missing.json" in capsys.readouterr().err


def test_limits_without_baseline(write_log):
    log = write_log("good.jsonl", 1)
    assert (
        gradlens("gate", log, "--threshold", 1.3, "--max-clip-rate", 0.5, "--max-nonfinite", 0, "--max-spikes", 9) == 0
    )
    assert gradlens("gate", log, "--threshold", 1.3, "--max-clip-rate", 0.001) == 1
    assert gradlens("gate", log) == 2
    assert gradlens("gate", log, "--max-clip-rate", 10) == 2
    for option in ("--max-loss", "--max-grad-norm", "--max-clip-rate"):
        assert gradlens("gate", log, option, "nan") == 2
        assert gradlens("gate", log, option, "inf") == 2


def test_a_log_is_a_baseline_too(write_log):
    base, good = write_log("base.jsonl", 0), write_log("good.jsonl", 1)
    assert gradlens("gate", good, "--baseline", base, "--threshold", 1.3) == 0


def test_several_candidates_and_baselines(write_log):
    bases = [a for seed in range(4) for a in ("--baseline", write_log(f"base{seed}.jsonl", seed))]
    good = [write_log(f"good{seed}.jsonl", seed) for seed in range(10, 13)]
    assert gradlens("gate", *good, *bases, "--threshold", 1.3) == 0
    bad = [write_log(f"bad{seed}.jsonl", seed, **BAD) for seed in range(10, 13)]
    assert gradlens("gate", *bad, *bases, "--threshold", 1.3) == 1


def test_a_short_seed_is_told_and_judges_nothing(tmp_path, write_log, capsys):
    logs = [write_log("a.jsonl", 0), write_log("b.jsonl", 1, n=60)]
    path = tmp_path / "seeds.json"
    assert gradlens("baseline", *logs, "-o", path, "--threshold", 1.3) == 0
    assert "b.jsonl: has" in capsys.readouterr().err
    assert gradlens("gate", write_log("good.jsonl", 2), "--baseline", path, "--threshold", 1.3) == 2
    assert "b.jsonl ends at step 59" in "".join(capsys.readouterr().out.split()).replace("endsatstep", " ends at step ")


def test_update_prints_what_changed(baseline, write_log, capsys):
    bad = write_log("bad.jsonl", 1, **BAD)
    before = baseline.read_text()
    assert gradlens("gate", bad, "--baseline", baseline, "--threshold", 1.3, "--update") == 0
    err = capsys.readouterr().err
    assert "updated" in err
    assert "clip rate: " in err
    assert baseline.read_text() != before
    assert gradlens("gate", bad, "--baseline", baseline, "--threshold", 1.3) == 0
    capsys.readouterr()
    assert gradlens("gate", bad, "--baseline", baseline, "--threshold", 1.3, "--update") == 0
    assert "unchanged" in capsys.readouterr().err


def test_update_makes_the_first_baseline(tmp_path, write_log, capsys):
    path = tmp_path / "new.json"
    assert gradlens("gate", write_log("a.jsonl", 1), "--baseline", path, "--threshold", 1.3, "--update") == 0
    assert "new, 1 run" in capsys.readouterr().err
    assert path.exists()


def test_update_never_takes_a_nan_nor_another_file(baseline, write_log, capsys):
    def lose(columns):
        columns["loss"][700] = np.nan

    before = baseline.read_text()
    lost = write_log("lost.jsonl", 1, change=lose)
    assert gradlens("gate", lost, "--baseline", baseline, "--threshold", 1.3, "--update") == 1
    assert baseline.read_text() == before
    log = write_log("log.jsonl", 2)
    assert gradlens("gate", lost, "--baseline", log, "--update") == 2
    assert "will not be overwritten" in capsys.readouterr().err


def test_settings_of_the_project(baseline, write_log, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    bad = write_log("bad.jsonl", 1, loss_factor=1.3)
    arguments = ("gate", bad, "--baseline", baseline, "--threshold", 1.3)
    assert gradlens(*arguments) == 1
    Path("gradlens.toml").write_text("[gate]\nmetrics = ['clip_rate', 'norm_level']\nmax-nonfinite = 0\n")
    assert gradlens(*arguments) == 0
    Path("gradlens.toml").write_text("[gate]\nmax-clip-rate = 0.0001\n")
    assert gradlens(*arguments) == 1
    Path("gradlens.toml").write_text("[gate]\nspeed = 1\n")
    assert gradlens(*arguments) == 2
    Path("gradlens.toml").unlink()
    Path("pyproject.toml").write_text("[tool.gradlens.gate.tolerances]\nloss = 0.9\nfinal_loss = 0.9\n")
    assert gradlens(*arguments) == 0


@pytest.mark.parametrize("suffix", [".json", ".md", ".html", ".xml", ".sarif", ".txt", ".bencher.json"])
def test_every_file_is_written_whole(baseline, write_log, tmp_path, suffix):
    target = tmp_path / f"gate{suffix}"
    bad = write_log("bad.jsonl", 1, **BAD)
    assert gradlens("gate", bad, "--baseline", baseline, "--threshold", 1.3, "--save", target) == 1
    assert target.stat().st_size > 100
    if suffix == ".bencher.json":
        assert "clip-rate" in next(iter(json.loads(target.read_text()).values()))
    assert not list(tmp_path.glob(".*.tmp"))


def test_a_job_summary_is_appended_to(baseline, write_log, tmp_path, monkeypatch, capsys):
    summary = tmp_path / "summary.md"
    summary.write_text("before\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    bad = write_log("bad.jsonl", 1, **BAD)
    assert gradlens("gate", bad, "--baseline", baseline, "--threshold", 1.3, "--format", "github") == 1
    assert summary.read_text().startswith("before\n## ❌ gradlens gate failed")
    assert "\n::error " in capsys.readouterr().out


def git(folder, *arguments):
    identity = ("-c", "user.name=Tester", "-c", "user.email=tester@example.invalid", "-c", "commit.gpgsign=false")
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


def run_in(folder, *arguments):
    command = [sys.executable, "-m", "gradlens", *map(str, arguments)]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_in_a_repository_of_its_own(tmp_path, write_log):
    """Baseline committed; a good change is green, a bad one red, an unreadable log and a short run are neither."""
    repository = tmp_path / "project"
    repository.mkdir()
    git(repository, "init", "-q", "-b", "main")
    (repository / "gradlens.toml").write_text("threshold = 1.3\n\n[gate]\nmax_nonfinite = 0\n")
    made = run_in(repository, "baseline", *(write_log(f"seed{s}.jsonl", s) for s in range(3)), "-o", "baseline.json")
    assert made.returncode == 0, made.stderr
    git(repository, "add", "gradlens.toml", "baseline.json")
    git(repository, "commit", "-q", "-m", "Add a baseline")
    gate = ("gate", "run.jsonl", "--baseline", "baseline.json")

    git(repository, "checkout", "-q", "-b", "good")
    shutil.copy(write_log("good.jsonl", 8), repository / "run.jsonl")
    good = run_in(repository, *gate)
    assert (good.returncode, good.stdout[:6]) == (0, "PASSED"), good.stderr

    git(repository, "checkout", "-q", "-b", "bad", "main")
    shutil.copy(write_log("bad.jsonl", 9, **BAD), repository / "run.jsonl")
    bad = run_in(repository, *gate)
    assert (bad.returncode, bad.stdout[:6]) == (1, "FAILED"), bad.stderr

    (repository / "run.jsonl").write_bytes(b"\x00\x01\x02 not a log")
    unreadable = run_in(repository, *gate)
    assert unreadable.returncode == 2
    assert "run.jsonl" in unreadable.stderr

    shutil.copy(write_log("short.jsonl", 10, n=60), repository / "run.jsonl")
    assert run_in(repository, *gate).returncode == 2
    assert run_in(repository, *gate, "--allow-inconclusive").returncode == 0

    shutil.copy(write_log("good2.jsonl", 11), repository / "run.jsonl")
    assert run_in(repository, *gate, "--update").returncode == 0
    status = subprocess.run(["git", "diff", "--stat"], cwd=repository, capture_output=True, text=True, check=True)
    assert "baseline.json" in status.stdout

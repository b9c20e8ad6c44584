"""Public logs that nobody here wrote: no crash, and no error on runs that are not known to be faulty."""

from __future__ import annotations

import json
import shutil

import pytest

import gradlens

#: Logs with an incident that their source describes.
INCIDENTS = ("tr8-104B", "tr11-176B", "gjvwlq13")


@pytest.fixture(scope="module")
def reports(corpus, tmp_path_factory):
    """Every public log that has a loss or a norm, by the name of its first file."""
    root = corpus / "real"
    found = {}
    for number, entry in enumerate(json.loads((root / "truth.json").read_text())):
        folder = tmp_path_factory.mktemp(f"log{number}")
        for saved, name in zip(entry["files"], entry["names"], strict=True):
            place = folder / name
            shutil.copy(root / saved, place if not place.exists() else folder / saved.replace("/", "_"))
        source = folder if len(entry["files"]) > 1 else next(folder.iterdir())
        try:
            found[entry["files"][0]] = gradlens.analyze(gradlens.read(source, columns="needed"))
        except gradlens.GradlensError:
            continue
    return found


@pytest.mark.corpus
@pytest.mark.slow
def test_few_public_logs_get_an_error(reports):
    runs = [(name, run) for name, report in reports.items() for run in report.runs]
    wrong = [name for name, run in runs if run.worst == "error" and not any(word in name for word in INCIDENTS)]
    assert len(wrong) <= 0.05 * len(runs), wrong


@pytest.mark.corpus
@pytest.mark.slow
def test_short_logs_raise_no_alarm_about_dynamics(reports):
    short = [(name, run) for name, report in reports.items() for run in report.runs if run.steps < 20]
    assert [
        (name, f.code)
        for name, run in short
        if not any(word in name for word in INCIDENTS)
        for f in run.findings
        if f.severity != "note" and f.cause in {"lr_too_high", "no_warmup", "vanishing", "clip_too_tight"}
    ] == []


@pytest.mark.corpus
def test_the_divergence_of_a_reinforcement_learning_run_is_found(corpus):
    (path,) = (corpus / "real" / "verl_console").glob("*gjvwlq13*")
    (run,) = gradlens.analyze(gradlens.read(path)).runs
    assert run.diagnosis.cause != "healthy"


@pytest.mark.corpus
def test_the_divergences_of_a_large_language_model_are_found_behind_its_restarts(corpus):
    (path,) = (corpus / "real" / "megatron_markdown_chronicle").glob("*tr8-104B*")
    (run,) = gradlens.analyze(gradlens.read(path)).runs
    assert run.diagnosis.cause in {"lr_too_high", "exploding"}
    assert run.worst in {"warning", "error"}


@pytest.mark.corpus
def test_norms_of_scaled_gradients_are_found_among_attempts_at_one_step(corpus):
    (path,) = (corpus / "real" / "megatron_markdown_chronicle").glob("*tr11-176B*")
    (run,) = gradlens.analyze(gradlens.read(path)).runs
    assert run.provenance.verdict == "loss_scaled"

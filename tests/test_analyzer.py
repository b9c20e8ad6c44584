"""The whole path on the sample logs: figures recomputed in one line, documents valid, text readable."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

import jsonschema
import numpy as np
import pytest

import gradlens
from gradlens.cli.app import run as command_line
from gradlens.reporters.report_words import number_rows
from gradlens.reporters.wording import spike_counts
from gradlens.reports.schema import report_schema

THRESHOLDS = {
    "healthy.jsonl": 1.5, "lr_too_high.jsonl": 4.0, "bad_data.jsonl": 1.0, "fp16_overflow.jsonl": 4.0,
    "postclip.jsonl": 0.3, "clip_too_tight.jsonl": 0.05, "tensorboard": 3.0, "wandb_export.csv": 1.5,
}  # fmt: skip
CAUSES = {
    "healthy.jsonl": "healthy", "lr_too_high.jsonl": "lr_too_high", "bad_data.jsonl": "bad_data",
    "fp16_overflow.jsonl": "fp16_overflow", "postclip.jsonl": "postclip_logged",
    "clip_too_tight.jsonl": "clip_too_tight", "tensorboard": "healthy", "wandb_export.csv": "bad_data",
}  # fmt: skip


def schema() -> dict:
    path = Path(gradlens.__file__).parent / "schemas" / "report-1.json"
    return json.loads(path.read_text())


def test_every_sample_is_listed_here(samples):
    assert {p.name for p in samples.iterdir()} - {"README.md"} == set(THRESHOLDS)


@pytest.mark.parametrize("name", THRESHOLDS)
def test_clip_rate_and_percentiles_equal_a_numpy_recomputation(samples, name):
    runs = gradlens.read(samples / name)
    (report,) = gradlens.analyze(runs, threshold=THRESHOLDS[name]).runs
    norm = runs[0].grad_norm.value[np.isfinite(runs[0].grad_norm.value)]
    assert report.steps == len(runs[0].grad_norm)
    assert report.percentiles["90"] == pytest.approx(np.percentile(norm, 90))
    if name == "postclip.jsonl":
        assert report.clipping.clip_rate is None
        assert report.clipping.withheld
    else:
        assert report.clipping.clip_rate == np.mean(norm > THRESHOLDS[name])
        assert report.clipping.interval[0] <= report.clipping.clip_rate <= report.clipping.interval[1]
        assert report.clipping.shrink_factor == pytest.approx(np.mean(np.minimum(1, THRESHOLDS[name] / norm)))


@pytest.mark.parametrize("name", CAUSES)
def test_the_cause_of_every_sample(samples, name):
    (report,) = gradlens.analyze(gradlens.read(samples / name), threshold=THRESHOLDS[name]).runs
    assert report.diagnosis.cause == CAUSES[name]
    alarmed = any(f.severity.value in {"warning", "error"} for f in report.findings)
    assert alarmed == (CAUSES[name] != "healthy")


@pytest.mark.parametrize("name", THRESHOLDS)
def test_json_is_strict_and_valid(samples, name, capsys):
    assert command_line(["analyze", str(samples / name), "--format", "json"]) == 0
    text = capsys.readouterr().out
    document = json.loads(text, parse_constant=lambda token: pytest.fail(f"{token} is not strict JSON"))
    jsonschema.Draft202012Validator(schema()).validate(document)
    assert document["schema_version"] == 1
    assert {"id", "provenance", "clipping", "tail", "spikes", "findings", "diagnosis", "suggestion"} <= set(
        document["runs"][0]
    )


def test_the_tail_is_shown_with_what_stands_behind_it(samples):
    (run,) = gradlens.analyze(gradlens.read(samples / "healthy.jsonl"), threshold=1.5, bootstrap=20).runs
    assert 0.0 <= run.tail.power_law.p_value <= 1.0
    assert {v.family for v in run.tail.power_law.alternatives} >= {"lognormal", "exponential", "power_law_cutoff"}
    assert run.tail.pareto_tail.xi == run.tail.xi
    assert run.tail.pareto_tail.band[0] <= run.tail.xi <= run.tail.pareto_tail.band[1]
    assert run.tail.pareto_tail.n >= 50


def test_how_rare_spikes_are(samples):
    (run,) = gradlens.analyze(gradlens.read(samples / "bad_data.jsonl"), threshold=1.0).runs
    period = run.spikes.return_period["loss"]
    assert period.events == run.spikes.counts["loss"] > 0
    low, high = period.interval
    assert low < period.steps_between < high
    none = run.spikes.return_period["grad_norm"]
    assert (none.events, none.steps_between, none.interval[1]) == (0, None, None)


@pytest.mark.parametrize("name", ["bad_data.jsonl", "wandb_export.csv"])
def test_headline_and_numbers_tell_spikes_and_joint_events_apart(samples, name):
    (run,) = gradlens.analyze(gradlens.read(samples / name), threshold=THRESHOLDS[name]).runs
    rows = dict(number_rows(run))
    events = run.diagnosis.summary.split()[1]
    assert run.spikes.joint_events == int(events)
    assert rows["coincidence"].startswith(f"{events} joint events (same step;")
    assert f"{run.spikes.counts['loss']} of loss" in rows["spikes"]
    assert "none of norm" in rows["spikes"]


def test_norms_after_clipping_have_no_spikes(samples):
    (run,) = gradlens.analyze(gradlens.read(samples / "postclip.jsonl"), threshold=0.3).runs
    assert run.spikes.withheld == run.provenance.reason
    assert (run.spikes.grad_norm, run.spikes.score.grad_norm, run.spikes.coincidence) == ((), None, None)
    assert set(run.spikes.counts) == {"loss"}
    assert "withheld" in dict(number_rows(run))["spikes"]
    assert spike_counts(run).endswith(" / –")


def test_the_shipped_schema_is_the_one_of_the_classes():
    assert schema() == report_schema(), "run python -m gradlens.reports.schema"


@pytest.mark.parametrize("name", THRESHOLDS)
@pytest.mark.parametrize("verbose", [[], ["--verbose"]])
def test_text_fits_into_80_plain_columns(samples, name, capsys, verbose):
    assert command_line(["analyze", str(samples / name), *verbose]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    assert "\x1b" not in "".join(lines)


def test_several_runs_end_with_an_overview(samples, capsys):
    assert command_line(["analyze", str(samples)]) == 0
    out = capsys.readouterr().out
    assert out.count("More: gradlens explain") == len(THRESHOLDS)


def test_a_report_is_frozen_and_shown_in_notebooks(samples):
    runs = gradlens.read(samples / "healthy.jsonl")
    report = gradlens.analyze(runs, threshold=1.5)
    with pytest.raises(dataclasses.FrozenInstanceError):
        report.runs = ()
    assert "<svg" in report._repr_html_()
    assert "grad_norm" in runs[0]._repr_html_()
    with pytest.raises(ValueError, match="read-only"):
        runs[0].loss.value[0] = 1.0


def test_html_is_one_file_without_requests(samples, tmp_path):
    target = tmp_path / "report.html"
    assert command_line(["analyze", str(samples / "bad_data.jsonl"), "--save", str(target)]) == 0
    page = target.read_text()
    # The browser tests see that nothing is asked for; here, that nothing could be: a policy, and no address outside the scripts.
    assert "default-src 'none'" in page
    outside = re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL)
    assert "http" not in outside.replace("http-equiv", "")
    assert len(page) < 3_000_000

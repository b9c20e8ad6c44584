"""Values that end before the log does: what cannot be told from a NaN never passes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import gradlens
from gradlens.cli.app import run as command_line
from gradlens.run import Notice


def without(run, role, rows):
    """The run without a value of `role` in these rows, as a reader gives one whose log has null there."""
    step, value = run.series[role].step, run.series[role].value
    keep = np.setdiff1d(np.arange(len(step)), rows)
    notice = Notice(
        code="missing-values",
        message=f"{role} has no value",
        count=len(rows),
        column=role,
        first_step=int(step[rows[0]]),
        to_the_end=bool(rows[-1] == len(step) - 1),
    )
    series = {**run.series, role: replace(run.series[role], step=step[keep], value=value[keep])}
    return replace(run, series=series, notices=(*run.notices, notice))


def outcomes(report):
    return {r.name: r.outcome for r in report.results}


@pytest.mark.parametrize("role", ["loss", "grad_norm"])
@pytest.mark.parametrize("lost", [1, 60, 900])
@pytest.mark.parametrize("limits", [{}, {"max_nonfinite": 0}])
def test_a_run_that_stops_writing_a_value_does_not_pass(make_run, role, lost, limits):
    candidate = without(make_run(1), role, np.arange(1200 - lost, 1200))
    report = gradlens.gate(candidate, make_run(0), threshold=1.3, settings=limits)
    assert report.outcome in {"inconclusive", "fail"}
    name = "max_nonfinite" if limits else "nonfinite"
    assert outcomes(report)[name] == "inconclusive"
    assert outcomes(report)["final_loss"] == ("inconclusive" if role == "loss" else "pass")
    (judged,) = [r for r in report.results if r.name == name]
    assert f"ends at step {1199 - lost:,}" in judged.reason
    assert [n.code for n in report.notices] == ["missing-values"]


def test_both_end_where_nothing_else_tells_how_far_the_log_goes(make_run):
    candidate = make_run(1, drop=("lr",))
    for role in ("loss", "grad_norm"):
        candidate = without(candidate, role, np.arange(1000, 1200))
    report = gradlens.gate(candidate, make_run(0), threshold=1.3)
    assert outcomes(report)["nonfinite"] == outcomes(report)["final_loss"] == "inconclusive"


@pytest.mark.parametrize("limits", [{}, {"max_nonfinite": 0}])
def test_values_missing_on_the_way_may_be_nan(make_run, limits):
    candidate = without(make_run(1), "loss", np.arange(300, 320))
    report = gradlens.gate(candidate, make_run(0), threshold=1.3, settings=limits)
    assert report.outcome == "inconclusive"
    assert [r.name for r in report.inconclusive] == ["max_nonfinite" if limits else "nonfinite"]
    assert "20 rows hold no loss" in report.headline
    assert [n.code for n in report.notices] == ["missing-values"]


def test_limits_alone_do_not_pass_what_ended(make_run):
    candidate = without(make_run(1), "loss", np.arange(1150, 1200))
    report = gradlens.gate(candidate, threshold=1.3, settings={"max_loss": 9.0, "max_clip_rate": 0.9})
    assert outcomes(report)["max_loss"] == "inconclusive"
    assert outcomes(report)["nonfinite"] == "inconclusive"


def test_a_final_loss_that_only_the_baseline_has_is_never_skipped(make_run, make_summary):
    bad = make_run(1).loss.value.copy()
    bad[900:] = np.nan
    candidate = make_run(1, replace={"loss": bad})
    allowed = {"max_nonfinite": 1200}
    for lost in (candidate, make_run(1, replace={"loss": np.full(1200, np.nan)}), make_run(1, drop=("loss",))):
        assert (
            outcomes(gradlens.gate(lost, make_run(0), threshold=1.3, settings=allowed))["final_loss"] == "inconclusive"
        )
        assert outcomes(gradlens.gate(make_run(0), lost, threshold=1.3))["final_loss"] == "inconclusive"


def test_such_a_run_becomes_no_baseline(write_log, tmp_path, capsys):
    pytest.importorskip("gradlens.reading.missing", reason="the notice of the readers")

    def lose(columns):
        columns["loss"] = columns["loss"].astype(object)
        columns["loss"][700:] = None

    baseline = tmp_path / "baseline.json"
    assert command_line(["baseline", str(write_log("a.jsonl", 0)), "-o", str(baseline), "--threshold", "1.3"]) == 0
    before = baseline.read_text()
    log = write_log("lost.jsonl", 1, change=lose)
    arguments = ["gate", str(log), "--baseline", str(baseline), "--threshold", "1.3"]
    assert command_line(arguments) == 2
    assert "the loss ends at step 699; the rows from step 700 to the end have none" in " ".join(
        capsys.readouterr().out.split()
    )
    assert command_line([*arguments, "--update"]) == 2
    assert baseline.read_text() == before
    capsys.readouterr()
    command_line(["baseline", str(log), "-o", str(tmp_path / "b.json"), "--threshold", "1.3"])
    assert "the loss ends at step 699" in capsys.readouterr().err


def test_a_nan_in_a_row_that_repeats_a_step_fails(write_log, capsys):
    def repeat(columns):
        for name in columns:
            columns[name] = np.insert(columns[name], 300, columns[name][300])
        columns["loss"][300] = float("nan")

    path = write_log("twice.jsonl", change=repeat)
    assert command_line(["gate", str(path), "--max-clip-rate", "1"]) == 1
    assert "repeat a step" in " ".join(capsys.readouterr().out.split())

"""What a verdict adds to those before it, and how quiet that is early in a run."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np

import gradlens
from gradlens.analyzer import AnalysisOptions
from gradlens.reports.analysis import Finding
from gradlens.reports.base import Severity
from gradlens.watching.judging import YOUNG_ROWS, Findings, judge, verdict
from tests.synthetic import case_healthy


class Report:
    """As much of a report as is looked at."""

    id = "run"

    def __init__(self, steps, *findings, outcome="diverged"):
        self.verdict = SimpleNamespace(outcome=outcome if steps <= YOUNG_ROWS else "learned")
        self.steps, self.last_step, self.findings = steps, steps - 1, findings


def finding(code="GL201", severity=Severity.WARNING, steps=()):
    return Finding(code=code, name="x", severity=severity, message="m", steps=steps)


def codes(events):
    return [(event.kind, event.code) for event in events]


def test_an_old_run_is_told_of_at_once():
    assert codes(Findings().news(Report(YOUNG_ROWS + 1, finding()))) == [("finding", "GL201")]


def test_a_young_run_must_show_it_while_it_grows():
    findings = Findings()
    assert [codes(findings.news(Report(n, finding()))) for n in (50, 55, 60, 65)] == [[], [], [], []]
    assert codes(findings.news(Report(73, finding()))) == [("finding", "GL201")]


def test_a_young_run_is_told_facts_alone():
    findings = Findings()
    for n in (50, 61, 74, 90, 110, 140, 170, 210, 260):
        assert not findings.news(Report(n, finding(), outcome="learned"))
    assert codes(findings.news(Report(YOUNG_ROWS + 1, finding()))) == [("finding", "GL201")]


def test_a_young_run_that_ends_in_nan_is_told_of_at_once():
    rng = np.random.default_rng(3)
    loss = 2 + 2 * np.exp(-np.arange(65) / 30) + rng.normal(0, 0.05, 65)
    norm = rng.normal(1, 0.1, 65)
    loss[60:] = norm[60:] = np.nan
    findings, told = Findings(), []
    for n in (55, 62, 65):
        (run,) = gradlens.read({"step": np.arange(n), "loss": loss[:n], "grad_norm": norm[:n]})
        told.append([(e.code, e.level) for e in findings.news(judge(run, AnalysisOptions())) if e.level.rank])
    assert told == [[], [], [("GL405", Severity.ERROR)]]


def test_what_comes_and_goes_in_a_young_run_is_never_told():
    findings = Findings()
    for n, there in ((50, 1), (61, 1), (74, 0), (90, 1), (110, 1), (140, 0), (170, 1)):
        assert not findings.news(Report(n, *([finding()] if there else [])))


def test_a_log_at_rest_has_nothing_to_wait_for():
    assert codes(Findings().news(Report(50, finding()), at_rest=True)) == [("finding", "GL201")]


def test_the_course_of_a_run_that_has_hardly_begun_may_turn():
    early = Report(1000, finding("GL502"), finding("GL301", steps=(700,)))
    assert codes(Findings().news(early, total=100_000)) == [("finding", "GL301")]
    early.verdict.outcome = "nonfinite"
    assert codes(Findings().news(early, total=100_000)) == [("finding", "GL502"), ("finding", "GL301")]


def test_an_onset_that_moves_is_no_further_event():
    findings = Findings()
    findings.news(Report(1000, finding(steps=(300,))))
    assert not findings.news(Report(1100, finding(steps=(350,))))


def test_what_gets_worse_is_told_again_at_its_new_level():
    findings, told = Findings(), []
    for n, level in ((400, "warning"), (500, "warning"), (600, "error"), (700, "warning"), (800, "error")):
        told += [
            (n, e.kind, e.level) for e in findings.news(Report(n, finding(severity=Severity(level), steps=(390,))))
        ]
    assert told == [(400, "finding", Severity.WARNING), (600, "finding", Severity.ERROR)]


def test_what_gets_worse_in_a_young_run_must_stand_as_well():
    findings = Findings()
    levels = ((50, "warning"), (61, "error"), (74, "warning"), (90, "error"), (110, "error"), (140, "error"))
    told = [[e.level for e in findings.news(Report(n, finding(severity=Severity(level))))] for n, level in levels]
    assert told == [[], [], [Severity.WARNING], [], [], [Severity.ERROR]]


def test_the_worst_of_several_findings_of_a_check_is_told():
    both = finding(severity=Severity.WARNING), finding(severity=Severity.ERROR)
    assert [e.level for e in Findings().news(Report(400, *both))] == [Severity.ERROR]


def test_a_loss_that_turns_nan_is_told_as_a_warning_and_as_the_error_it_becomes():
    rng = np.random.default_rng(3)
    loss = 2 + 2 * np.exp(-np.arange(420) / 80) + rng.normal(0, 0.05, 420)
    norm = rng.normal(1, 0.1, 420)
    loss[380], norm[380] = np.nan, np.nan
    loss[400:] = norm[400:] = np.nan
    findings, told = Findings(), []
    for n in (370, 390, 420):
        (run,) = gradlens.read({"step": np.arange(n), "loss": loss[:n], "grad_norm": norm[:n]})
        told += [(n, e.kind, e.level) for e in findings.news(judge(run, AnalysisOptions())) if e.code == "GL405"]
    assert told == [(390, "finding", Severity.WARNING), (420, "finding", Severity.ERROR)]


def test_what_is_taken_back_is_told_once_and_not_told_again():
    findings = Findings()
    findings.news(Report(1000, finding()))
    assert codes(findings.news(Report(1100))) == [("gone", "GL201")]
    assert not findings.news(Report(1200))
    assert not findings.news(Report(1300, finding()))


def test_a_rate_that_still_rises_is_a_warm_up_while_the_run_goes_on(tmp_path):
    path = tmp_path / "run.jsonl"
    rows = [{"step": i, "loss": 3.0 - i / 500 + (i * 7 % 5) / 50, "grad_norm": 1 + (i * 3 % 7) / 20, "lr": 1e-5 * (i + 1)}
            for i in range(400)]  # fmt: skip
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    run = gradlens.read(path)[0]
    assert "GL205" in {f.code for f in gradlens.analyze(run).runs[0].findings}
    assert "GL205" not in {f.code for f in judge(run, AnalysisOptions()).findings}
    told = {"max_steps": 10_000}
    path.write_text("".join(json.dumps(row) + "\n" for row in [{"config": told}, *rows]))
    assert "GL205" not in {f.code for f in gradlens.analyze(path).runs[0].findings}


def test_the_verdict_in_few_words():
    report = judge(case_healthy().run, AnalysisOptions())
    found = verdict(report, 7)
    assert found == {
        "at": 7, "status": report.verdict.status, "outcome": report.verdict.outcome, "cause": report.diagnosis.cause,
        "confidence": round(report.diagnosis.confidence, 3), "headline": report.verdict.headline,
        "early": False,
    }  # fmt: skip

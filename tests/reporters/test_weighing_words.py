"""The sum behind a confidence, line by line."""

from __future__ import annotations

import gradlens
from gradlens.reporters import load
from gradlens.reporters.base import Screen
from gradlens.reporters.weighing_words import scores_line, sums_shown, weighing_rows
from gradlens.reporters.wording import sureness


def test_verbose_shows_bias_grades_weights_shifts_and_scores(samples):
    report = gradlens.analyze(gradlens.read(samples / "bad_data.jsonl"), threshold=1.0)
    text = " ".join(load("text").render_document(report, Screen(verbose=True, width=200)).split())
    first = report.runs[0].diagnosis.ranking[0]
    assert f"{first.bias:+.2f} bias" in text
    assert f"= {first.score:.2f} score" in text
    for sign in first.signs:
        assert f"(grade {sign.grade:.2f} × weight {sign.weight:g}, {sign.sign})" in text
    for shift in first.shifts:
        assert shift.why in text
    assert scores_line(report.runs[0].diagnosis) in text
    assert "bias" not in load("text").render_document(report, Screen())


def test_a_cause_without_signs_far_down_is_one_line(samples):
    report = gradlens.analyze(gradlens.read(samples / "bad_data.jsonl"), threshold=1.0)
    shown = list(sums_shown(report.runs[0].diagnosis))
    assert all(written for ranked, written in shown if ranked.signs)
    assert next(iter(weighing_rows(shown[0][0])))[1] == "bias"


def test_nothing_weighed_is_certain():
    assert [sureness(c) for c in (1.0, 0.997, 0.89, 0.004, 0.0)] == ["99 %", "99 %", "89 %", "0.4 %", "0 %"]

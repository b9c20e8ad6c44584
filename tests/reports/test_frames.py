"""A report in one line, as text, as a page, in a file and as frames."""

from __future__ import annotations

import json

import pytest

import gradlens
from gradlens.errors import GradlensError


@pytest.fixture
def report(samples):
    return gradlens.analyze(samples / "bad_data.jsonl", threshold=1.0)


def test_one_line(report):
    assert repr(report).startswith("Report(")
    assert "bad_data" in repr(report)
    assert len(repr(report)) < 300
    assert "\n" not in repr(report.runs[0])
    assert repr(report.findings).startswith("Findings(")


def test_text_page_and_files(report, tmp_path):
    assert report.to_text().startswith(report.runs[0].id)
    assert len(report.to_text(verbose=True)) > len(report.to_text())
    assert report.to_html().startswith("<!doctype html>")
    report.save(tmp_path / "r.json")
    assert json.loads((tmp_path / "r.json").read_text())["runs"][0]["diagnosis"]["cause"] == "bad_data"
    with pytest.raises(GradlensError, match="no format for this suffix"):
        report.save(tmp_path / "r.docx")


def test_frames(report):
    pytest.importorskip("pandas")
    frame = report.findings.to_pandas()
    assert list(frame.columns[:4]) == ["run", "code", "name", "severity"]
    assert len(frame) == len(report.findings)
    assert frame.iloc[0].code == "GL301"
    assert report.to_pandas().iloc[0].cause == "bad_data"


def test_keywords_of_the_gate_and_compare(samples):
    path = samples / "bad_data.jsonl"
    found = gradlens.gate(path, path, threshold=1.0, max_nonfinite=0)
    assert found.outcome == "pass"
    pair = gradlens.compare(path, samples / "healthy.jsonl")
    assert len(pair.runs) == 2
    with pytest.raises(GradlensError, match="at least two runs"):
        gradlens.compare(path)

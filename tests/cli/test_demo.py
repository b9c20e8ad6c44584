"""`gradlens demo`: a report with nothing but the package."""

from __future__ import annotations

import json

from gradlens.cli.app import run as command_line
from gradlens.demo import BAD, records


def test_the_report_names_what_was_made(capsys):
    assert command_line(["demo"]) == 0
    shown = capsys.readouterr().out
    assert "Bad batches" in shown
    assert "steps 412, 733, 951" in shown
    assert "made up" in shown


def test_the_log_is_kept_and_never_written_over(capsys, tmp_path):
    path = tmp_path / "run.jsonl"
    assert command_line(["demo", "--keep", str(path), "--format", "json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["runs"][0]["findings"][0]["steps"] == sorted(BAD, key=lambda step: -BAD[step])
    assert len(path.read_text().splitlines()) == len(list(records()))
    assert command_line(["demo", "--keep", str(path)]) == 2


def test_the_log_is_the_same_every_time():
    assert list(records()) == list(records())

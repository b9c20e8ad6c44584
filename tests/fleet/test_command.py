"""`gradlens fleet` as a user types it."""

from __future__ import annotations

import json

import pytest


def test_build_then_show(bucket, command, tmp_path):
    table = tmp_path / "f.parquet"
    code, out, err = command("fleet", bucket, "-o", table, "--jobs", "1")
    assert code == 0
    assert "8 rows (1 problem, 5 clear, 2 unread)" in out
    assert "1 file that is not a log" in err
    code, out, _ = command("fleet", "show", table)
    assert code == 0
    assert "bad/log.jsonl" in out
    assert max(map(len, out.splitlines())) <= 80
    code, out, _ = command("fleet", "show", table, "--format", "json", "--by", "lr_schedule")
    document = json.loads(out)
    assert (document["runs"], document["copies"], document["unread"]) == (5, 1, 2)


def test_hostile_names_stay_text_on_the_page(bucket, command, tmp_path):
    target = bucket / "<img src=x onerror=alert(1)>"
    target.mkdir()
    (target / "log.jsonl").write_bytes((bucket / "run0" / "log.jsonl").read_bytes())
    command("fleet", bucket, "-o", tmp_path / "f.parquet", "--jobs", "1")
    code, _, _ = command("fleet", "show", tmp_path / "f.parquet", "--save", tmp_path / "f.html")
    page = (tmp_path / "f.html").read_text(encoding="utf-8")
    assert code == 0
    assert "<img" not in page
    assert "&lt;img" in page


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("{bucket}", "-o", "{tmp}/f.csv"), "is a .parquet file"),
        (("{bucket}", "-o", "{tmp}/none/f.parquet"), "no such folder"),
        (("{bucket}/nothing", "-o", "{tmp}/f.parquet"), "no such file"),
        (("show", "{bucket}/README.md"), "cannot be read as a fleet table"),
        (("show", "{tmp}/none.parquet"), "cannot be read as a fleet table"),
        (("{bucket}", "-o", "{tmp}/f.parquet", "--scheduler", "tcp://127.0.0.1:1"), "no scheduler answers"),
    ],
)
def test_what_cannot_be_done_is_one_line(bucket, command, tmp_path, arguments, message):
    code, _, err = command("fleet", *(a.format(bucket=bucket, tmp=tmp_path) for a in arguments))
    assert code == 2
    assert message in err

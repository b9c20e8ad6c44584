"""Names of folders, columns and settings that would act on a terminal, a page, a spreadsheet or a workflow stay names."""

from __future__ import annotations

import json
import os
import re
import sys
from html.parser import HTMLParser

import pytest

from gradlens.errors import MalformedLogError
from gradlens.fleet.table import dump_table, load_table
from gradlens.reporters import names
from tests.fleet.conftest import write_jsonl

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no such names there")
NAMES = (
    "=cmd|' /C calc'!A0",
    "<img src=x onerror=alert(1)><script>alert(2)<",
    "a\x1b[31m\x1b]8;;http:evil\x07x\x1b]8;;\x07",
    "b\r\n::error ::stop\n% & | ] ]>",
    "\u202egnp.exe\u2066",
    "`rm` [x](http:evil) *a* _b_ &amp;",
    os.fsdecode(b"\xff\xfe"),
)
CONTROLS = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
BAD = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


class Page(HTMLParser):
    """Fails where anything on a page could act."""

    def __init__(self):
        super().__init__()
        self.open, self.links, self.nonces = [], [], set()

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        assert tag not in {"img", "iframe", "link", "object", "form", "base", "embed"}
        assert not any(name.startswith("on") for name in found)
        if tag == "script" and found.get("type") != "application/json":
            self.nonces.add(found.get("nonce"))
            assert "src" not in found
        if tag == "a":
            self.links.append(found["href"])
        if tag not in {"meta", "br", "hr", "input"}:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.fixture
def hostile(tmp_path):
    """A bucket in which everything that a log may choose is hostile."""
    bucket = tmp_path / "bucket"
    for number, name in enumerate(NAMES):
        path = bucket / name / "run.jsonl"
        write_jsonl(path, seed=number, diverges=number % 2 == 0)
        lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        text = name.encode("utf-8", "replace").decode()
        path.write_text("".join(json.dumps(row | {text: 1.5}) + "\n" for row in lines), encoding="utf-8")
        config = {"learning_rate": 1e-3, "optimizer": text, text: text, "note": {"<b>": text}}
        path.with_name("config.json").write_text(json.dumps(config), encoding="utf-8")
    (bucket / "<script>.jsonl").write_bytes(b"")
    return bucket


def test_nothing_in_a_fleet_can_act(hostile, command, tmp_path):
    table = tmp_path / "f.parquet"
    code, out, err = command("fleet", hostile, "-o", table, "--jobs", "1")
    assert code == 0
    assert not BAD.findall(out + err)
    for name in names("fleet"):
        for options in ((), ("--by", "optimizer")):
            code, out, err = command("fleet", "show", table, "--format", name, *options)
            assert code == 0
            # JSON is for programs, and holds the names as they are.
            assert not (CONTROLS if name == "json" else BAD).findall(out + err)
            assert not any(line.startswith("::") for line in out.splitlines())


def test_the_page_of_a_fleet_and_those_of_its_runs(hostile, command, tmp_path):
    table, page = tmp_path / "f.parquet", tmp_path / "f.html"
    assert command("fleet", hostile, "-o", table, "--jobs", "1")[0] == 0
    code, _, err = command("fleet", "show", table, "--save", page, "--by", "optimizer", "--pages", "all")
    assert code == 0
    assert not BAD.findall(err)
    beside = sorted((tmp_path / "f.runs").iterdir())
    # The table cannot hold a name that is no UTF-8, so its log is not found again, which is said.
    assert len(beside) == len(NAMES) - 1
    assert err.count("no page of") == 1
    for path in (page, *beside):
        assert re.fullmatch(r"[\w.-]+", path.name)
        text = path.read_text(encoding="utf-8")
        assert not BAD.findall(text.replace("\t", " "))
        parser = Page()
        parser.feed(text)
        assert parser.open == []
        assert len(parser.nonces) <= 1
        assert None not in parser.nonces
        assert all((tmp_path / link).is_file() for link in parser.links)
        assert "alert(1)" not in text or "&lt;img src=x onerror=alert(1)&gt;" in text


def test_a_table_of_endless_equal_rows_is_refused_before_it_is_unpacked(tmp_path, monkeypatch):
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "fleet.parquet"
    path.write_bytes(dump_table([], {}))
    schema = pq.read_schema(path)
    pq.write_table(pa.Table.from_arrays([pa.nulls(10_000, field.type) for field in schema], schema=schema), path)
    assert len(load_table(path)[0]) == 10_000
    monkeypatch.setattr("gradlens.fleet.table._FREE_CELLS", 1000)
    with pytest.raises(MalformedLogError, match="claims 10,000 rows, which a fleet table of its size cannot hold"):
        load_table(path)

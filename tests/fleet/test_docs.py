"""The page of fleets: it lists every column, and its three queries run and give what the rows hold."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path

import pytest

from gradlens.fleet.row import COLUMNS
from gradlens.fleet.table import load_table

PAGE = (Path(__file__).parent.parent.parent / "docs" / "fleet.md").read_text(encoding="utf-8")


def block(library):
    """The code of the page that uses a library."""
    (code,) = [code for _, code in re.findall(r"```(python|sql)\n(.*?)```", PAGE, flags=re.DOTALL) if library in code]
    return code


def last_value(code):
    """Run statements and return what the last one, an expression, is worth."""
    *statements, last = ast.parse(code).body
    names = {}
    exec(compile(ast.Module(statements, []), "docs/fleet.md", "exec"), names)
    return eval(compile(ast.Expression(last.value), "docs/fleet.md", "eval"), names)


@pytest.fixture
def rows(bucket, command, tmp_path, monkeypatch):
    """The rows of a table that lies where the queries look for it."""
    for number, name in enumerate(("run0", "run1", "run2", "run3", "bad")):
        config = {"learning_rate": [1e-3, 1e-2][number % 2]}
        (bucket / name / "config.json").write_text(json.dumps(config), encoding="utf-8")
    command("fleet", bucket, "-o", tmp_path / "fleet.parquet", "--jobs", "1")
    monkeypatch.chdir(tmp_path)
    return load_table(tmp_path / "fleet.parquet")[0]


def test_every_column_stands_on_the_page():
    for name, kind, meaning in COLUMNS:
        assert f"| `{name}` | {kind} | {meaning} |" in PAGE


def test_which_runs_died_and_when_by_pandas(rows):
    pytest.importorskip("pandas")
    found = last_value(block("import pandas"))
    (dead,) = [row for row in rows if row["outcome"] == "nonfinite"]
    assert found.values.tolist() == [[dead["name"], dead["since_step"], dead["cause"]]]


def test_the_best_loss_of_each_rate_by_polars(rows):
    pytest.importorskip("polars")
    found = {row["learning_rate"]: row["loss_last"] for row in last_value(block("import polars")).to_dicts()}
    for rate in (1e-3, 1e-2, None):
        losses = [r["loss_last"] for r in rows if r["status"] == "clear" and r["learning_rate"] == rate]
        assert found.pop(rate, None) == min(losses, default=None)
    assert not found


def test_causes_by_format_in_duckdb(rows):
    duckdb = pytest.importorskip("duckdb")
    found = duckdb.sql(block("DuckDB")).fetchall()
    assert found == [("jsonl", row["cause"], 1) for row in rows if row["status"] == "problem"]

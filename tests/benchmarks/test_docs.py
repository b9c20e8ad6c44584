"""The pages that are made of the program: each block has what fills it, each command its line and its time."""

from __future__ import annotations

import ast
import re

import pytest

from benchmarks import docs
from benchmarks.notices import notices

WITH_TABLES = [p for p in docs.ROOT.rglob("*.md") if ".venv" not in p.parts and docs.TABLE.search(p.read_text("utf-8"))]


@pytest.mark.parametrize("name", docs.commands_here())
def test_a_benchmark_says_what_it_makes_and_how_long_it_takes(name):
    text = docs.commands_here()[name]
    first = text.partition("\n")[0]
    assert 20 < len(first) < 140
    assert first.endswith((".", "?")), f"{name}: the first line is its row in benchmarks/README.md"
    assert re.search(r"\bTakes\s\w", text), f"{name}: say how long it takes"


def test_every_table_has_a_place_and_every_place_a_table():
    used = {m["name"] for path in WITH_TABLES for m in docs.TABLE.finditer(path.read_text("utf-8"))}
    assert used == set(docs.TABLES)
    assert set(WITH_TABLES) <= set(docs.by_hand())


def test_a_table_escapes_its_bars():
    assert docs.table(["a", "b"], [("x|y", "z")]) == "| a | b |\n| --- | --- |\n| x\\|y | z |\n"


def test_every_command_of_gradlens_is_on_the_page_of_commands():
    page = docs.commands_page()
    told = [line[3:] for line in page.splitlines() if line.startswith("## ")]
    assert list(dict.fromkeys(line.split()[0] for line in told)) == list(docs.COMMANDS)
    assert {"fleet", "fleet build", "fleet show"} <= set(told)
    assert "..." not in page[page.index("## fleet\n") : page.index("## fleet build")].partition("Commands:")[2]
    assert "Usage: gradlens analyze" in page


def test_notices_are_found_with_the_words_that_they_can_have(tmp_path, monkeypatch):
    (tmp_path / "reader.py").write_text(
        'WORDS = "told elsewhere"\n'
        "def read(book, n):\n"
        '    code = "one-thing" if n else "other-thing"\n'
        '    book.add(code, f"{n} rows " + ("left" if n else "kept"), "line 1")\n'
        '    book.add("third-thing", WORDS)\n'
        '    seen.add("not-a-notice")\n'
        '    return Notice(code="fourth-thing", message="plain", count=1)\n'
    )
    monkeypatch.setattr("benchmarks.notices.PACKAGE", tmp_path)
    both = ["… rows kept", "… rows left"]
    assert notices() == {
        "fourth-thing": ["plain"],
        "one-thing": both,
        "other-thing": both,
        "third-thing": ["told elsewhere"],
    }


def test_the_docstring_of_every_module_of_the_benchmarks():
    for path in (docs.ROOT / "benchmarks").rglob("*.py"):
        assert ast.get_docstring(ast.parse(path.read_text("utf-8"))), path

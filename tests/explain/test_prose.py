"""Docstrings as text for people."""

from __future__ import annotations

import pytest

from gradlens.explain.prose import Section, laid_out, plain, sections_of, table

DOCSTRING = """One line.

More of ``it`` and **bold** words.

Parameters
----------
x : int
    For callers.

Notes
-----
A source.

References
----------
None.
"""


def test_sections_without_those_for_callers_and_empty_ones():
    assert sections_of(DOCSTRING) == (
        Section("", "One line.\n\nMore of ``it`` and **bold** words."),
        Section("Notes", "A source."),
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("``x`` and `y`", "x and y"),
        ("**Heavy** means *more*", "Heavy means more"),
        ("2 * n * m", "2 * n * m"),
        ("a ** b", "a ** b"),
    ],
)
def test_marks_go_and_products_stay(text, expected):
    assert plain(text) == expected


def test_paragraphs_are_filled_items_hang_and_tables_stand(monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    text = laid_out(
        [Section("Title", "word " * 20 + "\n\n* " + "item " * 15 + "\n* two"), Section("", table([("a", "b c")]))]
    )
    lines = text.splitlines()
    assert lines[0] == "Title"
    assert all(line.startswith("  ") for line in lines[1:3])
    assert "    item" in text
    assert "  * two" in lines
    assert lines[-1] == "  a  b c"
    assert max(map(len, lines)) <= 60


def test_the_last_column_wraps_below_itself(monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    rows = table([("+1.00", "name", "word " * 20), ("-10.00", "other", "x")]).splitlines()
    assert rows[0].startswith("   +1.00  name   word")
    assert rows[1].startswith(" " * 17 + "word")
    assert rows[-1] == "  -10.00  other  x"


def test_no_rows_no_table():
    assert table([]) == ""

"""The page lists every column of the table."""

from __future__ import annotations

from pathlib import Path

from gradlens.fleet.row import COLUMNS

PAGE = (Path(__file__).parent.parent.parent / "docs" / "fleet.md").read_text(encoding="utf-8")


def test_every_column_stands_on_the_page():
    for name, kind, meaning in COLUMNS:
        assert f"| `{name}` | {kind} | {meaning} |" in PAGE

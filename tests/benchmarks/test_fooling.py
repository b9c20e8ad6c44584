"""No attempt to get a bad run past the gate is green, and the page shows what each gave."""

from __future__ import annotations

from pathlib import Path

from benchmarks.gate.fooling import main

PAGE = Path(__file__).parent.parent.parent / "docs" / "ci.md"


def test_no_attempt_is_green_and_the_page_says_so(capsys):
    assert main() == 0
    page = PAGE.read_text(encoding="utf-8")
    for line in capsys.readouterr().out.strip().splitlines():
        assert line in page

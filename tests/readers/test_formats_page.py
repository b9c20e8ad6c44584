"""The page of formats names every grammar, and the page of notices all there are."""

from __future__ import annotations

import re
from pathlib import Path

from benchmarks.notices import notices
from gradlens.readers.console.grammars import GRAMMARS

ROOT = Path(__file__).parent.parent.parent
PAGE = (ROOT / "docs" / "formats.md").read_text()


def test_grammars():
    named = set(re.findall(r"`([^`]+)`", PAGE))
    assert {g.name for g in GRAMMARS} <= named


def test_every_notice_is_found_for_its_page():
    files = [p for room in ("readers", "reading") for p in (ROOT / "gradlens" / room).rglob("*.py")]
    codes = {c for f in files for c in re.findall(r"(?:\.add\(\s*|code=|code = )\"([a-z0-9-]+)\"", f.read_text())}
    assert len(codes) > 30
    assert codes <= set(notices())

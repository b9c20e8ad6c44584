"""Snapshots as files; GRADLENS_UPDATE_SNAPSHOTS=1 rewrites them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent / "snapshots"


@pytest.fixture
def same_as_snapshot():
    """Compare a text with the file of that name."""

    def compare(name, text):
        path = FOLDER / name
        if os.environ.get("GRADLENS_UPDATE_SNAPSHOTS"):
            path.write_text(text, encoding="utf-8")
        assert path.is_file(), (
            f"no snapshot {name}: run again with GRADLENS_UPDATE_SNAPSHOTS=1 and look at what it wrote"
        )
        assert text == path.read_text(encoding="utf-8")

    return compare


@pytest.fixture(autouse=True)
def _fixed_time(monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1750000000")

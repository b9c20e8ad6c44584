"""What all tests share."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

# A shell lets what it starts in the background ignore Ctrl-C, and every process that a test starts would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def samples() -> Path:
    """The sample logs of the repository."""
    return ROOT / "sample_logs"


@pytest.fixture(scope="session")
def corpus() -> Path:
    """The folder of logs that are not part of the repository; GRADLENS_CORPUS names another place."""
    folder = Path(os.environ.get("GRADLENS_CORPUS", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no corpus of logs at {folder} (set GRADLENS_CORPUS)")
    return folder


@pytest.fixture
def write_jsonl(tmp_path):
    """Write rows as JSON lines and give the path; NaN and infinities as Python's json writes them."""

    def write(rows, name="run.jsonl"):
        path = tmp_path / name
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return path

    return write


@pytest.fixture(autouse=True)
def _plain_surroundings(monkeypatch, tmp_path_factory):
    """No colour, 80 columns, and no settings file of a folder above."""
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.chdir(tmp_path_factory.mktemp("work"))

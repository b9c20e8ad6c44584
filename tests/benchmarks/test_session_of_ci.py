"""The session at the top of docs/ci.md, run as it stands there."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from benchmarks.docs import ROOT


@pytest.mark.slow
def test_the_page_shows_what_the_commands_print(tmp_path):
    block = re.search(r"```console\n(.*?)```", (ROOT / "docs" / "ci.md").read_text(), re.DOTALL)[1]
    commands = [line[2:].partition("  #")[0] for line in block.splitlines() if line.startswith("$ ")]
    shown = "\n".join(line for line in block.splitlines() if not line.startswith("$ "))
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    programs = (
        f'gradlens() {{ "{sys.executable}" -m gradlens "$@"; }}; python() {{ "{sys.executable}" "$@"; }}; mkdir runs\n'
    )
    environment = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "COLUMNS": "80", "PYTHONIOENCODING": "utf-8"}
    done = subprocess.run(
        ["bash", "-c", programs + "\n".join(commands)], cwd=tmp_path, env=environment, capture_output=True, check=False
    )
    printed = done.stdout.decode()
    assert done.returncode == 1, done.stderr
    assert printed[printed.index("FAILED") :].startswith(shown)

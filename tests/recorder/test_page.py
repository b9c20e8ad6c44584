"""The page on the recorder: its programs and commands are run as they stand."""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")

ROOT = Path(__file__).parent.parent.parent
PAGE = (ROOT / "docs" / "recorder.md").read_text(encoding="utf-8")
PROGRAMS = dict(re.findall(r"```python\n# (\w+\.py)[^\n]*\n(.*?)```", PAGE, re.DOTALL))
COMMANDS = [line for block in re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()]
NEEDS = {"train.py": "torch", "hf.py": "accelerate", "lit.py": "lightning"}

pytestmark = pytest.mark.slow


def commands_of(program):
    """The lines that run a program, and those that analyze the logs it writes."""
    runs = [line for line in COMMANDS if line.startswith(f"python {program} ")]
    logs = [shlex.split(line)[-1] for line in runs]
    return [
        line for line in COMMANDS if line in runs or (line.startswith("gradlens") and shlex.split(line)[-1] in logs)
    ]


def test_every_command_of_the_page_is_run_here():
    rest = set(COMMANDS) - {line for program in PROGRAMS for line in commands_of(program)}
    assert rest == {"pip install -e ."}
    assert set(PROGRAMS) == set(NEEDS)


@pytest.mark.parametrize("program", NEEDS)
def test_from_a_log_to_a_diagnosed_and_a_cured_run(tmp_path, program):
    if importlib.util.find_spec(NEEDS[program]) is None:
        pytest.skip(f"needs {NEEDS[program]}")
    (tmp_path / program).write_text(PROGRAMS[program])
    paths = os.pathsep.join([str(ROOT), *filter(None, sys.path)])
    env = os.environ | {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    reports = []
    for line in commands_of(program):
        first, *rest = shlex.split(line)
        # The program `gradlens` may not be installed where the tests run.
        words = [sys.executable, *rest] if first == "python" else [sys.executable, "-m", "gradlens", *rest]
        done = subprocess.run(words, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, done.stderr[-2000:]
        if first == "gradlens":
            reports.append(done.stdout)
    sick, cured = reports
    assert "Learning rate too high" in sick
    assert "the weights" in sick
    assert "from the run's configuration" in sick
    assert "No problem found" in cured

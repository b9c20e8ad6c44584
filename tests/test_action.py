"""The composite action and the example training: the script of the action runs as a shell would run it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parent.parent
ACTION = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))


def gate_step():
    (step,) = [s for s in ACTION["runs"]["steps"] if s.get("id") == "gate"]
    return step


def run_action(tmp_path, **inputs):
    step = gate_step()
    given = {name: spec.get("default", "") for name, spec in ACTION["inputs"].items()} | {
        name.replace("_", "-"): value for name, value in inputs.items()
    }
    environment = {
        **os.environ,
        **{
            variable: given[text.removeprefix("${{ inputs.").removesuffix(" }}")]
            for variable, text in step["env"].items()
        },
        "GITHUB_OUTPUT": str(tmp_path / "output"),
        "GITHUB_STEP_SUMMARY": str(tmp_path / "summary"),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    command = ["bash", "-e", "-o", "pipefail", "-c", step["run"]]
    return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)


def test_inputs_reach_the_script_by_the_environment_only():
    steps = ACTION["runs"]["steps"]
    assert not any("${{" in step["run"] for step in steps)
    used = {text for step in steps for text in step["env"].values() if text.startswith("${{ inputs.")}
    assert used == {f"${{{{ inputs.{name} }}}}" for name in ACTION["inputs"]}
    assert all(spec.get("description") for spec in ACTION["inputs"].values())


def test_workflows_are_yaml_and_use_the_action_as_it_is():
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8"))
    (step,) = [s for s in workflow["jobs"]["gate"]["steps"] if s.get("uses") == "./"]
    assert set(step["with"]) <= set(ACTION["inputs"])


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
def test_the_example_is_green_and_its_faults_are_red(tmp_path):
    def train(name, *options):
        command = [sys.executable, str(ROOT / "examples" / "train.py"), "--out", str(tmp_path / name), *options]
        subprocess.run(command, check=True)
        return str(tmp_path / name)

    common = {"baseline": str(ROOT / "examples" / "baseline.json"), "threshold": "1.2"}
    green = run_action(tmp_path, logs=train("run $(touch x); a.jsonl"), junit="gate.xml", sarif="gate.sarif", **common)
    assert green.returncode == 0, green.stdout + green.stderr
    assert (tmp_path / "output").read_text() == "exit-code=0\n"
    assert (tmp_path / "gate.xml").exists()
    assert (tmp_path / "gate.sarif").exists()
    assert not (tmp_path / "x").exists()
    assert "gradlens gate passed" in (tmp_path / "summary").read_text()
    for options in (("--lr", "30"), ("--bad-batches", "40")):
        red = run_action(tmp_path, logs=train("bad.jsonl", *options), **common)
        assert red.returncode == 1
        assert "::error " in red.stdout
    assert run_action(tmp_path, logs="missing.jsonl", **common).returncode == 2

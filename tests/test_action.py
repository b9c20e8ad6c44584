"""The composite action and the example training: its steps are run one by one, as a runner would run them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parent.parent
ACTION = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
STEPS = ACTION["runs"]["steps"]
EXPRESSION = re.compile(r"\$\{\{ ([\w.-]+) \}\}")
CONDITION = re.compile(r"([\w.-]+) != '([^']*)'")


class Runner:
    """As much of GitHub's runner as composite actions use: expressions, outputs, conditions, and the two actions used here.

    `setup-python` gives the Python of the tests, `cache` keeps folders in another folder.
    """

    def __init__(self, folder, **inputs):
        self.folder, self.cache = folder, folder / "cache"
        for name in ("temp", "work", "cache"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        given = {name: spec.get("default", "") for name, spec in ACTION["inputs"].items()}
        given |= {name.replace("_", "-"): value for name, value in inputs.items()}
        self.known = {f"inputs.{name}": value for name, value in given.items()}
        self.known |= {
            "github.action_path": str(ROOT),
            "runner.temp": str(folder / "temp"),
            "runner.os": "Linux",
            "runner.arch": "X64",
        }
        self.ran = []
        self.saved = []

    def text(self, value):
        return EXPRESSION.sub(lambda found: self.known[found[1]], str(value))

    def run(self, *, without=()):
        """The last process; the steps up to the first that fails, as in a job."""
        done = None
        for step in STEPS:
            if step.get("id") in without or step["name"] in without or not self.applies(step.get("if")):
                continue
            self.ran.append(step["name"])
            if "uses" in step:
                self.use(step)
                continue
            done = self.shell(step)
            if done.returncode:
                break
        for path, kept in self.saved:
            if not kept.exists():
                shutil.copytree(path, kept, symlinks=True)
        return done

    def applies(self, condition):
        if condition is None:
            return True
        name, value = CONDITION.fullmatch(condition).groups()
        return self.known[name] != value

    def use(self, step):
        options = {name: self.text(value) for name, value in step.get("with", {}).items()}
        outputs = {}
        if step["uses"].startswith("actions/setup-python@"):
            assert options["update-environment"].lower() == "false"
            assert options["python-version"]
            outputs = {"python-path": sys.executable, "python-version": ".".join(map(str, sys.version_info[:3]))}
        elif step["uses"].startswith("actions/cache@"):
            kept = self.cache / options["key"]
            if kept.exists():
                shutil.copytree(kept, options["path"], symlinks=True)
            else:
                self.saved.append((Path(options["path"]), kept))
            outputs = {"cache-hit": "true" if kept.exists() else ""}
        else:
            raise AssertionError(step["uses"])
        self.known |= {f"steps.{step['id']}.outputs.{name}": value for name, value in outputs.items()}

    def shell(self, step):
        output = self.folder / "output"
        output.write_text("")
        environment = {
            **os.environ,
            **{name: self.text(value) for name, value in step.get("env", {}).items()},
            "GITHUB_OUTPUT": str(output),
            "GITHUB_STEP_SUMMARY": str(self.folder / "summary"),
        }
        command = ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", "-c", step["run"]]
        done = subprocess.run(
            command, cwd=self.folder / "work", env=environment, capture_output=True, text=True, check=False
        )
        for line in output.read_text().splitlines():
            name, _, value = line.partition("=")
            self.known[f"steps.{step.get('id')}.outputs.{name}"] = value
        return done


def gate_alone(folder, **inputs):
    """The gate step with the Python of the tests in place of an installed environment."""
    programs = folder / "environment" / "bin"
    programs.mkdir(parents=True, exist_ok=True)
    program = programs / "python"
    if not program.exists():
        program.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
        program.chmod(0o755)
    runner = Runner(folder, **inputs)
    runner.known["steps.environment.outputs.folder"] = str(folder / "environment")
    done = runner.run(without={step["name"] for step in STEPS if step.get("id") != "gate"})
    return done, runner


def test_inputs_reach_the_scripts_by_the_environment_only():
    scripts = [step for step in STEPS if "run" in step]
    assert not any("${{" in step["run"] for step in scripts)
    told = [str(value) for step in STEPS for value in (*step.get("env", {}).values(), *step.get("with", {}).values())]
    used = {name for text in told for name in EXPRESSION.findall(text) if name.startswith("inputs.")}
    assert used == {f"inputs.{name}" for name in ACTION["inputs"]}
    assert all(spec.get("description") for spec in ACTION["inputs"].values())


def test_other_actions_have_a_fixed_major_version():
    assert all(re.fullmatch(r"actions/[\w-]+@v\d+", step["uses"]) for step in STEPS if "uses" in step)


def test_workflows_are_yaml_and_use_the_action_as_it_is():
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8"))
    (step,) = [s for s in workflow["jobs"]["gate"]["steps"] if s.get("uses") == "./"]
    assert set(step["with"]) <= set(ACTION["inputs"])


def train(folder, name, *options):
    command = [sys.executable, str(ROOT / "examples" / "train.py"), "--out", str(folder / name), *options]
    subprocess.run(command, check=True)
    return str(folder / name)


COMMON = {"baseline": str(ROOT / "examples" / "baseline.json"), "threshold": "1.2"}


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
def test_the_example_is_green_and_its_faults_are_red(tmp_path):
    log = train(tmp_path, "run $(touch x); a.jsonl")
    green, runner = gate_alone(tmp_path, logs=log, junit="gate.xml", sarif="gate.sarif", **COMMON)
    assert green.returncode == 0, green.stdout + green.stderr
    assert runner.known["steps.gate.outputs.exit-code"] == "0"
    assert (tmp_path / "work" / "gate.xml").exists()
    assert (tmp_path / "work" / "gate.sarif").exists()
    assert not (tmp_path / "work" / "x").exists()
    assert "gradlens gate passed" in (tmp_path / "summary").read_text()
    for options in (("--lr", "30"), ("--bad-batches", "40")):
        red, _ = gate_alone(tmp_path, logs=train(tmp_path, "bad.jsonl", *options), **COMMON)
        assert red.returncode == 1
        assert "::error " in red.stdout
    missing, _ = gate_alone(tmp_path, logs="missing.jsonl", **COMMON)
    assert missing.returncode == 2


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
def test_every_step_of_the_action_and_its_cache(tmp_path):
    """A fresh job installs into an environment of its own, the next one takes it from the cache."""
    log = train(tmp_path, "run.jsonl")
    for number, installs in enumerate((True, False)):
        folder = tmp_path / f"job{number}"
        runner = Runner(folder, logs=log, extras="", **COMMON)
        runner.cache = tmp_path / "kept"
        done = runner.run()
        assert done.returncode == 0, done.stdout + done.stderr
        assert ("Install gradlens" in runner.ran) is installs
        assert "gradlens gate passed" in (folder / "summary").read_text()
        program = Path(runner.known["steps.environment.outputs.folder"]) / "bin" / "gradlens"
        assert program.exists()
    assert runner.known["steps.cache.outputs.cache-hit"] == "true"

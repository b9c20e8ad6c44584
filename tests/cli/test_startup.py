"""Start-up time is a feature: what each command may load."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("numpy", "scipy", "pandas", "pyarrow", "tensorboard", "rich")


def loaded(arguments: list[str], cwd=None) -> set[str]:
    code = (
        "import sys\nfrom gradlens.cli.app import run\n"
        f"code = run({arguments!r})\n"
        "print('\\n@' + str(code) + ' ' + ' '.join(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=cwd)
    code, *modules = done.stdout.rsplit("@", 1)[1].split()
    assert code == "0", done.stderr
    return set(modules)


@pytest.mark.parametrize("arguments", [["--help"], ["analyze", "--help"], ["gate", "--help"], ["--version"]])
def test_help_loads_nothing_heavy(arguments):
    assert not loaded(arguments) & set(HEAVY)


def test_importing_the_package_loads_nothing_heavy():
    code = "import sys, gradlens; print(' '.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not set(done.stdout.split()) & {*HEAVY, "typer"}


def test_analysing_json_lines_loads_only_what_it_needs(samples, tmp_path):
    modules = loaded(["analyze", str(samples / "healthy.jsonl"), "--threshold", "1.5"], cwd=tmp_path)
    assert "numpy" in modules
    assert not modules & {"pandas", "tensorboard", "pyarrow", "scipy", "google.protobuf"}


def test_analysing_scalars_of_tensorboard_loads_no_message_classes(samples, tmp_path):
    modules = loaded(["analyze", str(samples / "tensorboard")], cwd=tmp_path)
    assert not modules & {"google.protobuf", "tensorboard", "pandas", "pyarrow", "scipy"}


def test_the_gate_loads_special_functions_and_no_more_of_scipy(samples, tmp_path):
    log = str(samples / "healthy.jsonl")
    modules = loaded(["gate", log, "--baseline", log], cwd=tmp_path)
    assert "scipy.special" in modules
    assert not modules & {"scipy.stats", "scipy.optimize", "pandas", "pyarrow", "tensorboard"}


@pytest.mark.skipif(sys.platform != "linux", reason="counts threads by /proc")
def test_no_threads_are_started_for_a_small_log(samples, tmp_path):
    code = (
        "import os, sys\nfrom gradlens.cli import app\n"
        f"sys.argv = ['gradlens', 'analyze', {str(samples / 'healthy.jsonl')!r}]\n"
        "try:\n    app.main()\nfinally:\n    print('@', len(os.listdir('/proc/self/task')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stdout.rsplit("@", 1)[1].strip() == "1"

"""Local stores of trackers, written by their own packages (slow)."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys

import numpy as np
import pytest

import gradlens
from tests.readers.clients import CONFIG, ROWS

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(__file__)))  # noqa: PTH120
SETTINGS = {"max_grad_norm": CONFIG["max_grad_norm"], "optimizer": CONFIG["optimizer"]}
WRITE = {
    "visualdl": """
from visualdl import LogWriter
with LogWriter(logdir=folder) as writer:
    writer.add_hparams(hparams_dict=settings, metrics_list=["train/loss"])
    for step, row in enumerate(ROWS, 1):
        for name, value in row.items():
            writer.add_scalar(name, value, step=10 * step)
    writer.add_histogram("weights", [1.0, 2.0, 3.0], step=1)
    writer.add_text("note", "hello", step=1)
""",
    "trackio": """
os.environ["TRACKIO_DIR"] = folder
import trackio
for name in ("tall-cat", "small-cat"):
    trackio.init(project="project", name=name, config=settings)
    for step, row in enumerate(ROWS, 1):
        trackio.log({**row, "nested": {"a": 1.5}}, step=10 * step)
    trackio.finish()
""",
    "aim": """
import aim
os.makedirs(folder, exist_ok=True)
run = aim.Run(repo=folder, system_tracking_interval=None, capture_terminal_logs=False, log_system_params=False)
run["hparams"] = settings
for step, row in enumerate(ROWS, 1):
    for name, value in row.items():
        run.track(value, name=name.removeprefix("train/"), step=10 * step, context={"subset": "train"})
run.track(99.0, name="loss", step=200, context={"subset": "val"})
run.close()
os._exit(0)
""",
}
START = "import os, sys\nfrom tests.readers.clients import ROWS\nfolder = sys.argv[1]\nsettings = "


@pytest.fixture
def stored(tmp_path):
    """The folder that a package wrote its store into."""

    def write(package):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed")
        folder = tmp_path / package
        done = subprocess.run(
            [sys.executable, "-c", f"{START}{SETTINGS!r}\n{WRITE[package]}", str(folder)], capture_output=True, text=True,
            check=False, cwd=tmp_path, env={**os.environ, "PYTHONPATH": ROOT, "HOME": str(tmp_path)},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return folder

    return write


def check(run, dtype=np.float64):
    assert run.loss.step.tolist() == run.grad_norm.step.tolist() == [10 * n for n in range(1, 21)]
    for series, name in ((run.loss, "train/loss"), (run.grad_norm, "train/grad_norm")):
        assert series.name == name
        np.testing.assert_array_equal(series.value, np.array([row[name] for row in ROWS], dtype))
    assert (run.config.max_grad_norm, run.config.optimizer) == (0.5, "AdamW")


@pytest.mark.slow
def test_visualdl(stored):
    (run,) = gradlens.read(stored("visualdl"))
    assert run.format == "visualdl"
    check(run, np.float32)


@pytest.mark.slow
def test_trackio(stored):
    runs = gradlens.read(stored("trackio"))
    assert [run.id.rpartition(":")[2] for run in runs] == ["tall-cat", "small-cat"]
    for run in runs:
        assert run.series["nested/a"].value.tolist() == [1.5] * 20
        check(run)


@pytest.mark.slow
def test_aim(stored):
    folder = stored("aim")
    before = sorted((path, path.stat().st_mtime_ns) for path in folder.rglob("*"))
    (run,) = gradlens.read(f"aim://{folder}")
    check(run)
    assert run.val_loss.value.tolist() == [99.0]
    assert sorted((path, path.stat().st_mtime_ns) for path in folder.rglob("*")) == before
    with pytest.raises(gradlens.GradlensError, match="no Aim repository"):
        gradlens.read(f"aim://{folder}/none")

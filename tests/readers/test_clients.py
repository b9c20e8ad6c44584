"""Logs of the real clients: kept copies on every run, freshly written ones where the clients are installed (slow)."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import gradlens
from tests.readers.clients import ROWS

DATA = Path(__file__).parent.parent / "data"
LOGGERS = {
    "wandb": (DATA / "wandb", "wandb"),
    "mlflow": (DATA / "mlflow" / "mlruns", "mlflow"),
    "mlflow-sqlite": (None, "mlflow-sqlite"),
    "tensorboard-torch": (DATA / "tensorboard" / "torch", "tensorboard"),
    "tensorboardx": (DATA / "tensorboard" / "x", "tensorboard"),
    "tensorboard-tensors": (DATA / "tensorboard" / "tensors", "tensorboard"),
}
ROLES = {"loss": "train/loss", "grad_norm": "train/grad_norm", "lr": "lr"}


def check_logger(path, name):
    (run,) = gradlens.read(path)
    assert run.format == LOGGERS[name][1]
    for role, column in ROLES.items():
        series = getattr(run, role)
        assert series.name == column
        assert series.step.tolist() == [10 * n for n in range(1, 21)]
        want = np.array([row[column] for row in ROWS])
        if name.startswith("tensorboard"):
            want = want.astype(np.float32)
        np.testing.assert_array_equal(series.value, want)
    if name in {"wandb", "mlflow", "mlflow-sqlite"}:
        assert run.config.max_grad_norm == 0.5
        assert (run.config.beta1, run.config.beta2, run.config.optimizer) == (0.9, 0.95, "AdamW")
    if name in {"tensorboard-torch", "tensorboardx"}:
        histogram = run.histograms["grad/head"]
        assert histogram.step.tolist() == [100, 200]
        assert sum(histogram.counts[0]) == 101


def check_lightning(folder):
    (run,) = gradlens.read(folder)
    assert (run.format, run.columns.loss, run.columns.grad_norm) == ("csv", "train_loss_step", "grad_2.0_norm_total")
    assert run.loss.step.tolist() == run.grad_norm.step.tolist() == list(range(16))
    assert len(run.layers) == 4
    assert run.config.learning_rate == 0.1
    assert "layers-checked" in {n.code for n in run.notices}
    assert len(run.val_loss) == 2


def check_transformers(folder):
    (run,) = gradlens.read(folder)
    assert run.format == "hf-trainer-state"
    assert run.loss.step.tolist() == run.grad_norm.step.tolist() == list(range(2, 21, 2))
    state = json.loads((folder / "checkpoint-20" / "trainer_state.json").read_text())
    logged = [row["grad_norm"] for row in state["log_history"] if "grad_norm" in row]
    assert run.grad_norm.value.tolist() == logged
    assert run.val_loss.step.tolist() == [10, 20]
    assert {n.code: n.count for n in run.notices}["repeated-checkpoint"] == 1


@pytest.mark.parametrize("name", [name for name, (kept, _) in LOGGERS.items() if kept is not None])
def test_kept_log(name):
    check_logger(LOGGERS[name][0], name)


def test_kept_lightning_log():
    check_lightning(DATA / "lightning")


def test_kept_trainer_states():
    check_transformers(DATA / "transformers")


@pytest.mark.slow
@pytest.mark.parametrize("name", [*LOGGERS, "lightning", "transformers"])
def test_log_written_now(name, tmp_path):
    """In a process of its own: the clients start threads and change what the interpreter warns about."""
    module = {"wandb": "wandb", "mlflow": "mlflow", "mlflow-sqlite": "mlflow", "lightning": "lightning",
              "transformers": "transformers", "tensorboardx": "tensorboardX"}.get(name, "torch")  # fmt: skip
    script = f"import sys, {module}; from pathlib import Path; from tests.readers.clients import WRITERS; print(WRITERS[{name!r}](Path(sys.argv[1])))"
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "log")], capture_output=True, text=True, check=False, timeout=300,
        cwd=Path(__file__).parent.parent.parent,
    )  # fmt: skip
    if "ModuleNotFoundError" in done.stderr:
        pytest.skip(f"{module} is not installed")
    assert done.returncode == 0, done.stderr
    path = Path(done.stdout.strip().splitlines()[-1])
    if name == "lightning":
        check_lightning(path.parent)
    elif name == "transformers":
        check_transformers(path)
    else:
        check_logger(path if name in {"mlflow", "mlflow-sqlite"} else path.parent, name)

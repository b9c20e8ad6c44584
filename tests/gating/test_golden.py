"""Golden files of other projects as baselines."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from gradlens.cli.app import run as command_line


def curve(n):
    rng = np.random.default_rng(0)
    steps = np.arange(1, n + 1)
    return steps, 3.0 + 7.0 * np.exp(-steps / 20) + 0.02 * rng.normal(size=n), 2.0 + 0.3 * rng.normal(size=n)


def write_candidate(path, steps, loss, norm):
    rows = (
        {"step": int(s), "lm loss": float(a), "grad-norm": float(b)} for s, a, b in zip(steps, loss, norm, strict=True)
    )
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


@pytest.fixture
def megatron(tmp_path):
    """Values every five steps; a step that was not logged is the string "nan"."""
    steps, loss, norm = curve(100)
    document = {}
    for name, values in (("lm loss", loss), ("grad-norm", norm)):
        kept = {str(s): round(float(v), 5) for s, v in zip(steps, values, strict=True) if (s - 1) % 5 == 0}
        if name == "grad-norm":
            kept["11"] = "nan"
        document[name] = {"start_step": 1, "end_step": 100, "step_interval": 5, "values": kept}
    path = tmp_path / "golden_values_dev.json"
    path.write_text(json.dumps(document))
    return str(path)


@pytest.fixture
def torchtitan(tmp_path):
    """Comment lines, then step, loss and norm."""
    steps, loss, norm = curve(40)
    lines = ["# model: debug", "# step loss grad_norm"]
    lines += [f"{s} {a:.5f} {b:.4f}" for s, a, b in zip(steps, loss, norm, strict=True)]
    path = tmp_path / "llama3.txt"
    path.write_text("\n".join(lines) + "\n")
    return str(path)


@pytest.mark.parametrize("kind", ["megatron", "torchtitan"])
def test_the_same_training_passes(kind, request, tmp_path, capsys):
    golden = request.getfixturevalue(kind)
    steps, loss, norm = curve(100 if kind == "megatron" else 40)
    jitter = 1 + 1e-4 * np.random.default_rng(1).normal(size=len(steps))
    log = write_candidate(tmp_path / "run.jsonl", steps, loss * jitter, norm * jitter)
    assert command_line(["gate", log, "--baseline", golden]) == 0, capsys.readouterr().out
    assert "PASSED" in capsys.readouterr().out


@pytest.mark.parametrize("kind", ["megatron", "torchtitan"])
def test_a_sharded_norm_fails(kind, request, tmp_path, capsys):
    golden = request.getfixturevalue(kind)
    steps, loss, norm = curve(100 if kind == "megatron" else 40)
    log = write_candidate(tmp_path / "run.jsonl", steps, loss, norm / math.sqrt(2))
    assert command_line(["gate", log, "--baseline", golden]) == 1
    assert "norm level" in capsys.readouterr().out


def test_a_nan_where_the_golden_file_has_a_gap_fails(megatron, tmp_path):
    steps, loss, norm = curve(100)
    norm[10] = math.nan
    assert (
        command_line(["gate", write_candidate(tmp_path / "run.jsonl", steps, loss, norm), "--baseline", megatron]) == 1
    )

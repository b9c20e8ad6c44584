"""A small bucket of logs: three formats, a copy, a restart, damaged files and files that are not logs."""

from __future__ import annotations

import json

import numpy as np
import pytest


def write_jsonl(path, *, seed=0, rows=300, first=0, lr=1e-3, diverges=False, level=0.0):
    """A run that descends, or one whose loss and norm explode in its last third."""
    generator = np.random.default_rng(seed)
    t = np.arange(rows) / rows
    loss = (0.4 + (2.0 - level) * np.exp(-6 * t)) * np.exp(0.05 * generator.standard_normal(rows))
    norm = (0.5 + np.exp(-4 * t)) * np.exp(0.25 * generator.standard_normal(rows))
    if diverges:
        late = rows - rows // 3
        grow = np.exp(np.arange(rows - late) / 4)
        loss[late:] *= np.minimum(grow, 1e4)
        norm[late:] *= np.minimum(grow, 1e8)
        loss[late + 30 :] = np.nan
        norm[late + 30 :] = np.nan
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [
        json.dumps({"step": first + i, "loss": float(a), "grad_norm": float(b), "lr": lr})
        for i, (a, b) in enumerate(zip(loss, norm, strict=True))
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


@pytest.fixture
def bucket(tmp_path):
    folder = tmp_path / "bucket"
    for seed in range(4):
        write_jsonl(folder / f"run{seed}" / "log.jsonl", seed=seed)
    write_jsonl(folder / "bad" / "log.jsonl", seed=9, lr=1e-2, diverges=True)
    (folder / "copy").mkdir()
    (folder / "copy" / "log.jsonl").write_bytes((folder / "run1" / "log.jsonl").read_bytes())
    (folder / "empty.jsonl").write_bytes(b"")
    (folder / "garbage.csv").write_bytes(bytes(range(256)) * 4)
    (folder / "README.md").write_text("not a log: the loss was 2.5 at step 3\n", encoding="utf-8")
    return folder


@pytest.fixture
def command(capfd):
    """Run the command line in this process: exit code, standard output and standard error."""
    from gradlens.cli.app import run

    def call(*arguments):
        code = run([str(a) for a in arguments])
        out, err = capfd.readouterr()
        return code, out, err

    return call

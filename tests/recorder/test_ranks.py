"""Two real processes that train together record what one process records alone."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")

from tests.recorder.conftest import read_rows

ROOT = Path(__file__).parent.parent.parent

pytestmark = pytest.mark.slow


def start(kind, world, folder):
    env = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, sys.path)]), "OMP_NUM_THREADS": "1"}
    script = str(ROOT / "tests" / "recorder" / "ranks.py")
    return [
        subprocess.Popen(
            [sys.executable, "-W", "ignore", script, kind, str(rank), str(world), str(folder)],
            env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )
        for rank in range(world)
    ]  # fmt: skip


def finish(processes):
    try:
        for process in processes:
            out, _ = process.communicate(timeout=240)
            assert process.returncode == 0, out
    finally:
        for process in processes:
            process.kill()
            process.wait()
            process.stdout.close()


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    folder = tmp_path_factory.mktemp("alone")
    finish(start("plain", 1, folder))
    return read_rows(folder / "plain.jsonl")


@pytest.mark.parametrize("kind", ["ddp", "fsdp"])
def test_two_ranks_record_what_one_process_does(tmp_path, alone, kind):
    finish(start(kind, 2, tmp_path))
    rows = read_rows(tmp_path / f"{kind}.jsonl")
    assert [r["step"] for r in rows] == [r["step"] for r in alone]
    for row, want in zip(rows, alone, strict=True):
        assert row.keys() == want.keys()
        for name, value in want.items():
            # Tokens are given by each rank.
            assert row[name] == pytest.approx(20 if name == "tokens" else value, rel=2e-4, abs=1e-7), (
                row["step"],
                name,
            )


def test_a_rank_that_cannot_measure_holds_up_nobody(tmp_path):
    finish(start("broken", 2, tmp_path))
    rows = read_rows(tmp_path / "broken.jsonl")
    assert len(rows) == 24
    # Its shard is missing, so no norm of the whole can be known; the loss can.
    assert all("grad_norm" not in row and "loss" in row for row in rows)

"""Two real processes that train together record what one process records alone."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from tests.recorder.conftest import read_marks, read_rows  # noqa: E402

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


def finish(processes, codes=(0, 0)):
    """What the processes said; `codes` are those that they must end with."""
    said = []
    try:
        for process, code in zip(processes, codes, strict=False):
            out, _ = process.communicate(timeout=240)
            assert process.returncode == code, out
            said.append(out)
    finally:
        for process in processes:
            process.kill()
            process.wait()
            process.stdout.close()
    return said


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


@pytest.mark.parametrize("kind", ["flushed-rank0", "destroyed"])
def test_ranks_that_flush_apart_or_have_left_their_group_record_the_same(tmp_path, alone, kind):
    finish(start(kind, 2, tmp_path))
    rows = read_rows(tmp_path / f"{kind}.jsonl")
    assert [(r["step"], r["batch_size"]) for r in rows] == [(r["step"], r["batch_size"]) for r in alone]
    assert [r["loss"] for r in rows] == pytest.approx([r["loss"] for r in alone], rel=2e-4)


@pytest.mark.parametrize("kind", ["made-rank0", "logged-rank0"])
def test_a_rank_that_records_nothing_harms_nobody_and_is_said(tmp_path, kind):
    """The weights of both ranks are those of a training that clips and has no recorder for the rest."""
    said = finish(start(kind, 2, tmp_path))
    one, two = (torch.load(tmp_path / f"{kind}-{rank}.pt") for rank in range(2))
    if kind == "logged-rank0":  # where the second rank has no recorder, nothing clips there
        assert all(torch.equal(a, b) for a, b in zip(one, two, strict=True))
    rows = read_rows(tmp_path / f"{kind}.jsonl")
    assert len(rows) == 130
    assert all("loss" in row and "grad_norm" in row and "batch_size" not in row for row in rows)
    assert said[0].count("make the recorder on every rank") == 1
    assert len([m for m in read_marks(tmp_path / f"{kind}.jsonl") if m["event"] == "ranks-missing"]) == 1


def test_a_rank_that_fails_holds_up_nobody_and_its_last_rows_count(tmp_path):
    finish(start("raise", 2, tmp_path), codes=(1, 1))
    rows = read_rows(tmp_path / "raise.jsonl")
    assert [row["step"] for row in rows[:22]] == list(range(22))
    assert {row["batch_size"] for row in rows[:22]} == {8}

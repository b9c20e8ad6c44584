"""A table of many runs: whole, the same whatever the engine, and judged only where something is new."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from gradlens.fleet.build import build
from gradlens.fleet.engines.local import LocalEngine
from gradlens.fleet.isolation import Limits
from gradlens.fleet.judge import Job
from gradlens.fleet.plan import plan
from gradlens.fleet.table import load_table
from tests.fleet.conftest import write_jsonl

JOB = Job()


def made(folder, table, *, jobs=1, job=JOB, limits=None):
    engine = lambda: LocalEngine(job, limits or Limits(), jobs)  # noqa: E731
    return build(plan([str(folder)]), table, job, engine)


def test_a_row_per_run_and_per_log_that_cannot_be_read(bucket, tmp_path):
    found = made(bucket, tmp_path / "f.parquet")
    rows = {row["name"].removeprefix(f"{bucket}/"): row for row in found.rows}
    assert len(rows) == 8
    assert {name for name, row in rows.items() if row["error"]} == {"empty.jsonl", "garbage.csv"}
    assert (found.judged, found.unchanged, found.not_logs) == (8, 0, 1)
    bad = rows["bad/log.jsonl"]
    assert (bad["status"], bad["steps"], bad["nonfinite_loss"]) == ("problem", 300, 70)
    assert bad["learning_rate"] is None
    assert rows["run0/log.jsonl"]["status"] == "clear"
    assert rows["run1/log.jsonl"]["copy_of"] == "copy/log.jsonl"
    written, _ = load_table(tmp_path / "f.parquet")
    assert written == list(found.rows)


def test_the_table_is_the_same_to_the_byte_for_one_and_two_processes(bucket, tmp_path):
    made(bucket, tmp_path / "a.parquet", jobs=1)
    made(bucket, tmp_path / "b.parquet", jobs=2)
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()


def test_only_what_is_new_is_judged(bucket, tmp_path):
    table = tmp_path / "f.parquet"
    made(bucket, table)
    before = table.read_bytes()

    def no_engine():
        raise AssertionError("nothing is to be judged")

    again = build(plan([str(bucket)]), table, JOB, no_engine)
    assert (again.judged, again.unchanged, again.not_logs) == (0, 8, 1)
    assert table.read_bytes() == before

    # A touched file is compared by its bytes; a longer one is judged; one that is gone leaves the table.
    os.utime(bucket / "run0" / "log.jsonl", ns=(1, 1))
    write_jsonl(bucket / "run2" / "log.jsonl", seed=2, rows=310)
    (bucket / "run3" / "log.jsonl").unlink()
    third = made(bucket, table)
    assert (third.judged, third.unchanged, third.gone) == (1, 6, 1)
    rows, mark = load_table(table)
    assert {r["name"]: r["steps"] for r in rows}["run2/log.jsonl"] == 310
    assert mark["changes"] == [["run3/log.jsonl", "clear", None]]


def test_other_settings_judge_all_again(bucket, tmp_path):
    made(bucket, tmp_path / "f.parquet")
    assert made(bucket, tmp_path / "f.parquet", job=Job(threshold=1.0)).judged == 8


def test_a_log_that_takes_too_long_costs_its_row_only(bucket, tmp_path):
    write_jsonl(bucket / "long" / "log.jsonl", rows=400_000)
    found = made(bucket, tmp_path / "f.parquet", limits=Limits(seconds=0.35))
    rows = {row["name"].removeprefix(f"{bucket}/"): row for row in found.rows}
    assert "took longer than 0.35 s" in rows["long/log.jsonl"]["error"]
    # It is tried again: the reason may have been the machine.
    again = made(bucket, tmp_path / "f.parquet")
    assert {r["name"]: r["error"] for r in again.rows}["long/log.jsonl"] is None


def test_a_log_that_takes_too_much_memory_costs_its_row_only(bucket, tmp_path):
    write_jsonl(bucket / "long" / "log.jsonl", rows=400_000)
    found = made(bucket, tmp_path / "f.parquet", limits=Limits(memory=96 << 20))
    errors = {row["name"].removeprefix(f"{bucket}/"): row["error"] for row in found.rows}
    assert errors["long/log.jsonl"]
    assert errors["run0/log.jsonl"] is None


def test_a_torn_journal_line_is_judged_again(bucket, tmp_path):
    table = tmp_path / "f.parquet"
    with pytest.raises(KeyboardInterrupt):
        interrupted(bucket, table, after=4)
    journal = table.with_name("f.parquet.journal")
    text = journal.read_text(encoding="utf-8")
    journal.write_text(text[:-40], encoding="utf-8")
    found = made(bucket, table)
    assert (found.recovered, found.damaged, len(found.rows)) == (3, 1, 8)
    assert not journal.exists()
    clean = tmp_path / "clean.parquet"
    made(bucket, clean)
    assert table.read_bytes() == clean.read_bytes()


def interrupted(folder, table, *, after):
    def progress(done, _total):
        if done >= after:
            raise KeyboardInterrupt

    build(plan([str(folder)]), table, JOB, lambda: LocalEngine(JOB, Limits(), 1), progress)


@pytest.mark.slow
def test_killed_in_mid_run_nothing_is_lost_and_nothing_doubled(tmp_path):
    folder = tmp_path / "bucket"
    for seed in range(40):
        write_jsonl(folder / f"run{seed}" / "log.jsonl", seed=seed, rows=2000)
    table = tmp_path / "f.parquet"
    # Nice, so that this test sees the journal grow however busy the machine is.
    process = subprocess.Popen(
        ["nice", sys.executable, "-m", "gradlens", "fleet", str(folder), "-o", str(table), "--jobs", "2"]
    )
    journal = table.with_name("f.parquet.journal")
    deadline = time.monotonic() + 300
    while not (journal.exists() and journal.read_text(encoding="utf-8").count("\n") > 5):
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not table.exists()
    done = [json.loads(line)["key"] for line in journal.read_text(encoding="utf-8").splitlines()[1:-1]]
    found = made(folder, table)
    assert found.recovered >= len(done)
    assert found.recovered + found.judged == 40
    assert len({row["name"] for row in found.rows}) == 40
    made(folder, tmp_path / "clean.parquet")
    assert table.read_bytes() == (tmp_path / "clean.parquet").read_bytes()


def test_names_are_unique_whatever_the_sources(tmp_path):
    for place in ("a", "b"):
        write_jsonl(tmp_path / place / "run" / "log.jsonl", seed=ord(place), rows=60)
    table = tmp_path / "f.parquet"

    def names(*folders):
        engine = lambda: LocalEngine(JOB, Limits(), 1)  # noqa: E731
        return [row["name"] for row in build(plan(list(map(str, folders))), table, JOB, engine).rows]

    alone = ["run/log.jsonl"]
    a, b = tmp_path / "a", tmp_path / "b"
    both = [f"{folder}/run/log.jsonl (run/log.jsonl)" for folder in (a, b)]
    assert names(a) == alone
    assert names(b, a) == both
    # From the last table, too, and back again.
    assert names(a, b) == both
    assert names(a) == alone
    # Under another root they go by other names, as in a fresh table. The table that lies there is no log.
    assert names(tmp_path) == ["a/run/log.jsonl", "b/run/log.jsonl"]


def test_the_table_is_the_same_to_the_byte_for_every_order_of_the_sources(bucket, tmp_path):
    folders = sorted(str(path) for path in bucket.iterdir())
    digests = set()
    for i, order in enumerate((folders, folders[::-1], folders[3:] + folders[:3])):
        engine = lambda: LocalEngine(JOB, Limits(), 2)  # noqa: E731
        build(plan(order), tmp_path / f"{i}.parquet", JOB, engine)
        digests.add((tmp_path / f"{i}.parquet").read_bytes())
    assert len(digests) == 1


def test_a_restart_is_recognised_from_its_logs(tmp_path):
    folder = tmp_path / "bucket"
    write_jsonl(folder / "whole" / "log.jsonl", seed=5)
    lines = (folder / "whole" / "log.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    for name, part in (("first", lines[:200]), ("second", lines[190:])):
        (folder / "taken" / name).mkdir(parents=True)
        (folder / "taken" / name / "log.jsonl").write_text("".join(part), encoding="utf-8")
    found = made(folder, tmp_path / "f.parquet")
    continues = {row["name"]: row["continues"] for row in found.rows}
    assert continues == {
        "taken/first/log.jsonl": None, "taken/second/log.jsonl": "taken/first/log.jsonl", "whole/log.jsonl": None,
    }  # fmt: skip

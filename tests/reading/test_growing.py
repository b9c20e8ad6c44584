"""Reading what was appended gives the runs that the whole log gives."""

from __future__ import annotations

import json

import numpy as np
import pytest

from gradlens.readers.base import ReadOptions
from gradlens.reading.growing import GrowingLog, NeedsWholeLogError, continued, goes_on
from gradlens.reading.read import read


def rows(n, seed=0, first=0):
    g = np.random.default_rng(seed)
    for i in range(first, first + n):
        row = {"step": i, "loss": float(g.random()), "lr": 1e-3}
        if i % 3 == 0:
            row["grad_norm"] = float(g.random())
        if i % 100 == 50:
            row["val_loss"] = float(g.random())
        if i > n // 2:
            row["late"] = i
        yield json.dumps(row) + "\n"


def same(a, b):
    assert (a.id, a.format, a.columns, a.config, a.notices) == (b.id, b.format, b.columns, b.config, b.notices)
    assert list(a.series) == list(b.series)
    for name in a.series:
        np.testing.assert_array_equal(a.series[name].step, b.series[name].step)
        np.testing.assert_array_equal(a.series[name].value, b.series[name].value)
    assert list(a.layers) == list(b.layers)


def follow(path, lines, sizes):
    log, at = None, 0
    for size in sizes:
        data = "".join(lines[at : at + size]).encode()
        at += size
        if log is None:
            log = GrowingLog(str(path), data, ReadOptions(split_starts=False))
        else:
            log.append(data)
    return log


@pytest.mark.parametrize("seed", range(5))
def test_the_same_run_whatever_the_pieces(tmp_path, seed):
    path = tmp_path / "run.jsonl"
    lines = [json.dumps({"config": {"max_grad_norm": 1.0}}) + "\n", *rows(4000, seed)]
    path.write_text("".join(lines))
    g = np.random.default_rng(seed)
    sizes = []
    while sum(sizes) < len(lines):
        sizes.append(int(min(g.integers(1, 900), len(lines) - sum(sizes))))
    (found,) = follow(path, lines, sizes).runs()
    (whole,) = read(path, split_starts=False)
    same(found, whole)


def test_a_restart_is_seen_as_in_the_whole(tmp_path):
    path = tmp_path / "run.jsonl"
    lines = [*rows(1500), *rows(1500, 1, first=1000)]
    path.write_text("".join(lines))
    (found,) = follow(path, lines, [1400, 700, 900]).runs()
    (whole,) = read(path, split_starts=False)
    same(found, whole)


@pytest.mark.parametrize("line", ['{"step": 5, "loss"\n', '{"config": {"max_grad_norm": 2}}\n', '{"loss": "n/a"}\n'])
def test_what_is_more_than_rows_needs_the_whole_log(tmp_path, line):
    log = follow(tmp_path / "run.jsonl", list(rows(3000)), [3000])
    with pytest.raises(NeedsWholeLogError):
        log.append(line.encode())


def test_other_formats_need_the_whole_log(tmp_path):
    with pytest.raises(NeedsWholeLogError):
        GrowingLog("run.csv", b"step,loss\n1,2.0\n2,1.5\n", ReadOptions())


def test_a_log_that_goes_on_in_another_file(tmp_path):
    for name, first in (("a.jsonl", 0), ("b.jsonl", 300), ("c.jsonl", 100)):
        (tmp_path / name).write_text("".join(rows(300, first=first)))
    a, b, c = (read(tmp_path / name)[0] for name in ("a.jsonl", "b.jsonl", "c.jsonl"))
    assert goes_on(a, b)
    assert not goes_on(a, c)
    whole = continued(a, b)
    assert list(whole.loss.step) == list(range(600))
    np.testing.assert_array_equal(whole.loss.value, np.concatenate((a.loss.value, b.loss.value)))
    assert whole.columns == b.columns

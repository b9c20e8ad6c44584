"""The file of a recorder: whose it is, what it may have held before, where it lies, and what reaches it at the end."""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import gradlens
from gradlens.errors import UsageError

torch = pytest.importorskip("torch")

from tests.recorder.conftest import parts, read_marks, read_rows, train  # noqa: E402

ROOT = Path(__file__).parent.parent.parent


def start(code, folder):
    """Another process that records in a folder and says when it has begun."""
    script = f"import sys; sys.path[:0] = {[str(ROOT), *sys.path]!r}\n" + textwrap.dedent(code)
    return subprocess.Popen(
        [sys.executable, "-c", script], cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def test_two_recorders_do_not_share_a_file(tmp_path):
    path = tmp_path / "run.jsonl"
    first = gradlens.Recorder(path, *parts())
    (tmp_path / "link.jsonl").symlink_to(path)
    for name in (path, tmp_path / "link.jsonl"):
        with pytest.raises(UsageError, match="another recorder of this process"):
            gradlens.Recorder(name, *parts())
    first.close()
    gradlens.Recorder(path, *parts()).close()
    assert [m["event"] for m in read_marks(path)] == ["started-again"]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such locks")
def test_a_file_belongs_to_its_process_until_that_ends_and_no_longer(tmp_path):
    child = start(
        """
        import multiprocessing, gradlens, time
        from tests.recorder.conftest import parts
        rec = gradlens.Recorder("run.jsonl", *parts())
        worker = multiprocessing.get_context("fork").Process(target=time.sleep, args=(100,))  # as loaders of data have them
        worker.start()
        print(worker.pid, flush=True)
        sys.stdin.read()
        """,
        tmp_path,
    )
    worker = int(child.stdout.readline())
    with pytest.raises(UsageError, match="another process"):
        gradlens.Recorder(tmp_path / "run.jsonl", *parts())
    child.kill()
    child.wait()  # and not for the end of its output, which the worker holds
    try:
        model, opt = parts()
        with gradlens.Recorder(tmp_path / "run.jsonl", model, opt) as rec:
            train(rec, model, opt)
    finally:
        os.kill(worker, 9)
        child.communicate()
    assert len(read_rows(tmp_path / "run.jsonl")) == 10


def test_a_copy_of_the_process_writes_nothing(tmp_path):
    if not hasattr(os, "fork"):
        pytest.skip("no fork")
    child = start(
        """
        import os, gradlens
        from tests.recorder.conftest import parts, train
        model, opt = parts()
        rec = gradlens.Recorder("run.jsonl", model, opt)
        train(rec, model, opt)
        if os.fork() == 0:
            sys.exit(0)
        os.wait()
        """,
        tmp_path,
    )
    child.communicate()
    assert child.returncode == 0
    assert [r["step"] for r in read_rows(tmp_path / "run.jsonl")] == list(range(10))


def test_the_last_step_is_found_behind_a_row_of_any_width(tmp_path):
    path = tmp_path / "run.jsonl"
    rows = [{"step": n} | {f"grad_norm/{i}": 0.123456789 for i in range(20_000 if n > 5 else 2)} for n in range(8)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows) + '{"recorder": {"event": "verdict"}}\n')
    model, opt = parts()
    with gradlens.Recorder(path, model, opt) as rec:
        train(rec, model, opt, n=2)
    assert [r["step"] for r in read_rows(path)] == list(range(10))
    assert read_marks(path)[-1]["after"] == 7


@pytest.mark.parametrize("content", [b"step,loss\n1,2.0\n", os.urandom(3000) + b"\n", b'{\n "a": 1\n}\n', b"\n[1]\n"])
def test_nothing_is_appended_to_what_is_no_log(tmp_path, content):
    path = tmp_path / "mine"
    path.write_bytes(content)
    with pytest.raises(UsageError, match="does not hold JSON lines"):
        gradlens.Recorder(path, *parts())
    assert path.read_bytes() == content


@pytest.mark.parametrize("content", [b'{"config": {"opt', b'{"config": {"opt\n{"step": 0, "loss": 1.0}\n', b"\n", b""])
def test_a_log_that_was_cut_off_at_its_start_is_continued(tmp_path, content):
    path = tmp_path / "run.jsonl"
    path.write_bytes(content)
    model, opt = parts()
    with gradlens.Recorder(path, model, opt, first_step=1) as rec:
        train(rec, model, opt)
    assert [r["step"] for r in map(json.loads, path.read_text().splitlines()[-10:])] == list(range(1, 11))


@pytest.mark.parametrize("path", ["", ".", "folder", "a\0b", None, 3, "/proc/nothing/run.jsonl", "file/run.jsonl"])
def test_a_path_that_cannot_be_written_is_told_when_the_recorder_is_made(tmp_path, monkeypatch, path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("x")
    with pytest.raises(UsageError) as caught:
        gradlens.Recorder(path, *parts())
    assert caught.value.hint
    assert "\n" not in str(caught.value)


def test_paths_are_those_of_the_moment_and_know_the_home(tmp_path, monkeypatch):
    for name in "abc":
        (tmp_path / name).mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "c"))
    monkeypatch.chdir(tmp_path / "a")
    recorders = [gradlens.Recorder(path, *parts()) for path in ("run.jsonl", "~/run.jsonl")]
    monkeypatch.chdir(tmp_path / "b")
    for recorder in recorders:
        recorder.close()
    assert [sorted(p.name for p in (tmp_path / name).iterdir()) for name in "abc"] == [["run.jsonl"], [], ["run.jsonl"]]


def test_a_recorder_that_nobody_closes_writes_what_it_has(tmp_path):
    path = tmp_path / "run.jsonl"

    def fit():
        model, opt = parts()
        train(gradlens.Recorder(path, model, opt), model, opt, n=1)
        rec = gradlens.Recorder(tmp_path / "other.jsonl", model, opt)
        train(rec, model, opt, n=25)
        return model

    fit()
    gc.collect()
    assert len(read_rows(path)) == 1
    assert len(read_rows(tmp_path / "other.jsonl")) == 25

"""`gradlens watch` with real processes: writers that hang, die, rotate and replace their logs, hooks, a terminal."""

from __future__ import annotations

import contextlib
import json
import math
import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from benchmarks.watching import load
from gradlens.cli.app import run as command_line
from tests.watching.servers import Server, keeping

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals, renames of open files and terminals of POSIX")
#: On a machine with more to do than cores, two seconds of waiting say nothing about this program.
PATIENCE = 2.0 if os.getloadavg()[0] < (os.cpu_count() or 1) else 20.0
WRITER = """
import json, random, sys, time
path, first, last, pause = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
g = random.Random(first)
with open(path, "a", buffering=1) as file:
    for i in range(first, last):
        file.write(json.dumps({"step": i, "loss": 1 + g.gauss(0, .05), "grad_norm": 1 + g.gauss(0, .1)}) + "\\n")
        time.sleep(pause)
    file.write('{"step": ')
    file.flush()
    time.sleep(600)
"""


def rows(first, last, **more):
    g = np.random.default_rng(first)
    for i in range(first, last):
        yield {
            "step": i,
            "loss": math.exp(0.05 * g.standard_normal()),
            "grad_norm": math.exp(0.1 * g.standard_normal()),
        } | more.get(f"at{i}", {})


def append(path, records):
    with path.open("a") as file:
        file.write("".join(json.dumps(row) + "\n" for row in records))


class Watch:
    """The real command, with the lines that it prints as they come."""

    def __init__(self, *arguments):
        self.process = subprocess.Popen(
            [sys.executable, "-m", "gradlens", "watch", *map(str, arguments), "--interval", "0.2"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        self.lines, self.errors = [], []
        self.threads = [
            threading.Thread(target=self._take, args=pair, daemon=True)
            for pair in ((self.process.stdout, self.lines), (self.process.stderr, self.errors))
        ]
        for thread in self.threads:
            thread.start()

    def _take(self, stream, lines):
        for line in stream:
            lines.append(line.rstrip("\n"))

    def wait_for(self, text, seconds=60.0, n=1):
        """The lines with a text, once there are n."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            found = [line for line in list(self.lines) if text in line]
            if len(found) >= n:
                return found
            time.sleep(0.02)
        raise AssertionError(f"no {text!r} in {self.lines} {self.errors}")

    def wait(self, seconds=60.0):
        code = self.process.wait(seconds)
        for thread in self.threads:
            thread.join(10)
        return code

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.terminate()
        self.wait()
        self.process.stdout.close()
        self.process.stderr.close()


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "run.jsonl"
    append(path, rows(0, 600))
    return path


@pytest.mark.slow
def test_a_thousand_lines_a_second():
    """Ten seconds of what `python -m benchmarks.watching load` does for a minute; starting takes about a second of them."""
    found = load(rate=1000, seconds=10.0)
    assert found["cpu_seconds"] < 2.0 + 0.2 * found["seconds"]
    assert found["seconds_to_spike"] < PATIENCE


@pytest.mark.slow
def test_a_writer_that_hangs_and_one_that_is_killed(tmp_path):
    path = tmp_path / "run.jsonl"
    arguments = [sys.executable, "-c", WRITER, str(path), "0", "400", "0.005"]
    with subprocess.Popen(arguments) as writer, Server() as server:
        try:
            while not path.exists():
                time.sleep(0.05)
            with Watch(path, "--silence", "2", "--webhook", server.url, "--fail-on", "error") as watch:
                (line,) = watch.wait_for("silent: nothing written")
                assert "(step 399)" in line
                writer.send_signal(signal.SIGKILL)
                assert watch.wait() == 1
        finally:
            writer.kill()
    assert [(m["kind"], m["level"], m["step"]) for m in server.got] == [("silent", "error", 399)]


@pytest.mark.slow
def test_hooks_are_called_once_for_each_alert_and_a_failing_one_ends_nothing(path, tmp_path):
    spike = {"loss": 40.0, "grad_norm": 40.0}
    with Server() as server:
        with Watch(
            path, "--webhook", server.url, "--exec", keeping(tmp_path / "got"), "--exec", "/no/such/program", "--bell"
        ) as watch:
            watch.wait_for("step 599")
            append(path, rows(600, 700, at650=spike))
            watch.wait_for("new: GL301")
            append(path, rows(700, 1000, at800=spike))
            watch.wait_for("again: GL301")
            append(path, rows(1000, 1100))
            watch.wait_for("step 1,099", seconds=90)
        time.sleep(0.2)
        assert [(m["kind"], m["code"], m["step"]) for m in server.got] == [
            ("finding", "GL301", 650),
            ("again", "GL301", 800),
        ]
        assert all(m["verdict"]["status"] == "problem" for m in server.got)
        assert all("GL301" in m["text"] for m in server.got)
    assert len((tmp_path / "got").read_text().splitlines()) == 2
    assert sum("/no/such/program" in line for line in watch.errors) == 1
    assert "".join(watch.errors).count("\a") == 2


@pytest.mark.slow
def test_without_an_option_nothing_is_run_or_sent(path, tmp_path):
    append(
        path,
        [
            {"exec": f"touch {tmp_path}/owned", "webhook": "http://127.0.0.1:9/"},
            *rows(600, 700, at650={"loss": 40.0, "grad_norm": 40.0}),
        ],
    )
    with Watch(path) as watch:
        watch.wait_for("new: GL301")
    assert not (tmp_path / "owned").exists()
    assert not any("webhook" in line or "127.0.0.1" in line for line in (*watch.lines, *watch.errors))


@pytest.mark.slow
def test_rotation_truncation_and_replacement_of_a_log_that_is_followed(path):
    with Watch(path, "--format", "json") as watch:
        watch.wait_for('"step": 599')
        append(path, rows(600, 620))
        path.rename(path.with_suffix(".1"))
        append(path, rows(620, 660, at650={"loss": 40.0, "grad_norm": 40.0}))
        found = json.loads(watch.wait_for('"kind": "rotated"')[0])
        assert (found["step"], "goes on" in found["message"]) == (620, True)
        assert json.loads(watch.wait_for('"kind": "spike"')[0])["step"] == 650
        path.write_text("")
        append(path, rows(660, 700))
        assert json.loads(watch.wait_for('"kind": "rotated"', n=2)[1])["step"] == 660
        other = path.with_suffix(".new")
        append(other, rows(0, 50))
        other.replace(path)
        assert json.loads(watch.wait_for('"kind": "restarted"')[0])["step"] == 0
        path.unlink()
        time.sleep(0.5)
        append(path, rows(50, 400))
        # The rows of the file that went away belong to the training that goes on.
        watch.wait_for('"step": 399, "steps": 400')
    assert sum("waiting" in line for line in watch.errors) <= 1


@pytest.mark.slow
def test_it_ends_when_the_training_is_done(tmp_path):
    path = tmp_path / "run.jsonl"
    append(path, [{"config": {"max_steps": 400}}, *rows(0, 300)])
    with Watch(path, "--until-done") as watch:
        watch.wait_for("step 299 of 400")
        append(path, rows(300, 400))
        assert watch.wait() == 0
        assert any("done:" in line for line in watch.lines)


@pytest.mark.slow
def test_the_live_screen_of_a_terminal_is_put_back(path):
    import pty

    leader, follower = pty.openpty()
    environment = {k: v for k, v in os.environ.items() if k not in {"NO_COLOR", "COLUMNS"}}
    process = subprocess.Popen(
        [sys.executable, "-m", "gradlens", "watch", str(path), "--interval", "0.2"], stdin=follower, stdout=follower,
        stderr=follower, env={**environment, "TERM": "xterm-256color", "COLUMNS": "100", "LINES": "30"}, close_fds=True,
    )  # fmt: skip
    os.close(follower)
    shown = b""
    try:
        end = time.monotonic() + 60
        while b"step 599" not in shown and time.monotonic() < end:
            shown += os.read(leader, 1 << 16)
        process.send_signal(signal.SIGINT)
        with contextlib.suppress(OSError):  # the terminal is gone with the process
            while piece := os.read(leader, 1 << 16):
                shown += piece
        assert process.wait(30) == 130
    finally:
        process.kill()
        os.close(leader)
    assert b"\x1b[?1049h" in shown
    assert b"loss" in shown
    left = shown[shown.rindex(b"\x1b[?1049l") :]
    assert b"step 599" in left
    assert b"interrupted" in left


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["-"], "standard input"), (["x", "--silence", "soon"], "--silence soon"), (["x", "--exec", "'"], "--exec"),
        (["x", "--webhook", "host/x"], "--webhook"), (["x", "--format", "xml"], "--format xml"),
        (["x", "--alert-on", "loud"], "loud"),
    ],
)  # fmt: skip
def test_wrong_options_are_one_line(capsys, arguments, said):
    assert command_line(["watch", *arguments, "--polls", "1"]) == 2
    assert said in capsys.readouterr().err

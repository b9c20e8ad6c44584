"""Closed pipes, full disks, signals, missing surroundings: one line, the right exit code, and nothing half done."""

from __future__ import annotations

import json
import math
import os
import platform
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gradlens.cli.app import run as command_line
from gradlens.watching.following import _files

ROOT = Path(__file__).parents[2]
COMMAND = f"{sys.executable} -m gradlens"
pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals and shells of POSIX")


def shell(line, **environment):
    return subprocess.run(
        ["bash", "-c", line],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
        timeout=120,
    )


@pytest.fixture
def good(write_jsonl):
    return write_jsonl([{"step": i, "loss": 2 / (1 + i / 50), "grad_norm": 0.5 + i % 7 / 10} for i in range(300)])


@pytest.fixture
def bad(write_jsonl):
    return write_jsonl(
        [{"step": i, "loss": math.nan if i > 200 else 2.0, "grad_norm": 0.5 + i % 7 / 10} for i in range(300)],
        "bad.jsonl",
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    "command", ["gate {} --max-nonfinite 0", "gate {} --max-nonfinite 0 --format json", "analyze {} --fail-on note -v"]
)
def test_a_closed_pipe_changes_no_exit_code(bad, command):
    done = shell(f"{COMMAND} {command.format(bad)} | true; exit ${{PIPESTATUS[0]}}")
    assert done.returncode == 1
    assert done.stderr == "" or "Traceback" not in done.stderr


@pytest.mark.slow
def test_a_closed_pipe_is_silent_for_what_only_tells(good, tmp_path):
    done = shell(f"{COMMAND} explain | true; exit ${{PIPESTATUS[0]}}")
    assert (done.returncode, done.stderr) == (0, "")
    done = shell(f"{COMMAND} convert {good} -o {tmp_path}/o.csv | true; exit ${{PIPESTATUS[0]}}")
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "o.csv").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("analyze {} >&-", 0), ("analyze - <&-", 2), ("gate {} --max-nonfinite 0 >&-", 0), ("analyze nofile 2>/dev/full", 2),
        ("analyze nofile 2>&-", 2), ("analyze {} >/dev/full", 2), ("analyze {} >&- 2>&- <&-", 0),
    ],
)  # fmt: skip
def test_streams_that_are_closed_or_full(good, line, code):
    done = shell(f"{COMMAND} {line.format(good)}")
    assert done.returncode == code
    assert "internal error" not in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_is_one_line(good, number):
    process = subprocess.Popen(
        [sys.executable, "-m", "gradlens", "watch", str(good), "--interval", "60"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout.readline()
    process.send_signal(number)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert len(said.splitlines()) == 1
    assert said.startswith("gradlens: ")


#: Runs a command after saying that it is about to. A Ctrl-C before it is reached, which Python answers, ends with 99.
ABOUT_TO = (
    "import os, signal, sys\nimport gradlens.__main__\n"
    "signal.signal(signal.SIGINT, lambda *_: os._exit(99) if not began else gradlens.__main__._end(0, None))\n"
    "began = False\nprint(flush=True)\nbegan = True\ngradlens.__main__.main()"
)


@pytest.mark.slow
def test_ctrl_c_at_any_time_is_one_line_or_comes_too_late(good):
    ended = []
    for delay in (0.02, 0.04, 0.07, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0):
        process = subprocess.Popen(
            [sys.executable, "-c", ABOUT_TO, "analyze", str(good)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        process.stdout.readline()
        time.sleep(delay)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=120)
        ended.append((process.returncode, said))
    assert set(ended) <= {(130, "gradlens: interrupted\n"), (0, ""), (99, "")}
    assert (130, "gradlens: interrupted\n") in ended


@pytest.mark.slow
@pytest.mark.parametrize(
    "module", ["gradlens.cli.analyze", "typer", "gradlens.analyzer", "numpy", "gradlens.reporters.terminal"]
)
def test_ctrl_c_while_a_module_loads(good, module):
    # The signal comes in the middle of the import, however slow the machine is.
    code = (
        "import os, signal, sys\n"
        "class Finder:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        if name == {module!r}:\n"
        "            os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.meta_path.insert(0, Finder())\n"
        "from gradlens.__main__ import main\nmain()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "analyze", str(good)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (130, "gradlens: interrupted\n")


@pytest.mark.slow
@pytest.mark.parametrize(
    "gone",
    ["Last()", "weakref.ref(Thing(), lambda _: os.kill(os.getpid(), signal.SIGINT))"],
    ids=["destructor", "callback"],
)
def test_ctrl_c_where_python_swallows_exceptions_is_not_lost(good, gone):
    code = (
        "import os, signal, weakref\nfrom gradlens import analyzer\nfrom gradlens.cli.app import main\n"
        "class Thing:\n    pass\n"
        "class Last:\n    def __del__(self):\n        os.kill(os.getpid(), signal.SIGINT)\n"
        "def analyze_run(*_):\n"
        f"    {gone}\n"
        "    while True:\n        pass\n"
        "analyzer.analyze_run = analyze_run\nmain()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "analyze", str(good)], capture_output=True, text=True, check=False, timeout=120
    )
    assert (done.returncode, done.stderr) == (130, "gradlens: interrupted\n")


@pytest.mark.slow
def test_without_home_in_the_c_locale(good):
    done = shell(f"env -u HOME LC_ALL=C PYTHONUTF8=0 PYTHONCOERCECLOCALE=0 {COMMAND} analyze {good}")
    assert done.returncode == 0
    assert done.stderr == ""
    done.stdout.encode("ascii")


@pytest.mark.slow
def test_the_same_document_whatever_the_hash_seed_the_time_zone_and_the_threads(good):
    documents = {
        shell(
            f"{COMMAND} analyze {good} --format json", PYTHONHASHSEED=seed, TZ=zone, OPENBLAS_NUM_THREADS=threads
        ).stdout
        for seed, zone, threads in (("0", "UTC", "1"), ("1", "Asia/Tokyo", "2"), ("12345", "America/New_York", "4"))
    }
    assert len(documents) == 1
    assert json.loads(documents.pop())["runs"]


def alike(one, other):
    """Whether two documents say the same, numbers to six digits; most agree in thirteen."""
    if isinstance(one, dict):
        return list(one) == list(other) and all(alike(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(alike, one, other))
    if isinstance(one, float) and isinstance(other, float):
        return one == pytest.approx(other, rel=1e-6, abs=1e-12)
    return type(one) is type(other) and one == other


#: What an older processor of the same kind has not: numpy and the linear algebra then add in another order.
OLDER = {"NPY_DISABLE_CPU_FEATURES": "X86_V3 X86_V4 AVX512_ICL AVX512_SPR", "OPENBLAS_CORETYPE": "Prescott"}


@pytest.mark.slow
@pytest.mark.skipif(platform.machine() not in {"x86_64", "AMD64"}, reason="names the units of x86 processors")
@pytest.mark.parametrize("name", ["bad_data", "clip_too_tight", "fp16_overflow", "healthy", "lr_too_high", "postclip"])
def test_the_same_on_an_older_processor(name):
    log = ROOT / "sample_logs" / f"{name}.jsonl"
    here, there = (shell(f"{COMMAND} analyze {log} --format json", **env) for env in ({}, OLDER))
    assert alike(json.loads(here.stdout), json.loads(there.stdout))
    here, there = (shell(f"{COMMAND} analyze {log}", **env) for env in ({}, OLDER))
    assert here.stdout == there.stdout


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="traces audit events of this interpreter")
def test_no_socket_and_no_process_while_a_local_file_is_analysed(good):
    code = (
        "import sys\nfound = []\n"
        "def hook(event, args):\n"
        "    if event.startswith(('socket.', 'subprocess.', 'os.system', 'os.exec', 'os.fork', 'pickle.', 'ftplib', 'urllib')):\n"
        "        found.append(event)\n"
        "sys.addaudithook(hook)\n"
        "from gradlens.cli.app import run\n"
        f"assert run(['analyze', {str(good)!r}, '--save', 'r.html', '--save', 'r.sarif']) == 0\n"
        f"assert run(['gate', {str(good)!r}, '--baseline', {str(good)!r}]) in (0, 2)\n"
        "print('@', found)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.rsplit("@", 1)[1].strip() == "[]"


def test_not_enough_memory_is_two(capsys, monkeypatch, good):
    def hungry(*_):
        raise MemoryError

    monkeypatch.setattr("gradlens.analyzer.analyze_run", hungry)
    assert command_line(["analyze", str(good)]) == 2
    assert "not enough memory" in capsys.readouterr().err


def test_checks_left_out_are_told_with_what_left_them_out(capsys, monkeypatch, bad, tmp_path):
    assert command_line(["analyze", str(bad), "--fail-on", "error"]) == 1
    assert "left out" not in capsys.readouterr().err
    assert command_line(["analyze", str(bad), "--fail-on", "error", "--ignore", "G"]) == 0
    said = capsys.readouterr().err
    assert "checks left out by --ignore" in said
    total = said.split(" of ")[1].split()[0]
    assert said.startswith(f"gradlens: {total} of {total} checks")
    (tmp_path / "gradlens.toml").write_text('ignore = ["GL"]\nfail-on = "error"\n')
    monkeypatch.chdir(tmp_path)
    assert command_line(["analyze", str(bad)]) == 0
    said = capsys.readouterr().err
    assert f"left out by ignore of {tmp_path / 'gradlens.toml'}" in said
    assert "fail-on = error by" in said


def test_convert_escapes_names(capsys, tmp_path, good):
    name = tmp_path / "a\x1b[31mRED.jsonl"
    name.write_text(Path(good).read_text())
    assert command_line(["convert", str(name), "-o", str(tmp_path / "o.csv")]) == 0
    shown = capsys.readouterr().out
    assert "\x1b" not in shown
    assert "RED" in shown


def test_watch_goes_on_where_a_file_goes_away(capsys, monkeypatch, tmp_path, good):
    (tmp_path / "gone.jsonl").symlink_to(tmp_path / "nothing")
    assert {name for name, *_ in _files(str(tmp_path))} == {str(good)}

    def vanish(*_, **__):
        raise FileNotFoundError(2, "No such file or directory", "x.jsonl")

    monkeypatch.setattr("gradlens.watching.following.read", vanish)
    assert command_line(["watch", str(tmp_path), "--interval", "0.01", "--polls", "2"]) == 2
    said = capsys.readouterr().err
    assert "waiting" in said

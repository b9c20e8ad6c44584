"""Commands and clusters as processes of this machine, and what they take: for `benchmarks.fleet` and the tests of a fleet."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_EVERY_S = 0.25


@dataclass(frozen=True, kw_only=True, slots=True)
class Spent:
    """What a command took: seconds of the clock and of the processor, and the most memory of all its processes at once."""

    seconds: float
    processor: float
    memory: int


def watched(
    arguments: Sequence[str],
    beside: Sequence[int],
    *,
    code: str | None = None,
    environment: Mapping[str, str] | None = None,
) -> Spent:
    """Run `gradlens` (or `code`) with arguments; the processes `beside` and their children are counted too."""
    import psutil

    how = ["-m", "gradlens"] if code is None else ["-c", code]
    others = [psutil.Process(pid) for pid in beside]
    seen: dict[int, float] = {}
    before = {p.pid: _processor(p) for p in _trees(others)}
    most = 0
    begin = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, *how, *arguments], stdout=subprocess.DEVNULL, env={**os.environ, **(environment or {})}
    )
    ended = threading.Event()

    def sample() -> None:
        nonlocal most
        while not ended.wait(_EVERY_S):
            memory = 0
            for one in _trees([*others, psutil.Process(process.pid)]):
                with contextlib.suppress(psutil.Error):
                    memory += one.memory_info().rss
                    seen[one.pid] = _processor(one)
            most = max(most, memory)

    sampler = threading.Thread(target=sample, daemon=True)
    sampler.start()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    ended.set()
    sampler.join()
    if process.returncode != 0:
        raise subprocess.CalledProcessError(process.returncode, process.args)
    theirs = sum(_processor(p) - before.get(p.pid, 0.0) for p in _trees(others))
    return Spent(seconds=time.perf_counter() - begin, processor=usage.ru_utime + usage.ru_stime + theirs, memory=most)


def _trees(roots: Sequence[Any]) -> list[Any]:
    import psutil

    found: list[Any] = []
    for root in roots:
        with contextlib.suppress(psutil.Error):
            found += [root, *root.children(recursive=True)]
    return found


def _processor(process: Any) -> float:
    import psutil

    with contextlib.suppress(psutil.Error):
        times = process.cpu_times()
        return float(times.user + times.system)
    return 0.0


def _quiet(command: list[str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


@contextlib.contextmanager
def cluster(workers: int) -> Iterator[tuple[str, list[int]]]:
    """A real scheduler and workers, each a process of its own on this machine: its address and their numbers."""
    with tempfile.TemporaryDirectory() as folder:
        where = Path(folder, "scheduler.json")
        base = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0"]
        started = [_quiet([*base, "--no-dashboard", "--scheduler-file", str(where)])]
        try:
            while not where.exists() or not where.read_text():
                time.sleep(0.1)
            address = json.loads(where.read_text())["address"]
            worker = [sys.executable, "-m", "distributed.cli.dask_worker", address, "--nthreads", "1", "--no-dashboard"]
            started += [_quiet([*worker, "--local-directory", folder, "--name", str(i)]) for i in range(workers)]
            yield address, [process.pid for process in started]
        finally:
            for process in reversed(started):
                process.terminate()
            for process in started:
                process.wait(20)

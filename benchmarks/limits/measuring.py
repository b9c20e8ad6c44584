"""One source through the program: what it costs and says."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import NamedTuple

#: A program that takes longer (seconds of the wall), or more memory (bytes), is ended.
MAX_WALL, MAX_MEMORY = 900, 11 << 30
MAX_SECONDS, MAX_MB, MAX_RATIO = 10.0, 200, 10


class Source(NamedTuple):
    """The arguments of the program, and how many megabytes in how many files they give it to read."""

    arguments: tuple[str, ...]
    mb: float
    files: int = 1


class Cost(NamedTuple):
    """The exit code, seconds of the processor, the peak of memory in MB, the first line of what it said, and how many there were."""

    code: int
    seconds: float
    mb: float
    said: str
    lines: int


def measure(source: Source, folder: Path) -> Cost:
    """Run the program on a source."""
    out, err = Path(f"{folder}.out"), Path(f"{folder}.err")
    try:
        with out.open("wb") as stdout, err.open("wb") as stderr:
            child = subprocess.Popen(
                [sys.executable, "-m", "gradlens", *source.arguments],
                stdout=stdout,
                stderr=stderr,
                stdin=subprocess.DEVNULL,
                preexec_fn=_limited,  # noqa: PLW1509 -- its one thread starts after it
            )
            threading.Thread(target=_watch, args=(child.pid,), daemon=True).start()
            _, status, used = os.wait4(child.pid, 0)
            child.returncode = os.waitstatus_to_exitcode(status)
        told = [line for line in err.read_text(errors="replace").splitlines() if line.strip()]
        shown = [line for line in out.read_text(errors="replace").splitlines() if line.strip()]
    finally:
        out.unlink(missing_ok=True)
        err.unlink(missing_ok=True)
    first = ([line for line in told if line.startswith("error")] or shown or told or [""])[0]
    said = first.replace(f"{folder}/", "").replace(str(folder), "FOLDER")
    return Cost(child.returncode, used.ru_utime + used.ru_stime, used.ru_maxrss / 1000, said[:90], len(told))


def _limited() -> None:
    """Nothing outlives this program by more than that, however it ends."""
    resource.setrlimit(resource.RLIMIT_CPU, (MAX_WALL, MAX_WALL))


def _watch(pid: int) -> None:
    """End a process that takes too long or too much."""
    began = time.monotonic()
    while True:
        try:
            pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        except (OSError, IndexError):
            return
        if pages * os.sysconf("SC_PAGE_SIZE") > MAX_MEMORY or time.monotonic() - began > MAX_WALL:
            os.kill(pid, signal.SIGKILL)
            return
        time.sleep(0.05)


def breaks(source: Source, cost: Cost) -> str:
    """Which limit is broken; nothing where none is."""
    if cost.code not in {0, 1, 2}:
        return f"exit code {cost.code}"
    if cost.code == 2 and cost.lines > 2:
        return f"refused in {cost.lines} lines"
    if cost.seconds > MAX_SECONDS * (1 + source.mb / 100 + source.files / 10_000):
        return "too slow"
    if cost.mb > MAX_MB + MAX_RATIO * source.mb:
        return "too much memory"
    return ""

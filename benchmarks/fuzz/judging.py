"""One case: what may happen to a log, however broken."""

from __future__ import annotations

import json
import os
import signal
import warnings
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import gradlens
from gradlens.export import SUFFIXES, write_run
from gradlens.gating.compare import compare_runs
from gradlens.reporters import load, table
from gradlens.reporters.base import Screen

if TYPE_CHECKING:
    from collections.abc import Iterator

Outcome = Literal["read", "refused"]
MAX_SECONDS = 10.0
MAX_BYTES = 200 << 20
MAX_RATIO = 10
#: One in so many cases is analysed, too.
ANALYSED = 3


class HangError(Exception):
    """More than ten seconds of processor time."""


class HungryError(Exception):
    """More memory than the log explains."""


def judge(path: Path, *, number: int, input_format: str | None = None) -> Outcome:
    """Read, analyse and, by the number of the case, show, export, compare or gate a log.

    Raises
    ------
    Exception
        Whatever gets through that is no `GradlensError`; a warning; `HangError`, `HungryError`.
    """
    before = _peak(reset=True)
    try:
        with _watched(), warnings.catch_warnings():
            warnings.simplefilter("error")
            return _judge(path, number, input_format)
    finally:
        grown = _peak() - before
        if grown > MAX_BYTES + MAX_RATIO * path.stat().st_size:
            raise HungryError(f"{grown >> 20} MB for {path.stat().st_size} bytes")


def _judge(path: Path, number: int, input_format: str | None) -> Outcome:
    try:
        runs = gradlens.read(path, input_format=input_format)
        if number % ANALYSED:
            return "read"
        number //= ANALYSED
        report = gradlens.analyze(runs)
    except gradlens.GradlensError as error:
        _is_one_line(error)
        return "refused"
    json.dumps(report.to_dict(), allow_nan=False)
    broken = [check for run in report.runs for check in run.checks if check.status == "errored"]
    if broken:
        raise AssertionError(f"{broken[0].code} broke: {broken[0].reason}")
    if number % 4 == 0:
        shown = load("text", "report").render_document(report, Screen())
        if any(ord(c) < 32 and c != "\n" for c in shown):
            raise AssertionError("a control character in the text")
    if number % 16 == 1:
        names = sorted(table())
        load(names[number // 16 % len(names)], "report").render_document(report, Screen())
    if number % 16 == 2:
        target = path.with_name("export" + SUFFIXES[number // 16 % len(SUFFIXES)])
        with suppress(gradlens.GradlensError):
            write_run(runs[0], target)
        target.unlink(missing_ok=True)
    if number % 8 == 3:
        try:
            gradlens.gate(runs, runs, settings={"max_nonfinite": 0})
            compare_runs([runs[0], runs[-1]])
            gradlens.suggest_threshold(runs[0])
        except gradlens.GradlensError as error:
            _is_one_line(error)
    return "read"


def _is_one_line(error: gradlens.GradlensError) -> None:
    if "\n" in f"{error}{error.hint}" or not str(error):
        raise AssertionError(f"not one line: {error!r}")


@contextmanager
def _watched() -> Iterator[None]:
    def stop(*_: object) -> None:
        raise HangError(f"more than {MAX_SECONDS:g} s of processor time")

    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, MAX_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0.0)
        signal.signal(signal.SIGPROF, before)


def _peak(*, reset: bool = False) -> int:
    """The peak of the memory of this process in bytes, from the last reset on (Linux)."""
    if reset:
        with suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5")
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM"):
                return int(line.split()[1]) << 10
    return 0


def scratch() -> Path:
    """A folder in memory where there is one."""
    return Path("/dev/shm" if os.access("/dev/shm", os.W_OK) else "/tmp")  # noqa: S108 -- only made-up logs

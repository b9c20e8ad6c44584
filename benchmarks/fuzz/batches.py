"""Many cases in a row, in child processes with limits: what kills a child, too, is found and told by the number of its case."""

from __future__ import annotations

import gc
import json
import mmap
import os
import random
import resource
import signal
import struct
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from benchmarks.fuzz.judging import ANALYSED, MAX_SECONDS, judge, scratch
from benchmarks.fuzz.mutations import mutated
from benchmarks.fuzz.samples import FEW_ROWS, ROWS, Sample, samples

#: Cases per child.
PART = 1000
#: Processor time after which the kernel ends a case that the alarm of Python could not: a loop in C.
_MORE_SECONDS = int(2 * MAX_SECONDS)
#: Address space that a child may have beyond that of the parent, in bytes.
_MORE_BYTES = 2 << 30


class Found(NamedTuple):
    """How many cases had which outcome, and what each kind of failure said."""

    outcomes: Counter[str]
    failures: dict[str, str]


class Case(NamedTuple):
    """A damaged log, the sample that it was, the format that it is read as (None: detected), and what is done with it."""

    sample: Sample
    data: bytes
    forced: str | None
    turn: int


def case(seed: int, number: int) -> Case:
    """Case `number` of a seed. It has a seed of its own, so that any of them can be made again alone.

    Every third is what a trainer printed: those are most of the samples, and take most of the time.
    """
    noise = random.Random(f"{seed}:{number}")
    turn = noise.randrange(1 << 20)
    every = samples(FEW_ROWS if turn % ANALYSED else ROWS)
    console = [sample for sample in every if sample.format == "console"]
    others = [sample for sample in every if sample.format != "console"]
    sample = others[(number - number // 3) % len(others)] if number % 3 else console[number // 3 % len(console)]
    data = mutated(sample, every, noise)
    return Case(sample, data, sample.format if noise.random() < 0.25 else None, turn)


def run_cases(seed: int, numbers: range, keep: Path | None = None, at: mmap.mmap | None = None) -> Found:
    """Judge these cases in this process, the number of the one in hand in the first bytes of `at`."""
    outcomes: Counter[str] = Counter()
    failures: dict[str, str] = {}
    with tempfile.TemporaryDirectory(dir=scratch()) as folder:
        for number in numbers:
            sample, data, forced, turn = case(seed, number)
            path = Path(folder, sample.file)
            path.write_bytes(data)
            if at is not None:
                at[:8] = struct.pack("<q", number)
                used = resource.getrusage(resource.RUSAGE_SELF)
                seconds = int(used.ru_utime + used.ru_stime) + _MORE_SECONDS
                resource.setrlimit(resource.RLIMIT_CPU, (seconds, resource.getrlimit(resource.RLIMIT_CPU)[1]))
            try:
                outcomes[judge(path, number=turn, input_format=forced)] += 1
            except Exception as error:  # noqa: BLE001 -- what is looked for
                outcomes["failed"] += 1
                place = traceback.extract_tb(error.__traceback__)[-1]
                kind = f"{type(error).__name__} at {Path(place.filename).name}:{place.lineno}"
                if kind not in failures:
                    failures[kind] = f"case {number} ({path.name}, format {forced})\n{traceback.format_exc()}"
                    if keep is not None:
                        (keep / f"{number}-{path.name}").write_bytes(data)
            path.unlink(missing_ok=True)
    return Found(outcomes, failures)


def run_batches(seed: int, numbers: range, *, jobs: int = 1, keep: Path | None = None) -> Iterator[tuple[int, Found]]:
    """Judge these cases in children that are forked from this process; so many cases each time, and what they came to."""
    with tempfile.TemporaryDirectory(dir=scratch()) as folder:
        # What readers and reporters load is loaded once, for all children.
        for number, sample in enumerate(samples()):
            path = Path(folder, sample.file)
            path.write_bytes(sample.data)
            judge(path, number=3 * number)
    gc.collect()
    gc.freeze()
    waiting = [numbers[i : i + PART] for i in range(0, len(numbers), PART)][::-1]
    running: dict[int, _Child] = {}
    while waiting or running:
        while waiting and len(running) < jobs:
            child = _Child(seed, waiting.pop(), keep)
            running[child.pid] = child
        pid, status = os.wait()
        child = running.pop(pid)
        found = child.result(status)
        if found is None:
            # A case ended the process. Those around it are judged again without it.
            last = child.numbers.index(child.number)
            waiting += [part for part in (child.numbers[last + 1 :], child.numbers[:last]) if part]
            found = child.death(status)
        yield sum(found.outcomes.values()), found


class _Child:
    """A process that judges cases within limits."""

    def __init__(self, seed: int, numbers: range, keep: Path | None) -> None:
        self._seed, self.numbers = seed, numbers
        self._at = mmap.mmap(-1, 8)
        self._at[:8] = struct.pack("<q", numbers[0])
        self.number = numbers[0]
        self._out = tempfile.TemporaryFile(dir=scratch())  # noqa: SIM115 -- closed by `result`
        sys.stdout.flush()
        sys.stderr.flush()
        self.pid = os.fork()
        if not self.pid:
            self._work(keep)

    def _work(self, keep: Path | None) -> None:
        code = 1
        try:
            size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
            resource.setrlimit(resource.RLIMIT_AS, (size + _MORE_BYTES, resource.RLIM_INFINITY))
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            gc.set_threshold(100_000, 20, 20)
            found = run_cases(self._seed, self.numbers, keep, self._at)
            self._out.write(json.dumps(found).encode())
            self._out.flush()
            code = 0
        finally:
            os._exit(code)

    def result(self, status: int) -> Found | None:
        """What was found; None where the process did not live to tell."""
        (self.number,) = struct.unpack("<q", self._at[:8])
        self._at.close()
        with self._out:
            self._out.seek(0)
            text = self._out.read()
        if status or not text:
            return None
        outcomes, failures = json.loads(text)
        return Found(Counter(outcomes), failures)

    def death(self, status: int) -> Found:
        """The case that ended the process, as a failure."""
        code = os.waitstatus_to_exitcode(status)
        by = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        file = case(self._seed, self.number).sample.file
        return Found(Counter(failed=1), {f"{by} in {file}": f"case {self.number} ({file}) ended the process: {by}"})

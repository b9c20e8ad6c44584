"""A child process that judges units, with a limit on time and memory: what breaks costs its row and nothing else."""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import sys
import time
from typing import IO, Any, cast

from gradlens.errors import GradlensError
from gradlens.fleet.judge import Job, Result
from gradlens.fleet.plan import Unit
from gradlens.fleet.row import completed, error_row
from gradlens.frozen import frozen

#: Seconds for a child process to start; on a crowded machine importing can take minutes.
WORKER = "gradlens.fleet.child"
_START_S = 600.0


@frozen
class Limits:
    """What one unit may take: seconds, and bytes beyond what the process has after start-up."""

    seconds: float = 300.0
    memory: int = 4 << 30


class Child:
    """A child process that is started when first needed, and again after a unit has killed it."""

    def __init__(self, job: Job, limits: Limits) -> None:
        self._job = json.dumps(job.to_plain())
        self._limits = limits
        self._process: subprocess.Popen[bytes] | None = None
        self._rest = b""

    def judge(self, unit: Unit, content: str | None = None) -> Result:
        """The rows of one unit; a row that says so where it took too long or the process died."""
        process = self._started()
        question = json.dumps({"unit": unit.to_plain(), "content": content}).encode() + b"\n"
        try:
            stdin = cast("IO[bytes]", process.stdin)
            stdin.write(question)
            stdin.flush()
            answer = self._answer(process, self._limits.seconds)
        except TimeoutError:
            self.close()
            return _failed(unit, f"took longer than {self._limits.seconds:g} s (--timeout)")
        except (OSError, EOFError):
            code = process.wait()
            self.close()
            how = f"signal {-code}" if code < 0 else f"exit code {code}"
            return _failed(unit, f"the process that read it died ({how})")
        return Result(rows=tuple(answer["rows"]), is_log=answer["is_log"])

    def end(self) -> None:
        """Kill the process from another thread; the unit that it was judging gets a row that says so."""
        process = self._process
        if process is not None:
            process.kill()

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            for stream in (self._process.stdin, self._process.stdout):
                if stream is not None:
                    try:
                        stream.close()
                    except OSError:
                        continue
        self._process, self._rest = None, b""

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is not None and self._process.poll() is None:
            return self._process
        self.close()
        self._process = subprocess.Popen(  # noqa: S603 -- our own module
            [sys.executable, "-m", WORKER, self._job, str(self._limits.memory)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
        )
        try:
            self._answer(self._process, _START_S)
        except (EOFError, TimeoutError) as error:
            self.close()
            raise GradlensError("a process for reading could not be started", hint="see the message above") from error
        return self._process

    def _answer(self, process: subprocess.Popen[bytes], seconds: float) -> dict[str, Any]:
        """The next line that the process writes."""
        stream = cast("IO[bytes]", process.stdout)
        deadline = time.monotonic() + seconds
        with selectors.DefaultSelector() as selector:
            selector.register(stream, selectors.EVENT_READ)
            while b"\n" not in self._rest:
                if not selector.select(max(deadline - time.monotonic(), 0.0)):
                    raise TimeoutError
                piece = os.read(stream.fileno(), 1 << 20)
                if not piece:
                    raise EOFError
                self._rest += piece
        line, _, self._rest = self._rest.partition(b"\n")
        answer: dict[str, Any] = json.loads(line)
        return answer


def _failed(unit: Unit, message: str) -> Result:
    return Result(rows=tuple(completed([error_row(unit, message)], unit, None)))

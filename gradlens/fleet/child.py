"""The process that judges units: one JSON line in, one JSON line out, until its input ends.

    python -m gradlens.fleet.child JOB [BYTES]

JOB is the job as JSON, BYTES the most memory it may take beyond what it has after start-up. A process of its own, since a
poisonous log may take all memory or never end; it starts once and judges thousands.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import IO


def main(arguments: Sequence[str]) -> int:
    """Judge what comes in; 0 at the end of the input."""
    # One child per core: threads of the linear algebra would only get in each other's way.
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    from gradlens.fleet.judge import Job, judge
    from gradlens.fleet.plan import Unit

    job = Job(**json.loads(arguments[0]))
    # What a log makes some package print must not end up between the answers.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if len(arguments) > 1:
        _limit(int(arguments[1]))
    _say(answers, {"ready": True})
    for line in sys.stdin:
        asked = json.loads(line)
        _say(answers, judge(Unit.from_plain(asked["unit"]), job, content=asked.get("content")).to_plain())
    return 0


def _say(stream: IO[str], document: object) -> None:
    stream.write(json.dumps(document) + "\n")
    stream.flush()


def _limit(more: int) -> None:
    """Let the process take `more` bytes of address space beyond what it has; where the system cannot, no limit."""
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
        limit = pages * resource.getpagesize() + more
        _, most = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (limit, most))


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt, BrokenPipeError):
        sys.exit(main(sys.argv[1:]))

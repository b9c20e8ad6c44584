"""The child process of a fleet with a clock: how much processor time reading and judging take.

`benchmarks.fleet cost` starts it. Takes as long as the runs that it is given.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gradlens.fleet import child, judge

_spent = {"reading": 0.0, "judging": 0.0}
_judged = 0


def _timed(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    def call(*arguments: Any, **named: Any) -> Any:
        begin = time.process_time()
        try:
            return function(*arguments, **named)
        finally:
            _spent[name] += time.process_time() - begin

    return call


def _telling(function: Callable[..., Any]) -> Callable[..., Any]:
    """A unit, after which the sums are written down: the process ends by being killed."""

    def call(*arguments: Any, **named: Any) -> Any:
        global _judged  # noqa: PLW0603 -- one process, one count
        found = function(*arguments, **named)
        _judged += 1
        target = Path(os.environ["GRADLENS_BENCHMARK_SPENT"])
        scratch = target.with_suffix(".new")
        scratch.write_text(json.dumps([_spent["reading"], _spent["judging"], _judged]), encoding="utf-8")
        scratch.replace(target)
        return found

    return call


if __name__ == "__main__":
    for name, what in (("read_unit", "reading"), ("analyze_run", "judging")):
        setattr(judge, name, _timed(what, getattr(judge, name)))
    setattr(judge, "judge", _telling(judge.judge))  # noqa: B010 -- as the two above
    sys.exit(child.main(sys.argv[1:]))

"""Mutated logs through the whole program: none may do anything but be read, or be refused in one line.

    python -m benchmarks.fuzz --cases N [--seed S] [--jobs J] [--keep FOLDER]
    python -m benchmarks.fuzz --guided --seconds T     # with atheris

Takes as long as the cases ask for.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from pathlib import Path

from benchmarks.fuzz.batches import run_batches
from benchmarks.fuzz.samples import samples


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=2000)
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--keep", type=Path, help="folder for the logs that fail")
    parser.add_argument("--guided", action="store_true", help="guided by coverage; needs atheris")
    parser.add_argument("--seconds", type=int, default=60, help="how long the guided run takes")
    given = parser.parse_args()
    if given.keep:
        given.keep.mkdir(parents=True, exist_ok=True)
    if given.guided:
        from benchmarks.fuzz.guided import run_guided

        return run_guided(given.seconds, given.seed, given.keep)
    began = time.monotonic()
    outcomes: Counter[str] = Counter()
    failures: dict[str, str] = {}
    done = 0
    for count, found in run_batches(
        given.seed, range(given.first, given.first + given.cases), jobs=given.jobs, keep=given.keep
    ):
        done += count
        outcomes += found.outcomes
        for kind, trace in found.failures.items():
            if kind not in failures:
                print(f"--- {kind}\n{trace}", flush=True)
        failures = found.failures | failures
        if done // 10_000 > (done - count) // 10_000:
            print(f"{done:,} cases: {dict(outcomes)}", file=sys.stderr, flush=True)
    print(
        f"{given.cases:,} cases of {len(samples())} samples (seed {given.seed}) in {time.monotonic() - began:,.0f} s: "
        f"{outcomes['read']:,} read, {outcomes['refused']:,} refused, {outcomes['failed']:,} failed in {len(failures)} ways"
    )
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())

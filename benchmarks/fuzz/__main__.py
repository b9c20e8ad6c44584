"""Mutated logs through the whole program: none may do anything but be read, or be refused in one line.

    python -m benchmarks.fuzz --cases N [--seed S] [--jobs J] [--keep FOLDER]
    python -m benchmarks.fuzz --guided --seconds T     # with atheris

Takes as long as the cases ask for.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
import traceback
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from benchmarks.fuzz.judging import judge, scratch
from benchmarks.fuzz.mutations import mutated
from benchmarks.fuzz.samples import samples

PART = 500


def run_part(seed: int, first: int, count: int, keep: Path | None) -> tuple[Counter[str], dict[str, str]]:
    """Cases `first` to `first + count` of that seed: how many had which outcome, and a traceback for each kind of failure."""
    every = samples()
    outcomes: Counter[str] = Counter()
    failures: dict[str, str] = {}
    with tempfile.TemporaryDirectory(dir=scratch()) as folder:
        for number in range(first, first + count):
            # Each case has a seed of its own, so that any of them can be made again alone.
            noise = random.Random(f"{seed}:{number}")
            sample = every[number % len(every)]
            data = mutated(sample, every, noise)
            path = Path(folder, sample.file)
            path.write_bytes(data)
            forced = sample.format if noise.random() < 0.25 else None
            try:
                outcomes[judge(path, number=number // len(every), input_format=forced)] += 1
            except Exception as error:  # noqa: BLE001 -- what is looked for
                outcomes["failed"] += 1
                place = traceback.extract_tb(error.__traceback__)[-1]
                kind = f"{type(error).__name__} at {Path(place.filename).name}:{place.lineno}"
                if kind not in failures:
                    failures[kind] = f"case {number} ({path.name}, format {forced})\n{traceback.format_exc()}"
                    if keep is not None:
                        (keep / f"{number}-{path.name}").write_bytes(data)
            path.unlink(missing_ok=True)
    return outcomes, failures


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
    end = given.first + given.cases
    parts = [(given.seed, at, min(PART, end - at), given.keep) for at in range(given.first, end, PART)]
    with ProcessPoolExecutor(given.jobs) as pool:
        for done, (counted, found) in enumerate(pool.map(run_part, *zip(*parts, strict=True)), 1):
            outcomes += counted
            failures = found | failures
            if done % 20 == 0:
                print(f"{min(done * PART, given.cases):,} cases: {dict(outcomes)}", file=sys.stderr, flush=True)
    for kind, trace in failures.items():
        print(f"--- {kind}\n{trace}")
    print(
        f"{given.cases:,} cases of {len(samples())} samples (seed {given.seed}) in {time.monotonic() - began:,.0f} s: "
        f"{outcomes['read']:,} read, {outcomes['refused']:,} refused, {outcomes['failed']:,} failed in {len(failures)} ways"
    )
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())

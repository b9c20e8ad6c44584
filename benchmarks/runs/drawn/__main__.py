"""Train the drawn runs, group by group; what is there already is skipped.

    python -m benchmarks.runs.drawn FOLDER [--part learn] [--share 0/1] [--groups 2]
    python -m benchmarks.runs.drawn FOLDER --summary

The same machine and versions of PyTorch give the same runs. Takes about ten seconds for ninety runs, hours for all.
"""

from __future__ import annotations

import argparse
import collections
import sys
import time
from pathlib import Path

from benchmarks.runs.drawn.space import GROUPS, LEARN, PARTS, families, setting


def train(folder: Path, parts: list[str], groups: int, share: tuple[int, int], *, backwards: bool) -> None:
    """Train what is missing: the first group of every family, then the second, and so on."""
    import torch

    from benchmarks.runs.drawn.group import make
    from benchmarks.runs.drawn.store import path_of, write

    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    for part in parts:
        wanted = [
            setting(family, number) for number in range(groups if part == LEARN else 1) for family in families(part)
        ]
        for place, one in enumerate(wanted[::-1] if backwards else wanted):
            if place % share[1] != share[0] or path_of(folder, one).is_file():
                continue
            begun, used = time.perf_counter(), time.process_time()
            runs = make(one)
            write(folder, one, runs)
            seconds, cpu = time.perf_counter() - begun, time.process_time() - used
            print(
                f"{part} {one.family.name}-{one.number}: {len(runs)} runs, {seconds:.1f} s, {cpu:.1f} s of CPU",
                flush=True,
            )


def summary(folder: Path) -> None:
    """Count what is there by fault and verdict."""
    from benchmarks.runs.drawn.store import read, stored

    for part in PARTS:
        table: dict[str, collections.Counter[str]] = collections.defaultdict(collections.Counter)
        count, found = 0, set()
        for path in stored(folder, part):
            for run in read(path):
                table["+".join(run.label["faults"]) if len(run.label["faults"]) < 2 else "two"][
                    run.label["expected"]
                ] += 1
                count += 1
                found.add(run.label["family"])
        print(f"{part}: {count} runs of {len(found)} families")
        for name, counts in sorted(table.items()):
            print(f"  {name or '-':22}", ", ".join(f"{word} {n}" for word, n in counts.most_common()))


def main(arguments: list[str]) -> int:
    """Run one command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.runs.drawn", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--part", choices=PARTS, action="append")
    parser.add_argument("--groups", type=int, default=GROUPS)
    parser.add_argument("--share", default="0/1", help="which of how many processes this is")
    parser.add_argument("--backwards", action="store_true", help="begin with the last family")
    parser.add_argument("--summary", action="store_true")
    options = parser.parse_args(arguments)
    if options.summary:
        summary(options.folder)
        return 0
    mine, of = (int(word) for word in options.share.split("/"))
    train(options.folder, options.part or list(PARTS), options.groups, (mine, of), backwards=options.backwards)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))

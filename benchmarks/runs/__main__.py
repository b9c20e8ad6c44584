"""The labelled runs: train them, judge them again, pack and unpack the archive.

Takes seconds to unpack, an hour or more of one core to train all.
"""

from __future__ import annotations

import argparse
import collections
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.runs.archive import SPLITS
from benchmarks.runs.produce import chosen, done, judge_again, make

if TYPE_CHECKING:
    from benchmarks.runs.spec import Spec


def waves(specs: list[Spec]) -> list[list[Spec]]:
    """Runs in groups, each of which needs only earlier groups."""
    depth: dict[str, int] = {}
    for spec in specs:
        depth[spec.run] = 1 + max((depth[name] for name in spec.needs), default=-1)
    groups: dict[int, list[Spec]] = collections.defaultdict(list)
    for spec in specs:
        groups[depth[spec.run]].append(spec)
    return [groups[level] for level in sorted(groups)]


def train_all(folder: Path, specs: list[Spec], workers: int) -> None:
    """Train what is not there yet, one line per run."""
    begun = time.perf_counter()
    if workers == 1:
        for spec in specs:
            if not done(folder, spec):
                print(f"{time.perf_counter() - begun:7.1f} s  {spec.run}: {make(folder, spec)}", flush=True)
        return
    with ProcessPoolExecutor(workers) as pool:
        for wave in waves(specs):
            missing = [spec for spec in wave if not done(folder, spec)]
            for spec, expected in zip(missing, pool.map(make, [folder] * len(missing), missing), strict=True):
                print(f"{time.perf_counter() - begun:7.1f} s  {spec.run}: {expected}", flush=True)


def summary() -> None:
    """Print, from the archive, how many runs of each kind took effect in each family."""
    from benchmarks.runs.archive import labels_of, splits_in

    labels = [label for split in splits_in() for label in labels_of(split)]
    for title in ("family", "fault_kind"):
        print(f"{title:20} {'runs':>5} {'scored':>7} {'harmful':>8}   left out")
        for name in sorted({str(label[title]) for label in labels}):
            of = [label for label in labels if label[title] == name]
            scored = [one for one in of if one["manifested"] or one["expected"] == "healthy"]
            out = collections.Counter(str(one["expected"]) for one in of if one not in scored)
            harmful = sum(bool(one["harmful"]) for one in scored)
            words = ", ".join(f"{word} {count}" for word, count in out.most_common())
            print(f"{name:20} {len(of):5} {len(scored):7} {harmful:8}   {words}")


def main(arguments: list[str]) -> int:
    """Run one command; training is the default."""
    if arguments[:1] == ["unpack"]:
        from benchmarks.runs.archive import unpack

        print(unpack(Path(arguments[1])), "runs written")
        return 0
    if arguments[:1] == ["pack"]:
        from benchmarks.runs.archive import pack

        print(pack(Path(arguments[1])), "bytes written")
        return 0
    if arguments[:1] == ["summary"]:
        summary()
        return 0
    parser = argparse.ArgumentParser(prog="python -m benchmarks.runs", description=__doc__)
    parser.add_argument(
        "--out", type=Path, required=True, help="folder for SPLIT/RUN/{run.jsonl,label.json,extra.jsonl}"
    )
    parser.add_argument("--only", default="*", help="glob over the names of runs; what they need is trained too")
    parser.add_argument("--split", choices=SPLITS)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--judge", action="store_true", help="apply the rules again to the runs there, train nothing")
    parser.add_argument("--list", action="store_true", help="print the names of the runs and stop")
    options = parser.parse_args(arguments)
    specs = chosen(options.only, options.split)
    if options.list:
        print("\n".join(f"{spec.split:8} {spec.run}" for spec in specs))
    elif options.judge:
        for spec in specs:
            if done(options.out, spec):
                print(f"{spec.run}: {judge_again(options.out, spec)}")
    else:
        train_all(options.out, specs, options.workers)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))

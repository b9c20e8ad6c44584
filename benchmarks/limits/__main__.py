"""Sources of absurd size, shape or kind, made for real and analysed once: exit code, time, memory and the first words.

    python -m benchmarks.limits [--only PATTERN] [--scale 0.01] [--folder FOLDER]

The exit code is 1 where one breaks a limit: another exit code than 0, 1 or 2, more than ten seconds of processor time and
those again per 100 MB or 10,000 files, more memory than ten times the source plus 200 MB, a refusal in more than one line and its remedy.
An archive counts with what it unpacks to. `--scale` makes all of them smaller. Takes about a quarter of an hour and 2 GB of disk.
"""

from __future__ import annotations

import argparse
import fnmatch
import multiprocessing
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.limits.measuring import Cost, Source, breaks, measure
from benchmarks.limits.sources import SOURCES, make

_HEAD = "| source | MB | exit | s | MB of memory | says |\n|---|--:|--:|--:|--:|---|"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="*", help="a pattern for the names of sources")
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--folder", type=Path, help="where they are made, for a disk with room")
    given = parser.parse_args()
    broken = []
    print(_HEAD)
    for title in SOURCES:
        if not fnmatch.fnmatch(title, given.only):
            continue
        folder = Path(tempfile.mkdtemp(prefix="limits-", dir=given.folder))
        try:
            source = _made(title, folder, given.scale)
            if source is None:
                print(f"| {title} | cannot be made here | | | | |", flush=True)
                continue
            cost = measure(source, folder)
        finally:
            # What Python removes folders with is recursive in older versions.
            subprocess.run(["rm", "-rf", str(folder)], check=False)
        why = breaks(source, cost)
        print(_row(title, source, cost) + ("" if not why else f" **{why}**"), flush=True)
        broken += [title] if why else []
    if broken:
        print(f"broken: {', '.join(broken)}", file=sys.stderr)
    return 1 if broken else 0


def _made(title: str, folder: Path, scale: float) -> Source | None:
    """The source, made in a process of its own: what that takes would count as the memory of the one that is measured."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(make, (title, folder, scale))


def _row(title: str, source: Source, cost: Cost) -> str:
    said = cost.said.replace("|", "\\|")
    return f"| {title} | {source.mb:,.1f} | {cost.code} | {cost.seconds:.1f} | {cost.mb:,.0f} | {said} |"


if __name__ == "__main__":
    sys.exit(main())

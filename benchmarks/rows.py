"""How many of the rows that a log holds are judged: `python -m benchmarks.rows FOLDER`.

For each run of each log below the folder: the points of its longest of loss and norm as read, and the rows that the analysis
goes by. Where fewer than nine tenths are judged, the notices that say what became of the others are named; a run without
them is counted as unexplained. Takes about a second per log.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import NamedTuple

import gradlens
from benchmarks.measured import write
from gradlens.errors import GradlensError

#: Notices that say what became of rows which are not judged.
FATES = (
    "repeated-steps",
    "restarts-resolved",
    "stray-rows",
    "interleaved-rows",
    "duplicate-records",
    "overlapping-steps",
)
ENOUGH = 0.9


class Share(NamedTuple):
    """Of one run: points read, rows judged, and the notices about the others with their counts."""

    run: str
    n_read: int
    n_judged: int
    fates: dict[str, int]

    @property
    def is_explained(self) -> bool:
        """Whether enough rows are judged or notices account for the others."""
        missing = self.n_read - self.n_judged
        return self.n_judged >= ENOUGH * self.n_read or sum(self.fates.values()) >= missing


def shares(folder: Path) -> list[Share]:
    """The share of each run of the logs below a folder that can be read."""
    found = []
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        try:
            runs = gradlens.read(path)
        except GradlensError:
            continue
        for run in runs:
            series = [len(s) for s in (run.loss, run.grad_norm) if s is not None]
            (report,) = gradlens.analyze([run]).to_dict()["runs"]
            fates = {n["code"]: n["count"] for n in report["notices"] if n["code"] in FATES}
            found.append(Share(run.id, max(series, default=0), report["steps"], fates))
    return found


def main() -> int:
    """Print the runs of which fewer rows are judged, and the sums; 1 where one is not explained."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="+")
    parser.add_argument("--write", action="store_true", help="put the table into docs/formats.md")
    args = parser.parse_args()
    found = [share for folder in args.folder for share in shares(folder)]
    few = [s for s in found if s.n_judged < ENOUGH * s.n_read]
    for share in few:
        told = ", ".join(f"{code} {count:,}" for code, count in share.fates.items()) or "nothing"
        sys.stdout.write(f"{share.run}: {share.n_judged:,} of {share.n_read:,} judged; said: {told}\n")
    unexplained = [s for s in few if not s.is_explained]
    n_full, n_told = len(found) - len(few), len(few) - len(unexplained)
    table = "| runs | judged on at least 90 % of their rows | on fewer, with notices about the others | unexplained |\n|---|---|---|---|\n"
    table += f"| {len(found)} | {n_full} | {n_told} | {len(unexplained)} |\n"
    sys.stdout.write(f"\n{table}")
    if args.write:
        write("docs/formats.md", "rows", table)
    return 1 if unexplained else 0


if __name__ == "__main__":
    sys.exit(main())

"""What labelled runs are taken for when only 25 to 200 rows of them are logged.

    python -m benchmarks.thinned [--sources given unseen] [--every 1] [--workers 2] [--out docs/thinned.md]

Every k-th row as it is, or the mean of k losses with the last norm and rate, as trainers that average log them. Where too little
is left to tell, the verdict should be that there is not enough to judge: neither a problem nor an all-clear. `--every 4` takes every
fourth run. Takes about ten minutes.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.diagnosis.examples import SOURCES, Labelled, load
from benchmarks.diagnosis.sparse import ROWS, thinned_to
from gradlens.checks.engine import run_checks
from gradlens.diagnosis.ranking import named_cause
from gradlens.diagnosis.status import status_of


@dataclass(frozen=True, kw_only=True, slots=True)
class Told:
    """One log of one run: whether something is wrong with the run, and what was said of the log."""

    version: str
    fault: bool
    status: str
    right: bool


def told(labelled: Labelled) -> list[Told]:
    """What each log of a run is taken for."""
    accepted = labelled.accepted or frozenset()
    found = []
    with np.errstate(all="ignore"):
        for version, made in _versions(labelled):
            case = made.case()
            findings, _ = run_checks(case)
            status = status_of(case, findings)
            cause = named_cause(case, status)
            found.append(Told(version=version, fault="healthy" not in accepted, status=status, right=cause in accepted))
    return found


def _versions(labelled: Labelled) -> Iterator[tuple[str, Labelled]]:
    yield "all rows", labelled
    for rows in ROWS:
        for averaged in (False, True):
            made = thinned_to(labelled, rows, averaged=averaged)
            if made is not None:
                yield f"about {rows}, {'averaged' if averaged else 'sampled'}", made


def page(all_told: list[Told], runs: int, options: str) -> str:
    """The table for the docs; `options` are those of the command that made it."""
    lines = [
        "# Runs of which little was logged",
        "",
        f"Written by `python -m benchmarks.thinned {options}`: labelled runs with 25 to 200 rows of them, sampled or averaged. The",
        "causes and their weights were made from these runs, so the columns tell how far a log of few rows carries and not how well",
        f"the weights do on new ones. {runs:,} runs.",
        "",
        "| rows | healthy | clear | not enough to judge | alarmed | faulty | named | another cause | not enough to judge | called clear |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for version in dict.fromkeys(t.version for t in all_told):
        healthy = [t for t in all_told if t.version == version and not t.fault]
        faulty = [t for t in all_told if t.version == version and t.fault]
        shares = [
            _share(healthy, "clear"), _share(healthy, "insufficient"), _share(healthy, "problem"),
        ]  # fmt: skip
        named = sum(t.status == "problem" and t.right for t in faulty) / max(len(faulty), 1)
        shares_of_faults = [
            named, _share(faulty, "problem") - named, _share(faulty, "insufficient"), _share(faulty, "clear"),
        ]  # fmt: skip
        cells = [f"{100 * share:.1f} %" for share in shares], [f"{100 * share:.1f} %" for share in shares_of_faults]
        lines.append(
            f"| {version} | {len(healthy)} | {' | '.join(cells[0])} | {len(faulty)} | {' | '.join(cells[1])} |"
        )
    return "\n".join(lines) + "\n"


def _share(some: list[Told], status: str) -> float:
    return sum(t.status == status for t in some) / max(len(some), 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sources", nargs="+", default=list(SOURCES), choices=sorted(SOURCES))
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    runs = [r for source in arguments.sources for r in load(source) if r.accepted][:: arguments.every]
    with ProcessPoolExecutor(arguments.workers) as pool:
        all_told = [one for found in pool.map(told, runs, chunksize=8) for one in found]
    options = f"--every {arguments.every}"
    if arguments.sources != list(SOURCES):
        options += f" --sources {' '.join(arguments.sources)}"
    text = page(all_told, len(runs), options)
    if arguments.out:
        arguments.out.write_text(text, encoding="utf-8")
    else:
        print(text)


if __name__ == "__main__":
    main()

"""How the diagnosis does on sparse and incomplete logs, made from the labelled runs.

    python -m benchmarks.diagnosis.sparse [--sources given unseen] [--every 1]     # a table of the figures

A run is thinned to about N rows: every k-th row as it is, or the mean of k losses with the last norm and rate, as
trainers that average log them. Or a column is left out. The weights have seen the runs themselves, but not these logs of
them, so the figures tell how far the signs carry and not how well the weights generalise. Takes about two minutes.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

import numpy as np

from benchmarks.diagnosis.examples import SOURCES, Labelled, load, with_series
from gradlens.run import Series

ROWS = (25, 50, 100, 200)
LEFT_OUT = (("grad_norm",), ("lr",), ("loss",), ("grad_norm", "lr", "loss_scale"))


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """What one version of a run was taken for."""

    version: str
    accepted: frozenset[str]
    cause: str
    confidence: float


def thinned_to(labelled: Labelled, rows: int, *, averaged: bool) -> Labelled | None:
    """The run in about `rows` rows; None where it has no more."""
    every = len(labelled.run.series["loss"]) // rows if "loss" in labelled.run.series else 0
    if every < 2:
        return None
    series = {
        name: _thin(s, every, mean=averaged and name == "loss", last=averaged)
        for name, s in labelled.run.series.items()
    }
    return with_series(labelled, series)


def _thin(series: Series, every: int, *, mean: bool, last: bool) -> Series:
    whole = len(series) // every * every
    step, value = series.step[:whole].reshape(-1, every), series.value[:whole].reshape(-1, every)
    at = -1 if last else 0
    return Series(name=series.name, step=step[:, at].copy(), value=value.mean(axis=1) if mean else value[:, at].copy())


def without(labelled: Labelled, columns: tuple[str, ...]) -> Labelled:
    """The run without some columns; where the norm goes, so do its layers and the threshold."""
    no_norm = "grad_norm" in columns
    gone = {*columns, *(labelled.run.layers if no_norm else ())}
    series = {name: s for name, s in labelled.run.series.items() if name not in gone}
    return with_series(labelled, series, clip=None if no_norm else labelled.label["clip"])


def versions(labelled: Labelled) -> Iterator[tuple[str, Labelled]]:
    """The logs that are made of one run, and what they are called."""
    yield "as logged", labelled
    for rows in ROWS:
        for averaged in (False, True):
            thin = thinned_to(labelled, rows, averaged=averaged)
            if thin is not None:
                yield f"about {rows} rows, {'averaged' if averaged else 'sampled'}", thin
    for columns in LEFT_OUT:
        yield f"without {' and '.join(columns)}", without(labelled, columns)


def verdicts(labelled: Labelled) -> list[Verdict]:
    """What each version of a run is taken for."""
    found = []
    with np.errstate(all="ignore"):
        for version, made in versions(labelled):
            beliefs = made.case().beliefs
            accepted = labelled.accepted or frozenset()
            found.append(
                Verdict(version=version, accepted=accepted, cause=beliefs.cause, confidence=beliefs.ranking[0][1])
            )
    return found


def table(runs: list[Labelled], workers: int = 2) -> list[str]:
    """The lines of a Markdown table, one version per line."""
    with ProcessPoolExecutor(workers) as pool:
        all_verdicts = [v for found in pool.map(verdicts, runs, chunksize=8) for v in found]
    lines = [
        "| log | runs | false alarms | detected | named | called healthy: right, mean confidence |",
        "|---|---|---|---|---|---|",
    ]
    for version in dict.fromkeys(v.version for v in all_verdicts):
        mine = [v for v in all_verdicts if v.version == version]
        healthy = [v for v in mine if "healthy" in v.accepted]
        faults = [v for v in mine if "healthy" not in v.accepted]
        calm = [v for v in mine if v.cause == "healthy"]
        alarms = np.mean([v.cause != "healthy" for v in healthy])
        detected = np.mean([v.cause != "healthy" for v in faults])
        named = np.mean([v.cause in v.accepted for v in faults])
        right = np.mean(["healthy" in v.accepted for v in calm])
        sure = np.mean([v.confidence for v in calm])
        lines.append(
            f"| {version} | {len(mine)} | {alarms:.1%} | {detected:.1%} | {named:.1%} | {right:.0%}, {sure:.2f} |"
        )
    return lines


def main() -> None:
    """Print the table for every labelled run, or for some."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sources", nargs="+", default=list(SOURCES), choices=sorted(SOURCES))
    parser.add_argument("--every", type=int, default=1, metavar="N", help="judge every N-th run")
    arguments = parser.parse_args()
    runs = [r for source in arguments.sources for r in load(source) if r.accepted][:: arguments.every]
    print("\n".join(table(runs)))


if __name__ == "__main__":
    main()

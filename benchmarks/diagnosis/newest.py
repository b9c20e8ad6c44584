"""Scores the newest look by what ships, and publishes it in `benchmarks/diagnosis/looks.json`.

    python -m benchmarks.diagnosis.newest FOLDER [--recorded] [--workers 1]

FOLDER is that of `benchmarks.runs.drawn`; the part that is scored has tasks or architectures that nothing was learned from. Each run is
given to the diagnosis as a report would judge it: facts, signs, curves, the rule of who decides, ceilings; without the recorder's columns,
or with them. What is published stays as it was. Takes twenty seconds.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.diagnosis.examples import Labelled, with_series
from benchmarks.diagnosis.naming import AS_REPORTED, KINDS, LOOKS, figures_of, outside
from benchmarks.diagnosis.opinion import CAUSES, HEALTHY, Array
from benchmarks.diagnosis.scores import by, by_cause
from benchmarks.diagnosis.table import Table, counts, labelled_of
from benchmarks.runs.drawn.space import TENTH
from benchmarks.runs.drawn.store import read, stored
from gradlens.diagnosis.case import Case
from gradlens.diagnosis.traits.base import RECORDED

#: The name of the newest look among those that are published.
NEWEST = f"{TENTH}{AS_REPORTED}"


def without_recorder(run: Labelled) -> Labelled:
    """The same run without the columns of the recorder."""
    return with_series(run, {name: s for name, s in run.run.series.items() if name not in RECORDED})


def said(case: Case) -> Array:
    """(causes,): the confidence of each cause as a report gives it, the named one first."""
    found = np.zeros(len(CAUSES))
    for cause, p in case.beliefs.ranking:
        found[CAUSES.index(cause)] = p
    named = CAUSES.index(case.cause)
    sure = max(0.0, *(fact.confidence for fact in case.facts if fact.cause == case.cause), 0.0)
    sure = max(sure, found[named], found[HEALTHY] if case.cause == "unknown" else 0.0, float(found.max()))
    found *= (1.0 - sure) / max(1.0 - found[named], 1e-12)
    found[named] = sure
    return found


def judged(path: Path, *, recorded: bool) -> tuple[list[dict[str, Any]], list[Array]]:
    """The labels of the runs of one group that count, and what is said of each."""
    labels: list[dict[str, Any]] = []
    found: list[Array] = []
    with np.errstate(all="ignore"):
        for run in _scored(path):
            labels.append({**run.label, "share": 1.0})
            found.append(said((run if recorded else without_recorder(run)).case()))
    return labels, found


def _scored(path: Path) -> Iterator[Labelled]:
    yield from (run for run in map(labelled_of, read(path)) if counts(run.label))


def table_of(labels: list[dict[str, Any]]) -> Table:
    """A table of labels alone."""
    nothing = np.zeros((len(labels), 0))
    return Table(labels=labels, signs=nothing, traits=nothing, sparse_signs=nothing, sparse=nothing)


def main() -> None:
    """Score and publish."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--recorded", action="store_true")
    options = parser.parse_args()
    published: dict[str, Any] = json.loads(LOOKS.read_text(encoding="utf-8"))
    words = next(words for words, recorded in KINDS if recorded == options.recorded)
    look = published.setdefault(NEWEST, {})
    if words in look:
        raise SystemExit(f"{NEWEST}, {words}: published already")
    with ProcessPoolExecutor(options.workers) as pool:
        groups = list(pool.map(partial(judged, recorded=options.recorded), stored(options.folder, TENTH)))
    table = table_of([label for labels, _ in groups for label in labels])
    p = np.array([row for _, found in groups for row in found])
    look[words] = figures_of(table, p) | {
        "outside": outside(table, p),
        "by family": {row[0]: list(row[1:]) for row in by(table, p, [label["family"] for label in table.labels])},
        "by cause": {row[0]: list(row[1:]) for row in by_cause(table, p)},
    }
    LOOKS.write_text(json.dumps(published, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(look[words], indent=1))


if __name__ == "__main__":
    main()

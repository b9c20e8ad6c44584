"""The table that the diagnosis is learned from: a row a run, with its label, the grades of its signs and its traits.

    python -m benchmarks.diagnosis.table build FOLDER     # from the drawn runs in FOLDER and the archived ones
    python -m benchmarks.diagnosis.table pack FOLDER      # the parts that FOLDER has, into benchmarks/diagnosis/table/

FOLDER is that of `benchmarks.runs.drawn`. What is measured of a group is kept beside it, so that a second call measures only
what is new; `--again` forgets it. Packed, signs are bytes and traits half-precision floats. Takes a minute for 1,200 runs.
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
from collections.abc import Container, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.diagnosis.examples import ROLES, SOURCES, Labelled, columns_of, cut, load, with_series
from benchmarks.runs.drawn.space import PARTS
from benchmarks.runs.drawn.store import Stored, read, stored
from gradlens.config import TrainingConfig
from gradlens.diagnosis.case import Case, build_case
from gradlens.diagnosis.signs import SIGNS
from gradlens.diagnosis.traits import measure, trait_names
from gradlens.diagnosis.traits.base import RECORDED
from gradlens.diagnosis.traits.source import curves_of
from gradlens.run import Run, Series
from gradlens.signals.axis import signals_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

PACKED = Path(__file__).parent / "table"
#: What stays of a label.
KEPT = (
    "run", "part", "family", "task", "net", "group", "faults", "expected", "manifested", "harmful", "also_acceptable", "lost",
    "rows", "interval", "schedule", "opt", "share",
)  # fmt: skip
#: What the facts say of a run (`_facts`), and the file beside packed tables that says it: facts change more often than measurements.
OF_FACTS = ("proven", "grave", "sure", "excluded", "doubted", "means")
FACTS = "facts.json.gz"
#: How much of a healthy run is measured besides all of it: an alarm must not be raised on its way either.
BEGINNINGS = (0.1, 0.25, 0.5)
#: The threshold that a report takes where nobody says one.
ASSUMED = 1.0


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Table:
    """Labels, grades (runs, signs), traits (runs, traits), and both again of a sparser log of the same run."""

    labels: Sequence[Mapping[str, Any]]
    signs: NDArray[np.float64]
    traits: NDArray[np.float64]
    sparse_signs: NDArray[np.float64]
    sparse: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.labels)

    def chosen(self, rows: NDArray[np.intp]) -> Table:
        """Some of the rows."""
        return Table(labels=[self.labels[i] for i in rows], signs=self.signs[rows], traits=self.traits[rows],
                     sparse_signs=self.sparse_signs[rows], sparse=self.sparse[rows])  # fmt: skip


def joined(tables: Sequence[Table]) -> Table:
    """The rows of several tables."""

    def all_of(name: str) -> NDArray[np.float64]:
        return np.concatenate([getattr(table, name) for table in tables])

    return Table(labels=[label for t in tables for label in t.labels], signs=all_of("signs"), traits=all_of("traits"),
                 sparse_signs=all_of("sparse_signs"), sparse=all_of("sparse"))  # fmt: skip


def labelled_of(run: Stored) -> Labelled:
    """A drawn run as the diagnosis would be given it: the usual columns, those of the recorder, and the threshold."""
    series = {}
    step = run.table["step"]
    for name, values in run.table.items():
        if name == "step":
            continue
        has = (
            np.isfinite(values)
            if name in {"val_loss", "loss_before", "loss_after", "grad_dot_update"}
            else np.ones(len(values), dtype=bool)
        )
        if has.any():
            series[name] = Series(name=name, step=step[has].astype(np.int64), value=values[has].astype(np.float64))
    layers = {name: s for name, s in series.items() if name.startswith("grad_norm/")}
    name = str(run.label["run"])
    made = Run(id=name, source=name, format="drawn", series=series, columns=columns_of({k: series[k] for k in ROLES if k in series}),
               layers=layers, histograms={})  # fmt: skip
    recipe = run.label["recipe"]
    label = dict(run.label) | {
        "clip": recipe["clip"], "schedule": recipe["schedule"], "opt": recipe["opt"], "rows": len(step),
        "interval": recipe["every"], "lost": run.label["evidence"].get("lost_progress"),
    }  # fmt: skip
    return Labelled(run=made, label=label)


def archived_labels(source: str, only: Container[str] | None = None) -> Iterator[Labelled]:
    """The runs of the archive, all or those named, with their extra columns; `loss_after` is left out, only faulty runs have it there."""
    for run in load(source, extra=source != "given", only=only):
        label = dict(run.label)
        label |= {"part": source, "family": run.family, "task": run.family, "net": "", "group": 0,
                  "faults": [] if label["fault_kind"] == "healthy" else [label["fault_kind"]],
                  "also_acceptable": sorted((run.accepted or set()) - {label["expected"]}) if run.accepted else [],
                  "lost": (label.get("evidence") or {}).get("lost_progress"), "rows": len(run.run.series["loss"]),
                  "interval": label["log_every"]}  # fmt: skip
        if run.accepted is None:
            label |= {
                "expected": "unclear" if label["expected"] == "healthy" else label["expected"],
                "manifested": None,
            }
        yield Labelled(run=run.run, label=label)


def measured(runs: Iterator[Labelled]) -> Table:
    """Grade and measure the runs that count."""
    labels, found = [], []
    for run in with_beginnings(run for run in runs if counts(run.label)):
        case = run.case()
        found.append((*_grades_and_traits(case), *_grades_and_traits(sparser(run, random.Random(run.run.id)))))
        labels.append({name: run.label.get(name) for name in KEPT} | _facts(case))
    widths = (len(SIGNS), len(trait_names()), len(SIGNS), len(trait_names()))
    signs, traits, sparse_signs, sparse = (
        np.array([row[k] for row in found]).reshape(len(labels), width) for k, width in enumerate(widths)
    )
    return Table(labels=labels, signs=signs, traits=traits, sparse_signs=sparse_signs, sparse=sparse)


def _grades_and_traits(case: Case) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    curves = curves_of(case.run, case.signals, case.threshold, is_known=case.threshold_source != "assumed")
    return np.array([case.signs[name] for name in SIGNS]), measure(curves)


def counts(label: Mapping[str, Any]) -> bool:
    """Whether a run is healthy, or has a fault that took effect; nothing is learned from others."""
    return label["expected"] == "healthy" or bool(label["manifested"])


def with_beginnings(runs: Iterator[Labelled]) -> Iterator[Labelled]:
    """Each run, and of a healthy one also the log as it stood after a tenth, a quarter or a half: `share` in its label."""
    for run in runs:
        yield Labelled(run=run.run, label={**run.label, "share": 1.0})
        if run.label["expected"] == "healthy":
            share = random.Random(f"{run.run.id} begins").choice(BEGINNINGS)
            begun = cut(run, share)
            yield Labelled(run=begun.run, label={**begun.label, "share": share, "rows": len(begun.run.series["loss"])})


def _facts(case: Case) -> dict[str, Any]:
    """What the facts say of a run: the cause that one proves, whether one is grave and what is named then, and what they rule out."""
    serious = [fact for fact in case.facts if fact.severity.rank > 0]
    return {
        "proven": next((fact.cause for fact in serious if fact.cause is not None), None),
        "grave": serious[0].otherwise if serious else None,
        "sure": max((fact.confidence for fact in serious if fact.cause is not None), default=0.0),
        "excluded": sorted(case.ruled_out),
        "doubted": sorted(case.doubted),
        "means": case.has_learned_curves,
    }


def sparser(run: Labelled, dice: random.Random) -> Case:
    """The same run with fewer rows, sampled or averaged, and at times without a threshold, a rate or norms."""
    loss = run.run.series["loss"]
    n = len(loss)
    every = max(n // min(dice.choice((40, 60, 100, 150, 250, 400)), n), 1)
    averaged, kept = dice.random() < 0.5, np.arange(every - 1, n, every)
    nobody_knows, left_out = dice.random() < 0.3, dice.random()
    gone = ("lr",) if left_out < 0.15 else ("grad_norm", *RECORDED) if left_out < 0.25 else ()
    series = {}
    for name, s in run.run.series.items():
        if name in gone or (name.startswith("grad_norm/") and "grad_norm" in gone):
            continue
        value = s.value
        if averaged and name == "loss":
            value = value.copy()
            value[kept] = value[: len(kept) * every].reshape(-1, every).mean(axis=1)
        chosen = kept if len(s) == n else np.flatnonzero(np.isin(s.step, loss.step[kept]))
        if len(chosen):
            series[name] = Series(name=name, step=s.step[chosen], value=value[chosen])
    thin = with_series(run, series).run
    unknown = nobody_knows or "grad_norm" in gone
    return build_case(
        thin, signals_of(thin), config=TrainingConfig(), threshold=ASSUMED if unknown else run.label["clip"],
        threshold_source="assumed" if unknown else "option",
    )  # fmt: skip


def save(table: Table, path: Path) -> None:
    """Write a table: signs as bytes, traits in half precision."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"labels": table.labels, "signs": list(SIGNS), "traits": list(trait_names())}).encode()
    with np.errstate(over="ignore"):
        np.savez_compressed(
            path.with_suffix(".part.npz"), index=np.frombuffer(text, dtype=np.uint8),
            **{name: np.round(getattr(table, name).T * 255).astype(np.uint8) for name in ("signs", "sparse_signs")},
            **{name: np.clip(getattr(table, name), -6e4, 6e4).T.astype(np.float16) for name in ("traits", "sparse")},
        )  # fmt: skip
    path.with_suffix(".part.npz").replace(path)


def open_table(path: Path) -> Table:
    """Read a table back."""
    with np.load(path, allow_pickle=False) as file:
        index = json.loads(file["index"].tobytes())
        signs, sparse_signs = (file[name].T / 255.0 for name in ("signs", "sparse_signs"))
        traits, sparse = (file[name].T.astype(np.float64) for name in ("traits", "sparse"))
    column = [index["traits"].index(name) for name in trait_names()]
    # Signs that were made after the table are in no run of it: build it again to learn their worth.
    known = {name: i for i, name in enumerate(index["signs"])}

    def graded(table: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.stack([table[:, known[name]] if name in known else np.zeros(len(table)) for name in SIGNS], axis=1)

    return Table(labels=_with_facts(index["labels"], path), signs=graded(signs), traits=traits[:, column],
                 sparse_signs=graded(sparse_signs), sparse=sparse[:, column])  # fmt: skip


def _with_facts(labels: list[dict[str, Any]], path: Path) -> list[dict[str, Any]]:
    """The labels of a table with what the file beside it says of the facts, if there is one."""
    known = _facts_in(path.parent).get(path.stem)
    if known is None:
        return labels
    return [label | dict(zip(OF_FACTS, facts, strict=True)) for label, facts in zip(labels, known, strict=True)]


@cache
def _facts_in(folder: Path) -> dict[str, list[list[Any]]]:
    """By the name of a table what the facts say of each of its rows, empty where no file does."""
    path = folder / FACTS
    if not path.is_file():
        return {}
    found: dict[str, list[list[Any]]] = json.loads(gzip.decompress(path.read_bytes()))
    return found


def _measure_group(paths: tuple[Path, Path]) -> int:
    source, target = paths
    with np.errstate(all="ignore"):
        table = measured(labelled_of(run) for run in read(source))
    save(table, target)
    return len(table)


def _measure_source(pair: tuple[str, Path]) -> int:
    source, target = pair
    with np.errstate(all="ignore"):
        table = measured(archived_labels(source))
    save(table, target)
    return len(table)


def build(folder: Path, *, again: bool = False, workers: int = 1) -> None:
    """Measure what has not been measured."""
    groups, sources = [], []
    for part in PARTS:
        for path in stored(folder, part):
            target = folder / "measured" / part / path.name
            if again or not target.is_file():
                groups.append((path, target))
    for source in SOURCES:
        target = folder / "measured" / "archive" / f"{source}.npz"
        if again or not target.is_file():
            sources.append((source, target))
    with ProcessPoolExecutor(workers) as pool:
        print(sum(pool.map(_measure_source, sources)), "archived runs measured", flush=True)
        print(sum(pool.map(_measure_group, groups)), "drawn runs measured", flush=True)


def part_of(folder: Path, part: str) -> Table:
    """All measured runs of one part (`archive` for the older runs)."""
    return joined([open_table(path) for path in sorted((folder / "measured" / part).glob("*.npz"))])


def pack(folder: Path, target: Path = PACKED) -> None:
    """Write one file a part, and one of what facts say; a part of which only facts are new stays as it is, and so do absent ones."""
    facts = dict(_facts_in(target))
    for part in ("archive", *PARTS):
        if (folder / "measured" / part).is_dir():
            table, path = part_of(folder, part), target / f"{part}.npz"
            if not (path.is_file() and _is_held_by(table, path)):
                save(table, path)
            facts[part] = [[label[name] for name in OF_FACTS] for label in table.labels]
    (target / FACTS).write_bytes(gzip.compress(json.dumps(facts).encode(), mtime=0))
    _facts_in.cache_clear()


def _is_held_by(table: Table, path: Path) -> bool:
    """Whether a file holds the rows of a table, whatever it says of the facts."""
    kept = open_table(path)

    def without_facts(one: Table) -> list[dict[str, Any]]:
        return [{name: value for name, value in label.items() if name not in OF_FACTS} for label in one.labels]

    names = ("signs", "traits", "sparse_signs", "sparse")
    return without_facts(kept) == without_facts(table) and all(
        np.array_equal(getattr(kept, name), getattr(table, name), equal_nan=True) for name in names
    )


def packed(*parts: str) -> Table:
    """The packed table of some parts."""
    return joined([open_table(PACKED / f"{part}.npz") for part in parts])


def main() -> None:
    """Build or pack."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=("build", "pack"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--again", action="store_true")
    parser.add_argument("--workers", type=int, default=1)
    options = parser.parse_args()
    if options.command == "build":
        build(options.folder, again=options.again, workers=options.workers)
    else:
        pack(options.folder)


if __name__ == "__main__":
    main()

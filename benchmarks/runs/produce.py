"""From the catalogue to folders: resolve what depends on other runs, train, write, judge."""

from __future__ import annotations

import fnmatch
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from benchmarks.runs.catalogue.build import catalogue
from benchmarks.runs.labels import judge_fault, judge_healthy, judged
from benchmarks.runs.spec import HEALTHY, Spec
from benchmarks.runs.store import LABEL, RUN, describe, label_path, read_label, read_rows, write_label, write_logs

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.runs.recording import Row


def chosen(only: str, split: str | None) -> list[Spec]:
    """Runs whose name matches, and before each the runs it needs."""
    everything = {spec.run: spec for spec in catalogue()}
    wanted: dict[str, Spec] = {}

    def want(spec: Spec) -> None:
        for name in spec.needs:
            want(everything[name])
        wanted.setdefault(spec.run, spec)

    for spec in everything.values():
        if fnmatch.fnmatch(spec.run, only) and split in (None, spec.split):
            want(spec)
    return list(wanted.values())


def resolve(spec: Spec, folder: Path) -> Spec:
    """Give the run its threshold, where that depends on the norms of a reference run."""
    if spec.clip_rule is None:
        return spec
    facts = read_label(label_path(folder, spec.split, spec.clip_rule.reference))["facts"]
    known = {float(q): float(v) for q, v in facts["norm_quantiles_after_warmup"].items()}
    quantiles = sorted(known)
    below = max(q for q in quantiles if q <= max(spec.clip_rule.quantile, quantiles[0]))
    above = min(q for q in quantiles if q >= spec.clip_rule.quantile)
    share = 0.0 if above == below else (spec.clip_rule.quantile - below) / (above - below)
    level = known[below] + share * (known[above] - known[below])
    return replace(spec, clip=float(f"{spec.clip_rule.factor * level:.2g}"))


def completed(folder: Path, label: dict[str, Any], rows: list[Row]) -> dict[str, Any]:
    """The label with the verdict of the rules; the twin must be on disk, and judged."""
    run = judged(label, rows)
    twin = None
    if label["twin"]:
        place = folder / str(label["split"]) / str(label["twin"])
        twin = judged(read_label(place / LABEL), read_rows(place / RUN))
    if label["fault_kind"] == HEALTHY:
        verdict = judge_healthy(run, twin)
    elif twin is None:
        raise ValueError(f"{label['run']} has a fault and no twin to be judged against")
    else:
        verdict = judge_fault(run, twin)
    return label | {
        "expected": verdict.expected,
        "also_acceptable": verdict.also_acceptable,
        "manifested": verdict.manifested,
        "harmful": verdict.harmful,
        "evidence": {key: _plain(value) for key, value in verdict.evidence.items()},
    }


def judge_again(folder: Path, spec: Spec) -> str:
    """Reapply the rules to a run on disk; returns what is expected of the diagnosis."""
    place = folder / spec.split / spec.run
    label = completed(folder, read_label(place / LABEL), read_rows(place / RUN))
    write_label(place, label)
    return str(label["expected"])


def _plain(value: Any) -> Any:
    """Numbers of numpy as Python's, shortened."""
    if isinstance(value, (bool, str)) or value is None:
        return value
    number = float(value)
    return int(number) if number.is_integer() and abs(number) < 1e9 else float(f"{number:.5g}")


def done(folder: Path, spec: Spec) -> bool:
    """A run is done once its label is there: it is written last, and whole."""
    return label_path(folder, spec.split, spec.run).exists()


def make(folder: Path, spec: Spec) -> str:
    """Train one run, write it, judge it; returns what is expected of the diagnosis."""
    from benchmarks.runs.training import train

    recording = train(resolve(spec, folder))
    place = folder / spec.split / spec.run
    write_logs(place, recording)
    label = completed(folder, describe(recording), read_rows(place / RUN))
    write_label(place, label)
    return str(label["expected"])

"""From the catalogue to folders: resolve what depends on other runs, train, write, judge."""

from __future__ import annotations

import fnmatch
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from benchmarks.runs.catalogue import catalogue
from benchmarks.runs.labels import MILD, Verdict, judge_fault, judge_healthy, judged
from benchmarks.runs.spec import HEALTHY, Spec
from benchmarks.runs.store import RUN, describe, label_path, read_label, read_rows, write_label, write_logs

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.runs.labels import Judged


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
    facts: dict[str, Any] = read_label(label_path(folder, spec.split, spec.clip_rule.reference))["facts"]  # type: ignore[assignment]
    known = {float(q): float(v) for q, v in facts["norm_quantiles_after_warmup"].items()}
    quantiles = sorted(known)
    below = max(q for q in quantiles if q <= max(spec.clip_rule.quantile, quantiles[0]))
    above = min(q for q in quantiles if q >= spec.clip_rule.quantile)
    share = 0.0 if above == below else (spec.clip_rule.quantile - below) / (above - below)
    level = known[below] + share * (known[above] - known[below])
    return replace(spec, clip=float(f"{spec.clip_rule.factor * level:.2g}"))


def _judged(folder: Path) -> Judged:
    return judged(read_label(folder / "label.json"), read_rows(folder / RUN))


def verdict_of(folder: Path, split: str, run: str) -> Verdict:
    """Apply the rules to a run on disk, whose twin must be there and judged."""
    one = _judged(folder / split / run)
    twin = _judged(folder / split / str(one.label["twin"])) if one.label["twin"] else None
    if one.label["fault_kind"] == HEALTHY:
        return judge_healthy(one, twin)
    if twin is None:
        raise ValueError(f"{run} has a fault and no twin to be judged against")
    return judge_fault(one, twin)


def apply_rules(folder: Path, spec: Spec) -> str:
    """Judge a run and complete its label; returns what is expected of the diagnosis."""
    path = label_path(folder, spec.split, spec.run)
    label = read_label(path)
    verdict = verdict_of(folder, spec.split, spec.run)
    label |= {
        "expected": verdict.expected,
        "also_acceptable": verdict.also_acceptable,
        "manifested": verdict.manifested,
        "harmful": verdict.harmful,
        "evidence": {key: _plain(value) for key, value in verdict.evidence.items()},
    }
    write_label(path.parent, label)
    return verdict.expected


def _plain(value: Any) -> Any:
    """Numbers of numpy as Python's, shortened."""
    if isinstance(value, (bool, str)) or value is None:
        return value
    number = float(value)
    return int(number) if number.is_integer() and abs(number) < 1e9 else float(f"{number:.5g}")


def done(folder: Path, spec: Spec) -> bool:
    """A run is done once its label holds a verdict."""
    path = label_path(folder, spec.split, spec.run)
    return path.exists() and "expected" in json.loads(path.read_text(encoding="utf-8"))


def make(folder: Path, spec: Spec) -> str:
    """Train one run, write it, judge it."""
    from benchmarks.runs.training import train

    spec = resolve(spec, folder)
    recording = train(spec)
    place = folder / spec.split / spec.run
    write_logs(place, recording)
    write_label(place, describe(spec, recording))
    return apply_rules(folder, spec)


__all__ = ["MILD", "apply_rules", "chosen", "done", "make", "resolve", "verdict_of"]

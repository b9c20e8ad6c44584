"""Drawn runs on disk: one file a group, written whole, so that training can stop and go on anywhere.

A file holds for each run the columns of its log one after the other as float32, and what is known of it as JSON.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.runs.drawn.rules import Run
from benchmarks.runs.drawn.space import Setting

SUFFIX = ".npz"


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Stored:
    """One run as it was stored: its label, and its columns by name, (rows,) each."""

    label: Mapping[str, Any]
    table: Mapping[str, np.ndarray]


def path_of(folder: Path, setting: Setting) -> Path:
    """Where a group is stored."""
    return folder / setting.family.part / f"{setting.family.name}-{setting.number}{SUFFIX}"


def label_of(run: Run, number: int) -> dict[str, Any]:
    """What is known of a run and cannot be seen in its log."""
    s, r = run.setting, run.recorded.recipe
    recipe = {k: v for k, v in asdict(r).items() if k not in {"bad_steps", "acted_steps"}}
    return {
        "run": f"{s.family.name}-{s.number}-{number}", "part": s.family.part, "family": s.family.name, "task": s.family.task,
        "net": s.family.net, "group": s.number, "faults": list(run.faults), "expected": run.verdict.expected,
        "manifested": run.verdict.manifested, "harmful": run.verdict.harmful,
        "also_acceptable": list(run.verdict.also_acceptable), "evidence": run.verdict.evidence, "recipe": recipe,
        "size": {"width": s.width, "depth": s.depth, "act": s.act, "norm": s.norm, "init": s.init,
                 "noise": s.world.noise, "spread": s.world.spread},
        "bad_batches": len(r.bad_steps), "acted_steps": list(r.acted_steps[:3]),
    }  # fmt: skip


def write(folder: Path, setting: Setting, runs: list[Run]) -> None:
    """Write a group, whole or not at all."""
    index, parts = [], []
    for number, run in enumerate(runs):
        index.append({"label": label_of(run, number), "rows": len(run.table["step"]), "columns": list(run.table)})
        parts += [np.asarray(values, dtype=np.float32) for values in run.table.values()]
    target = path_of(folder, setting)
    target.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(index, default=float).encode()
    part = target.with_suffix(".part.npz")
    with np.errstate(over="ignore"):
        np.savez_compressed(
            part,
            index=np.frombuffer(text, dtype=np.uint8),
            values=np.concatenate([np.zeros(0, dtype=np.float32), *parts]),
        )
    part.replace(target)


def read(path: Path) -> Iterator[Stored]:
    """The runs of one group."""
    with np.load(path, allow_pickle=False) as file:
        index = json.loads(file["index"].tobytes())
        values = file["values"]
    begin = 0
    for entry in index:
        table, rows = {}, entry["rows"]
        for name in entry["columns"]:
            table[name] = values[begin : begin + rows].astype(np.int64 if name == "step" else np.float64)
            begin += rows
        yield Stored(label=entry["label"], table=table)


def stored(folder: Path, part: str) -> list[Path]:
    """The groups of a part that are there, in order of their names."""
    return sorted(path for path in (folder / part).glob(f"*{SUFFIX}") if not path.name.endswith(f".part{SUFFIX}"))

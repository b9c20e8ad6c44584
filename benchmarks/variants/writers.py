"""Variants as logs: other names, formats, logging intervals, first steps and rounding for the same situation."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.variants.base import Generator, Log

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Table = Mapping[str, NDArray[np.float64]]

NAMES: Mapping[str, tuple[str, ...]] = {
    "step": ("step", "global_step", "iteration", "_step", "iter"),
    "loss": ("loss", "train_loss", "train/loss", "training_loss"),
    "grad_norm": ("grad_norm", "train/grad_norm", "gnorm", "gradient_norm", "total_grad_norm"),
    "lr": ("lr", "learning_rate", "train/lr", "train/learning_rate"),
    "loss_scale": ("loss_scale", "train/loss_scale"),
    "val_loss": ("val_loss", "eval_loss", "validation_loss"),
}


def write(g: Generator, log: Log, folder: Path) -> Path:
    """The log of a situation in a format and with names, interval and rounding drawn for it."""
    if log.text:
        path = folder / "train.log"
        path.write_text(log.text, "utf-8")
        return path
    n = len(next(iter(log.columns.values())))
    every = int(g.choice((1, 1, 5, 10, 50)))
    first = int(g.choice((0, 1)))
    table = dict(log.columns)
    table.setdefault("step", (np.arange(n, dtype=np.float64) + first) * every)
    if log.may_thin and n >= 2000 and g.random() < 0.3:
        table = {name: value[::2] for name, value in table.items()}
    if log.may_round and g.random() < 0.5:
        table = {name: _rounded(value, name) for name, value in table.items()}
    known = tuple(WRITERS) if not log.lines else ("pairs",)
    kind = str(g.choice(log.formats or known))
    names = {key: str(g.choice(NAMES[key])) if key in NAMES else key for key in table}
    path = folder / {"state": "trainer_state.json", "csv": "metrics.csv", "rows": "run.jsonl"}.get(kind, "train.log")
    path.write_text(WRITERS[kind](table, names, log), "utf-8")
    if log.config:
        (folder / "config.json").write_text(json.dumps(log.config), "utf-8")
    return path


def _rounded(value: NDArray[np.float64], name: str) -> NDArray[np.float64]:
    """Four decimals, as trainers print losses and norms, where that leaves three digits of them."""
    known = np.abs(value[np.isfinite(value) & (value != 0)])
    if name not in {"loss", "grad_norm"} or not len(known) or np.median(known) < 0.1:
        return value
    return np.round(value, 4)


def _records(table: Table) -> list[dict[str, float | int]]:
    """One mapping per row; a validation loss of NaN stands for none."""
    found = []
    for row in range(len(table["step"])):
        record: dict[str, float | int] = {}
        for name, column in table.items():
            value = float(column[row])
            if name == "val_loss" and math.isnan(value):
                continue
            record[name] = int(value) if name == "step" else value
        found.append(record)
    return found


def _named(record: Mapping[str, float | int], names: Mapping[str, str]) -> dict[str, float | int]:
    return {names[key]: value for key, value in record.items()}


def as_rows(table: Table, names: Mapping[str, str], _log: Log) -> str:
    """JSON lines."""
    return "".join(json.dumps(_named(record, names)) + "\n" for record in _records(table))


def as_csv(table: Table, names: Mapping[str, str], _log: Log) -> str:
    """A comma-separated table."""
    lines = [",".join(names[key] for key in table)]
    lines += [",".join(f"{record[key]!r}" if key in record else "" for key in table) for record in _records(table)]
    return "\n".join(lines) + "\n"


def as_state(table: Table, _names: Mapping[str, str], _log: Log) -> str:
    """A trainer_state.json; its trainer gives the names."""
    fixed = {"lr": "learning_rate", "val_loss": "eval_loss"}
    history = [{fixed.get(key, key): value for key, value in record.items()} for record in _records(table)]
    for place, record in enumerate(history):
        record["epoch"] = place / len(history)
    return json.dumps({"global_step": history[-1]["step"], "epoch": 1.0, "log_history": history})


def as_pairs(table: Table, names: Mapping[str, str], log: Log) -> str:
    """A console with a line of `name: value` pairs per row, and what else it prints."""
    lines = []
    for row, record in enumerate(_records(table)):
        parts = [
            f"{names[key]}: {value:.6g}" if key != "step" else f"{names[key]}: {value}" for key, value in record.items()
        ]
        lines.append(", ".join(parts))
        if row in log.lines:
            lines.append(log.lines[row])
    return "\n".join(lines) + "\n"


WRITERS: Mapping[str, Callable[[Table, Mapping[str, str], Log], str]] = {
    "rows": as_rows, "csv": as_csv, "state": as_state, "pairs": as_pairs,
}  # fmt: skip

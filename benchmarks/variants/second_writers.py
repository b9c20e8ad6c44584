"""The logs of the second set: other spellings, and the formats of consoles, trainers and spreadsheets."""

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

Row = dict[str, float]
NAMES: Mapping[str, tuple[str, ...]] = {
    "step": ("step", "Step", "iter", "num_updates", "trainer/global_step", "update"),
    "loss": ("loss", "Loss", "train/loss", "loss/train", "train_loss_step", "lm_loss", "cross_entropy"),
    "grad_norm": ("grad_norm", "GradNorm", "grad/norm", "train/gnorm", "gradient-norm", "total_norm"),
    "lr": ("lr", "LR", "learning-rate", "train/lr", "lr-AdamW"),
    "loss_scale": ("loss_scale", "grad_scale", "amp/loss_scale"),
    "val_loss": ("val_loss", "valid/loss", "eval/loss"),
}


def write_second(g: Generator, log: Log, folder: Path) -> Path:
    """The log of a situation in a format and with names, interval and rounding drawn for it."""
    n = len(next(iter(log.columns.values())))
    every = int(g.choice((1, 1, 2, 10, 25, 100)))
    table = dict(log.columns)
    table.setdefault("step", (np.arange(n, dtype=np.float64) + int(g.choice((0, 1)))) * every)
    if log.may_round and g.random() < 0.4:
        digits = int(g.choice((3, 4, 5)))
        table = {
            name: _significant(value, digits) if name in {"loss", "grad_norm"} else value
            for name, value in table.items()
        }
    kind = (
        str(g.choice(log.formats or ("rows", "csv", "semicolons", "state", "dicts", "bars")))
        if not log.lines
        else "bars"
    )
    names = {key: str(g.choice(NAMES[key])) if key in NAMES else key for key in table}
    path = folder / {
        "state": "trainer_state.json",
        "csv": "metrics.csv",
        "semicolons": "log.csv",
        "rows": "history.jsonl",
    }.get(kind, "out.log")
    rows = [{key: float(column[row]) for key, column in table.items()} for row in range(n)]
    path.write_text(WRITERS[kind](rows, names, log), "utf-8")
    if log.config:
        (folder / "config.json").write_text(json.dumps(log.config), "utf-8")
    return path


def _significant(value: NDArray[np.float64], digits: int) -> NDArray[np.float64]:
    return np.array([float(f"{v:.{digits}g}") for v in value])


def _kept(row: Row) -> Row:
    """Without a validation loss that was not measured; steps as whole numbers."""
    return {key: int(v) if key == "step" else v for key, v in row.items() if not (key == "val_loss" and math.isnan(v))}


def _rows(rows: list[Row], names: Mapping[str, str], _log: Log) -> str:
    return "".join(json.dumps({names[key]: v for key, v in _kept(row).items()}) + "\n" for row in rows)


def _csv(rows: list[Row], names: Mapping[str, str], _log: Log, mark: str = ",") -> str:
    lines = [mark.join(names[key] for key in rows[0])]
    lines += [mark.join(f"{row[key]:.8g}" if key in row else "" for key in rows[0]) for row in map(_kept, rows)]
    return "\n".join(lines) + "\n"


def _semicolons(rows: list[Row], names: Mapping[str, str], log: Log) -> str:
    return _csv(rows, names, log, ";")


def _hf(row: Row, total: int, place: int) -> Row:
    fixed = {"lr": "learning_rate", "val_loss": "eval_loss"}
    return {**{fixed.get(key, key): v for key, v in _kept(row).items()}, "epoch": round(3.0 * place / total, 2)}


def _state(rows: list[Row], _names: Mapping[str, str], _log: Log) -> str:
    history = [_hf(row, len(rows), place) for place, row in enumerate(rows)]
    return json.dumps({"best_metric": None, "global_step": history[-1]["step"], "log_history": history}, indent=1)


def _dicts(rows: list[Row], _names: Mapping[str, str], _log: Log) -> str:
    """A trainer's console: a dictionary per row, which has no step."""
    found = []
    for place, row in enumerate(rows):
        record = _hf(row, len(rows), place)
        del record["step"]
        found.append(str(record))
    return "\n".join(found) + "\n"


def _bars(rows: list[Row], names: Mapping[str, str], log: Log) -> str:
    """Lines with a time, and values between bars; what else is printed stands between them."""
    lines = []
    for place, row in enumerate(rows):
        told = " | ".join(
            f"{names[key].replace('trainer/', '')} {int(v) if key == 'step' else f'{v:.5g}'}"
            for key, v in _kept(row).items()
        )
        lines.append(f"2026-03-01 {place // 3600 % 24:02d}:{place // 60 % 60:02d}:{place % 60:02d} INFO {told}")
        if place in log.lines:
            lines.append(log.lines[place])
    return "\n".join(lines) + "\n"


WRITERS: Mapping[str, Callable[[list[Row], Mapping[str, str], Log], str]] = {
    "rows": _rows, "csv": _csv, "semicolons": _semicolons, "state": _state, "dicts": _dicts, "bars": _bars,
}  # fmt: skip

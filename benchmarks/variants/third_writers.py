"""The logs of the third set, as trainers and people's own loops write them."""

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
    "step": ("step", "iteration", "global_step", "it", "train_step", "updates"),
    "loss": ("loss", "train_loss", "training/loss", "Train/Loss", "ce_loss", "total_loss", "loss_train", "avg_loss"),
    "grad_norm": (
        "grad_norm",
        "gnorm",
        "grad_norm_total",
        "optim/grad_norm",
        "gradnorm",
        "training/grad_norm",
        "global_grad_norm",
    ),
    "lr": ("lr", "learning_rate", "optim/lr", "training/lr", "lr_0"),
    "loss_scale": ("loss_scale", "scale", "scaler/scale"),
    "val_loss": ("val_loss", "valid_loss", "eval/loss", "validation/loss"),
}
FILES: Mapping[str, str] = {
    "rows": "metrics.jsonl", "csv": "metrics.csv", "tabs": "log.tsv", "swift": "logging.jsonl", "lightning": "metrics.csv",
    "history": "history.json", "wandb": "wandb_export.csv",
}  # fmt: skip
ANY = ("rows", "csv", "tabs", "fmt", "swift", "hf", "lightning", "history", "wandb")
PLAIN = ("megatron", "titan", "llmc", "mm")


def write_third(g: Generator, log: Log, folder: Path) -> Path:
    """The log of a situation in a format and with names, interval and rounding drawn for it."""
    if log.text:
        path = folder / "train.log"
        path.write_text(log.text, "utf-8")
        return path
    n = len(next(iter(log.columns.values())))
    every = int(g.choice((1, 1, 1, 4, 10, 20, 50, 500)))
    table = dict(log.columns)
    table.setdefault("step", (np.arange(n, dtype=np.float64) + int(g.choice((0, 1)))) * every)
    if log.may_round and g.random() < 0.5:
        digits = int(g.choice((3, 4, 6)))
        table = {k: _digits(v, digits) if k in {"loss", "grad_norm"} else v for k, v in table.items()}
    plain = set(table) == {"step", "loss", "grad_norm", "lr"}
    kinds = log.formats or (("hf", "fmt") if log.lines else (*ANY, *(PLAIN if plain else ())))
    kind = str(g.choice(kinds))
    names = {key: str(g.choice(NAMES[key])) if key in NAMES else key for key in table}
    rows = [{key: float(column[row]) for key, column in table.items()} for row in range(n)]
    path = folder / FILES.get(kind, "out.log")
    text = _each(rows, CONSOLES[kind]) if kind in CONSOLES else WRITERS[kind](rows, names, log)
    path.write_text(text, "utf-8")
    if log.config:
        (folder / "config.json").write_text(json.dumps(log.config), "utf-8")
    return path


def _digits(value: NDArray[np.float64], digits: int) -> NDArray[np.float64]:
    return np.array([float(f"{v:.{digits}g}") for v in value])


def _kept(row: Row) -> Row:
    """Without a validation loss that was not measured; steps as whole numbers."""
    return {key: int(v) if key == "step" else v for key, v in row.items() if not (key == "val_loss" and math.isnan(v))}


def _rows(rows: list[Row], names: Mapping[str, str], _log: Log) -> str:
    return "".join(json.dumps({names[k]: v for k, v in _kept(row).items()}) + "\n" for row in rows)


def _csv(rows: list[Row], names: Mapping[str, str], _log: Log, mark: str = ",") -> str:
    lines = [mark.join(names[key] for key in rows[0])]
    lines += [mark.join(f"{row[key]:.9g}" if key in row else "" for key in rows[0]) for row in map(_kept, rows)]
    return "\n".join(lines) + "\n"


def _tabs(rows: list[Row], names: Mapping[str, str], log: Log) -> str:
    return _csv(rows, names, log, "\t")


def _fmt(rows: list[Row], names: Mapping[str, str], log: Log) -> str:
    """Lines of key=value, and what else is printed."""
    lines = []
    for place, row in enumerate(rows):
        told = " ".join(f"{names[k]}={int(v) if k == 'step' else f'{v:.6g}'}" for k, v in _kept(row).items())
        lines.append(
            f"time=2026-05-02T{place // 3600 % 24:02d}:{place // 60 % 60:02d}:{place % 60:02d}Z level=info msg=train {told}"
        )
        if place in log.lines:
            lines.append(log.lines[place])
    return "\n".join(lines) + "\n"


HF = {"lr": "learning_rate", "val_loss": "eval_loss"}


def _swift(rows: list[Row], _names: Mapping[str, str], _log: Log) -> str:
    """A fine-tuning trainer's JSON lines; steps are a fraction in words."""
    total = int(rows[-1]["step"])
    lines = []
    for place, row in enumerate(rows):
        record: dict[str, object] = {HF.get(k, k): v for k, v in _kept(row).items() if k != "step"}
        done = f"{int(row['step'])}/{total}"
        record |= {
            "epoch": round(place / len(rows), 5),
            "global_step/max_steps": done,
            "elapsed_time": f"{place // 60}m {place % 60}s",
        }
        lines.append(json.dumps(record))
    return "\n".join(lines) + "\n"


def _hf(rows: list[Row], _names: Mapping[str, str], log: Log) -> str:
    """A trainer's console: progress bars between dictionaries, which have no step."""
    lines = []
    for place, row in enumerate(rows):
        record = {HF.get(k, k): v for k, v in _kept(row).items() if k != "step"}
        step, total = int(row["step"]), int(rows[-1]["step"])
        lines.append(
            f" {100 * step // max(total, 1):2d}%|▏         | {step}/{total} [{place // 60:02d}:{place % 60:02d}<10:03,  1.02it/s]"
        )
        lines.append(str({**record, "epoch": round(2.0 * place / len(rows), 2)}))
        if place in log.lines:
            lines.append(log.lines[place])
    return "\n".join(lines) + "\n"


def _lightning(rows: list[Row], _names: Mapping[str, str], log: Log) -> str:
    """A CSV logger: epoch and step beside the loss of the step."""
    fixed = {
        "loss": "train_loss_step",
        "grad_norm": "grad_norm",
        "lr": "lr-AdamW",
        "val_loss": "val_loss",
        "step": "step",
    }
    return _csv(
        [{**row, "epoch": place // 100} for place, row in enumerate(rows)],
        {**{k: fixed.get(k, k) for k in rows[0]}, "epoch": "epoch"},
        log,
    )


def _history(rows: list[Row], names: Mapping[str, str], _log: Log) -> str:
    """One object of lists."""
    return json.dumps({names[key]: [int(row[key]) if key == "step" else row[key] for row in rows] for key in rows[0]})


def _wandb(rows: list[Row], names: Mapping[str, str], _log: Log) -> str:
    """A table downloaded from a dashboard: quoted names, one column per curve."""
    lines = [",".join('"Step"' if key == "step" else f'"golden-river-12 - {names[key]}"' for key in rows[0])]
    lines += [",".join(f'"{row[key]:.10g}"' if key in row else '""' for key in rows[0]) for row in map(_kept, rows)]
    return "\n".join(lines) + "\n"


def _each(rows: list[Row], line: str) -> str:
    """A line per row, from a pattern: its numbers, the last step, and the minute and second of the row."""
    last = int(rows[-1]["step"])
    return "".join(
        line.format(**{**row, "step": int(row["step"]), "samples": int(row["step"]) * 8}, last=last,
                    clock=f"{p // 60 % 60:02d}:{p % 60:02d}",
                    epoch=p // 120 + 1, batch=(p % 120 + 1) * 50, cls=0.4 * row["loss"], box=0.6 * row["loss"]) + "\n"
        for p, row in enumerate(rows)
    )  # fmt: skip


MEGATRON = (
    " [2026-05-02 11:{clock}] iteration {step:8d}/{last:8d} | consumed samples: {samples:12d} | elapsed time per iteration (ms): 412.7 |"
    " learning rate: {lr:.6E} | global batch size:     8 | lm loss: {loss:.6E} | loss scale: 1.0 | grad norm: {grad_norm:.3f} |"
    " number of skipped iterations:   0 | number of nan iterations:   0 |"
)
TITAN = (
    "[rank0]:2026-05-02 09:{clock},123 - root - INFO - step: {step:2d}  loss: {loss:7.4f}  grad_norm: {grad_norm:7.4f}"
    "  lr: {lr:.4e}  memory: 20.11GiB(21.17%)  tps: 7,115"
)
LLMC = (
    "step {step:4d}/{last} | loss {loss:7.6f} (+0.12z)| norm {grad_norm:6.4f} (-0.31z)| lr {lr:.2e} | 1412.10 ms |"
    " 42.1% bf16 MFU | 371012 tok/s"
)
#: A detection trainer; the loss is the sum of two parts.
MM = (
    "2026-05-02 10:{clock},432 - mmdet - INFO - Epoch [{epoch}][{batch}/6000]\tlr: {lr:.3e}, eta: 1 day, 2:03:04, time: 0.539,"
    " data_time: 0.051, memory: 7239, loss_cls: {cls:.4f}, loss_bbox: {box:.4f}, loss: {loss:.4f}, grad_norm: {grad_norm:.4f}"
)
CONSOLES: Mapping[str, str] = {"megatron": MEGATRON, "titan": TITAN, "llmc": LLMC, "mm": MM}

WRITERS: Mapping[str, Callable[[list[Row], Mapping[str, str], Log], str]] = {
    "rows": _rows, "csv": _csv, "tabs": _tabs, "fmt": _fmt, "swift": _swift, "hf": _hf, "lightning": _lightning, "history": _history,
    "wandb": _wandb,
}  # fmt: skip

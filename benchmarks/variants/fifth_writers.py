"""The logs of the fifth set, as trainers, dashboards and libraries of reinforcement learning write them."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from benchmarks.variants.base import Array, Generator, Log

Row = dict[str, float]
#: Spellings of hand-written loops.
SPELLINGS: Mapping[str, tuple[str, ...]] = {
    "step": ("step", "iter", "global_step", "iteration", "n_iter", "update"),
    "loss": ("loss", "train_loss", "train/loss", "tr_loss", "loss/train", "batch_loss"),
    "grad_norm": ("grad_norm", "train/grad_norm", "gnorm", "total_norm", "gradient_norm", "grad_norm/total"),
    "lr": ("lr", "learning_rate", "train/lr", "opt/lr", "lr/group0"),
}
#: Trainers whose file knows any column.
OPEN = ("state", "hf", "wandb", "lightning", "jsonl", "csv", "detectron", "mmengine")
#: Consoles of fixed columns: loss, norm and rate.
FIXED = ("fairseq", "megatron", "titan")
#: Those that print only the loss.
BARE = ("nanogpt", "imagenet", "tensorboard")
FILES: Mapping[str, str] = {
    "state": "trainer_state.json",
    "wandb": "wandb-history.jsonl",
    "lightning": "metrics.csv",
    "jsonl": "log.jsonl",
    "csv": "log.csv",
    "detectron": "metrics.json",
    "mmengine": "scalars.json",
    "keras": "training.csv",
    "library": "progress.csv",
    "tensorboard": "run_train-tag-loss.csv",
    "ultralytics": "results.csv",
}


def write_fifth(g: Generator, log: Log, folder: Path) -> Path:
    """The log of a situation in one of its formats, with an interval, names and rounding drawn for it."""
    if log.config:
        (folder / "config.json").write_text(json.dumps(log.config), "utf-8")
    if log.text:
        path = folder / "train.log"
        path.write_text(log.text, "utf-8")
        return path
    columns = dict(log.columns)
    kinds = log.formats or (
        ("hf", "fairseq")
        if log.lines
        else BARE + OPEN
        if set(columns) <= {"loss", "step"}
        else OPEN + FIXED
        if set(columns) <= {"loss", "grad_norm", "lr", "step"} and len(columns) >= 3
        else OPEN
    )
    kind = str(g.choice(kinds))
    n = len(next(iter(columns.values())))
    if "step" not in columns:
        every = 1 if kind in {"keras", "ultralytics"} else int(g.choice((1, 1, 5, 10, 25, 50, 100)))
        columns["step"] = (np.arange(n, dtype=np.float64) + (every > 1 or bool(g.integers(2)))) * every
    if log.may_round and g.random() < 0.4:
        columns = {k: _rounded(v) if k in {"loss", "grad_norm"} else v for k, v in columns.items()}
    rows = [{key: float(column[row]) for key, column in columns.items()} for row in range(n)]
    path = folder / FILES.get(kind, "train.log")
    path.write_text(WRITERS[kind](g, rows, log), "utf-8")
    return path


def _rounded(column: Array) -> Array:
    return np.array([float(f"{value:.4g}") for value in column])


def _measured(row: Row) -> Row:
    """Without what was not measured in this row: a validation loss that is not there."""
    return {key: value for key, value in row.items() if not (key in SPARSE and math.isnan(value))}


#: Columns that most rows lack: NaN stands for what was not measured.
SPARSE = ("eval_loss",)


def _state(g: Generator, rows: list[Row], _log: Log) -> str:
    """The state of a trainer as a checkpoint keeps it."""
    epochs = float(g.integers(1, 5))
    history = [
        {"epoch": round(epochs * (place + 1) / len(rows), 4)} | _huggingface(row) | {"step": int(row["step"])}
        for place, row in enumerate(rows)
    ]
    last = int(rows[-1]["step"])
    return json.dumps(
        {
            "best_metric": None,
            "epoch": epochs,
            "global_step": last,
            "is_world_process_zero": True,
            "log_history": history,
        }
    )


def _huggingface(row: Row) -> Row:
    return {"learning_rate" if key == "lr" else key: value for key, value in _measured(row).items() if key != "step"}


def _hf(_g: Generator, rows: list[Row], log: Log) -> str:
    """What the same trainer prints, between its progress bars."""
    last, lines = int(rows[-1]["step"]), []
    for place, row in enumerate(rows):
        step = int(row["step"])
        lines.append(
            f"{100 * step // max(last, 1):3d}%|███       | {step}/{last} [{place // 60:02d}:{place % 60:02d}<1:17:03,  1.31s/it]"
        )
        lines.append(str(_huggingface(row) | {"epoch": round(3.0 * (place + 1) / len(rows), 2)}))
        if place in log.lines:
            lines.append(log.lines[place])
    return "\n".join(lines) + "\n"


def _wandb(g: Generator, rows: list[Row], _log: Log) -> str:
    """A history as a dashboard gives it back; values that are not finite as words or as such."""
    words, lines = bool(g.integers(2)), []
    for place, row in enumerate(rows):
        told: dict[str, object] = {"_step": place, "_runtime": 3.7 * place, "_timestamp": 1764500000.0 + 3.7 * place}
        for key, value in _measured(row).items():
            name = "train/global_step" if key == "step" else f"train/{'learning_rate' if key == 'lr' else key}"
            told[name] = ("NaN" if math.isnan(value) else "Infinity") if words and not math.isfinite(value) else value
        told["train/global_step"] = int(row["step"])
        lines.append(json.dumps(told | {"train/tokens_per_second": 18000 + 37 * (place % 50)}))
    return "\n".join(lines) + "\n"


def _lightning(_g: Generator, rows: list[Row], _log: Log) -> str:
    """The CSV of a logger with a column for the epoch."""
    names = {"loss": "train_loss", "lr": "lr-AdamW", "grad_norm": "grad_2.0_norm_total", "eval_loss": "val_loss"}
    table = [{names.get(k, k): v for k, v in row.items()} | {"epoch": place // 80} for place, row in enumerate(rows)]
    return _table(table, "val_loss")


WHOLE = {"epoch", "step", "global_step", "iteration", "iter", "n_iter", "update", "time/total_timesteps"}


def _table(rows: list[Row], sparse: str = "eval_loss") -> str:
    """Comma-separated values; what is not measured in the sparse column is empty."""
    lines = [",".join(rows[0])]
    lines += [",".join(_cell(key, value, sparse) for key, value in row.items()) for row in rows]
    return "\n".join(lines) + "\n"


def _cell(key: str, value: float, sparse: str) -> str:
    if key == sparse and math.isnan(value):
        return ""
    return str(int(value)) if key in WHOLE else f"{value:.9g}"


def _named(g: Generator, rows: list[Row]) -> list[Row]:
    names = {key: str(g.choice(SPELLINGS[key])) if key in SPELLINGS else key for key in rows[0]}
    return [{names[key]: value for key, value in row.items()} for row in rows]


def _whole(row: Row) -> Row:
    return {key: int(value) if key in WHOLE else value for key, value in _measured(row).items()}


def _jsonl(g: Generator, rows: list[Row], _log: Log) -> str:
    """A hand-written loop's lines of JSON."""
    return "".join(json.dumps(_whole(row)) + "\n" for row in _named(g, rows))


def _csv(g: Generator, rows: list[Row], _log: Log) -> str:
    """A hand-written loop's table."""
    return _table(_named(g, rows))


def _detectron(_g: Generator, rows: list[Row], _log: Log) -> str:
    """A detector's lines of JSON: sorted keys, the total beside its parts."""
    lines = []
    for row in rows:
        told: dict[str, object] = {
            "total_loss" if k == "loss" else k: v for k, v in _measured(row).items() if k != "step"
        }
        parts = {"loss_cls": 0.45 * row["loss"], "loss_box_reg": 0.55 * row["loss"]} if "loss" in row else {}
        told |= parts | {"data_time": 0.0031, "eta_seconds": 5120.5, "iteration": int(row["step"]), "time": 0.412}
        lines.append(json.dumps(told, sort_keys=True))
    return "\n".join(lines) + "\n"


def _mmengine(_g: Generator, rows: list[Row], _log: Log) -> str:
    """The scalars of an engine for vision."""
    return "".join(
        json.dumps(
            {
                "lr": row.get("lr", 1e-4),
                "data_time": 0.0102,
                **{k: v for k, v in _measured(row).items() if k not in {"lr", "step"}},
                "time": 0.381,
                "epoch": 1 + place // 60,
                "iter": int(row["step"]),
                "memory": 10321,
                "step": int(row["step"]),
            }
        )
        + "\n"
        for place, row in enumerate(rows)
    )


def _fairseq(_g: Generator, rows: list[Row], log: Log) -> str:
    lines = []
    for place, row in enumerate(rows):
        step, scale = int(row["step"]), row.get("loss_scale", 64.0)
        lines.append(
            f"2023-08-14 {10 + place // 3600:02d}:{place // 60 % 60:02d}:{place % 60:02d} | INFO | train_inner | epoch 001:"
            f" {step:6d} / 91000 loss={row['loss']:.3f}, ppl={2 ** min(row['loss'], 99):.2f}, wps=21340.5, ups=1.21, wpb=17630.2, bsz=512,"
            f" num_updates={step}, lr={row['lr']:.6g}, gnorm={row['grad_norm']:.3f}, loss_scale={scale:.4g}, train_wall=81,"
            f" gb_free=12.1, wall={90 * place}"
        )
        if place in log.lines:
            lines.append(log.lines[place])
    return "\n".join(lines) + "\n"


def _megatron(_g: Generator, rows: list[Row], _log: Log) -> str:
    """A trainer of language models, which prints no loss where it is NaN."""
    lines, last = [], int(rows[-1]["step"]) * 2
    for place, row in enumerate(rows):
        told = math.isfinite(row["loss"])
        lines.append(
            f" iteration {int(row['step']):8d}/{last:8d} | consumed samples: {int(row['step']) * 256:12d}"
            f" | elapsed time per iteration (ms): {880 + place % 13:.1f} | learning rate: {row['lr']:.3E} | global batch size:   256 |"
            + (f" lm loss: {row['loss']:.6E} |" if told else "")
            + f" loss scale: {row.get('loss_scale', 1.0):.1f} | grad norm: {row['grad_norm']:.3f} | num zeros: 0.0 |"
            f" number of skipped iterations: {int(row.get('skipped', 0)):3d} | number of nan iterations: {int(not told):3d} |"
        )
    return "\n".join(lines) + "\n"


def _titan(_g: Generator, rows: list[Row], _log: Log) -> str:
    return "".join(
        f"[rank0]:[titan] 2025-09-12 10:{p // 60 % 60:02d}:{p % 60:02d},417 - root - INFO - step: {int(row['step']):2d}"
        f"  loss: {row['loss']:8.5f}  grad_norm: {row['grad_norm']:7.4f}  memory: 39.07GiB(49.41%)"
        "  tps: 6,917  tflops: 356.52  mfu: 36.05%\n"
        for p, row in enumerate(rows)
    )


def _nanogpt(_g: Generator, rows: list[Row], _log: Log) -> str:
    """A small trainer's lines, a validation every fifty."""
    lines = ["tokens per iteration will be: 491,520", "number of parameters: 123.59M"]
    for place, row in enumerate(rows):
        step = int(row["step"])
        if place % 50 == 0:
            lines.append(f"step {step}: train loss {row['loss']:.4f}, val loss {row['loss'] * 1.01:.4f}")
        lines.append(f"iter {step}: loss {row['loss']:.4f}, time {251 + place % 7}.12ms, mfu 35.41%")
    return "\n".join(lines) + "\n"


def _imagenet(_g: Generator, rows: list[Row], _log: Log) -> str:
    """An example's console: the value of the batch, and its mean in this epoch in brackets."""
    lines, mean, per = [], 0.0, 50
    for place, row in enumerate(rows):
        at = place % per
        mean = (mean * at + row["loss"]) / (at + 1)
        lines.append(
            f"Epoch: [{place // per}][{at * 10:4d}/{per * 10}]\tTime  0.245 ( 0.261)"
            f"\tData  0.002 ( 0.010)\tLoss {row['loss']:.4e} ({mean:.4e})"
        )
    return "\n".join(lines) + "\n"


def _tensorboard(_g: Generator, rows: list[Row], _log: Log) -> str:
    return "Wall time,Step,Value\n" + "".join(
        f"{1764500000.25 + 11 * place},{int(row['step'])},{row['loss']}\n" for place, row in enumerate(rows)
    )


def _keras(_g: Generator, rows: list[Row], _log: Log) -> str:
    """A logger of epochs, columns in the order of the alphabet."""
    table = [{"epoch": float(place)} | dict(sorted(row.items())) for place, row in enumerate(rows)]
    return _table([{key: value for key, value in row.items() if key != "step"} for row in table])


def _library(_g: Generator, rows: list[Row], _log: Log) -> str:
    """The progress of a library of reinforcement learning; all its columns come with their names."""
    return _table([{("time/total_timesteps" if k == "step" else k): v for k, v in row.items()} for row in rows])


def _ultralytics(_g: Generator, rows: list[Row], _log: Log) -> str:
    return _table(
        [{"epoch": float(p + 1)} | {k: v for k, v in row.items() if k != "step"} for p, row in enumerate(rows)]
    )


WRITERS: Mapping[str, Callable[[Generator, list[Row], Log], str]] = {
    "state": _state,
    "hf": _hf,
    "wandb": _wandb,
    "lightning": _lightning,
    "jsonl": _jsonl,
    "csv": _csv,
    "detectron": _detectron,
    "mmengine": _mmengine,
    "fairseq": _fairseq,
    "megatron": _megatron,
    "titan": _titan,
    "nanogpt": _nanogpt,
    "imagenet": _imagenet,
    "tensorboard": _tensorboard,
    "keras": _keras,
    "library": _library,
    "ultralytics": _ultralytics,
}

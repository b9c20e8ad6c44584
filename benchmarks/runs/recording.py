"""What a training loop wrote down, step by step, and the log that a user would have of it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.runs.spec import Spec

Row = dict[str, float | int]

# Columns that ordinary logs do not have. They go to extra.jsonl beside the usual ones.
EXTRA = ("update_norm", "weight_norm", "rms_ratio", "data_norm", "loss_after", "batch_size", "bad_batch")
DIGITS = 6
EXTRA_DIGITS = 4
SCALE_DIGITS = 8


@dataclass(kw_only=True, slots=True)
class Recording:
    """One value per step in every column; `evaluations` are (position, value) pairs, position counted in rows."""

    spec: Spec
    columns: dict[str, list[float]] = field(default_factory=dict)
    evaluations: list[tuple[int, float]] = field(default_factory=list)
    skipped: int = 0

    def add(self, **values: float | None) -> None:
        """Append one step; None becomes NaN."""
        for name, value in values.items():
            self.columns.setdefault(name, []).append(math.nan if value is None else float(value))

    def column(self, name: str) -> np.ndarray:
        """One column as an array."""
        return np.asarray(self.columns.get(name, []), dtype=float)

    def __len__(self) -> int:
        """Steps taken, including those taken twice."""
        return len(self.columns.get("loss", ()))


def shorten(value: float, digits: int) -> float:
    """Round to significant digits; NaN and infinity stay, and zero has no sign."""
    return float(f"{value:.{digits}g}") + 0.0 if math.isfinite(value) else value


def smoothed(values: np.ndarray, past: float) -> np.ndarray:
    """Exponential moving average, corrected for its start as in the usual trainers."""
    mean, out = 0.0, np.empty_like(values)
    for i, value in enumerate(values):
        mean = past * mean + (1 - past) * float(value)
        out[i] = mean / (1 - past ** (i + 1))
    return out


def log_rows(recording: Recording, *, extra: bool = False) -> Iterator[Row]:
    """Rows of run.jsonl, or with `extra` those of extra.jsonl.

    Sampled logs show every n-th step as it was. Averaged ones show, under the number of steps done so far, the mean
    loss since the last row and the norm of the last step only, as the common trainers do.
    """
    spec = recording.spec
    columns = {name: recording.column(name) for name in recording.columns}
    if spec.log_smooth:
        columns["loss"] = smoothed(columns["loss"], spec.log_smooth)
    held_out = dict(recording.evaluations) if spec.log_val else {}
    layers = [name for name in columns if name.startswith("grad_norm/")]
    # Without a coupled penalty the norm of the data gradient is the norm.
    shown = [name for name in EXTRA if name in columns and (spec.l2 or name != "data_norm")]
    for position in range(len(recording)):
        done = position + 1
        if (done if spec.log_average else position) % spec.log_every:
            continue
        begin = done - spec.log_every if spec.log_average else position
        row: Row = {
            "step": int(columns["step"][position]) + (1 if spec.log_average else 0),
            "loss": shorten(float(columns["loss"][begin:done].mean()), DIGITS),
            "grad_norm": shorten(float(columns["grad_norm"][position]), DIGITS),
            "lr": shorten(float(columns["lr"][position]), DIGITS),
        }
        if spec.log_decimals is not None:
            for name in ("loss", "grad_norm"):
                row[name] = round(row[name], spec.log_decimals) + 0.0
        if spec.precision == "fp16":
            row["loss_scale"] = shorten(float(columns["loss_scale"][position]), SCALE_DIGITS)
        for name in layers:
            row[name] = shorten(float(columns[name][position]), EXTRA_DIGITS)
        if extra:
            for name in shown:
                if not math.isnan(columns[name][position]):
                    row[name] = shorten(float(columns[name][position]), EXTRA_DIGITS)
        for at in range(max(begin, 0), done):
            if at in held_out:
                row["val_loss"] = shorten(held_out[at], DIGITS)
        yield row


QUANTILES = (0.05, 0.1, 0.25, 0.5, 0.75, 0.8, 0.85, 0.9, 0.95, 0.98, 0.99, 0.995, 1.0)


def measured(recording: Recording) -> dict[str, object]:
    """Facts for label.json that the log alone may not show."""
    spec = recording.spec
    loss, norm, data = (recording.column(name) for name in ("loss", "true_norm", "data_norm"))
    finite = norm[np.isfinite(norm)]
    settled = norm[max(spec.warmup, len(norm) // 20) :]
    settled = settled[np.isfinite(settled)]
    clipped = np.zeros(0) if spec.clip is None else settled > spec.clip
    data = data[np.isfinite(data)]
    last = loss[-1] if len(loss) else math.nan
    quantiles = np.quantile(settled, QUANTILES) if len(settled) else np.full(len(QUANTILES), math.nan)
    start = float(np.median(loss[: max(5, len(loss) // 50)]))
    end = float(np.median(loss[-max(5, len(loss) // 20) :]))
    return {
        "true_clip_rate": shorten(float(clipped.mean()), DIGITS) if len(clipped) else 0.0,
        "nonfinite_norm_steps": int((~np.isfinite(norm)).sum()),
        "nonfinite_loss_steps": int((~np.isfinite(loss)).sum()),
        "skipped_steps": recording.skipped,
        "first_loss": shorten(start, DIGITS),
        "final_loss": shorten(end, DIGITS),
        "median_true_norm": shorten(float(np.median(finite)), DIGITS) if len(finite) else math.nan,
        "max_true_norm": shorten(float(finite.max()), DIGITS) if len(finite) else math.nan,
        "median_data_norm": shorten(float(np.median(data)), DIGITS) if len(data) else math.nan,
        "norm_quantiles_after_warmup": {
            str(q): shorten(float(v), DIGITS) for q, v in zip(QUANTILES, quantiles, strict=True)
        },
        "final_loss_scale": recording.columns["loss_scale"][-1] if spec.precision == "fp16" else None,
        "diverged": not math.isfinite(last),
        "steps_taken": len(recording),
        "evaluations": [[at, shorten(value, DIGITS)] for at, value in recording.evaluations],
    }

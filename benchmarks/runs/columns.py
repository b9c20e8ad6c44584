"""Which extra column tells two confusable causes apart: areas under the curve on the archived runs.

`python -m benchmarks.runs.columns` prints one line per pair: how well the best statistic we know of the ordinary columns
orders the two causes, and how well one of an extra column does (1 or 0 is perfect, 0.5 is chance; both are folded to
at least 0.5). Where something acted at a step, both statistics are told the step: the question is not when, but what. Takes a few seconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.runs.archive import FOLDER, archived, splits_in

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, kw_only=True, slots=True)
class Seen:
    """A run's columns by name, shape (rows,), NaN where a row has no value, and the first row that something hit."""

    label: dict[str, Any]
    column: dict[str, np.ndarray]
    hit: int

    def median(self, values: np.ndarray) -> float:
        """Median of the finite values, NaN without any."""
        values = values[np.isfinite(values)]
        return float(np.median(values)) if len(values) else np.nan


def load(split: str) -> list[Seen]:
    """Every manifested fault and every healthy run of a split."""
    runs = []
    for label, rows in archived(FOLDER / f"{split}.npz"):
        if label["expected"] != "healthy" and not label["manifested"]:
            continue
        names = {name for row in rows for name in row}
        column = {name: np.array([row.get(name, np.nan) for row in rows], dtype=float) for name in names}
        acted = label["acted_steps"]
        hit = int(np.searchsorted(column["step"], acted[0] + label["first_step"])) if acted else len(rows) // 2
        runs.append(Seen(label=label, column=column, hit=hit))
    return runs


def ratio_around(run: Seen, name: str, skip: int, width: int) -> float:
    """Log of the median of a column after the hit (leaving out `skip` rows) over the one before."""
    values = run.column.get(name)
    if values is None:
        return np.nan
    before = run.median(values[max(0, run.hit - width) : run.hit])
    after = run.median(values[run.hit + skip : run.hit + skip + width])
    return float(np.log(after / before)) if before > 0 and after > 0 else np.nan


def weight_growth(run: Seen) -> float:
    """Largest norm of the weights over their first, in logs: steps that are too large leave large weights behind."""
    weights = run.column["weight_norm"]
    weights = weights[np.isfinite(weights)]
    return float(np.log(weights.max() / weights[0])) if len(weights) else np.nan


def progress(run: Seen) -> float:
    """How far the loss has come down, in units of its size at the start."""
    loss = run.column["loss"]
    start, end = run.median(loss[: max(5, len(loss) // 50)]), run.median(loss[-len(loss) // 10 :])
    return (start - end) / abs(start)


def median_norm(run: Seen) -> float:
    """Median norm after the first tenth, over that of the first twentieth."""
    norm = run.column["grad_norm"]
    return run.median(norm[len(norm) // 10 :]) / run.median(norm[: max(5, len(norm) // 20)])


def norm_noise(run: Seen) -> float:
    """Median size of the step-to-step change of the log norm: the norm of a penalty hardly depends on the batch."""
    return run.median(np.abs(np.diff(np.log(np.maximum(run.column["grad_norm"], 1e-300)))))


def data_share(run: Seen) -> float:
    """Norm of the data gradient over the norm that was logged (1 where no penalty was in it)."""
    data = run.column.get("data_norm")
    return 1.0 if data is None else run.median(data / run.column["grad_norm"])


def overshoot(run: Seen) -> float:
    """Share of the updates that made the loss of their own batch worse."""
    after = run.column.get("loss_after")
    return np.nan if after is None else float(np.mean(~(after <= run.column["loss"])))


def spikiness(run: Seen) -> float:
    """Largest loss over the median loss of the later nine tenths, in logs of the deviation from it."""
    loss = run.column["loss"][len(run.column["loss"]) // 10 :]
    middle = run.median(loss)
    return float(
        np.log1p(
            (np.max(loss, initial=middle, where=np.isfinite(loss)) - middle)
            / (1.4826 * run.median(np.abs(loss - middle)) + 1e-12)
        )
    )


def shock_ratio(run: Seen) -> float:
    """Mean RMS of g / sqrt(v) in the ten rows after the hit, in logs."""
    values = run.column.get("rms_ratio", np.array([np.nan]))[run.hit : run.hit + 10]
    values = values[np.isfinite(values)]
    return float(np.log(values.mean() + 1e-12)) if len(values) else np.nan


def batch_ratio(run: Seen) -> float:
    """Change of the batch size at the hit, whichever way."""
    return abs(ratio_around(run, "batch_size", 0, 50))


def level_ratio(run: Seen) -> float:
    """Change of the norm at the hit, whichever way."""
    return abs(ratio_around(run, "grad_norm", 0, 50))


Statistic = tuple[str, "Callable[[Seen], float]"]

PAIRS: tuple[tuple[str, str, Statistic, Statistic], ...] = (
    ("lr_too_high", "vanishing", ("norm after / at the start", median_norm), ("growth of the weights", weight_growth)),
    ("lr_too_high", "clip_too_tight", ("progress of the loss", progress), ("growth of the weights", weight_growth)),
    ("lr_too_high", "bad_data", ("largest loss", spikiness), ("growth of the weights", weight_growth)),
    ("lr_too_high", "healthy", ("progress of the loss", progress), ("growth of the weights", weight_growth)),
    ("lr_too_high", "exploding", ("norm after / at the start", median_norm), ("own batch worse after", overshoot)),
    (
        "adam_beta2_lag",
        "data_shift",
        ("loss level after the shock", lambda run: ratio_around(run, "loss", 5, 60)),
        ("RMS of g / sqrt(v) after the shock", shock_ratio),
    ),
    (
        "adam_beta2_lag",
        "bad_data",
        ("norm level after the shock", lambda run: ratio_around(run, "grad_norm", 12, 60)),
        ("update level after the shock", lambda run: ratio_around(run, "update_norm", 12, 60)),
    ),
    ("l2_contamination", "healthy", ("noise of the log norm", norm_noise), ("data norm / norm", data_share)),
    ("l2_contamination", "vanishing", ("noise of the log norm", norm_noise), ("data norm / norm", data_share)),
    ("batch_size_change", "healthy", ("norm level", level_ratio), ("batch size", batch_ratio)),
    ("batch_size_change", "data_shift", ("norm level", level_ratio), ("batch size", batch_ratio)),
)


def area(one: list[float], two: list[float]) -> float | None:
    """Folded area under the curve, None without at least two finite values on both sides."""
    a, b = (np.array([v for v in values if np.isfinite(v)]) for values in (one, two))
    if len(a) < 2 or len(b) < 2:
        return None
    wins = (a[:, None] > b).mean() + 0.5 * (a[:, None] == b).mean()
    return float(max(wins, 1 - wins))


def table(runs: list[Seen]) -> list[str]:
    """One row of Markdown per pair."""
    rows = []
    for first, second, usual, extra in PAIRS:
        groups = [[run for run in runs if run.label["expected"] == cause] for cause in (first, second)]
        cells = []
        for name, statistic in (usual, extra):
            value = area(*([statistic(run) for run in group] for group in groups))
            cells.append(f"{name}: {'too few runs' if value is None else f'{value:.2f}'}")
        counts = f"{len(groups[0])} and {len(groups[1])}"
        rows.append(f"| `{first}` or `{second}` | {counts} | {cells[0]} | {cells[1]} |")
    return rows


def page() -> list[str]:
    """The table over all splits, in Markdown: nothing was fitted, so nothing needs holding out."""
    with np.errstate(all="ignore"):
        runs = [run for split in splits_in() for run in load(split)]
        return ["| pair | runs | ordinary columns | extra column |", "|---|---|---|---|", *table(runs)]


def main() -> None:
    """Print the table."""
    print("\n".join(page()))


if __name__ == "__main__":
    main()

"""The figures of a run by which it is compared with the healthy runs of its project, taken from its row of the table."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from gradlens.frozen import frozen

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Stretches of a run, of equal numbers of rows, in which the course of loss and norm are compared. Our own choice: three to
#: four of the table's points each.
STRETCHES = 12
#: Differences that nobody would mind: 1 % of a level, 2 % of the loss or of how far it came down, one clipped step in a
#: hundred, and half a spike per thousand rows, of which the root is compared. Our own choice; the spread between healthy
#: runs is nearly always wider.
MIN_RATIO, MIN_LOSS, MIN_SHARE, MIN_ROOT = math.log(1.01), 0.02, 0.01, 0.5


@frozen
class Figure:
    """One quantity with one value per run, or one for each stretch of it.

    `upward` says that only more is worse, `metric` which metric of the gate's settings chooses it. Ratios are logarithms, and
    counts per thousand rows are roots, whose spread does not grow with their size; `shown` undoes that.
    """

    name: str
    title: str
    unit: Literal["share", "ratio", "loss", "per_1000"]
    upward: bool
    of: Callable[[Mapping[str, Any]], Sequence[float]]
    metric: str
    stretches: int = 1
    advice: str = ""

    def shown(self, value: float) -> float:
        """A value in the unit of the report."""
        if self.unit == "ratio":
            return math.exp(min(value, 700.0))
        return value * value if self.unit == "per_1000" else value

    def difference(self, value: float, centre: float) -> float:
        """How far a value is from another in the unit of the report: a quotient for ratios."""
        return self.shown(value - centre) if self.unit == "ratio" else self.shown(value) - self.shown(centre)


def _log(value: Any) -> float:
    return math.log(value) if isinstance(value, (int, float)) and value > 0 else math.nan


def _number(value: Any) -> float:
    return float(value) if isinstance(value, (int, float)) and math.isfinite(value) else math.nan


def _course(curve: Any, turn: Callable[[Any], float]) -> list[float]:
    """The median of each stretch of a curve; all NaN where it has fewer points than stretches."""
    if curve is None or len(curve) < STRETCHES:
        return [math.nan] * STRETCHES
    parts = np.array_split(np.array([turn(v) for v in curve]), STRETCHES)
    return [float(np.median(p[np.isfinite(p)])) if np.isfinite(p).any() else math.nan for p in parts]


def _per_1000(count: str) -> Callable[[Mapping[str, Any]], list[float]]:
    def of(row: Mapping[str, Any]) -> list[float]:
        spikes, steps = row.get(count), row.get("steps")
        return [math.sqrt(1000.0 * spikes / steps) if spikes is not None and steps else math.nan]

    return of


FIGURES: tuple[Figure, ...] = (
    Figure(
        name="clip_rate", metric="clip_rate", title="clip rate", unit="share", upward=True, of=lambda row: [_number(row.get("clip_rate"))],
        advice="More steps are cut: look for a higher learning rate, a smaller batch or new data before loosening the threshold.",
    ),
    Figure(
        name="final_loss", metric="final_loss", title="final loss", unit="loss", upward=True,
        of=lambda row: [_number(row.get("loss_last"))],
        advice="The run ends worse than the healthy ones: compare it with one of them by `gradlens compare`.",
    ),
    Figure(
        name="loss_course", metric="loss", title="course of the loss", unit="loss", upward=True, stretches=STRETCHES,
        of=lambda row: _course(row.get("loss_curve"), _number),
        advice="Look at the steps where the loss is highest against the others: `gradlens analyze` lists what happened there.",
    ),
    Figure(
        name="norm_level", metric="norm_level", title="norm level", unit="ratio", upward=False,
        of=lambda row: [_log(row.get("grad_norm_p50"))],
        advice="The norm has another level: look for changed losses (sum or mean), batch sizes, or weights.",
    ),
    Figure(
        name="norm_course", metric="norm_level", title="course of the norm", unit="ratio", upward=False, stretches=STRETCHES,
        of=lambda row: _course(row.get("grad_norm_curve"), _log),
        advice="Look at the steps where the norm differs most: `gradlens analyze` lists what happened there.",
    ),
    Figure(
        name="norm_tail", metric="norm_tail", title="norm tail", unit="ratio", upward=True,
        of=lambda row: [_log(row.get("grad_norm_p99")) - _log(row.get("grad_norm_p50"))],
        advice="The largest norms stand out more: look at the batches of those steps.",
    ),
    Figure(
        name="loss_spikes", metric="loss_spikes", title="loss spikes", unit="per_1000", upward=True, of=_per_1000("spikes_loss"),
        advice="Look at the batches of the spikes that `gradlens analyze` lists.",
    ),
    Figure(
        name="norm_spikes", metric="norm_spikes", title="norm spikes", unit="per_1000", upward=True, of=_per_1000("spikes_grad_norm"),
        advice="Look at the batches of the spikes that `gradlens analyze` lists.",
    ),
)  # fmt: skip
WIDTH = sum(figure.stretches for figure in FIGURES)
UPWARD: NDArray[np.bool_] = np.array([f.upward for f in FIGURES for _ in range(f.stretches)])


def figures_of(row: Mapping[str, Any]) -> list[float]:
    """All figures of a row, (`WIDTH`,), NaN where one is missing."""
    return [value for figure in FIGURES for value in figure.of(row)]


def columns_of(figure: Figure) -> slice:
    """Where the values of a figure stand among all."""
    at = FIGURES.index(figure)
    begin = sum(one.stretches for one in FIGURES[:at])
    return slice(begin, begin + figure.stretches)


def least_that_counts(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The deviation up to which a run is not unlike others, for every figure, from all rows alike, (`WIDTH`,)."""
    by_unit = {"share": MIN_SHARE, "ratio": MIN_RATIO, "per_1000": MIN_ROOT, "loss": _least_loss(values)}
    return np.array([by_unit[figure.unit] for figure in FIGURES for _ in range(figure.stretches)])


def _least_loss(values: NDArray[np.float64]) -> float:
    """2 % of the usual final loss or, if that is less, of how far the loss usually came down."""
    course = values[:, columns_of(_named("loss_course"))]
    final = values[:, columns_of(_named("final_loss"))]
    level = _median(np.abs(final))
    fell = _median(np.abs(course[:, :1] - course[:, -1:]))
    return max(MIN_LOSS * min(level, fell), 1e-12)


def _named(name: str) -> Figure:
    return next(figure for figure in FIGURES if figure.name == name)


def _median(values: NDArray[np.float64]) -> float:
    known = values[np.isfinite(values)]
    return float(np.median(known)) if len(known) else 0.0

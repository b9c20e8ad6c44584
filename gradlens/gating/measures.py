"""What each metric of the gate compares, and on which scale: summaries of both sides to a difference and its tolerance."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from gradlens.frozen import frozen
from gradlens.gating.noise import row_noise
from gradlens.gating.settings import Tolerance
from gradlens.gating.summary import NEARLY, RunSummary, ratio, steps_of
from gradlens.stats.comparison import Difference, block_difference, count_difference, run_difference

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: The part of the shared steps whose loss is the final one.
FINAL_SHARE = 0.2
#: Residuals and largest residuals need rows to be taken of.
MIN_ROWS_PER_WINDOW = 4
#: A tolerance is about this many deviations of one healthy run from another of the same training, see `docs/ci.md`.
TOLERANCE_IN_DEVIATIONS = 3.0
#: What the assumed deviation between runs is worth in runs. Our own choice: two seeds that agree prove little, ten prove
#: the deviation.
PRIOR_DF = 4.0
STRETCHES = 10
MAX_LOG_RATIO = math.log(1000.0)
#: Fewer windows than this have no final part of their own worth a test.
FINAL_WINDOWS = 5
#: Rank correlation of the changes of two curves above which they saw the same batches. Our own choice: other seeds of one
#: training stay far below it.
SAME_DATA = 0.9


@frozen(eq=False)
class Sides:
    """Candidates and baselines in the same windows.

    `progress` is how far the baselines' loss came down from its start, not negative.
    """

    candidates: Sequence[RunSummary]
    baselines: Sequence[RunSummary]
    window: NDArray[np.int64]
    width: int
    progress: float

    @property
    def runs(self) -> tuple[RunSummary, ...]:
        """Candidates, then baselines."""
        return (*self.candidates, *self.baselines)

    @property
    def one_to_one(self) -> bool:
        """Whether there is one run per side, so that the noise between runs is unknown."""
        return len(self.candidates) == len(self.baselines) == 1

    @property
    def paired(self) -> bool:
        """Whether the steps saw the same data: the ups and downs of loss or norm are then nearly the same in all runs."""
        return any(
            all(_moves_with(self.runs[0].columns[name], run.columns[name]) for run in self.runs[1:])
            for name in ("loss", "log_norm")
        )

    def steps(self, first: int, last: int) -> tuple[int, int]:
        """The first and last step of a stretch of windows, none of them beyond the end of a run."""
        return steps_of(self.window, self.width, first, last, min(run.last_step for run in self.runs))

    def least(self, name: str, part: NDArray[np.bool_]) -> NDArray[np.float64]:
        """The smallest count of any run in each window, 0 outside `part`."""
        return np.where(part, np.min([run.columns[name] for run in self.runs], axis=0), 0.0)


def _moves_with(first: NDArray[np.float64], second: NDArray[np.float64]) -> bool:
    """Whether the changes from window to window have a rank correlation above .9, over at least five of them.

    Ranks, since the steep start of two learning curves is alike whatever the data.
    """
    one, two = np.diff(first), np.diff(second)
    use = np.isfinite(one) & np.isfinite(two)
    if use.sum() < 5 or not (np.ptp(one[use]) > 0.0 and np.ptp(two[use]) > 0.0):
        return False
    # Spearman's coefficient; ranks of n distinct values have the variance (n^2 - 1) / 12.
    ranks = [np.argsort(np.argsort(v[use])) - 0.5 * (use.sum() - 1) for v in (one, two)]
    return float(np.mean(ranks[0] * ranks[1])) * 12.0 / (float(use.sum()) ** 2 - 1.0) > SAME_DATA


@frozen
class Measured:
    """A metric of both sides on the scale it is tested on."""

    candidate: float
    baseline: float
    difference: Difference
    tolerance: float
    method: Literal["blocks", "runs", "counts"]
    worst_steps: tuple[int, int] | None


@frozen
class Unmeasured:
    """Why there is no number. `skipped` is for what neither side has, and never decides the gate."""

    reason: str
    outcome: Literal["skipped", "inconclusive"] = "skipped"


Series = Callable[[RunSummary], "NDArray[np.float64]"]


def _compare_windows(
    sides: Sides,
    series: Series,
    weight: NDArray[np.float64],
    tolerance: Callable[[float], float],
    *,
    ratio_of_means: bool = False,
    least_variance: Callable[[float, float], float] = lambda _c, _b: 0.0,
) -> Measured | Unmeasured:
    """Compare a mean over windows: block by block for two runs, run by run for more.

    With `ratio_of_means` the scale is the logarithm of the mean, linearised for the blocks.
    """
    values = [series(run) for run in sides.runs]
    weight = np.where(np.isfinite(values).all(axis=0), weight, 0.0)
    if not weight.sum() > 0.0:
        return Unmeasured(reason="cannot judge: no steps have it in all runs", outcome="inconclusive")
    share = weight / weight.sum()
    means = np.array([float(np.dot(share, np.nan_to_num(v))) for v in values])
    if ratio_of_means:
        if not (means > 0.0).all():
            return Unmeasured(reason="nothing varies")
        values = [v / m for v, m in zip(values, means, strict=True)]
        means = np.log(means)
    split = len(sides.candidates)
    candidate, baseline = means[:split], means[split:]
    bound = tolerance(float(baseline.mean()))
    floor = least_variance(float(candidate.mean()), float(baseline.mean()))
    first = values[0] - values[split]
    if ratio_of_means:
        first = first + means[0] - means[split]
    found = block_difference(first, weight, least_variance=floor)
    method: Literal["blocks", "runs"] = "blocks"
    if not sides.one_to_one:
        method = "runs"
        found = run_difference(
            candidate, baseline, prior_deviation=bound / TOLERANCE_IN_DEVIATIONS, prior_df=PRIOR_DF,
            within_variance=0.5 * found.standard_error**2,
        )  # fmt: skip
    apart = np.mean(values[:split], axis=0) - np.mean(values[split:], axis=0)
    return Measured(
        candidate=float(candidate.mean()), baseline=float(baseline.mean()), difference=found, tolerance=bound,
        method=method, worst_steps=_worst(sides, apart, weight, found.change),
    )  # fmt: skip


def _worst(
    sides: Sides, apart: NDArray[np.float64], weight: NDArray[np.float64], change: float
) -> tuple[int, int] | None:
    """The tenth of the shared steps that is furthest apart in the direction of the change."""
    used = np.flatnonzero(weight > 0.0)
    if len(used) < 2 or not change:
        return None
    parts = np.array_split(used, min(STRETCHES, len(used)))
    worst = max(parts, key=lambda p: math.copysign(1.0, change) * float(np.average(apart[p], weights=weight[p])))
    return sides.steps(worst[0], worst[-1])


def _mean_of_known(rows: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    """The mean of the finite values in each window, NaN where there is none."""
    table = np.array(rows)
    known = np.isfinite(table)
    count = known.sum(axis=0).astype(np.float64)
    total = np.where(known, table, 0.0).sum(axis=0)
    return ratio(total, count)


def _everywhere(sides: Sides) -> NDArray[np.bool_]:
    return np.ones(len(sides.window), dtype=bool)


def clip_rate(sides: Sides, tolerance: Tolerance) -> Measured | Unmeasured:
    weight = sides.least("norms", _everywhere(sides))

    def rate(run: RunSummary) -> NDArray[np.float64]:
        return ratio(run.columns["clipped"], run.columns["norms"])

    def binomial(candidate: float, baseline: float) -> float:
        # Agresti and Coull's (1998) two added successes and failures keep a rate of 0 from having no variance.
        n = float(weight.sum())
        added = [(p * n + 2.0) / (n + 4.0) for p in (candidate, baseline)]
        return sum(p * (1.0 - p) / (n + 4.0) for p in added)

    def bound(baseline: float) -> float:
        return max(
            tolerance.absolute, tolerance.relative * baseline, tolerance.level / NEARLY * _nearly(sides.baselines)
        )

    found = _compare_windows(sides, rate, weight, bound, least_variance=binomial)
    if isinstance(found, Unmeasured) or found.method == "runs":
        return found
    independent, n = binomial(found.candidate, found.baseline), float(weight.sum())
    # The variance of independent rows is the least that the error can have.
    effective = n * independent / max(found.difference.standard_error**2, 1e-300)
    pressure = _compare_windows(sides, lambda run: run.columns["pressure"], weight, lambda _b: 0.0)
    if isinstance(pressure, Unmeasured):
        return pressure
    return replace(found, difference=_sharpened(found.difference, pressure.difference, effective))


def _nearly(baselines: Sequence[RunSummary]) -> float:
    """How much a norm level higher by `NEARLY` would add to the clip rate.

    Where the norms crowd below the threshold, seeds of one training differ by more than any fixed number of points.
    """
    norms = sum(run.total("norms") for run in baselines)
    return sum(run.total("nearly") - run.total("clipped") for run in baselines) / max(norms, 1)


def _sharpened(rate: Difference, pressure: Difference, n_effective: float) -> Difference:
    """The change of the clip rate, judged by the rate and by the clip pressure, whichever says more.

    Both ask whether the norms are distributed alike about the threshold; the pressure says more where the level rose, the
    rate where the noise did. The p-value is twice the smaller of the two (Bonferroni). Where it is the pressure's, the
    interval is the one that belongs to that test (Miettinen 1976, American Journal of Epidemiology 103:226): its error is
    change / t, between half of the error of the rate and all of it.
    """
    shrink = 1.0
    if pressure.p_higher < rate.p_higher and rate.change > 0.0 and rate.standard_error > 0.0:
        implied = rate.change * pressure.standard_error / (pressure.change * rate.standard_error)
        shrink = min(max(implied, 0.5), 1.0)
    return replace(
        rate,
        standard_error=shrink * rate.standard_error,
        interval=(
            rate.change - shrink * (rate.change - rate.interval[0]),
            rate.change + shrink * (rate.interval[1] - rate.change),
        ),
        p_higher=min(1.0, 2.0 * min(rate.p_higher, pressure.p_higher)),
        n_effective=n_effective,
    )


def loss(sides: Sides, tolerance: Tolerance, *, final: bool) -> Measured | Unmeasured:
    """The loss of the same steps. A difference counts at most as the whole progress, so a single explosion is one loss.

    Windows are compared by their medians, which a third of the rows can leave unmoved; where the means of the rows are beyond
    tolerance and chance and the medians are not, that is said and not passed.
    """
    part = _everywhere(sides)
    if final:
        start, end = int(sides.window[0]), int(sides.window[-1]) + 1
        part = sides.window >= end - max(1, round(FINAL_SHARE * (end - start)))
        part[-FINAL_WINDOWS:] = True
    usual = _mean_of_known([run.columns["loss"] for run in sides.baselines])
    level = float(np.nanmean(np.abs(usual))) if np.isfinite(usual).any() else 0.0
    most = max(sides.progress, level)
    share = tolerance.progress * sides.progress
    noise = row_noise(sides.baselines, part) if tolerance.noise else None
    if noise is not None:
        share = min(share, tolerance.noise * noise)
    weight = sides.least("losses", part)

    def bound(baseline: float) -> float:
        return max(tolerance.absolute, tolerance.relative * abs(baseline), share)

    def compared(name: str) -> Measured | Unmeasured:
        return _compare_windows(
            sides, lambda run: np.clip(run.columns[name], usual - most, usual + most), weight, bound
        )

    medians, means = compared("loss"), compared("loss_mean")
    if isinstance(medians, Measured) and isinstance(means, Measured) and _is_hidden(medians, means):
        return Unmeasured(
            reason=f"cannot judge: most rows lie about {medians.candidate:.4g}, and others so far above that the mean is "
            f"{means.candidate:.4g}, of the baseline {means.baseline:.4g}",
            outcome="inconclusive",
        )
    return _as_logged(medians, sides, weight)


def _as_logged(found: Measured | Unmeasured, sides: Sides, weight: NDArray[np.float64]) -> Measured | Unmeasured:
    """With the losses as they were logged: only their difference was limited."""
    if isinstance(found, Unmeasured):
        return found
    split = len(sides.candidates)
    known = np.where(np.isfinite([run.columns["loss"] for run in sides.runs]).all(axis=0), weight, 0.0)
    share = known / known.sum()
    means = [float(np.dot(share, np.nan_to_num(run.columns["loss"]))) for run in sides.runs]
    return replace(found, candidate=float(np.mean(means[:split])), baseline=float(np.mean(means[split:])))


def _is_hidden(medians: Measured, means: Measured) -> bool:
    """Whether the means are worse beyond tolerance and chance, and the medians within tolerance."""
    worse = means.difference.change > means.tolerance and means.difference.interval[0] > 0.0
    return worse and medians.difference.change <= medians.tolerance


def _log_tolerance(tolerance: Tolerance) -> Callable[[float], float]:
    bound = max(tolerance.absolute, math.log1p(tolerance.relative))
    return lambda _baseline: bound


def norm_level(sides: Sides, tolerance: Tolerance) -> Measured | Unmeasured:
    """The ratio of the mean norms, each window at its geometric mean.

    Not the mean of the logarithms: once a model has memorised its data, norms of seeds differ by a factor of two at a
    thousandth of their first level, and it does not matter. A window counts at most as a thousand times the baseline's.
    """
    weight = sides.least("norms", _everywhere(sides))
    usual = _mean_of_known([run.columns["log_norm"] for run in sides.baselines])
    if not np.isfinite(usual).any():
        return Unmeasured(
            reason="cannot judge: the baseline's norms are outside the usable range", outcome="inconclusive"
        )
    most, highest = MAX_LOG_RATIO, float(np.nanmax(usual))
    # Over the highest window, so that norms of any size can be averaged; shown as norms again.
    found = _compare_windows(
        sides,
        lambda run: np.exp(np.clip(run.columns["log_norm"], usual - most, usual + most) - highest),
        weight,
        _log_tolerance(tolerance),
        ratio_of_means=True,
    )
    if isinstance(found, Unmeasured):
        return found
    return replace(found, candidate=found.candidate + highest, baseline=found.baseline + highest)


def norm_spread(sides: Sides, tolerance: Tolerance) -> Measured | Unmeasured:
    weight = sides.least("norms", _everywhere(sides))
    if np.median(weight) < MIN_ROWS_PER_WINDOW:
        return Unmeasured(reason="too few rows")
    return _compare_windows(
        sides, lambda run: run.columns["spread"], weight, _log_tolerance(tolerance), ratio_of_means=True
    )


def norm_tail(sides: Sides, tolerance: Tolerance) -> Measured | Unmeasured:
    norms = sides.least("norms", _everywhere(sides))
    if np.median(norms) < MIN_ROWS_PER_WINDOW:
        return Unmeasured(reason="too few rows")
    return _compare_windows(
        sides, lambda run: run.columns["peak"], (norms > 0.0).astype(np.float64), _log_tolerance(tolerance)
    )


def events(sides: Sides, tolerance: Tolerance, name: str, *, per: float) -> Measured | Unmeasured:
    """Rare events per `per` rows: exact for two runs, run by run for more."""
    rows = [float(run.columns["rows"].sum()) for run in sides.runs]
    counts = [run.total(name) for run in sides.runs]
    split = len(sides.candidates)
    rates = per * np.array(counts) / np.array(rows)
    candidate, baseline = float(rates[:split].mean()), float(rates[split:].mean())
    bound = max(tolerance.absolute, tolerance.relative * baseline)
    if sides.one_to_one:
        found = _scaled(count_difference(counts[0], rows[0], counts[1], rows[1]), per)
    else:
        poisson = per * per * (sum(counts) + 1.0) / sum(rows) / (sum(rows) / len(rows))
        found = run_difference(
            rates[:split], rates[split:], prior_deviation=bound / TOLERANCE_IN_DEVIATIONS, prior_df=PRIOR_DF,
            within_variance=poisson,
        )  # fmt: skip
    apart = np.mean([r.columns[name] for r in sides.candidates], axis=0)
    apart = apart - np.mean([r.columns[name] for r in sides.baselines], axis=0)
    return Measured(
        candidate=candidate, baseline=baseline, difference=found, tolerance=bound,
        method="counts" if sides.one_to_one else "runs",
        worst_steps=_worst(sides, apart, sides.least("rows", _everywhere(sides)), found.change),
    )  # fmt: skip


def _scaled(d: Difference, by: float) -> Difference:
    return Difference(
        change=d.change * by, standard_error=d.standard_error * by, df=d.df,
        interval=(d.interval[0] * by, d.interval[1] * by), p_higher=d.p_higher, p_two_sided=d.p_two_sided,
    )  # fmt: skip


def spikes(sides: Sides, tolerance: Tolerance, name: str) -> Measured | Unmeasured:
    if not all(run.spikes_judged for run in sides.runs):
        return Unmeasured(reason="too few rows to tell spikes from noise")
    return events(sides, tolerance, name, per=1000.0)

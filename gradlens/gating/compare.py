"""Runs side by side: figures of each, and each against the first, with the marks that scale bugs leave.

A norm that was not reduced over ranks, not divided by accumulation steps or not unscaled differs from the right one by a
constant factor while the loss is the same. That is looked for: a ratio of norms that is the same all along the run, close to
k, 1/k, sqrt k or 1/sqrt k, at equal loss.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np

from gradlens.config import TrainingConfig
from gradlens.gating.assess import known_threshold, summarize_runs
from gradlens.gating.curves import SMOOTHING, comparison_picture
from gradlens.gating.limits import final_loss
from gradlens.gating.measures import Sides
from gradlens.gating.summary import RunSummary, bring_together
from gradlens.reports.base import ThresholdOption
from gradlens.reports.comparison import ComparedRun, ComparisonReport, Fingerprint, Pair
from gradlens.run import Run
from gradlens.signals.axis import Signals, signals_of
from gradlens.stats.comparison import block_difference, first_divergence
from gradlens.stats.robust import MAD_TO_SIGMA, rolling_median
from gradlens.version import __version__

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Losses are equal if their mean difference is below this share of their level or of the progress. Our own choice.
EQUAL_LOSS = 0.01
#: A ratio matches a factor within this, or within three standard errors (1.5 half widths of the interval) if that is more;
#: and it must hold in both halves.
MATCH = 0.02
HALF_WIDTHS = 1.5
HALVES = 0.05
#: The most an uncertain ratio may be off: beyond it some factor always fits.
MAX_HALF_WIDTH = 0.05
FACTORS = (2, 3, 4, 5, 6, 7, 8, 10, 12, 16, 20, 24, 32, 48, 64, 96, 128, 256, 512, 1024, 2048, 4096)
SIGMAS = 6.0
#: Curves part only where they are this far apart, relative to the level of the loss, or in the norm.
APART = {"loss": 0.02, "grad_norm": 0.10}
IDENTICAL = 1e-6
MIN_ROWS_OF_FACTOR = 20


@np.errstate(all="ignore")
def compare_runs(
    runs: Sequence[Run],
    *,
    threshold: ThresholdOption = "auto",
    config: TrainingConfig | None = None,
    picture: bool = False,
) -> ComparisonReport:
    """Compare every run with the first; at least two, each with a loss or a norm. `picture` asks for what a page draws."""
    judged = [run for run in runs if run.loss is not None or run.grad_norm is not None]
    rough = summarize_runs(judged, threshold=threshold, config=config)
    summaries = summarize_runs(judged, threshold=threshold, config=config, known=known_threshold(rough))
    signals = [signals_of(run) for run in judged]
    pairs = tuple(
        _pair(judged[0], summaries[0], signals[0], run, summary, x)
        for run, summary, x in zip(judged[1:], summaries[1:], signals[1:], strict=True)
    )
    return ComparisonReport(
        gradlens_version=__version__,
        runs=tuple(_figures(s, x) for s, x in zip(summaries, signals, strict=True)),
        pairs=pairs,
        picture=comparison_picture([run.id for run in judged], signals, [pair.parts_at for pair in pairs])
        if picture
        else None,
    )


def _figures(s: RunSummary, signals: Signals) -> ComparedRun:
    spread = s.columns["spread"]
    lr = signals.lr[np.isfinite(signals.lr)]
    return ComparedRun(
        id=s.id,
        source=s.source,
        format=s.format,
        steps=s.rows,
        first_step=s.first_step,
        last_step=s.last_step,
        threshold=s.threshold,
        threshold_source=s.threshold_source,
        provenance=s.provenance,
        clip_rate=s.clip_rate if s.clip_trusted and s.threshold_source != "assumed" else None,
        median_norm=s.percentiles.get("50"),
        p99_norm=s.percentiles.get("99"),
        norm_spread=float(np.nanmean(spread)) if np.isfinite(spread).any() else None,
        final_loss=final_loss(s),
        loss_spikes=s.total("loss_spikes") if s.spikes_judged else None,
        norm_spikes=s.total("norm_spikes") if s.spikes_judged else None,
        nonfinite=s.total("nonfinite") + s.total("overflow"),
        learning_rate=float(lr.max()) if len(lr) else None,
    )


def _pair(one: Run, a: RunSummary, x: Signals, other: Run, b: RunSummary, y: Signals) -> Pair:
    cut, window = bring_together([a, b])
    shared, i, j = np.intersect1d(x.step, y.step, assume_unique=True, return_indices=True)
    ratio, interval, constant = _norm_ratio(cut)
    loss, loss_interval, tolerance = _loss_change(cut, a)
    equal = None if loss is None or tolerance is None else abs(loss) <= tolerance
    differs = loss_interval is not None and (loss_interval[0] > 0.0 or loss_interval[1] < 0.0)
    factor = _loss_factor(x.loss[i], y.loss[j], one, other)
    same = len(window) > 0 and Sides(
        candidates=cut[1:], baselines=cut[:1], window=window, width=cut[0].width, progress=0.0
    ).paired  # fmt: skip
    marks = _fingerprints(ratio, interval, one, other, y) if constant and equal else ()
    parts_at, parts_in = _parts(shared, x, i, y, j, 1.0 if factor is None else factor.value)
    identical = _identical_until(shared, x, i, y, j)
    return Pair(
        run=other.id,
        against=one.id,
        shared_steps=len(shared),
        first_step=int(shared[0]) if len(shared) else None,
        last_step=int(shared[-1]) if len(shared) else None,
        norm_ratio=ratio,
        norm_ratio_interval=interval,
        loss_change=loss,
        loss_change_interval=loss_interval,
        equal_loss=equal,
        loss_tolerance=tolerance,
        loss_differs=differs,
        loss_factor=factor,
        same_data=same,
        identical_until=identical,
        parts_at=parts_at,
        parts_in=parts_in,
        fingerprints=tuple(marks),
        verdict=_verdict(
            _level_words(ratio, loss, tolerance, differs=differs) if factor is None else _factor_words(factor, ratio),
            tuple(marks),
            parts_at,
            identical,
            shared,
        ),
    )


def _norm_ratio(cut: Sequence[RunSummary]) -> tuple[float | None, tuple[float, float] | None, bool]:
    """The ratio of the norms, its interval, and whether it is the same in both halves."""
    difference = cut[1].columns["log_norm"] - cut[0].columns["log_norm"]
    weight = np.minimum(cut[0].columns["norms"], cut[1].columns["norms"])
    found = block_difference(difference, weight)
    if not math.isfinite(found.change) or abs(found.change) > 600.0:
        return None, None, False
    interval = None
    if found.df > 0.0:
        interval = math.exp(max(found.interval[0], -600.0)), math.exp(min(found.interval[1], 600.0))
    middle = len(difference) // 2
    halves = [
        block_difference(d, w) for d, w in zip(np.split(difference, [middle]), np.split(weight, [middle]), strict=True)
    ]
    drift = abs(halves[0].change - halves[1].change) if middle else 0.0
    return math.exp(found.change), interval, drift <= HALVES


def _loss_change(
    cut: Sequence[RunSummary], first: RunSummary
) -> tuple[float | None, tuple[float, float] | None, float | None]:
    """The mean difference of the losses, its interval, and the difference up to which they count as equal."""
    difference = cut[1].columns["loss"] - cut[0].columns["loss"]
    found = block_difference(difference, np.minimum(cut[0].columns["losses"], cut[1].columns["losses"]))
    if not math.isfinite(found.change):
        return None, None, None
    level = cut[0].columns["loss"][np.isfinite(cut[0].columns["loss"])]
    last = float(np.median(level[-max(1, len(level) // 5) :]))
    scale = max(float(np.mean(np.abs(level))), (first.loss_first or last) - last)
    return found.change, found.interval if found.df > 0.0 else None, EQUAL_LOSS * scale


def _loss_factor(one: NDArray[np.float64], two: NDArray[np.float64], a: Run, b: Run) -> Fingerprint | None:
    """The whole number by which one loss is a multiple of the other, None where it is none.

    The median of the ratio, the same within 5 % in both halves of at least 20 shared rows, and within 2 % of 1/k or k for a k
    of 2 or more. Losses that differ by chance or by a shift have no constant ratio while they descend.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.log(two) - np.log(one)
    ratio = ratio[np.isfinite(ratio)]
    if len(ratio) < MIN_ROWS_OF_FACTOR:
        return None
    middle, half = float(np.median(ratio)), len(ratio) // 2
    if abs(float(np.median(ratio[:half])) - float(np.median(ratio[half:]))) > HALVES:
        return None
    steps = {k for run in (a, b) if (k := run.config.gradient_accumulation_steps)}
    for k in (*sorted(steps), *FACTORS):
        for name, value in ((f"{k:g}", float(k)), (f"1/{k:g}", 1.0 / k)):
            if k > 1 and abs(middle - math.log(value)) <= MATCH:
                return Fingerprint(
                    factor=name, value=value, meaning=f"summed instead of averaged over {k:g} accumulation steps",
                    off_by=math.exp(middle) / value - 1.0,
                )  # fmt: skip
    return None


def _factor_words(factor: Fingerprint, ratio: float | None) -> str:
    """What a constant factor between the losses means, given the ratio of the norms."""
    agree = ratio is not None and abs(math.log(ratio)) <= MATCH
    where = " at equal norms" if agree else ""
    told = f"{factor.meaning}{' (in the log only: the gradients agree)' if agree else ''}"
    return f"the loss differs by a constant factor close to {factor.factor}{where}: {told}"


def _level_words(ratio: float | None, change: float | None, tolerance: float | None, *, differs: bool) -> str:
    """How norms and losses compare, in words that hide no difference of the losses whose interval excludes zero."""
    text = f"norms {ratio:.3g} times those of the first run" if ratio is not None else "norms not comparable"
    if change is None or tolerance is None:
        return text
    if abs(change) <= tolerance and not differs:
        return f"{text}, equal loss"
    text += f", loss {'higher' if change > 0 else 'lower'} by {abs(change):.3g}"
    return text if abs(change) > tolerance else f"{text}, within the tolerance of {tolerance:.3g}"


def _fingerprints(
    ratio: float | None, interval: tuple[float, float] | None, one: Run, other: Run, signals: Signals
) -> list[Fingerprint]:
    """Known factors that the ratio agrees with, the nearest first."""
    if ratio is None or interval is None or not ratio > 0.0:
        return []
    half = 0.5 * math.log(interval[1] / interval[0]) if interval[0] > 0.0 else math.inf
    slack = max(MATCH, HALF_WIDTHS * half)
    if half > MAX_HALF_WIDTH or abs(math.log(ratio)) <= slack:
        return []
    found = [
        Fingerprint(factor=name, value=value, meaning=meaning, off_by=ratio / value - 1.0)
        for name, value, meaning in _factors(one, other, signals)
        if abs(math.log(ratio / value)) <= slack
    ]
    # Of factors that fit equally well the one listed first is the more common.
    return sorted(found, key=lambda f: round(abs(f.off_by), 3))[:3]


def _factors(one: Run, other: Run, signals: Signals) -> Iterator[tuple[str, float, str]]:
    scale = signals.loss_scale[np.isfinite(signals.loss_scale)]
    if len(scale) and float(np.median(scale)) > 1.0:
        yield "loss scale", float(np.median(scale)), "the gradients were not unscaled before the norm was taken"
    sizes = {
        "world_size": "ranks",
        "gradient_accumulation_steps": "accumulation steps",
    }
    for name, noun in sizes.items():
        for run in (other, one):
            k = getattr(run.config, name)
            if k and k > 1:
                yield f"{k:g} = {noun}", k, f"gradients are summed, not averaged, over the {k:g} {noun}"
                yield f"1/{k:g} = 1/{noun}", 1 / k, f"gradients are divided once too often by the {k:g} {noun}"
                yield f"1/sqrt({k:g})", k**-0.5, f"a local norm is logged: it is not reduced over the {k:g} {noun}"
    for k in FACTORS:
        yield f"{k}", float(k), f"summed instead of averaged over {k} ranks or micro-batches, or a loss scale of {k}"
        yield f"1/{k}", 1.0 / k, f"divided once too often by {k} ranks or micro-batches"
        yield (
            f"sqrt({k})",
            math.sqrt(k),
            f"squares summed over {k} copies of the same gradients (replicas counted as shards)",
        )
        yield f"1/sqrt({k})", 1.0 / math.sqrt(k), f"a local norm: the squares of {k} shards were not summed"


def _identical_until(
    shared: NDArray[np.int64], x: Signals, i: NDArray[np.intp], y: Signals, j: NDArray[np.intp]
) -> int | None:
    """The last step up to which loss and norm agree to six digits; None if they never do."""
    if len(shared) == 0:
        return None
    apart = np.zeros(len(shared), dtype=bool)
    for one, two in ((x.loss[i], y.loss[j]), (x.norm[i], y.norm[j])):
        either = np.isfinite(one) | np.isfinite(two)
        with np.errstate(invalid="ignore"):
            # Two values that are both not finite say nothing.
            close = np.abs(one - two) <= IDENTICAL * np.maximum(np.abs(one), np.abs(two))
        apart |= either & ~close
    first = int(np.argmax(apart)) if apart.any() else len(shared)
    return int(shared[first - 1]) if first else None


def _parts(
    shared: NDArray[np.int64], x: Signals, i: NDArray[np.intp], y: Signals, j: NDArray[np.intp], loss_factor: float
) -> tuple[int | None, Literal["loss", "grad_norm"] | None]:
    """The first step from which the smoothed curves stay further apart than their noise; a constant ratio is not a parting."""
    found: list[tuple[int, Literal["loss", "grad_norm"]]] = []
    with np.errstate(invalid="ignore", divide="ignore"):
        log_ratio = np.log(y.norm[j]) - np.log(x.norm[i])
        curves: tuple[tuple[Literal["loss", "grad_norm"], NDArray[np.float64], NDArray[np.float64]], ...] = (
            ("loss", y.loss[j] / loss_factor - x.loss[i], np.abs(x.loss[i])),
            ("grad_norm", log_ratio, np.ones(len(shared))),
        )
    for name, apart, level in curves:
        difference, finite = apart, np.isfinite(apart)
        if finite.sum() < 2 * SMOOTHING:
            continue
        if name == "grad_norm":
            difference = difference - np.median(difference[finite][: 2 * SMOOTHING])
        smooth = rolling_median(np.where(finite, difference, np.nan), SMOOTHING, centred=True)
        noise = MAD_TO_SIGMA * float(np.nanmedian(np.abs(difference - smooth))) * 1.2533 / math.sqrt(SMOOTHING)
        usual = rolling_median(level, SMOOTHING, centred=True)
        lost = ~finite & (np.isfinite(x.norm[i]) | np.isfinite(x.loss[i]))
        bound = np.maximum(noise, APART[name] * usual / SIGMAS)
        at = first_divergence(np.where(lost, np.nan, smooth), bound, sigmas=SIGMAS, in_a_row=SMOOTHING)
        if at is not None:
            found.append((int(shared[at]), name))
    return min(found, default=(None, None), key=lambda f: f[0] or 0)


def _verdict(
    text: str,
    marks: tuple[Fingerprint, ...],
    parts_at: int | None,
    identical: int | None,
    shared: NDArray[np.int64],
) -> str:
    if len(shared) == 0:
        return "no steps in common"
    if identical is not None and identical == int(shared[-1]):
        return "the same to six digits in every shared step"
    if marks:
        return f"norms differ by a constant factor close to {marks[0].factor} at equal loss: {marks[0].meaning}"
    return text + (f"; the curves part at step {parts_at:,}" if parts_at is not None else "")

"""What the gate keeps of a run: sums over windows of steps, small enough to commit and enough to compare.

Candidate and baseline are reduced in the same way before they are compared, so a baseline file and the log that it was made
from give the same verdict. Windows are aligned to multiples of their width, which is a power of two: runs of different
length are brought to one width by merging neighbours, and a window covers the same steps in both.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from gradlens.frozen import frozen
from gradlens.gating.heard import taken_columns, worth_telling
from gradlens.gating.missing import ends_early, missing_inside
from gradlens.reports.analysis import Provenance
from gradlens.reports.base import ThresholdSource
from gradlens.run import Notice, Run
from gradlens.signals.axis import Signals, notices_of, signals_of
from gradlens.stats.robust import log_residuals, safe_log
from gradlens.stats.spikes import find_spikes
from gradlens.stats.warmup import find_warmup_end

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: What the norm may be for clip rates to be drawn from it.
TRUSTED = frozenset({"pre_clip", "averaged", "unknown"})
#: At most this many windows per run: a few kilobytes of JSON, and blocks long enough for autocorrelated norms.
MAX_WINDOWS = 128
#: Rows of the centred median that is the local level of the norm. Fixed, so that runs of different length compare.
LEVEL_ROWS = 65
#: Residuals count at most as a factor of ten, so that one exploded step does not decide the spread.
MAX_RESIDUAL = float(np.log(10.0))
#: How sharply the clip pressure rises at the threshold: norm^4 / (norm^4 + C^4) goes from .1 to .9 over a factor of three.
PRESSURE_POWER = 4.0
#: A shift of the norm level that seeds of one training show, see `docs/ci.md`.
NEARLY = 0.05

SUMS = ("rows", "norms", "losses", "clipped", "nearly", "nonfinite", "overflow", "loss_spikes", "norm_spikes", "dead")
#: Means, with the count that weighs them when windows are merged.
MEANS: Mapping[str, str] = MappingProxyType(
    {"log_norm": "norms", "pressure": "norms", "spread": "norms", "loss": "losses", "loss_mean": "losses", "lr": "rows"}
)
COLUMNS = (*SUMS, *MEANS, "peak")


@frozen(eq=False)
class RunSummary:
    """One run in windows of `width` steps; window i covers steps `window[i] * width` up to the next multiple.

    Attributes
    ----------
    columns
        float64[k] each. Counts: `rows` logged, `norms` finite and positive, `losses` finite, `clipped` above the
        threshold, `nearly` above it if the level were higher by `NEARLY`, `nonfinite` rows with a NaN or infinity that no
        loss-scale back-off explains, `overflow` rows with one that it does, `loss_spikes` and `norm_spikes` onsets, `dead`
        finite norms of zero or below.
        Means, NaN where nothing was counted: `log_norm` of ln(norm), `pressure` of norm^4 / (norm^4 + C^4), `spread` of
        abs(ln(norm / local level)), `lr`; `loss` is the median of the window, `loss_mean` the mean of its rows, each at
        most as far from the median as the run came down. `peak` is the largest ln(norm / local level).
    loss_first
        Median of the first three finite losses: where the run started.
    spikes_judged
        Whether the run is long enough for spikes to be told from noise.
    nonfinite_left_out
        Losses and norms that are NaN or infinite in rows that repeat a step or were set aside.
    taken
        The columns that were taken for `loss` and `grad_norm`.
    rows_missing
        Rows that a log of this interval would have between the first and the last step, and this one has not.
    replaced
        Rows that were not judged since others have their step, with other values.
    nonfinite_replaced
        Losses and norms that are NaN or infinite in attempts that later ones superseded.
    ends_early
        Of `loss` and `grad_norm` those whose values end before the rows do, with a sentence that says where.
    missing_inside
        That loss or norm has no value in some rows before, as a sentence.
    notices
        What reading says. Of these only `taken` is kept in baseline files.
    """

    id: str
    source: str
    format: str
    rows: int
    first_step: int
    last_step: int
    log_interval: float | None
    threshold: float | None
    threshold_source: ThresholdSource
    provenance: str
    provenance_reason: str
    width: int
    window: NDArray[np.int64]
    columns: Mapping[str, NDArray[np.float64]]
    percentiles: Mapping[str, float]
    loss_first: float | None
    spikes_judged: bool
    config: Mapping[str, object]
    taken: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    nonfinite_left_out: int = 0
    nonfinite_replaced: int = 0
    replaced: int = 0
    missing_inside: str | None = None
    ends_early: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    notices: tuple[Notice, ...] = ()

    def total(self, name: str) -> int:
        """The sum of a count over all windows."""
        return int(self.columns[name].sum())

    @property
    def clip_rate(self) -> float | None:
        """Share of finite norms above the threshold; None without norms or threshold."""
        norms = self.total("norms")
        return self.total("clipped") / norms if norms and self.threshold is not None else None

    @property
    def rows_missing(self) -> int:
        """Rows that a log of this interval would have between the first and the last step, and this one has not."""
        if not self.log_interval:
            return 0
        return max(0, round((self.last_step - self.first_step) / self.log_interval) + 1 - self.rows)

    @property
    def clip_trusted(self) -> bool:
        """Whether the norms are a basis for clip rates."""
        return self.provenance in TRUSTED

    def steps(self, first: int, last: int) -> tuple[int, int]:
        """The first and last step of a stretch of windows; the last window ends where the run does."""
        return steps_of(self.window, self.width, first, last, self.last_step)

    def at_width(self, width: int) -> RunSummary:
        """The same run in wider windows; `width` is a power of two times the present one."""
        if width == self.width:
            return self
        window, group = np.unique(self.window // (width // self.width), return_inverse=True)
        size = len(window)
        merged = {name: _sums(group, self.columns[name], size) for name in SUMS}
        for name, by in MEANS.items():
            weight = np.where(np.isfinite(self.columns[name]), self.columns[by], 0.0)
            total = _sums(group, weight * np.nan_to_num(self.columns[name]), size)
            merged[name] = ratio(total, _sums(group, weight, size))
        peak = np.full(size, np.nan)
        np.fmax.at(peak, group, self.columns["peak"])
        merged["peak"] = peak
        return replace(self, width=width, window=window, columns=MappingProxyType(merged))


def summarize(
    run: Run, *, threshold: float | None, threshold_source: ThresholdSource, provenance: Provenance
) -> RunSummary:
    """Reduce a run to windows.

    Parameters
    ----------
    run
        As read.
    threshold, threshold_source
        The clipping threshold, None where the run did not clip, and how it is known.
    provenance
        Whether the norms are those before clipping.
    """
    signals = signals_of(run)
    width = _width(signals)
    window, group = np.unique(signals.step // width, return_inverse=True)
    finite = signals.norm[np.isfinite(signals.norm) & (signals.norm > 0.0)]
    losses = signals.loss[np.isfinite(signals.loss)]
    columns, spikes_judged = _columns(signals, threshold, group, len(window))
    return RunSummary(
        id=run.id,
        source=run.source,
        format=run.format,
        rows=len(signals),
        first_step=int(signals.step[0]) if len(signals) else 0,
        last_step=int(signals.step[-1]) if len(signals) else 0,
        log_interval=signals.log_interval,
        threshold=threshold,
        threshold_source=threshold_source,
        provenance=provenance.verdict,
        provenance_reason=provenance.reason,
        width=width,
        window=window,
        columns=MappingProxyType(columns),
        percentiles={f"{q:g}": float(v) for q, v in zip((50, 90, 99), np.percentile(finite, (50, 90, 99)), strict=True)}
        if len(finite)
        else {},
        loss_first=float(np.median(losses[:3])) if len(losses) else None,
        spikes_judged=spikes_judged,
        config=run.config.to_dict(),
        taken=taken_columns(run),
        nonfinite_left_out=signals.nonfinite_left_out,
        nonfinite_replaced=signals.nonfinite_replaced,
        replaced=_replaced(run, signals),
        missing_inside=missing_inside(run),
        ends_early=MappingProxyType(ends_early(run, signals)),
        notices=worth_telling((*run.notices, *notices_of(signals))),
    )


def _replaced(run: Run, signals: Signals) -> int:
    """Rows that were not judged although they say something else than the row of their step that was."""
    found = 0
    for series, value, has in (
        (run.loss, signals.loss, signals.has_loss),
        (run.grad_norm, signals.norm, signals.has_norm),
    ):
        if series is None or len(series) <= int(np.count_nonzero(has)):
            continue
        at = np.searchsorted(signals.step, series.step).clip(0, len(signals) - 1)
        differs = (signals.step[at] == series.step) & (series.value != value[at])
        differs &= ~(np.isnan(series.value) & np.isnan(value[at]))
        beyond = signals.step[at] != series.step
        found = max(found, int(np.count_nonzero(differs | beyond)))
    return found


def _sums(group: NDArray[np.intp], value: NDArray[np.float64] | NDArray[np.bool_], size: int) -> NDArray[np.float64]:
    """The sum of each group."""
    return np.bincount(group, weights=value, minlength=size).astype(np.float64)


def ratio(total: NDArray[np.float64], count: NDArray[np.float64]) -> NDArray[np.float64]:
    """Means, NaN where nothing was counted."""
    out = np.full(len(count), np.nan)
    np.divide(total, count, out=out, where=count > 0.0)
    return out


def _width(signals: Signals) -> int:
    """The smallest power of two that gives at most `MAX_WINDOWS` windows."""
    if len(signals) == 0:
        return 1
    span = int(signals.step[-1]) - int(signals.step[0]) + 1
    return 1 << max(0, (-(-span // MAX_WINDOWS) - 1).bit_length())


def _columns(
    signals: Signals, threshold: float | None, group: NDArray[np.intp], size: int
) -> tuple[dict[str, NDArray[np.float64]], bool]:
    norm, loss = signals.norm, signals.loss
    usable = np.isfinite(norm) & (norm > 0.0)
    known = np.isfinite(loss)
    nonfinite, overflow = split_nonfinite(signals)
    residual = log_residuals(norm, LEVEL_ROWS, centred=True)
    size_of_residual = np.abs(np.clip(residual, -MAX_RESIDUAL, MAX_RESIDUAL))
    spikes, judged = _onsets(signals)

    def count(mask: NDArray[np.bool_]) -> NDArray[np.float64]:
        return _sums(group, mask, size)

    def mean(value: NDArray[np.float64]) -> NDArray[np.float64]:
        use = np.isfinite(value)
        return ratio(_sums(group[use], value[use], size), _sums(group, use, size))

    peak = np.full(size, np.nan)
    np.fmax.at(peak, group, residual)
    columns = {
        "rows": count(signals.has_loss | signals.has_norm),
        "norms": count(usable),
        "losses": count(known),
        "clipped": count(usable & (norm > threshold)) if threshold is not None else np.zeros(size),
        "nearly": count(usable & (norm * (1.0 + NEARLY) > threshold)) if threshold is not None else np.zeros(size),
        "nonfinite": count(nonfinite),
        "overflow": count(overflow),
        "loss_spikes": count(spikes["loss"]),
        "norm_spikes": count(spikes["norm"]),
        "log_norm": mean(safe_log(norm)),
        "pressure": mean(clip_pressure(norm, threshold)),
        "spread": mean(size_of_residual),
        "dead": count(np.isfinite(norm) & (norm <= 0.0)),
        "loss": (medians := _medians(loss, known, group, size)),
        "loss_mean": mean(_limited(loss, medians, group)),
        "lr": mean(signals.lr),
        "peak": peak,
    }
    return columns, judged


def clip_pressure(norm: NDArray[np.float64], threshold: float | None) -> NDArray[np.float64]:
    """A smooth clip indicator, NaN where the norm is not finite and positive.

    Two runs whose norms are distributed alike have the same mean pressure, and norms just below the threshold count too, so
    it tells two runs apart with half the steps that the bare indicator needs.
    """
    out = np.full(len(norm), np.nan)
    if threshold is None or not threshold > 0.0:
        return out
    usable = np.isfinite(norm) & (norm > 0.0)
    # As a logistic function of ln(norm / C): a norm of 1e100 must not overflow.
    out[usable] = 0.5 + 0.5 * np.tanh(0.5 * PRESSURE_POWER * np.log(norm[usable] / threshold))
    return out


def steps_of(window: NDArray[np.int64], width: int, first: int, last: int, end: int) -> tuple[int, int]:
    """The first and last step of a stretch of windows, none of which goes beyond the step `end`."""
    return int(window[first]) * width, min((int(window[last]) + 1) * width - 1, end)


def split_nonfinite(signals: Signals) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Rows with a logged NaN or infinity: those that nothing explains, and ordinary overflows of fp16.

    An overflow is ordinary where the loss is finite and the loss scale falls at that row or the next: the trainer noticed,
    skipped the update and went on.
    """
    bad_loss, bad_norm = signals.bad_loss, signals.bad_norm
    falls = signals.loss_scale[1:] < signals.loss_scale[:-1]  # not by differences: infinities have none
    backs_off = np.append(falls, False) | np.insert(falls, 0, False) if len(signals) else np.zeros(0, dtype=bool)
    explained = bad_norm & ~bad_loss & backs_off
    return (bad_loss | bad_norm) & ~explained, explained


def _onsets(signals: Signals) -> tuple[dict[str, NDArray[np.bool_]], bool]:
    """Where spikes begin, after the warm-up; and whether either curve could be judged."""
    lr = signals.lr if np.isfinite(signals.lr).any() else None
    warmup = find_warmup_end(lr, signals.norm if np.isfinite(signals.norm).any() else None).index
    found, judged = {}, False
    for name, value in (("loss", signals.loss), ("norm", signals.norm)):
        table = find_spikes(value, warmup_end=warmup)
        mask = np.zeros(len(signals), dtype=bool)
        mask[[s.index for s in table.spikes]] = True
        found[name] = mask
        judged = judged or table.reason is None
    return found, judged


def _medians(
    value: NDArray[np.float64], use: NDArray[np.bool_], group: NDArray[np.intp], size: int
) -> NDArray[np.float64]:
    """The median of each group; groups are in order, so one cut per group is enough."""
    out = np.full(size, np.nan)
    kept, where = value[use], group[use]
    if len(kept) == 0:
        return out
    cuts = np.flatnonzero(np.diff(where)) + 1
    for at, part in zip(where[np.concatenate([[0], cuts])], np.split(kept, cuts), strict=True):
        out[at] = np.median(part)
    return out


def _limited(value: NDArray[np.float64], medians: NDArray[np.float64], group: NDArray[np.intp]) -> NDArray[np.float64]:
    """The losses, each at most as far from the median of its window as the run came down, or as the usual loss is large.

    So that one exploded row counts as one row, and many of them as what they are.
    """
    known = medians[np.isfinite(medians)]
    if not len(known):
        return value
    final = float(np.median(known[-max(1, len(known) // 5) :]))
    with np.errstate(over="ignore"):
        reach = max(float(known[0]) - final, float(np.median(np.abs(known))))
        usual = medians[group]
        limited: NDArray[np.float64] = np.clip(value, usual - reach, usual + reach)
    return np.where(np.isfinite(value), limited, np.nan)


def bring_together(summaries: list[RunSummary]) -> tuple[list[RunSummary], NDArray[np.int64]]:
    """The runs in windows of one width, cut to the windows that all of them have.

    A window counts only if every run fills it at least half as well as the others, each by its own logging interval: the
    last window of a shorter run would otherwise be compared with steps it never reached.

    Returns
    -------
    (summaries, window)
        Each summary has the columns of `window` only; both are empty where the runs share no steps.
    """
    width = max(s.width for s in summaries)
    wide = [s.at_width(width) for s in summaries]
    window = wide[0].window
    for s in wide[1:]:
        window = np.intersect1d(window, s.window, assume_unique=True)
    at = [np.searchsorted(s.window, window) for s in wide]
    if len(window):
        filled = np.array([s.columns["rows"][i] / np.median(s.columns["rows"]) for s, i in zip(wide, at, strict=True)])
        keep = filled.min(axis=0) >= 0.5 * filled.max(axis=0)
        window, at = window[keep], [i[keep] for i in at]
    cut = [
        replace(s, window=window, columns=MappingProxyType({n: s.columns[n][i] for n in COLUMNS}))
        for s, i in zip(wide, at, strict=True)
    ]
    return cut, window

"""The figures of a report that need no judgement, from signals by way of `stats`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from gradlens.reports import analysis as report
from gradlens.reports.base import Interval
from gradlens.run import Run
from gradlens.signals.axis import Signals, interval_of
from gradlens.signals.threshold import Threshold
from gradlens.stats import clipping as clip_stats
from gradlens.stats import coincidence as coincidence_stats
from gradlens.stats import spikes as spike_stats
from gradlens.stats import tails as tail_stats
from gradlens.stats import thresholds as threshold_stats
from gradlens.stats.clipping import WORTH_A_LOOK
from gradlens.stats.histograms import share_beyond
from gradlens.stats.powerlaw import REJECTED_AT
from gradlens.stats.warmup import find_phases, find_warmup_end

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gradlens.stats.gpd import PeaksOverThreshold

PERCENTILES = (50, 90, 95, 99, 99.9)
FP16_MAX = 65504.0
MAX_SPIKES = 50
#: Clipped norms per burst from which on they come in clusters. Our own choice.
CLUSTERED = 3.0


def warmup_end(signals: Signals) -> int:
    """The row at which the warm-up ends: from the learning rate where it is logged, from the norms otherwise."""
    lr = signals.lr if np.isfinite(signals.lr).any() else None
    norm = signals.norm if np.isfinite(signals.norm).any() else None
    return find_warmup_end(lr, norm).index


def percentiles(norm: NDArray[np.float64]) -> Mapping[str, float]:
    """Percentiles of the finite norms, by size; empty without any.

    The 50th, 90th, 95th, 99th and 99.9th of all finite norms of the run, the warm-up included, interpolated linearly between
    order statistics as `numpy.percentile` does. They describe the norms as logged: where their level drifts, a high
    percentile is that of the start. The threshold advice is therefore made from the norms around their level instead.
    """
    if len(norm) == 0:
        return {}
    return {f"{q:g}": float(v) for q, v in zip(PERCENTILES, np.percentile(norm, PERCENTILES), strict=True)}


def logged(signals: Signals) -> Mapping[str, report.Logged]:
    """How often loss and norm are logged, each by itself: the rows of a run may hold the one without the other."""
    steps = {"loss": signals.step[signals.has_loss], "grad_norm": signals.step[signals.has_norm]}
    return {key: report.Logged(rows=len(step), interval=interval_of(step)) for key, step in steps.items() if len(step)}


def nonfinite(signals: Signals) -> report.NonFinite:
    """Logged values that are NaN or infinite, and the longest run of them.

    A value that is not finite is counted separately: here and in no rate, percentile, fit or spike. A step without a
    logged value is not one. Rows and the longest streak count rows in which the loss or the norm is not finite, each once.
    """
    bad_loss, bad_norm = signals.bad_loss, signals.bad_norm
    bad = bad_loss | bad_norm
    where = np.flatnonzero(bad)
    streak = 0
    if len(where):
        breaks = np.flatnonzero(np.diff(where) > 1)
        edges = np.concatenate([[0], breaks + 1, [len(where)]])
        streak = int(np.diff(edges).max())
    return report.NonFinite(
        loss=int(bad_loss.sum()),
        grad_norm=int(bad_norm.sum()),
        rows=len(where),
        longest_streak=streak,
        first_step=int(signals.step[where[0]]) if len(where) else None,
    )


def clipping(
    run: Run,
    signals: Signals,
    threshold: Threshold,
    provenance: report.Provenance,
    warmup: int,
    value_threshold: float | None,
) -> report.Clipping:
    """The clip rate with its interval, by window and by phase; withheld if the norm or the threshold does not support one."""
    norm = signals.norm
    by_value = value_clipping(run, value_threshold)
    withheld = _why_withheld(norm, threshold, provenance)
    if withheld or threshold.known is None:
        return report.Clipping(
            threshold=threshold.known, threshold_source=threshold.source, clip_rate=None, interval=None,
            n=int(np.isfinite(norm).sum()), n_effective=None, shrink_factor=None, withheld=withheld,
            customary=customary(norm, threshold, provenance), value_clipping=by_value,
        )  # fmt: skip
    lr = signals.lr if np.isfinite(signals.lr).any() else None
    phases = find_phases(lr, len(norm), warmup_end=warmup)
    found = clip_stats.clip_statistics(
        norm, threshold.known, step=signals.step, phases=[(phase.first, phase.last) for phase in phases]
    )
    return report.Clipping(
        threshold=threshold.known,
        threshold_source=threshold.source,
        clip_rate=found.clip_rate,
        interval=found.interval,
        n=found.n,
        n_effective=found.n_effective,
        shrink_factor=found.shrink_factor,
        one_in=found.one_in,
        rough=found.rough,
        windows=tuple(
            report.Window(
                first_step=w.first, last_step=w.last, n=w.n, clip_rate=w.clip_rate,
                interval=w.interval if w.clip_rate is not None else None,
            )
            for w in found.windows
        ),
        phases=tuple(
            report.Phase(
                name=phase.name, first_step=w.first, last_step=w.last, n=w.n, clip_rate=w.clip_rate,
                interval=w.interval if w.clip_rate is not None else None,
            )
            for phase, w in zip(phases, found.phases, strict=True)
        ),
        value_clipping=by_value,
    )  # fmt: skip


def _why_withheld(norm: NDArray[np.float64], threshold: Threshold, provenance: report.Provenance) -> str | None:
    if not np.isfinite(norm).any():
        return "no finite gradient norm in the log"
    if not provenance.trusted:
        return provenance.reason
    if threshold.source == "assumed":
        return "the log does not say the threshold: pass --threshold C, or none if the run did not clip"
    if threshold.value is None:
        return "the run did not clip"
    return None


def customary(
    norm: NDArray[np.float64], threshold: Threshold, provenance: report.Provenance
) -> report.CustomaryClipping | None:
    """What the usual threshold would have clipped; None where the threshold is known or the norms do not support one.

    A tenth of the steps is what the common rule of thumb calls worth attention; the Google tuning playbook starts there.
    """
    finite = norm[np.isfinite(norm)]
    if threshold.source != "assumed" or threshold.value is None or not provenance.trusted or not len(finite):
        return None
    rate = float(np.mean(finite > threshold.value))
    # A share that rounds to nothing is not nothing.
    share = f"{100 * rate:.0f}" if rate >= 0.01 else f"{100 * rate:.2g}"
    text = f"if it clipped at the usual C = {threshold.value:g}: {share} % of the steps"
    if rate > 2 * WORTH_A_LOOK:
        text += f", {rate / WORTH_A_LOOK:.0f} times what deserves a look ({100 * WORTH_A_LOOK:.0f} %)"
    elif rate > WORTH_A_LOOK:
        text += ", which deserves a look"
    return report.CustomaryClipping(threshold=threshold.value, clip_rate=rate, sentence=text)


def value_clipping(run: Run, threshold: float | None) -> report.ValueClipping | None:
    """Shares of logged gradient elements beyond a value and beyond fp16's range, from histograms; None without any.

    Clipping by value acts on elements, which no norm shows; histograms of gradients do. All histograms whose name has `grad`
    in it count together, each element once. A bucket that the limit cuts counts by the part of its width beyond it. The
    range of fp16 ends at 65,504.
    """
    histograms = [h for name, h in run.histograms.items() if "grad" in name.lower()]
    if not histograms:
        return None

    def share(limit: float) -> float | None:
        return share_beyond((pair for h in histograms for pair in zip(h.limits, h.counts, strict=True)), limit)

    return report.ValueClipping(
        threshold=threshold,
        share=share(threshold) if threshold is not None else None,
        share_beyond_fp16=share(FP16_MAX) or 0.0,
        n_histograms=sum(len(h.step) for h in histograms),
    )


def spikes(signals: Signals, warmup: int, provenance: report.Provenance, joint_events: int = 0) -> report.Spikes:
    """Spike tables, the OLMo 2 score, and whether loss and norm spikes belong together; of norms only if they are trusted."""
    tables = {"loss": spike_stats.find_spikes(signals.loss, warmup_end=warmup)}
    if provenance.trusted:
        tables["grad_norm"] = spike_stats.find_spikes(signals.norm, warmup_end=warmup)
    loss, norm = tables["loss"], tables.get("grad_norm")
    together = None
    if norm and loss.judged and norm.judged:
        found = coincidence_stats.coincidence_tests(len(signals), _onsets(loss), _onsets(norm), warmup_end=warmup)
        together = report.Coincidence(
            same_step=_test(found.same_step),
            norm_leads=_test(found.norm_leads),
            loss_leads=_test(found.loss_leads),
            median_lag=found.median_lag,
            leader=found.leader,
            leader_p=found.leader_p,
            verdict=_together(found, signals.log_interval),
        )
    return report.Spikes(
        loss=_table(loss, signals),
        grad_norm=_table(norm, signals) if norm else (),
        score=report.SpikeScore(loss=loss.score, grad_norm=norm.score if norm else None),
        coincidence=together,
        counts={key: len(table.spikes) for key, table in tables.items()},
        z_threshold={key: table.z_limit for key, table in tables.items()},
        expected_false_alarms={key: table.expected_false_alarms for key, table in tables.items()},
        return_period={key: _return_period(table) for key, table in tables.items() if table.judged},
        joint_events=joint_events,
        withheld=None if provenance.trusted else provenance.reason,
    )


def _return_period(table: spike_stats.SpikeTable) -> report.ReturnPeriod:
    found = clip_stats.return_period(len(table.spikes), table.judged)
    return report.ReturnPeriod(events=found.events, steps_between=found.steps_between, interval=found.interval)


def _onsets(table: spike_stats.SpikeTable) -> NDArray[np.int64]:
    return np.array([s.index for s in table.spikes], dtype=np.int64)


def _table(table: spike_stats.SpikeTable, signals: Signals) -> tuple[report.Spike, ...]:
    largest = sorted(table.spikes, key=lambda s: -s.z)[:MAX_SPIKES]
    return tuple(
        report.Spike(
            step=int(signals.step[s.index]),
            value=s.value,
            z=s.z,
            length=s.length,
            size=s.size,
            recovery=None if s.recovery is None else int(signals.step[s.recovery]),
        )
        for s in sorted(largest, key=lambda s: s.index)
    )


def _test(test: coincidence_stats.CoincidenceTest) -> report.CoincidenceTest:
    return report.CoincidenceTest(count=test.count, expected=test.expected, p_value=test.p, p_adjusted=test.p_holm)


def _together(found: coincidence_stats.Coincidence, log_interval: float | None) -> str:
    """In plain words which of the three tests passes at 5 % and what that points at."""
    if found.reason:
        return f"{found.loss_events} loss and {found.norm_events} norm spikes: {found.reason}"
    named = (
        ("at the same step, which points at the batch", found.same_step),
        ("norm first, which points at the update", found.norm_leads),
        ("loss first", found.loss_leads),
    )
    words = [
        f"{label} ({test.count} times)" for label, test in named if test.p_holm is not None and test.p_holm <= 0.05
    ]
    text = "spikes belong together: " + "; ".join(words) if words else "loss and norm spikes are unrelated"
    if log_interval is not None and log_interval > 1:
        text += f"; rows are {log_interval:g} steps apart, so a shorter lead cannot be seen"
    return text


def tail(signals: Signals, threshold: float | None, warmup: int, bootstrap: int = 0) -> report.Tail | None:
    """How heavy the tail of the norm is, detrended and raw; None without a norm.

    `bootstrap` draws give the power law a p-value, which takes seconds.
    """
    if not np.isfinite(signals.norm).any():
        return None
    found = tail_stats.describe_tail(signals.norm, warmup_end=warmup, threshold=threshold, bootstrap=bootstrap)
    view, null, law = found.detrended, found.gaussian_null, found.detrended.power_law
    return report.Tail(
        family=found.family,
        heavy=view.heavy,
        xi=view.xi,
        xi_interval=view.xi_interval,
        detrended=True,
        verdict=found.verdict if found.reason is None else f"no verdict: {found.reason}",
        fits=tuple(
            report.Fit(
                family=f.family, parameters=f.parameters, log_likelihood=f.log_likelihood, aic=f.aic, ks=f.ks,
                ks_limit=f.ks_limit, adequate=f.adequate,
            )
            for f in view.fits
        ),
        power_law=None
        if law is None
        else report.PowerLaw(
            alpha=law.alpha, alpha_error=law.alpha_error, xmin=law.xmin, n_tail=law.n_tail, ks=law.ks,
            p_value=law.p_value,
            alternatives=tuple(
                report.Vuong(
                    family=v.family, log_ratio=v.log_ratio, normalised=v.normalised, p_value=v.p,
                    better=v.log_ratio < 0 and v.p <= REJECTED_AT,
                )
                for v in law.alternatives
            ),
        ),
        gaussian_null=report.GaussianNull(
            effective_dimension=null.effective_dimension,
            expected_clip_rate=null.expected_clip_rate,
            observed_clip_rate=null.observed_clip_rate,
        ),
        indices=report.TailIndices(
            hill=view.indices.hill, hill_error=view.indices.hill_error, moment=view.indices.moment,
            pickands=view.indices.pickands, k=view.indices.k,
        ),
        pareto_tail=_pareto_tail(view.pareto_tail),
        extremal_index=view.clustering.theta,
        widening=view.clustering.widening,
        raw=report.RawTail(
            family=found.raw.fits[0].family if found.raw.fits else None,
            heavy=found.raw.heavy,
            xi=found.raw.xi,
            xi_interval=found.raw.xi_interval,
        ),
    )  # fmt: skip


def _pareto_tail(found: PeaksOverThreshold) -> report.ParetoTail | None:
    if found.chosen is None:
        return None
    fit = found.chosen.fit
    return report.ParetoTail(
        level=found.chosen.level, threshold=found.chosen.threshold, n=fit.n, sigma=fit.sigma, xi=fit.xi,
        xi_error=fit.xi_error, p_value=fit.p, band=found.band, rejected=found.rejected,
    )  # fmt: skip


def suggestion(signals: Signals, provenance: report.Provenance, warmup: int) -> report.Suggestion:
    """The threshold advice in one line; `gradlens.advice.suggestion` has the tables."""
    found = threshold_stats.suggest_level(signals.norm, warmup_end=warmup)
    abstained = provenance.reason if not provenance.trusted else found.abstained
    threshold, interval = (None, None) if abstained else rounded(found)
    expected = expected_clipping(signals, found, threshold)
    return report.Suggestion(
        threshold=threshold,
        interval=interval,
        mode="safety_net",
        abstained=abstained,
        expected=expected,
        policy=moving_policy(found, provenance),
    )


def rounded(found: threshold_stats.SuggestedLevel) -> tuple[float | None, Interval | None]:
    """A suggestion and its interval as they are given everywhere: three significant digits, more than the interval has."""
    if found.value is None or found.interval is None:
        return None, None
    value, low, high = (float(f"{figure:.3g}") for figure in (found.value, *found.interval))
    return value, (low, high)


def expected_clipping(
    signals: Signals, found: threshold_stats.SuggestedLevel, threshold: float | None
) -> report.ExpectedClipping:
    """What a suggestion would do to the latest norms, the stretch that it is meant for."""
    latest = signals.norm[found.latest :]
    n = int(np.isfinite(latest).sum())
    if threshold is None or n == 0:
        return report.ExpectedClipping()
    above = np.flatnonzero(np.isfinite(latest) & (latest > threshold))
    bursts = len(coincidence_stats.decluster(above))
    return report.ExpectedClipping(
        rate=len(above) / n, since=int(signals.step[found.latest]), n=n, bursts=bursts,
        clustered=0 < bursts <= len(above) / CLUSTERED,
    )  # fmt: skip


def moving_policy(found: threshold_stats.SuggestedLevel, provenance: report.Provenance) -> str:
    """What to use where no fixed threshold can be given; empty where one can."""
    if provenance.trusted and found.abstained is None:
        return ""
    if provenance.trusted and found.drift is not None:
        return "a moving policy follows the level: ZClip (z 2.5) or the 90th percentile of the last steps"
    return "a moving policy needs no log, since it follows the norms as they come: ZClip (z 2.5)"

"""Clipping policies replayed on logged norms: what each would have done.

Every replay is **first-order**: it asks what the policy would have done to the norms that were logged. A different
policy changes the trajectory, and with it the norms. The note travels with every result.

``clip_rate`` counts steps shortened but kept, ``skip_rate`` steps left out altogether, ``shrink_factor`` is the mean
factor applied to the gradient (0 for a skipped step). A norm that is not finite is skipped by every policy here, as the
frameworks do with a loss scaler; it is in no rate but in ``nonfinite``.

* `FixedThreshold`: factor min(1, C / norm).
* `PercentileHistory`: AutoClip (Seetharaman et al. 2020), C is the p-th percentile of all norms so far, this one included.
* `ZClip` (2025): z-score against an EMA of mean and variance, clipped back in proportion.
* `EmaThreshold`: the rule of AdaGC (2025) on the global norm, C is 1.05 times an EMA of the clipped norms.
* `SkipOlmo`: OLMo-core, skip when loss or norm is 6 deviations above the last 128, this one excluded.
* `SkipLlmc`: llm.c, skip when loss or norm is z deviations above a window of 128, this one included.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from gradlens.frozen import frozen
from gradlens.stats.robust import as_series, rolling_moments, window_quantiles

if TYPE_CHECKING:
    from numpy.typing import NDArray

FIRST_ORDER = (
    "first-order: they take the logged norms as given, but another policy would have changed the run and its norms"
)


@frozen
class FixedThreshold:
    """Clip to a constant."""

    threshold: float

    @property
    def name(self) -> str:
        """The label to print."""
        return f"C = {self.threshold:g}"


@frozen
class PercentileHistory:
    """AutoClip: clip to a percentile of the whole history, the current norm included (interpolated as numpy does)."""

    percentile: float = 10.0

    @property
    def name(self) -> str:
        """The label to print."""
        return f"AutoClip p{self.percentile:g}"


@frozen
class ZClip:
    """ZClip with the constants of its paper; no clipping during the first 25 steps, which start mean and variance."""

    decay: float = 0.97
    z: float = 2.5
    warmup: int = 25

    @property
    def name(self) -> str:
        """The label to print."""
        return f"ZClip z{self.z:g}"


@frozen
class EmaThreshold:
    """AdaGC's rule applied to the global norm: the paper has one threshold per tensor, which a log of global norms cannot replay."""

    factor: float = 1.05
    decay: float = 0.98
    warmup: int = 100

    @property
    def name(self) -> str:
        """The label to print."""
        return f"EMA x{self.factor:g}"


@frozen
class SkipOlmo:
    """OLMo-core's skip-step optimizer: judges once 64 values are known; a NaN in the window makes it skip until it leaves."""

    sigmas: float = 6.0
    window: int = 128
    min_count: int = 64

    @property
    def name(self) -> str:
        """The label to print."""
        return f"OLMo skip {self.sigmas:g} sigma"


@frozen
class SkipLlmc:
    """llm.c's outlier detector: population deviation, a full window first; 6 is a common choice, its own default is off."""

    sigmas: float = 6.0
    window: int = 128

    @property
    def name(self) -> str:
        """The label to print."""
        return f"llm.c skip {self.sigmas:g} sigma"


Policy = FixedThreshold | PercentileHistory | ZClip | EmaThreshold | SkipOlmo | SkipLlmc


@frozen(eq=False)
class Replay:
    """What a policy would have done.

    Attributes
    ----------
    policy : Policy
        Which.
    n, nonfinite : int
        Finite norms, and steps whose norm is not finite.
    clip_rate, skip_rate : float or None
        Shares of finite norms; None without any.
    shrink_factor : float or None
        Mean factor on the gradient over finite norms.
    spikes_caught, spikes : int
        Of the spikes given, how many it shortened or skipped.
    steps_lost : int
        Steps skipped, those with a norm that is not finite not counted.
    factor : float64[n]
        Factor at every step, read-only.
    thresholds : float64[n]
        Threshold in force at every step, infinite where none is, read-only.
    final_threshold : float or None
        The last finite one.
    note : str
        Why this is only first-order.
    """

    policy: Policy
    n: int
    nonfinite: int
    clip_rate: float | None
    skip_rate: float | None
    shrink_factor: float | None
    spikes_caught: int
    spikes: int
    steps_lost: int
    factor: NDArray[np.float64]
    thresholds: NDArray[np.float64]
    final_threshold: float | None
    note: str = FIRST_ORDER


def replay(
    norm: NDArray[np.float64],
    policy: Policy,
    *,
    loss: NDArray[np.float64] | None = None,
    spikes: NDArray[np.int64] | None = None,
) -> Replay:
    """Replay a clipping policy on logged norms.

    Parameters
    ----------
    norm : float64[n]
        Norms before clipping, in order.
    policy : Policy
        One of the policies of this module.
    loss : float64[n], optional
        The skip rules use it too.
    spikes : int64[m], optional
        Positions of norm spikes, to count how many the policy acts on.

    Returns
    -------
    Replay
        With None rates for a series without finite norms.
    """
    norm = as_series(norm)
    finite = np.isfinite(norm)
    if isinstance(policy, SkipOlmo | SkipLlmc):
        skip, thresholds = _skips(norm, policy)
        if loss is not None:
            skip = skip | _skips(as_series(loss), policy)[0]
        factor = np.where(skip, 0.0, 1.0)
    else:
        thresholds = _thresholds(norm, policy)
        size = np.where(finite, np.abs(norm), 1.0)
        limit = np.maximum(thresholds, 0.0)
        factor = np.ones(norm.size)
        np.divide(limit, size, out=factor, where=size > limit)
        skip = np.zeros(norm.size, dtype=np.bool_)
    factor[~finite] = 0.0
    acted = (factor < 1.0) & finite
    count = int(finite.sum())
    at = np.zeros(0, dtype=np.int64) if spikes is None else np.asarray(spikes, dtype=np.int64)
    in_force = thresholds[np.isfinite(thresholds)]
    factor.flags.writeable = False
    thresholds.flags.writeable = False
    return Replay(
        policy=policy,
        n=count,
        nonfinite=int(norm.size - count),
        clip_rate=float(np.count_nonzero(acted & ~skip)) / count if count else None,
        skip_rate=float(np.count_nonzero(acted & skip)) / count if count else None,
        shrink_factor=float(factor[finite].mean()) if count else None,
        spikes_caught=int(np.count_nonzero(acted[at])),
        spikes=int(at.size),
        steps_lost=int(np.count_nonzero(acted & skip)),
        factor=factor,
        thresholds=thresholds,
        final_threshold=float(in_force[-1]) if in_force.size else None,
    )


def _thresholds(
    norm: NDArray[np.float64], policy: FixedThreshold | PercentileHistory | ZClip | EmaThreshold
) -> NDArray[np.float64]:
    """Return the threshold in force at every step."""
    if isinstance(policy, FixedThreshold):
        return np.full(norm.size, policy.threshold)
    if isinstance(policy, PercentileHistory):
        stop = np.arange(1, norm.size + 1)
        history = window_quantiles(norm, np.zeros_like(stop), stop, (policy.percentile / 100.0,), interpolate=True)[0]
        return np.where(np.isnan(history), np.inf, history)
    trace = zclip_trace(norm, policy).threshold if isinstance(policy, ZClip) else _ema_thresholds(norm, policy)
    return np.array(trace, dtype=np.float64)


@frozen
class ZClipTrace:
    """The state of ZClip along a run.

    Attributes
    ----------
    z : list of float
        z-score of every step, NaN during the warm-up and for norms that are not finite.
    threshold : list of float
        Threshold in force, infinite where nothing is clipped.
    mean, variance : float
        Final state.
    """

    z: list[float]
    threshold: list[float]
    mean: float
    variance: float


def zclip_trace(norm: NDArray[np.float64], policy: ZClip) -> ZClipTrace:
    """Run ZClip step by step.

    Mean and population variance start from the first 25 norms; z = (norm - mean) / (deviation + 1e-6); above 2.5 the
    norm is clipped to mean + 2.5 deviation / (z / 2.5). Mean and then variance, with the new mean, take in the clipped
    value.

    Parameters
    ----------
    norm : float64[n]
        Norms; those that are not finite change nothing.
    policy : ZClip
        Its constants.
    """
    mean = variance = math.nan
    start: list[float] = []
    z_values: list[float] = []
    thresholds: list[float] = []
    keep = policy.decay
    for g in norm.tolist():
        z, threshold = math.nan, math.inf
        if math.isfinite(g):
            if len(start) < policy.warmup:
                start.append(g)
                if len(start) == policy.warmup:
                    mean = math.fsum(s / policy.warmup for s in start)
                    variance = math.fsum((s - mean) ** 2 for s in start if abs(s - mean) < 1e150) / policy.warmup
            else:
                deviation = math.sqrt(variance)
                z = (g - mean) / (deviation + 1e-6)
                if z > policy.z:
                    threshold = mean + policy.z * deviation / (z / policy.z)
                    g = threshold  # noqa: PLW2901 - the state takes in the clipped norm
                mean = keep * mean + (1.0 - keep) * g
                variance = keep * variance + (1.0 - keep) * min(abs(g - mean), 1e150) ** 2
        z_values.append(z)
        thresholds.append(threshold)
    return ZClipTrace(z=z_values, threshold=thresholds, mean=mean, variance=variance)


def _ema_thresholds(norm: NDArray[np.float64], policy: EmaThreshold) -> list[float]:
    """Return factor times the EMA of the clipped norms; the running minimum of the first 100 norms starts it, as in AdaGC."""
    thresholds: list[float] = []
    average = math.inf
    seen = 0
    for g in norm.tolist():
        if not math.isfinite(g):
            thresholds.append(math.inf)
            continue
        if seen < policy.warmup:
            average = min(average, g)
            thresholds.append(math.inf)
        else:
            threshold = policy.factor * average
            thresholds.append(threshold)
            average = policy.decay * average + (1.0 - policy.decay) * min(g, threshold)
        seen += 1
    return thresholds


def _skips(value: NDArray[np.float64], policy: SkipOlmo | SkipLlmc) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Return which steps a rule skips for one curve, and the limit in force (infinite where it cannot judge)."""
    large = np.isfinite(value) & (np.abs(value) > 1e150)
    value = np.where(large, np.copysign(1e150, value), value)  # squares of larger values overflow
    with np.errstate(invalid="ignore"):
        if isinstance(policy, SkipOlmo):
            moments = rolling_moments(value, policy.window, include_current=False, ddof=1, min_count=policy.min_count)
            limit = moments.mean + policy.sigmas * moments.deviation
            judged = moments.count >= policy.min_count
            # Written as "not within", so that a NaN in the window skips, as it does there.
            return judged & ~(value <= limit), np.where(judged & np.isfinite(limit), limit, np.inf)
        moments = rolling_moments(value, policy.window, include_current=True, ddof=0, min_count=policy.window)
        limit = moments.mean + policy.sigmas * moments.deviation
        skip = (moments.deviation > 0.0) & (value > limit)
        return skip, np.where(np.isfinite(limit), limit, np.inf)

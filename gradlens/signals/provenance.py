"""Where the logged norm was measured: before or after clipping, unscaled or not, averaged, or not at all.

Everything said about clipping rests on the norm being the one *before* clipping. Four kinds of proof, in this order:

1. The log says so: both norms are logged, or the format is known to log one of them (`norm-pre-clip` and
   `norm-post-clip` notices of the readers).
2. A norm that never changes, or is 0 throughout, was never measured (*placeholder*).
3. Norms after clipping never exceed C and bunch right below it (`gradlens.signals.bunching`). The share within 0.2 % of C
   must be 1 % of at least 50 norms and five times what the density just below would put there, with no
   norm above. On 158 labelled runs the share is at most .002 without and at least .43 with the fault; the limits are ours.
   Where they bunch below another value than the threshold that was given, the norms are believed.
4. A single norm above C by more than rounding proves that it was measured before clipping.

Norms of gradients that were not unscaled jump by the same factor as the loss scale: where the scale changes, the median
of the norms on both sides must follow it with a slope of at least .7. Otherwise the verdict is `unknown`: a threshold
that is never reached leaves no trace, and both places of measurement look alike.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from gradlens.reports.analysis import Evidence, Provenance
from gradlens.run import Run
from gradlens.signals.axis import Signals
from gradlens.signals.bunching import (
    BAND,
    BAND_IN_WORDS,
    CONTRAST,
    MIN_NORMS,
    ROUNDING,
    SHARE_BELOW_GIVEN,
    bunched_maximum,
    bunching,
)  # fmt: skip
from gradlens.signals.meters import carries_scale, is_moving_average, is_running_mean

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Rows on each side of a change of the loss scale, and the slope of ln norm on ln scale that proves scaled norms.
SIDE = 12
SLOPE = 0.7
#: ln of a change of the scale that is not a back-off, and that norms do not follow by chance.
FAR_APART = float(np.log(100.0))


def judge_provenance(run: Run, signals: Signals, threshold: float | None, source: str) -> Provenance:
    """The verdict on the norms of a run.

    Parameters
    ----------
    run
        Its notices and columns hold what the format itself says.
    signals
        The norms and loss scales on one axis.
    threshold, source
        The clipping threshold, None if the run did not clip, and how it is known; an assumed one proves nothing.
    """
    codes = {notice.code for notice in run.notices}
    averaged = "norm-averaged" in codes
    norm = signals.norm[np.isfinite(signals.norm)]
    if len(norm) == 0:
        return Provenance(verdict="unknown", reason="no finite gradient norm is logged", averaged=averaged)
    if _is_placeholder(norm) or "placeholder-norm" in codes:
        return _constant(norm, threshold if source != "assumed" else None, averaged=averaged)
    with np.errstate(all="ignore"):
        verdict = _between_attempts(run) or _suspected(signals) or _from_values(signals, norm, threshold, source)
        cumulative = verdict.verdict != "loss_scaled" and is_running_mean(signals.norm)
    if cumulative:
        reason = (
            f"the norm is a running mean of all steps since step {int(signals.step[0]):,} (n·mean_n - (n-1)·mean_(n-1) gives back what "
            "was averaged)"
        )
        return Provenance(verdict="averaged", reason=reason, averaged=True, cumulative=True)
    if verdict.verdict in {"unknown", "pre_clip"} and not averaged and is_moving_average(signals.norm):
        reason = "the norm is a moving average (its changes do not take turns from row to row, as those of single batches do)"
        return Provenance(verdict="averaged", reason=reason, averaged=True, cumulative=True)
    if verdict.verdict != "loss_scaled":
        if "norm-post-clip" in codes:
            verdict = Provenance(verdict="post_clip", reason="this format logs the norm after clipping")
        elif run.grad_norm_clipped is not None and verdict.verdict == "unknown":
            verdict = Provenance(verdict="pre_clip", reason="the norm after clipping is logged as well")
        elif "norm-pre-clip" in codes and verdict.verdict == "unknown":
            verdict = Provenance(verdict="pre_clip", reason="this format logs the norm before clipping")
    if averaged and verdict.verdict in {"pre_clip", "unknown"}:
        reason = f"each row holds the mean of several steps; {verdict.reason}"
        verdict = replace(verdict, verdict="averaged", reason=reason)
    return replace(verdict, averaged=averaged)


def _constant(norm: NDArray[np.float64], threshold: float | None, *, averaged: bool) -> Provenance:
    """The verdict on norms that are all the same: clipped in each step and then measured, or never measured."""
    facts = (Evidence(label="distinct norms", value=1, n=len(norm)),)
    said = f"all {len(norm):,} norms are {norm[0]:g}"
    if threshold is not None and abs(norm[0] - threshold) <= BAND * threshold:
        reason = f"{said}, the threshold: every step was clipped, and the norm measured after clipping"
        return Provenance(verdict="post_clip", reason=reason, averaged=averaged, evidence=facts)
    reason = f"{said}: measured after clipping each of them, or never" if norm[0] > 0 else f"{said}: never measured"
    return Provenance(verdict="placeholder", reason=reason, averaged=averaged, evidence=facts)


def _is_placeholder(norm: NDArray[np.float64]) -> bool:
    return len(norm) >= 10 and float(norm.min()) == float(norm.max())


def _from_values(signals: Signals, norm: NDArray[np.float64], threshold: float | None, source: str) -> Provenance:
    slope, changes = scale_slope(signals)
    if changes >= 2 and slope >= SLOPE:
        return Provenance(
            verdict="loss_scaled",
            reason=f"the norms follow the loss scale at its {changes} changes: they were measured before unscaling",
            evidence=(Evidence(label="slope of ln norm on ln scale", value=slope, threshold=SLOPE, n=changes),),
        )
    contradicted = _contradicted(norm, threshold)
    if contradicted is not None or threshold is None:
        return contradicted or Provenance(verdict="pre_clip", reason="the run did not clip")
    share, contrast = bunching(norm, threshold)
    facts = (
        Evidence(
            label=f"share within {BAND_IN_WORDS} of the threshold",
            value=share,
            threshold=SHARE_BELOW_GIVEN,
            n=len(norm),
        ),
        Evidence(label="share above the threshold", value=float(np.mean(norm > threshold * (1 + ROUNDING)))),
    )
    if len(norm) >= MIN_NORMS and share >= SHARE_BELOW_GIVEN and contrast >= CONTRAST and facts[1].value == 0:
        return Provenance(
            verdict="post_clip",
            reason=f"{100 * share:.1f} % of the norms lie within {BAND_IN_WORDS} of {threshold:g} and none above: measured after clipping",
            evidence=facts,
        )
    if source == "assumed":
        return Provenance(verdict="unknown", reason="the threshold is not known", evidence=facts)
    above = int(np.count_nonzero(norm > threshold * (1 + ROUNDING)))
    if above:
        return Provenance(
            verdict="pre_clip", reason=f"{above:,} of {len(norm):,} norms exceed {threshold:g}", evidence=facts
        )
    return Provenance(
        verdict="unknown",
        reason=f"no norm reaches {threshold:g}: before and after clipping cannot be told apart",
        evidence=facts,
    )


def _between_attempts(run: Run) -> Provenance | None:
    """The verdict on attempts logged one after the other with scales far apart; None where they do not tell.

    A scale that differs a hundredfold or more between rows in the order written, with a norm that differs as much (a slope
    of .8 to 1.2 between the medians of three rows and more on both sides), needs no second change.
    """
    norm, scale = run.grad_norm, run.loss_scale
    if norm is None or scale is None or len(norm) != len(scale) or len(norm) < 6:
        return None
    size, log_scale = np.log(norm.value), np.log(scale.value)
    jump = np.diff(log_scale)
    at = np.flatnonzero(np.isfinite(jump) & (np.abs(jump) > FAR_APART)) + 1
    if len(at) == 0:
        return None
    row = int(at[0])
    slope = _slope_at(size, row, float(jump[row - 1]))
    if slope is None or not 0.8 <= slope <= 1.2:
        return None
    return Provenance(
        verdict="loss_scaled",
        reason=f"the norms differ between attempts as the loss scale does, {np.exp(abs(jump[row - 1])):.3g}-fold: "
        "they were measured before unscaling",
        evidence=(Evidence(label="slope of ln norm on ln scale", value=slope, threshold=SLOPE, n=1),),
    )


def _contradicted(norm: NDArray[np.float64], threshold: float | None) -> Provenance | None:
    """The verdict on norms that bunch below another value than the threshold that was given; None where they do not."""
    proven = bunched_maximum(norm)
    if proven is None or (threshold is not None and abs(proven - threshold) <= BAND * threshold):
        return None
    said = "that the run did not clip" if threshold is None else f"a threshold of {threshold:g}"
    return Provenance(
        verdict="post_clip",
        reason=f"the norms bunch just below {proven:g} and never exceed it, which contradicts {said}: "
        f"measured after clipping at {proven:g}",
        evidence=(
            Evidence(
                label=f"share within {BAND_IN_WORDS} of their maximum", value=bunching(norm, proven)[0], n=len(norm)
            ),
        ),
    )


def _suspected(signals: Signals) -> Provenance | None:
    """The verdict where no scale is logged but the level of the norm moves as one does."""
    doubled = 0 if np.isfinite(signals.loss_scale).any() else carries_scale(signals.norm)
    if not doubled:
        return None
    return Provenance(
        verdict="loss_scaled",
        reason=f"the level of the norm doubles or halves exactly, {doubled} times, as a loss scale does: suspected to be "
        "measured before unscaling, call scaler.unscale_(optimizer) first",
        evidence=(Evidence(label="level steps of a factor of two", value=doubled),),
    )


def scale_slope(signals: Signals) -> tuple[float, int]:
    """How strongly ln norm follows ln loss scale where the scale changes: the median slope, and the changes measured."""
    scale = signals.loss_scale
    with np.errstate(divide="ignore", invalid="ignore"):
        log_scale, log_norm = np.log(scale), np.log(signals.norm)
        jump = np.diff(log_scale)
    at = np.flatnonzero(np.isfinite(jump) & (np.abs(jump) > 0.5)) + 1
    found = (_slope_at(log_norm, int(row), float(jump[row - 1])) for row in at[:200])
    slopes = [slope for slope in found if slope is not None]
    return (float(np.median(slopes)), len(slopes)) if slopes else (0.0, 0)


def _slope_at(log_norm: NDArray[np.float64], row: int, change: float) -> float | None:
    """By how much ln norm changes at a row for a change of ln scale, by medians; None with fewer than three on a side."""
    before, after = log_norm[max(row - SIDE, 0) : row], log_norm[row : row + SIDE]
    before, after = before[np.isfinite(before)], after[np.isfinite(after)]
    if len(before) < 3 or len(after) < 3:
        return None
    return float((np.median(after) - np.median(before)) / change)

"""Clipping before unscaling, which only the values of the norm show."""

from __future__ import annotations

from gradlens.diagnosis.facts.base import Fact
from gradlens.diagnosis.facts.meaning import BY_COURSE
from gradlens.diagnosis.measured import Measured
from gradlens.reports.analysis import Evidence
from gradlens.reports.base import Cause, Severity
from gradlens.signals.meters import clipped_at_power_of_two

#: Causes that are read off the norm.
BY_NORM: frozenset[Cause] = frozenset({
    "l2_contamination", "batch_size_change", "clip_too_tight", "clip_too_loose", "postclip_logged", "vanishing", "exploding",
    "fp16_overflow",
})  # fmt: skip


def find(measured: Measured) -> tuple[Fact, ...]:
    """What the values of the norm prove about where it was measured."""
    return (*_running_mean(measured), *_still_scaled(measured), *_before_unscaling(measured))


def _running_mean(measured: Measured) -> tuple[Fact, ...]:
    if not measured.provenance.cumulative:
        return ()
    return (
        Fact(
            code="GL004",
            severity=Severity.NOTE,
            message=f"{measured.provenance.reason}: spikes, clip rate and noise cannot be judged",
            advice="log the norm of the step, or reset the meter at each row",
            rules_out=BY_NORM,
        ),
    )


def _still_scaled(measured: Measured) -> tuple[Fact, ...]:
    """Norms that carry a loss scale, suspected or proven, are no measure of anything; the check of that verdict speaks for it."""
    if measured.provenance.verdict != "loss_scaled":
        return ()
    return (
        Fact(
            code="GL002",
            severity=Severity.NOTE,
            message=measured.provenance.reason,
            advice="call scaler.unscale_(optimizer) before measuring and clipping the norm",
            rules_out=BY_NORM,
            evidence=measured.provenance.evidence,
        ),
    )


def _before_unscaling(measured: Measured) -> tuple[Fact, ...]:
    """Norms that sit at a threshold over a power of two were clipped while they still carried the loss scale."""
    s = measured.signals
    known = (measured.threshold,) if measured.threshold and measured.threshold_source in {"option", "config"} else ()
    found = clipped_at_power_of_two(s.norm, known) if known else clipped_at_power_of_two(s.norm)
    if found is None:
        return ()
    threshold, powers = found
    shown = " and ".join(f"2^-{k} ({threshold * 2.0**-k:.3g})" for k in powers[:3])
    return (
        Fact(
            code="GL104",
            severity=Severity.ERROR,
            cause="clip_before_unscale",
            confidence=0.95,
            message=f"the norms sit at {'' if threshold == 1 else f'{threshold:g} times '}{shown}: the gradients "
            f"were clipped at {threshold:g} while they still "
            f"carried a loss scale of {' and '.join(f'{2**k:,}' for k in powers[:3])}, and unscaled afterwards, "
            "which shrinks every step to nothing",
            advice="call scaler.unscale_(optimizer) before clip_grad_norm_, then scaler.step(optimizer)",
            rules_out=BY_COURSE | {"postclip_logged", "loss_scale_collapse", "fp16_overflow", "resume_artifact"},
            evidence=(
                Evidence(label="powers of two", value=", ".join(str(k) for k in powers), n=len(measured.finite_norm)),
            ),
        ),
    )

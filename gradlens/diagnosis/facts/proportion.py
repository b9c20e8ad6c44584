"""Norms out of all proportion to the loss.

A step against a gradient of norm g changes a loss of L by as much as it is over a length of L/g. Where g is hundreds of times L, that
length is far below the size of any weight: either the norms carry a factor that is none of the gradient's (the loss scale of mixed
precision, 2^10 to 2^17, of which no column need tell), or the network amplifies what goes through it. In 190 logs of all kinds the
median norm is at most 78 times the level of the loss. The two are told apart by the noise: a factor leaves it as it is, while
amplification through many layers multiplies whatever differs between batches. Small norms are neither: the gradient of a squared error
that is tiny itself goes with its root.
"""

from __future__ import annotations

import numpy as np

from gradlens.diagnosis.facts.base import Fact
from gradlens.diagnosis.measured import Measured
from gradlens.diagnosis.signs.norm import norm_wild
from gradlens.diagnosis.words import figure
from gradlens.reports.analysis import Evidence
from gradlens.reports.base import Cause, Severity

#: Times the level of the loss from which norms are out of proportion, and rows without which nothing is told. Our own choice.
MIN_TIMES, MIN_ROWS = 300.0, 30
#: The least norm that carries a loss scale, 2^14 times a hundredth of one. Our own choice.
MIN_NORM = 100.0
#: Share of its first level below which little of a loss is left. Our own choice.
LEFT = 0.05
#: The same from which wild norms are those of a network that amplifies. Our own choice.
MIN_AMPLIFIED, PLAINLY = 1000.0, 0.5
#: Causes that are read off the size of a norm, or off where it was measured.
BY_SIZE: frozenset[Cause] = frozenset({"clip_too_tight", "clip_too_loose", "vanishing"})


def times_loss(measured: Measured) -> float:
    """The median norm over the level of the loss; 0 where it cannot be told.

    The level is the median; that of the first ten rows where little of it is left, since a loss near nothing has no proportion.
    """
    loss = np.abs(measured.signals.loss[np.isfinite(measured.signals.loss)])
    norm = measured.finite_norm
    if not measured.loss_descends or min(len(loss), len(norm)) < MIN_ROWS:
        return 0.0
    first, level = float(np.median(loss[:10])), float(np.median(loss))
    if level < LEFT * first:
        level = first
    usual = float(np.median(norm))
    return usual / level if level > 0 and usual >= MIN_NORM else 0.0


def find(measured: Measured) -> tuple[Fact, ...]:
    """At most one fact."""
    times = times_loss(measured)
    if times < MIN_TIMES or measured.provenance.verdict == "loss_scaled":
        return ()
    norm = float(np.median(measured.finite_norm))
    evidence = (
        Evidence(
            label="median norm over the level of the loss",
            value=times,
            threshold=MIN_TIMES,
            n=len(measured.finite_norm),
        ),
    )
    if times >= MIN_AMPLIFIED and norm_wild(measured) >= PLAINLY:
        return (
            Fact(
                code="GL501",
                severity=Severity.WARNING,
                cause="exploding",
                confidence=0.8,
                message=f"the norm is about {figure(norm)}, {figure(times)} times the loss, and varies wildly from row to row: "
                "the gradient grows on its way back through the layers",
                advice="scale the initial weights so that the factor from layer to layer (or from step to step of a recurrent "
                "network) is near 1, or add normalisation; look at the scale of the inputs",
                rules_out=BY_SIZE,
                evidence=evidence,
            ),
        )
    return (
        Fact(
            code="GL002",
            severity=Severity.NOTE,
            message=f"the norms, about {figure(norm)}, are {figure(times)} times the loss, which gradients seldom are: they may still "
            "carry the loss scale of mixed precision, or inputs or weights are far too large",
            advice="with a gradient scaler, call scaler.unscale_(optimizer) before measuring and clipping the norm; otherwise normalise "
            "the inputs and look at the initial weights",
            rules_out=BY_SIZE,
            evidence=evidence,
        ),
    )

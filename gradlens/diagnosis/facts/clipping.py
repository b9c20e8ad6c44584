"""Clipping that engages nearly always: a note under Adam, and wherever the run learned all the same.

Adam divides by the root of its second moment, so a constant rescaling of all gradients cancels: always clipping
normalises steps against each other and harms nobody. Under plain SGD it cuts the rate to C / norm, which the learned weights judge.
"""

from __future__ import annotations

import numpy as np

from gradlens.diagnosis.facts.base import Fact
from gradlens.diagnosis.measured import Measured
from gradlens.diagnosis.signs.events import is_adaptive
from gradlens.diagnosis.words import percent
from gradlens.reports.analysis import Evidence
from gradlens.reports.base import Severity

#: Clip rates that deserve a look, by the common rule of thumb, and one of nearly all steps.
RATES, ALWAYS = (0.05, 0.10, 0.20), 0.5
#: Share of the descent that is made in the first half of the rows by a run that clipping does not hold back. Our own
#: choice.
MIN_EARLY = 0.85
REASONS = (
    "the usual reasons, in their order: a learning rate that is too high, a missing warm-up, bad batches, numerics"
)


def find(measured: Measured) -> tuple[Fact, ...]:
    """One note about the clip rate where it is above 5 %."""
    c = measured.clipped
    if c is None or c.reach <= RATES[0] or measured.threshold is None:
        return ()
    often = sum(c.reach > rate for rate in RATES)
    word = ("more than 1 step in 20", "more than 1 step in 10", "more than 1 step in 5")[often - 1]
    harmless = c.rate > ALWAYS and not holds_back(measured)
    shrink = float(np.median(np.minimum(1.0, measured.threshold / measured.finite_norm[measured.finite_norm > 0])))
    if harmless:
        tail = (
            "clipping is part of the optimizer here, and the run learns: under Adam a constant rescaling cancels. A "
            "threshold near the largest norms "
            f"would not clip at all. In between it makes {shrink:.2g} of a typical gradient (eta·C/g of the rate "
            "under SGD)"
        )
    else:
        tail = f"{word}: {REASONS}"
    return (
        Fact(
            code="GL103",
            severity=Severity.NOTE,
            message=f"{percent(c.reach)} of the norms exceed the threshold of {measured.threshold:g}: {tail}",
            advice="compare thresholds with `gradlens suggest-threshold`",
            rules_out=frozenset({"clip_too_tight"}) if harmless else frozenset(),
            evidence=(
                Evidence(label="clip rate", value=c.reach, threshold=RATES[often - 1], n=len(measured.finite_norm)),
            ),
        ),
    )


#: Peak rates up to which an optimizer that nobody names is of the Adam kind: plain SGD learns next to nothing at a thousandth.
MAX_ADAM_RATE = 2e-3


def holds_back(measured: Measured) -> bool:
    """Whether clipping may hold this run back: not where the optimizer is of the Adam kind, by its name or by its small rate."""
    if measured.config.optimizer is not None:
        return not is_adaptive(measured)
    rates = measured.signals.lr[np.isfinite(measured.signals.lr)]
    return not (len(rates) > 0 and 0.0 < float(rates.max()) <= MAX_ADAM_RATE)

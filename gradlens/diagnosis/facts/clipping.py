"""Clipping that engages nearly always: a note under Adam, and wherever the run learned all the same.

Adam divides by the root of its second moment, so a constant rescaling of all gradients cancels: always clipping
normalises steps against each other and harms nobody. Under plain SGD it cuts the rate to C / norm, which the learned weights judge.
Where nobody names the optimizer the arithmetic may: a step of SGD is eta times C long, so to first order it lowers the loss by at most
eta times C times the norm, with momentum of 0.95 by twenty times that. A loss that falls faster was moved by longer steps.
"""

from __future__ import annotations

import numpy as np

from gradlens.diagnosis.facts.base import Fact
from gradlens.diagnosis.features.curves import rolling_level
from gradlens.diagnosis.measured import Measured
from gradlens.diagnosis.signs.events import is_adaptive
from gradlens.diagnosis.words import percent
from gradlens.reports.analysis import Evidence
from gradlens.reports.base import Severity
from gradlens.stats.clipping import WORTH_A_LOOK

#: The clip rates whose passing is told, about the one that deserves a look, and one of nearly all steps. Our own choice.
RATES, ALWAYS = (0.5 * WORTH_A_LOOK, WORTH_A_LOOK, 2.0 * WORTH_A_LOOK), 0.5
#: Norms that a share of one in twenty is told from.
MIN_NORMS = 20
#: Times the descent that clipped steps of SGD can make, from which an optimizer must have lengthened them.
MAX_MOMENTUM = 20.0
#: Share of the descent that is made in the first half of the rows, and descent as a share of the start, of a run that clipping does not
#: hold back: steps of one length make half of it there. Our own choice.
MIN_EARLY, MIN_DESCENT = 0.75, 0.1
REASONS = (
    "the usual reasons, in their order: a learning rate that is too high, a missing warm-up, bad batches, numerics"
)


def find(measured: Measured) -> tuple[Fact, ...]:
    """One note about the clip rate where it is above 5 %."""
    c = measured.clipped
    if c is None or c.reach <= RATES[0] or measured.threshold is None or len(measured.finite_norm) < MIN_NORMS:
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


#: Peak rates up to which an optimizer that nobody names may be of the Adam kind.
MAX_ADAM_RATE = 2e-3


def holds_back(measured: Measured) -> bool:
    """Whether clipping may hold this run back: not where the optimizer is of the Adam kind, by its name or by what its steps do.

    Without a name: the rate is small and the loss fell by a good part of its start, either faster than clipped steps of SGD could bring
    it down, or mostly in the first half of the rows. A run that creeps down to the end may be one that clipping slows.
    """
    if measured.config.optimizer is not None:
        return not is_adaptive(measured)
    rates = measured.signals.lr[np.isfinite(measured.signals.lr)]
    if not len(rates) or not 0.0 < float(rates.max()) <= MAX_ADAM_RATE:
        return True
    p, s = measured.progress, measured.signals
    if p is None or not p.relative >= MIN_DESCENT or not p.end < p.start:
        return True
    known = np.isfinite(s.loss)
    level = rolling_level(s.loss[known], max(5, int(known.sum()) // 40) | 1)
    fall = p.start - p.end
    half = int(s.step[known][np.argmax(level <= p.start - 0.5 * fall)])
    if 0.5 * fall > MAX_MOMENTUM * _reach(measured, half) > 0:
        return False
    return not p.start - float(level[len(level) // 2]) >= MIN_EARLY * fall


def _reach(measured: Measured, until: int) -> float:
    """How far clipped steps of SGD can lower the loss up to a step, to first order: the sum of rate times clipped norm times norm."""
    s = measured.signals
    rows = np.flatnonzero(np.isfinite(s.norm) & np.isfinite(s.lr) & (s.step <= until))
    if not len(rows) or measured.threshold is None:
        return 0.0
    norm = s.norm[rows]
    steps = np.diff(s.step[rows], append=s.step[rows[-1]] + (s.log_interval or 1.0))
    return float(np.sum(s.lr[rows] * np.minimum(norm, measured.threshold) * norm * steps))

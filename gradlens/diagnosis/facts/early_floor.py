"""A loss that comes down fast to a floor and stays there: what fine-tuning does, and no sign of a rate that is too high.

A rate that is far too high leaves dead or saturated units behind, which give every batch the same loss. Where batches go on
to differ, and the loss came down far without ever rising again, the model learned what there was to learn. Not so where the first
updates threw loss and norm up before it came down, and nobody knows where it began further above than guesses can, with large norms:
weights that are too large at first calm down in the same way.
"""

from __future__ import annotations

import numpy as np

from gradlens.diagnosis.facts.base import Fact
from gradlens.diagnosis.facts.chance import guessed_classes
from gradlens.diagnosis.features.progress import Progress
from gradlens.diagnosis.measured import Measured
from gradlens.diagnosis.signs.start import blown_up_by_updates, overshoots_at_once
from gradlens.reports.base import Cause, Severity

#: Share of its start that the loss ends at most at, of its descent that is kept, that it may have risen by
#: meanwhile, that comes after the first
#: tenth of the rows, and the noise of ln loss from row to row that tells of batches that differ. Our own choice.
MAX_END, MIN_KEPT, MAX_REBOUND, MAX_LATE, MIN_NOISE = 0.25, 0.9, 0.12, 0.1, 0.035
#: The same share where batches differ by this much: a loss that half of is left. Our own choice.
HALF, DIFFER = 0.5, 0.05
#: How near, as a share of it, a loss at the start is to guessing: that of an untrained model is. Our own choice.
CHANCE = 0.02
#: What guessing among a million classes costs, and the median norm from which on a loss that began above that is none of a model that was
#: trained before. Our own choice.
MAX_GUESSING, LARGE_NORM = 13.8, 100.0
#: Grade from which a sign is plain.
PLAINLY = 0.5
#: What such a course looks like, too.
FITS_TOO: frozenset[Cause] = frozenset({"lr_too_high", "no_warmup", "vanishing", "unknown"})


def find(measured: Measured) -> tuple[Fact, ...]:
    """A note where the loss reached its floor early."""
    p, n = measured.progress, measured.norms
    if p is None or n is None or not p.start > 0 or measured.numerics.dead_from is not None:
        return ()
    first = _first(measured, p)
    floor = (
        p.end <= (HALF if n.loss_noise >= DIFFER else MAX_END) * first
        and p.kept >= MIN_KEPT
        and p.rebound <= MAX_REBOUND
        and p.after_first_tenth <= MAX_LATE
    )
    if not floor or not n.loss_noise >= MIN_NOISE or measured.events:
        return ()
    if max(blown_up_by_updates(measured), overshoots_at_once(measured)) >= PLAINLY:
        return ()
    far_above = begins_far_above(measured)
    usual = ""
    if far_above:
        usual = ": usual where the weights are too large at first, or the targets have no scale"
    elif guessed_classes(first, CHANCE) is None:
        usual = ": usual where a trained model is fine-tuned"
    return (
        Fact(
            code="GL511",
            severity=Severity.NOTE,
            message=f"the loss reaches its floor within the first tenth of the run ({first:.3g} to {p.end:.3g}) and stays there{usual}",
            advice="an evaluation tells whether training longer still helps",
            doubts=frozenset() if far_above else FITS_TOO,
        ),
    )


def begins_far_above(measured: Measured) -> bool:
    """Whether norms are large and the loss, which falls within the first tenth of the rows, began above guesses among a million classes."""
    p, norm = measured.progress, measured.finite_norm
    if p is None or not measured.loss_descends or p.after_first_tenth > MAX_LATE or not len(norm):
        return False
    return _first(measured, p) > MAX_GUESSING and float(np.median(norm)) >= LARGE_NORM


def _first(measured: Measured, p: Progress) -> float:
    """The loss at first: the floor may be reached within the rows that `start` is the median of."""
    return max(p.start, float(np.median(measured.signals.loss[np.isfinite(measured.signals.loss)][:3])))

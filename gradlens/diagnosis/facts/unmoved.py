"""A loss that stands still from the first row on at a rate at which no trained model would stay as it is.

A flat loss alone may be that of a trained model with little left to learn. Such models are tuned at rates far below those of models that
begin from nothing: at a thousandth and more Adam moves each weight within a hundred steps by as much as it is, and a loss that had been
learned would be lost. One that neither falls nor rises at such rates, in hundreds of rows, is that of a constant answer.
"""

from __future__ import annotations

import numpy as np

from gradlens import vocabulary
from gradlens.diagnosis.facts import guessing
from gradlens.diagnosis.facts.base import Fact
from gradlens.diagnosis.facts.chance import ADVICE
from gradlens.diagnosis.features.curves import block_medians, neighbour_noise
from gradlens.diagnosis.features.progress import Progress
from gradlens.diagnosis.measured import Measured
from gradlens.diagnosis.words import figure
from gradlens.reports.analysis import Evidence
from gradlens.reports.base import Severity

#: Rows, the median rate from which on no trained model stays as it is (of plain SGD, which moves weights by the rate times the gradient,
#: `SGD` times that), how far all levels may lie from each other, as a share and in standard errors (eight of them lie 2.8 apart by chance,
#: those of skewed noise more), and by how many standard errors the last ones may lie off the first. Our own choice.
MIN_ROWS, MIN_RATE, SGD = 200, 1e-3, 30.0
BLOCKS, MAX_APART, MAX_ERRORS, MAX_FALL = 8, 0.02, 5.0, 3.0
#: The fall, as a share of the level, that must show in spite of the noise before a loss is said to stand still. Our own choice.
MUST_SHOW = 0.1
#: Rows at the start of which the highest lies no more than so far above the level, in deviations of the noise: a loss that falls within a
#: few rows has learned what it can.
OPENING, ABOVE = 5, 3.0
#: Words of losses that may wait at one level for long before they fall.
_WAIT = frozenset(
    {"contrastive", "nce", "infonce", "byol", "moco", "simclr", "dino", "ssl", "vf", "value", "critic", "q", "td", "kl"}
)


def find(measured: Measured, p: Progress) -> Fact | None:
    """The fact, of a positive loss whose first rows are those of the training, with its rate logged."""
    s = measured.signals
    loss, rate = s.loss[np.isfinite(s.loss)], s.lr[np.isfinite(s.lr)]
    begins = s.from_the_start and s.step[0] <= max(s.log_interval or 1.0, 1.0)
    if min(len(loss), len(rate)) < MIN_ROWS or not begins or not loss.min() > 0 or p.plainly_fell:
        return None
    plain_sgd = (measured.config.optimizer or "").lower() in {"sgd", "momentum"}
    usual = float(np.median(rate))
    named = vocabulary.plain(measured.run.columns.loss or "").split("_")
    if usual < MIN_RATE * (SGD if plain_sgd else 1.0) or set(named) & _WAIT:
        return None
    level, noise = block_medians(loss, BLOCKS), neighbour_noise(loss)
    if loss[:OPENING].max() > np.median(level) + ABOVE * noise:
        return None
    error = 1.2533 * noise / float(np.sqrt(len(loss) / BLOCKS))
    sure_fall = MAX_FALL * error * float(np.sqrt(2 / 3))
    if sure_fall > MUST_SHOW * float(np.median(level)):
        return None
    apart = float(level.max() - level.min())
    fall = float(level[:3].mean() - level[-3:].mean())
    least = MAX_APART * float(np.median(level))
    moves = apart > max(least, MAX_ERRORS * error) or abs(fall) > max(least, sure_fall)
    if moves or guessing.find(measured):
        return None
    return Fact(
        code="GL511",
        severity=Severity.WARNING,
        outcome="stalled",
        otherwise="not_learning",
        since_step=int(s.step[0]),
        message=f"the loss stays where it is in {len(loss):,} rows ({figure(level[0])} at first, {figure(level[-1])} at the end) at a "
        f"rate of {usual:.3g}, at which a trained model would not stay as it is: nothing is learned",
        advice=ADVICE,
        rules_out=guessing.MOVES,  # that gradients explode keeps a loss where it is
        evidence=(Evidence(label="rate", value=usual, threshold=MIN_RATE, n=len(loss)),),
    )

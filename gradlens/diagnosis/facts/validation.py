"""Overfitting: the validation loss rises while the training loss falls."""

from __future__ import annotations

import numpy as np

from gradlens.diagnosis.facts.base import Fact
from gradlens.diagnosis.measured import Measured
from gradlens.diagnosis.words import percent
from gradlens.reports.analysis import Evidence
from gradlens.reports.base import Severity

#: Evaluations without which nothing is said, those at the end that are taken together, and of a rise.
MIN_EVALUATIONS, LAST, MIN_AFTER = 6, 3, 3
#: Rise above the best as a share of it that is a note, and a warning; share of the evaluations that come after the
#: best one.
NOTE, WARNING, MIN_LATE = 0.03, 0.10, 0.25
#: Rise as a share of the fall from the first validation loss to the best, below which it is a note: beside a best loss of nearly zero
#: any rise is large. Our own choice.
MIN_OF_FALL = 0.02


def find(measured: Measured) -> tuple[Fact, ...]:
    """A finding where the median of the last three validation losses lies 3 % (a note) or 10 % (a warning) above the best one.

    A rise that takes back less than 2 % of the fall to the best one stays a note. At least a quarter of the evaluations must
    follow the best one, and the training loss must not have risen since: what rises in both is another problem.
    Losses that are not positive are left out.
    """
    series = measured.run.val_loss
    if series is None or not measured.loss_descends:
        return ()
    known = np.isfinite(series.value)
    step, value = series.step[known], series.value[known]
    order = np.argsort(step, kind="stable")
    step, value = step[order], value[order]
    n = len(value)
    if n < MIN_EVALUATIONS or not (value > 0).all():
        return ()
    best = int(np.argmin(value))
    end = float(np.median(value[-LAST:]))
    rise = end / float(value[best]) - 1.0
    noise = float(np.median(np.abs(np.diff(value)))) / 0.9539
    after = n - 1 - best
    if (
        rise < NOTE
        or after < max(MIN_AFTER, MIN_LATE * n)
        or end - value[best] < 3.0 * noise
        or _train_rises(measured, int(step[best]))
    ):
        return ()
    serious = rise >= WARNING and end - value[best] >= MIN_OF_FALL * (value[0] - value[best])
    return (
        Fact(
            code="GL306",
            severity=Severity.WARNING if serious else Severity.NOTE,
            cause="overfitting",
            confidence=0.8,
            message=f"the validation loss was best at step {int(step[best]):,} ({value[best]:.4g}) and ends "
            f"{percent(rise)} higher ({end:.4g}) while the "
            f"training loss falls: overfitting for {after:,} of {n:,} evaluations",
            advice=f"use the checkpoint of step {int(step[best]):,}; stop there, or add data, regularisation or "
            "augmentation",
            steps=(int(step[best]),),
            evidence=(
                Evidence(
                    label="validation loss at the end over the best", value=rise + 1.0, threshold=1.0 + WARNING, n=n
                ),
            ),
        ),
    )


def _train_rises(measured: Measured, since: int) -> bool:
    """Whether the training loss is higher at the end than around the best validation loss, by more than noise."""
    s = measured.signals
    known = np.isfinite(s.loss)
    step, loss = s.step[known], s.loss[known]
    if len(loss) < 2 * MIN_EVALUATIONS:
        return False
    at = int(np.searchsorted(step, since))
    width = max(len(loss) // 20, 3)
    near, last = loss[max(at - width, 0) : at + width], loss[-width:]
    noise = float(np.median(np.abs(np.diff(loss)))) / 0.9539
    return len(near) > 0 and float(np.median(last) - np.median(near)) > 3.0 * noise / np.sqrt(width)

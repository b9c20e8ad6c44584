"""The steps to look at first."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from gradlens.reports.analysis import Finding, NotableStep
from gradlens.signals.axis import Signals

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAX_NOTABLE = 10


def notable_steps(
    signals: Signals, findings: Iterable[Finding] = (), threshold: float | None = None
) -> tuple[NotableStep, ...]:
    """The steps to look at first, in order of step, with norm, loss and what clipping made of the gradient.

    Those that the warnings and errors name, at most ten; without any, the ten largest norms of the run, infinite ones first.
    Beside each stand how many times the median of all finite norms its norm is, the loss of the same step (None where none
    was logged), and C / norm where it was clipped at a known threshold C (None otherwise).
    """
    s = signals
    named = [step for f in findings if f.severity.rank > 0 for step in f.steps]
    rows = _rows_of(s, list(dict.fromkeys(named))[:MAX_NOTABLE]) if named else _largest(s)
    with np.errstate(over="ignore"):
        finite = s.norm[np.isfinite(s.norm)]
        median = float(np.median(finite)) if len(finite) else float("nan")
    return tuple(_notable(s, row, median, threshold) for row in rows)


def _notable(s: Signals, row: int, median: float, threshold: float | None) -> NotableStep:
    norm = float(s.norm[row]) if s.has_norm[row] else None
    clipped = norm is not None and threshold is not None and np.isfinite(norm) and norm > threshold
    return NotableStep(
        step=int(s.step[row]),
        grad_norm=norm,
        loss=float(s.loss[row]) if s.has_loss[row] else None,
        times_median=norm / median if norm is not None and median > 0 else None,
        clipped_to=threshold / norm if clipped and threshold is not None and norm is not None else None,
    )


def _rows_of(s: Signals, steps: list[int]) -> list[int]:
    found = np.flatnonzero(np.isin(s.step, steps))
    return [int(row) for row in found[:MAX_NOTABLE]]


def _largest(s: Signals) -> list[int]:
    rows: NDArray[np.int64] = np.flatnonzero(s.has_norm)
    size = np.where(np.isfinite(s.norm[rows]), s.norm[rows], -np.inf)
    size[np.isinf(s.norm[rows])] = np.inf
    if len(size) > MAX_NOTABLE:
        # Only what reaches the tenth largest has to be put in order.
        reach = size >= np.partition(size, -MAX_NOTABLE)[-MAX_NOTABLE]
        rows, size = rows[reach], size[reach]
    return [int(row) for row in np.sort(rows[np.argsort(-size, kind="stable")[:MAX_NOTABLE]])]

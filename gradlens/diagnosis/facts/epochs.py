"""Rows that stand for an epoch: the first one averages over the first descent, and no batch can be seen.

What share of the descent comes late, or how far the first updates threw the loss, is unknown where the first row is
already the mean of thousands of updates; and a mean over an epoch that stands out is no bad batch.
"""

from __future__ import annotations

import re

import numpy as np

from gradlens.diagnosis.facts.base import Fact
from gradlens.diagnosis.measured import Measured
from gradlens.reports.base import Cause, Severity

#: Rise above the lowest level and share of the descent kept, within which an averaged loss gives no sign of a rate that
#: is too high. Our own choice.
MAX_REBOUND, MIN_KEPT = 0.1, 0.9
_EPOCH = re.compile(r"(?<![a-z])epochs?(?![a-z])")
OF_STEPS: frozenset[Cause] = frozenset({"bad_data", "adam_beta2_lag", "no_warmup"})


def counts_epochs(measured: Measured) -> bool:
    """Whether the rows of the log are epochs: by the name of the column of steps, or by an epoch that is another in every row.

    An epoch with fractions tells how far the run has come: such rows stand for less than an epoch each.
    """
    name = measured.run.columns.step
    if name is not None and _EPOCH.search(name.lower()) is not None:
        return not any(notice.code == "fractional-step" for notice in measured.run.notices)
    rows = len(measured.run.loss) if measured.run.loss is not None else 0
    return any(
        _EPOCH.fullmatch(key.strip().lower()) is not None
        and 1 < rows == len(series)
        and bool((np.diff(series.value) >= 1.0).all() and (series.value == np.round(series.value)).all())
        for key, series in measured.run.series.items()
    )


def find(measured: Measured) -> tuple[Fact, ...]:
    """A note where the rows are counted in epochs."""
    if not counts_epochs(measured) or (measured.signals.log_interval or 0.0) != 1.0:
        return ()
    p = measured.progress
    falls = p is not None and p.rebound <= MAX_REBOUND and p.kept >= MIN_KEPT
    return (
        Fact(
            code="GL005",
            severity=Severity.NOTE,
            message="each row stands for an epoch: single batches and the first descent are not in the log",
            advice="log every step as well",
            rules_out=OF_STEPS | {"lr_too_high"} if falls else OF_STEPS,
        ),
    )

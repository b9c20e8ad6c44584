"""The steps to look at are those of the findings, and what clipping made of each stands beside them."""

from __future__ import annotations

import numpy as np
import pytest

from gradlens.figures.notable import notable_steps
from gradlens.reports.analysis import Finding
from gradlens.reports.base import Severity
from gradlens.run import Columns, Run, Series
from gradlens.signals.axis import signals_of


def signals():
    step = np.arange(100, dtype=np.int64)
    norm = np.ones(100)
    norm[3], norm[50] = 9.0, 4.0
    made = {"norm": Series(name="norm", step=step, value=norm)}
    return signals_of(Run(id="r", source="r", format="jsonl", series=made, columns=Columns(grad_norm="norm")))


def test_steps_of_warnings_come_before_large_norms():
    found = Finding(code="GL301", name="bad-batch", severity=Severity.WARNING, message="", steps=(50, 20))
    noted = Finding(code="GL508", name="norm-spike-alone", severity=Severity.NOTE, message="", steps=(3,))
    steps = notable_steps(signals(), [found, noted], threshold=2.0)
    assert [(s.step, s.grad_norm, s.clipped_to) for s in steps] == [(20, 1.0, None), (50, 4.0, 0.5)]
    assert steps[1].times_median == pytest.approx(4.0)


def test_without_warnings_the_largest_norms():
    steps = notable_steps(signals(), [])
    assert len(steps) == 10
    assert {3, 50} <= {s.step for s in steps}
    assert all(s.clipped_to is None for s in steps)

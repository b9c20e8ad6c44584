"""The steps worth looking at."""

from __future__ import annotations

from gradlens.figures.notable import notable_steps
from tests import synthetic


def test_notable_steps_are_the_largest_norms_in_order():
    steps = notable_steps(synthetic.case_bad_batches().signals)
    assert {250, 420, 610, 777, 901, 1100} <= {s.step for s in steps}
    assert [s.step for s in steps] == sorted(s.step for s in steps)

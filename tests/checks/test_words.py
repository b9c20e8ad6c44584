"""What findings say is what was measured."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from gradlens.checks.ending import ending
from gradlens.checks.engine import run_checks
from gradlens.diagnosis import diagnose

sys.path.insert(0, str(Path(__file__).parent))
import synthetic

ROW = np.arange(synthetic.N)


def found(case, code):
    return next(f for f in run_checks(case)[0] if f.code == code)


def dead(*, loss=None, norm=None, value=np.nan):
    run = synthetic.healthy()
    for name, since in (("loss", loss), ("grad_norm", norm)):
        if since is not None:
            run[name][since:] = value
    return synthetic.make(run, threshold=None)


def test_a_run_without_a_finite_value_has_no_growing_norms():
    case = dead(loss=0, norm=0)
    findings, results = run_checks(case)
    (loud,) = [f for f in findings if f.severity != "note"]
    assert loud.message == "every loss and every norm is NaN from the first row"
    assert not [e for e in loud.evidence if "grows" in e.label]
    assert not [r for r in diagnose(case, findings, results).ranking for reason in r.because if "norm grows" in reason]


@pytest.mark.parametrize(
    ("case", "words"),
    [
        (dead(loss=0), "every loss is NaN from the first row"),
        (dead(norm=900, value=np.inf), "the norm is infinite from step 900 on"),
        (dead(loss=900, norm=900), "the loss and the norm are NaN from step 900 on"),
        (dead(loss=950, norm=900), "the loss is NaN from step 950 on; the norm is NaN from step 900 on"),
        (synthetic.case_healthy(), ""),
    ],
)
def test_the_ending_of_a_run(case, words):
    assert ending(case) == words


def test_norms_that_grow_before_the_end_are_said_to_grow():
    assert "norms grow until the run dies at step 900" in found(synthetic.case_exploding(), "GL501").message

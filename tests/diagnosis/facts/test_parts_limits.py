"""Parts of a loss that are not finite any more, at their limits."""

from __future__ import annotations

import numpy as np
import pytest

from gradlens.diagnosis.facts import parts
from tests.diagnosis.facts.shown import lines
from tests.synthetic import make


def with_parts(rows=60, holes=(), **ends):
    """A run whose parts are not finite from some row on, those of `holes` missing in some before."""
    run = {"loss": np.linspace(2.0, 1.0, rows), "grad_norm": np.ones(rows)}
    for name, (at, value) in ends.items():
        run[name] = np.where(np.arange(rows) < at, 1.0, value)
        run[name][list(holes)] = np.nan
    return make(run, step=100 + np.arange(rows), threshold=None)


def test_what_is_said_of_them():
    (fact,) = parts.find(with_parts(cls_loss=(40, np.nan)))
    assert lines((fact,)) == ["GL405 | error | nan_sudden 0.7 | nonfinite from 140 | 140 | 20 in 60"]
    assert "cls_loss is NaN from step 140 to the end (20 rows) while loss stays finite" in fact.message
    (fact,) = parts.find(with_parts(box_loss=(45, np.inf), cls_loss=(40, np.inf), dfl_loss=(50, np.nan)))
    assert "cls_loss is not finite from step 140 to the end (20 rows, 2 other parts too)" in fact.message
    (fact,) = parts.find(with_parts(box_loss=(45, np.inf), cls_loss=(40, np.inf)))
    assert "1 other part too" in fact.message


@pytest.mark.parametrize(
    ("rows", "at", "found"), [(60, 55, True), (60, 56, False), (60, 10, True), (60, 9, False), (60, 60, False), (60, 0, False)]
)  # fmt: skip
def test_rows_before_and_after(rows, at, found):
    assert bool(parts.find(with_parts(rows, cls_loss=(at, np.nan)))) == found


@pytest.mark.parametrize(("holes", "found"), [(2, True), (3, False)])
def test_a_part_that_some_rows_lack(holes, found):
    assert bool(parts.find(with_parts(holes=range(5, 5 + holes), cls_loss=(40, np.nan)))) == found


def test_a_share_of_nan_among_infinities_is_not_all_nan():
    assert "cls_loss is not finite" in parts.find(with_parts(holes=[50], cls_loss=(40, np.inf)))[0].message


def test_only_other_losses_are_parts():
    assert parts.find(with_parts(accuracy=(40, np.nan))) == ()
    assert parts.find(with_parts(loss=(40, np.nan))) == ()
    without = make({"grad_norm": np.ones(60), "cls_loss": np.where(np.arange(60) < 40, 1.0, np.nan)}, threshold=None)
    (fact,) = parts.find(without)
    assert "stays finite" not in fact.message

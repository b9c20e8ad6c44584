"""Elements beyond fp16, at their limits."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gradlens.config import TrainingConfig
from gradlens.diagnosis.facts import elements
from gradlens.run import HistogramSeries
from tests.diagnosis.facts.shown import lines
from tests.synthetic import healthy, make


def with_histograms(*edges, name="grad/a", counts=(98.0, 2.0), precision=None, scaled=False):
    """A run with one histogram of two buckets for each triple of edges, at steps 0, 10, 20 and so on."""
    run = healthy(60)
    if scaled:
        run["loss_scale"] = np.full(60, 1024.0)
    case = make(run, config=TrainingConfig(precision=precision))
    histogram = HistogramSeries(
        name=name,
        step=10 * np.arange(len(edges)),
        limits=tuple(np.array(e, dtype=float) for e in edges),
        counts=tuple(np.array(counts) for _ in edges),
    )
    case.run = replace(case.run, histograms={name: histogram})
    return case


INSIDE, ABOVE, BELOW = (-1.0, 0.0, 1.0), (0.0, 65504.0, 7e4), (-7e4, -65504.0, 0.0)


def test_what_is_said_of_them():
    (fact,) = elements.find(with_histograms(INSIDE, ABOVE, precision="fp16"))
    assert lines((fact,)) == ["GL408 | warning | fp16_overflow 0.7 | - | 10 | 0.01 of 0 in 1"]
    assert "from step 10 on (1 % of all logged elements)" in fact.message
    assert "harmless" not in fact.message
    (fact,) = elements.find(with_histograms(INSIDE, ABOVE))
    assert lines((fact,)) == ["GL408 | note | unknown? | - | 10 | 0.01 of 0 in 1"]
    assert "harmless in bfloat16" in fact.message


@pytest.mark.parametrize(
    ("edges", "found"),
    [(ABOVE, True), ((0.0, 65503.0, 7e4), False), ((-7e4, -65504.0, 0.0), True), ((-7e4, -65503.0, 0.0), False)],
)
def test_a_bucket_lies_beyond_as_a_whole(edges, found):
    assert bool(elements.find(with_histograms(edges))) == found


def test_an_empty_bucket_and_other_tensors_prove_nothing():
    assert elements.find(with_histograms(ABOVE, counts=(98.0, 0.0))) == ()
    assert elements.find(with_histograms(BELOW, counts=(0.0, 98.0))) == ()
    assert elements.find(with_histograms(ABOVE, name="weights/a")) == ()


@pytest.mark.parametrize(
    ("precision", "scaled", "half"),
    [
        ("fp16", False, True),
        ("float16", False, True),
        ("16-mixed", False, True),
        ("bf16", True, False),
        ("bfloat16", True, False),
        ("fp32", True, False),
        (None, True, True),
        (None, False, False),
    ],
)
def test_who_computes_in_fp16(precision, scaled, half):
    (fact,) = elements.find(with_histograms(ABOVE, precision=precision, scaled=scaled))
    assert (fact.cause == "fp16_overflow") == half

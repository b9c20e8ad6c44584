"""What norms prove about where they were measured, at its limits."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from gradlens.diagnosis.facts import meaning, measurement
from gradlens.diagnosis.facts.measurement import BY_NORM
from tests.diagnosis.facts.shown import lines
from tests.synthetic import healthy, make


def clipped(*powers, at=1.0, threshold=None, **options):
    """Norms that were clipped at a threshold while they carried a loss scale of each power of two in turn."""
    norm = np.repeat(at * 2.0 ** -np.array(powers, dtype=float), 60)
    return make({**healthy(len(norm)), "grad_norm": norm}, threshold=threshold, **options)


@pytest.mark.parametrize(
    ("case", "shown"),
    [
        (clipped(16), "sit at 2^-16 (1.53e-05): the gradients were clipped at 1 while they still carried a loss scale of 65,536,"),
        (clipped(10, 12, at=5.0),
         "sit at 5 times 2^-10 (0.00488) and 2^-12 (0.00122): the gradients were clipped at 5 while they still carried a loss scale"),
        (clipped(10, 11, 12, 13), "a loss scale of 1,024 and 2,048 and 4,096,"),
        (clipped(10, at=0.7, threshold=0.7), "sit at 0.7 times 2^-10 (0.000684)"),
        (clipped(10, at=0.7, threshold=0.7, source="config"), "sit at 0.7 times 2^-10 (0.000684)"),
    ],
)  # fmt: skip
def test_clipping_before_unscaling(case, shown):
    (fact,) = measurement.find(case)
    assert shown in fact.message


def test_what_is_said_of_it():
    facts = measurement.find(clipped(10, 12))
    assert lines(facts) == ["GL104 | error | clip_before_unscale 0.95 | - | - | 10, 12 in 120"]


@pytest.mark.parametrize(("threshold", "source"), [(None, "option"), (0.7, "assumed"), (0.9, "option")])
def test_another_threshold_is_not_guessed(threshold, source):
    assert measurement.find(clipped(10, at=0.7, threshold=threshold, source=source)) == ()


def test_the_usual_thresholds_are_not_tried_where_another_is_known():
    assert measurement.find(clipped(10, threshold=0.7)) == ()
    assert len(measurement.find(clipped(10, threshold=0.7, source="assumed"))) == 1


@pytest.mark.parametrize(
    ("cumulative", "verdict", "codes"),
    [(True, "unknown", ["GL004"]), (False, "loss_scaled", ["GL002"]), (False, "post_clip", []), (True, "loss_scaled", ["GL004", "GL002"])],
)  # fmt: skip
def test_means_and_scaled_norms_are_no_measure(cumulative, verdict, codes):
    case = make(healthy(60))
    case.__dict__["provenance"] = SimpleNamespace(cumulative=cumulative, verdict=verdict, reason="because", evidence=())
    facts = measurement.find(case)
    assert [f.code for f in facts] == codes
    assert all(f.severity.value == "note" and f.rules_out == BY_NORM and "because" in f.message for f in facts)


@pytest.mark.parametrize(
    ("kind", "out", "doubted"),
    [("policy", meaning.BY_COURSE, frozenset()), ("signless", frozenset(), meaning.BY_COURSE - {"batch_size_change", "lr_restart"})],
)  # fmt: skip
def test_what_a_loss_that_means_nothing_speaks_against(kind, out, doubted):
    case = make(healthy(60))
    case.__dict__["loss_kind"] = kind
    (fact,) = meaning.find(case)
    assert (fact.code, fact.rules_out, fact.doubts) == ("GL010", out, doubted)
    assert ("so it was not judged" in fact.message) == (kind == "policy")


def test_of_a_loss_that_descends_nothing_is_said():
    case = make(healthy(60))
    case.__dict__["loss_kind"] = "descending"
    assert meaning.find(case) == ()
    assert meaning.find(make({"grad_norm": np.ones(60)})) == ()


def test_without_a_loss_none_is_judged():
    case = make({"grad_norm": np.ones(60)})
    case.__dict__["loss_kind"] = "policy"
    assert meaning.find(case) == ()

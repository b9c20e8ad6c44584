from importlib.resources import files

import numpy as np
import pytest

from gradlens.checks.engine import run_checks
from gradlens.diagnosis.opinion import (
    MAX_SCORE,
    SecondOpinion,
    cautious_of,
    inputs_of,
    laid_out,
    load_learned,
    opinion_of,
    pooled,
    second_opinion,
    silent_on,
)
from gradlens.diagnosis.opinions import decided, opinions_of
from gradlens.diagnosis.ranking import diagnose
from gradlens.diagnosis.signs import SIGNS
from gradlens.diagnosis.status import verdict_of
from gradlens.diagnosis.traits import measure, trait_names
from gradlens.diagnosis.weighing import Beliefs
from tests import synthetic
from tests.diagnosis.test_traits import curves


def test_what_was_learned_is_small_and_fits_the_traits_and_signs():
    assert len(files("gradlens.diagnosis").joinpath("opinion.npz").read_bytes()) <= 1_000_000
    learned = load_learned()
    assert len(learned.knots) == len(learned.traits) == len(learned.places[0])
    assert set(learned.traits) <= set(trait_names())
    assert set(learned.signs) <= set(SIGNS)
    assert learned.causes[0] == "healthy"
    assert (np.diff(learned.knots, axis=1) >= 0).all()


def test_confidences_add_up_to_one():
    learned = load_learned()
    traits = np.stack([measure(curves()), np.full(len(trait_names()), np.nan), np.full(len(trait_names()), 1e30)])
    found = opinion_of(traits, np.zeros((3, len(SIGNS))), learned)
    assert found.shape == (3, len(learned.causes))
    np.testing.assert_allclose(found.sum(axis=1), 1.0)


def test_two_answers_are_joined_by_a_geometric_mean():
    found = pooled(np.array([[0.5, 0.5], [1.0, 0.0]]), np.array([[0.5, 0.5], [0.5, 0.5]]))
    np.testing.assert_allclose(found[0], [0.5, 0.5])
    np.testing.assert_allclose(found[1, 1] / found[1, 0], 1e-12**0.6, rtol=1e-6)
    found = pooled(np.array([[0.8, 0.2]]), np.array([[0.1, 0.9]]))
    np.testing.assert_allclose(found[0, 0] / found[0, 1], 4.0**0.6 * (1 / 9) ** 0.4)


def test_caution_is_an_advantage_of_healthy_and_nothing_else():
    opinion = np.array([[0.2, 0.5, 0.3], [0.0, 1.0, 0.0]])
    nothing = np.zeros((2, 3), dtype=bool)
    np.testing.assert_allclose(cautious_of(opinion, nothing, 0.0), opinion, atol=1e-9)
    found = cautious_of(opinion, nothing, np.log(5.0))
    np.testing.assert_allclose(found[0], np.array([1.0, 0.5, 0.3]) / 1.8)
    assert found[1].argmax() == 1
    silent = np.array([[False, True, False], [False, True, False]])
    np.testing.assert_allclose(cautious_of(opinion, silent, 0.0), [[0.7, 0.0, 0.3], [1.0, 0.0, 0.0]])


def test_what_facts_decide_the_curves_do_not_name():
    learned = load_learned()
    silent = silent_on(measure(curves())[None], learned.causes)[0]
    assert {c for c, s in zip(learned.causes, silent, strict=True) if s} >= {"lr_zero", "not_learning", "nan_sudden"}


@pytest.mark.parametrize("end", [1.0, 0.1])
def test_no_schedule_is_judged_before_the_rate_has_come_down(end):
    traits = measure(curves(rate=np.linspace(1e-3, end * 1e-3, 400)))
    found = second_opinion(traits, np.zeros(len(SIGNS)), recorded=False)
    assert (found.cautious["schedule_mismatch"] == 0.0) == (end == 1.0)


def test_who_decided_in_words():
    beliefs = Beliefs(ranking=(("bad_data", 0.7),), arguments={}, weighed={})

    def said(by_curves):
        return decided(beliefs, SecondOpinion(learned={by_curves: 0.5}, cautious={by_curves: 0.6}))

    assert said("bad_data") == "Signs and curves agree on bad data (70% and 50%)."
    assert "the curves say healthy (50%): take the verdict with care" in said("healthy")


def test_the_second_opinion_is_told_and_decides_nothing():
    case = synthetic.case_bad_batches()
    findings, results = run_checks(case)
    found = diagnose(case, findings, verdict_of(case, findings, results))
    assert [opinion.source for opinion in found.opinions] == ["signs", "curves"]
    assert found.opinions[0].ranking[0].cause == found.cause == case.beliefs.cause
    assert found.decided


def test_a_loss_whose_course_means_nothing_has_no_second_opinion():
    assert synthetic.case_policy().second is None


def test_a_short_log_has_no_second_opinion():
    case = synthetic.make(synthetic.healthy(30), threshold=5.0)
    assert case.second is None


KNOTS = np.array([[0.0, 1.0, 1.0, 1.0, 3.0], [10.0, 20.0, 30.0, 40.0, 50.0]], dtype=np.float32)
SCORES = np.array([-2.0, -1.0, 0.0, 1.0, 2.0], dtype=np.float32)


@pytest.mark.parametrize(
    ("value", "score"),
    [
        (-5.0, -2.0), (0.0, -2.0), (0.5, -1.5), (0.75, -1.25), (1.0, 0.0), (2.0, 1.5), (2.5, 1.75), (3.0, 2.0), (99.0, 2.0),
    ],
)  # fmt: skip
def test_a_trait_lies_between_its_knots(value, score):
    # Among equal knots it has the middle of their scores.
    found = inputs_of(np.array([[value, 20.0]]), KNOTS, SCORES, np.array([], dtype=np.intp))
    assert found[0].tolist() == pytest.approx([score, -1.0])


def test_a_missing_trait_has_the_middle_score_and_a_flag():
    found = inputs_of(np.array([[np.nan, 45.0], [2.0, np.nan]]), KNOTS, SCORES, np.array([1]))
    np.testing.assert_allclose(found, [[0.0, 1.5, 0.0], [1.5, 0.0, 1.0]])
    assert found.dtype == np.float32
    far = inputs_of(np.array([[99.0, 99.0]]), KNOTS, 3.0 * SCORES, np.array([0]))
    np.testing.assert_allclose(far, [[MAX_SCORE, MAX_SCORE, 0.0]])


def test_grades_span_what_the_upper_half_of_a_trait_does():
    learned = load_learned()
    traits = np.full((3, len(trait_names())), np.nan)
    grades = np.stack([np.zeros(len(SIGNS)), np.full(len(SIGNS), 0.5), np.ones(len(SIGNS))])
    found = laid_out(traits, grades, learned)[:, -len(learned.signs) :]
    # Fifty steps per unit.
    assert found.tolist() == [[0] * len(learned.signs), [62] * len(learned.signs), [125] * len(learned.signs)]


def test_caution_is_that_of_the_log():
    traits, grades, learned = measure(curves()), np.zeros(len(SIGNS)), load_learned()
    for recorded in (False, True):
        found = second_opinion(traits, grades, recorded=recorded)
        silent = silent_on(traits, learned.causes)[0]
        left = {c: p for c, p, s in zip(learned.causes, found.learned.values(), silent, strict=True) if not s}
        left["healthy"] = (1.0 - sum(p for c, p in left.items() if c != "healthy")) * np.exp(
            learned.caution[int(recorded)]
        )
        total = sum(left.values())
        assert found.cautious == pytest.approx({c: left.get(c, 0.0) / total for c in learned.causes})


def beliefs(*ranking):
    return Beliefs(ranking=ranking, arguments={}, weighed={})


@pytest.mark.parametrize(
    ("ruling", "learned", "cautious", "told"),
    [
        ("signs", {"healthy": 0.9}, {"healthy": 0.9}, "The signs decided for bad data (70%); the curves say healthy (90%): take the verdict with care."),
        ("agreed", {"bad_data": 0.9}, {"bad_data": 0.9}, "Signs and curves agree on bad data (70% and 90%)."),
        ("named", {"exploding": 0.5, "healthy": 0.4}, {"healthy": 0.6, "exploding": 0.4}, "The curves decided for healthy (40%): the signs alone say bad data (70%)."),
        ("calmed", {"healthy": 0.9}, {"healthy": 0.9}, "The curves show no fault, so that there is no alarm: the signs alone say bad data (70%)."),
    ],
)  # fmt: skip
def test_every_ruling_in_words(ruling, learned, cautious, told):
    second = SecondOpinion(learned=learned, cautious=cautious)
    assert decided(beliefs(("bad_data", 0.7)), second, ruling) == told


def test_an_unlike_run_and_a_proven_cause_in_words():
    unlike = SecondOpinion(learned={"healthy": 0.9}, cautious={"healthy": 0.9}, outside=0.9)
    assert decided(beliefs(("bad_data", 0.7)), unlike).endswith(
        "the run is unlike those that the curves were learned from."
    )
    proven = decided(beliefs(("bad_data", 0.7)), unlike, proven="lr_zero")
    assert (
        proven
        == "A fact of the log decided for lr zero; on their own, the signs say bad data (70%) and the curves healthy (90%)."
    )
    alone = decided(beliefs(("bad_data", 0.7)), None, proven="lr_zero")
    assert alone == "A fact of the log decided for lr zero; on their own, the signs say bad data (70%)."


def test_the_first_three_causes_of_each_opinion_are_told():
    ranking = (("bad_data", 0.4), ("exploding", 0.3), ("healthy", 0.2), ("vanishing", 0.1))
    second = SecondOpinion(learned={"vanishing": 0.1, "healthy": 0.5, "bad_data": 0.15, "exploding": 0.25}, cautious={})
    by_signs, by_curves = opinions_of(beliefs(*ranking), second)
    assert [(r.cause, r.confidence) for r in by_signs.ranking] == list(ranking[:3])
    assert [r.cause for r in by_curves.ranking] == ["healthy", "exploding", "bad_data"]
    assert list(opinions_of(beliefs(*ranking), None)) == []

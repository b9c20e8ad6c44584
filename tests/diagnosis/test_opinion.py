from importlib.resources import files

import numpy as np
import pytest

from gradlens.checks.engine import run_checks
from gradlens.diagnosis.opinion import SecondOpinion, cautious_of, load_learned, opinion_of, second_opinion, silent_on
from gradlens.diagnosis.opinions import decided
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


def test_caution_is_an_advantage_of_healthy_and_nothing_else():
    opinion = np.array([[0.2, 0.5, 0.3], [0.0, 1.0, 0.0]])
    nothing = np.zeros((2, 3), dtype=bool)
    np.testing.assert_allclose(cautious_of(opinion, nothing, 0.0), opinion, atol=1e-9)
    found = cautious_of(opinion, nothing, np.log(5.0))
    np.testing.assert_allclose(found[0], np.array([1.0, 0.5, 0.3]) / 1.8)
    assert found[1].argmax() == 1
    silent = np.array([[False, True, False], [False, True, False]])
    np.testing.assert_allclose(cautious_of(opinion, silent, 0.0), [[0.4, 0.0, 0.6], [1.0, 0.0, 0.0]])


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

from importlib.resources import files

import numpy as np
import pytest

from gradlens.checks.engine import run_checks
from gradlens.diagnosis.opinion import Joint, joined, joined_of, load_network, opinion_of
from gradlens.diagnosis.opinions import decided
from gradlens.diagnosis.ranking import diagnose
from gradlens.diagnosis.signs import SIGNS
from gradlens.diagnosis.status import verdict_of
from gradlens.diagnosis.traits import measure, trait_names
from gradlens.diagnosis.weighing import Beliefs
from tests import synthetic
from tests.diagnosis.test_traits import curves


def test_the_network_is_small_and_fits_the_traits_and_signs():
    assert len(files("gradlens.diagnosis").joinpath("opinion.npz").read_bytes()) <= 1_000_000
    network = load_network()
    assert len(network.knots) == len(network.traits) == len(network.places[0])
    assert set(network.traits) <= set(trait_names())
    assert set(network.signs) <= set(SIGNS)
    assert network.causes[0] == "healthy"
    assert (np.diff(network.knots, axis=1) >= 0).all()


def test_confidences_add_up_to_one():
    network = load_network()
    traits = np.stack([measure(curves()), np.full(len(trait_names()), np.nan), np.full(len(trait_names()), 1e30)])
    found = opinion_of(traits, np.zeros((3, len(SIGNS))), network)
    assert found.shape == (3, len(network.causes))
    np.testing.assert_allclose(found.sum(axis=1), 1.0)


@pytest.mark.parametrize("recorded", [False, True])
def test_confidence_falls_where_the_two_disagree(recorded):
    network = load_network()
    causes, join = list(network.causes), network.join[int(recorded)]

    def sure_of(cause):
        return np.where(np.array(causes) == cause, 0.9, 0.1 / (len(causes) - 1))[None]

    for cause in ("lr_too_high", "bad_data", "data_shift"):
        agreed = joined_of(sure_of(cause), sure_of(cause), join)
        assert agreed.argmax() == causes.index(cause)
        split = joined_of(sure_of(cause), sure_of("clip_too_tight"), join)
        assert split.max() < agreed.max()


def test_what_the_signs_show_plainly_stands():
    network = load_network()
    causes, join = list(network.causes), network.join[0]
    plain = [cause for cause, limit in zip(causes, join[4], strict=True) if limit <= 1.0]
    assert "postclip_logged" in plain
    assert "healthy" not in plain
    for cause in plain:
        signs = np.full((1, len(causes)), 0.01 / (len(causes) - 1))
        signs[0, causes.index(cause)] = 0.99
        calm = np.full((1, len(causes)), 0.01 / (len(causes) - 1))
        calm[0, causes.index("healthy")] = 0.99
        both = joined_of(signs, calm, join)
        assert both.argmax() == causes.index(cause)
        assert both.max() < 0.99
        assert both.sum() == pytest.approx(1.0)


@pytest.mark.parametrize("end", [1.0, 0.1])
def test_no_schedule_is_judged_before_the_rate_has_come_down(end):
    traits = measure(curves(rate=np.linspace(1e-3, end * 1e-3, 400)))
    both = joined({"healthy": 0.9}, traits, np.zeros(len(SIGNS)), recorded=False)
    assert (both.together["schedule_mismatch"] == 0.0) == (end == 1.0)


def test_what_no_sign_speaks_of_looks_healthy_to_the_signs():
    by_signs = {"healthy": 0.9, "lr_too_high": 0.1}
    both = joined(by_signs, measure(curves()), np.zeros(len(SIGNS)), recorded=False)
    assert set(both.together) == set(load_network().causes)
    assert sum(both.together.values()) == pytest.approx(1.0)


def test_who_decided_in_words():
    beliefs = Beliefs(ranking=(("bad_data", 0.7),), arguments={}, weighed={})

    def said(by_curves, together):
        return decided(beliefs, Joint(alone={by_curves: 0.5}, together={together: 0.6}))

    assert said("bad_data", "bad_data") == "Signs and curves agree on bad data (70% and 50%)."
    assert "the curves alone say healthy (50%), and both together lr zero (60%)" in said("healthy", "lr_zero")


def test_the_second_opinion_is_told_and_decides_nothing():
    case = synthetic.case_bad_batches()
    findings, results = run_checks(case)
    found = diagnose(case, findings, verdict_of(case, findings, results))
    assert [opinion.source for opinion in found.opinions] == ["signs", "curves", "together"]
    assert found.opinions[0].ranking[0].cause == found.cause == case.beliefs.cause
    assert found.decided


def test_a_loss_whose_course_means_nothing_has_no_second_opinion():
    assert synthetic.case_policy().second is None


def test_a_short_log_has_no_second_opinion():
    case = synthetic.make(synthetic.healthy(30), threshold=5.0)
    assert case.second is None

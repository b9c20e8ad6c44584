"""The weighing: a sum that can be done by hand."""

from __future__ import annotations

import numpy as np
import pytest

from gradlens.diagnosis.signs import SIGNS
from gradlens.diagnosis.weighing import Ceiling, Weights, load_weights, weigh


def test_no_signs_is_healthy():
    beliefs = weigh({})
    assert beliefs.cause == "healthy"
    assert sum(p for _, p in beliefs.ranking) == pytest.approx(1.0)
    assert all(arguments == () for arguments in beliefs.arguments.values())


def test_scores_add_up():
    weights = Weights(bias={"healthy": 0.0, "bad_data": -1.0}, signs={"healthy": {}, "bad_data": {"a": 2.0, "b": -0.5}})
    beliefs = weigh({"a": 1.0, "b": 0.4}, weights=weights)
    assert beliefs.of("bad_data") == pytest.approx(1 / (1 + np.exp(-(-1.0 + 2.0 - 0.2))))
    assert [a.sign for a in beliefs.arguments["bad_data"]] == ["a", "b"]


def test_ceiling_goes_to_healthy():
    weights = Weights(bias={"healthy": 0.0, "bad_data": 5.0}, signs={"healthy": {}, "bad_data": {}})
    beliefs = weigh({}, ceilings={"bad_data": Ceiling(at=0.79, why="one row")}, weights=weights)
    assert beliefs.of("bad_data") == 0.79
    assert beliefs.of("healthy") == pytest.approx(0.21)


@pytest.mark.parametrize("name", sorted(SIGNS))
def test_more_of_a_sign_never_turns_around(name):
    """A sign that speaks for a cause raises it, one that speaks against it lowers it."""
    for cause, table in load_weights().signs.items():
        # What stays unexplained in a run in trouble goes to the learning rate, whatever the sign.
        if table.get(name) and not (cause == "lr_too_high" and table[name] < 0):
            change = weigh({name: 1.0}).of(cause) / weigh({name: 1.0}).of("healthy")
            before = weigh({}).of(cause) / weigh({}).of("healthy")
            assert (change > before) == (table[name] > 0)


def test_healthy_is_the_reference():
    assert load_weights().bias["healthy"] == 0.0
    assert load_weights().signs["healthy"] == {}


TABLE = Weights(
    bias={"healthy": 0.0, "bad_data": -1.0, "lr_too_high": 0.5},
    signs={"healthy": {}, "bad_data": {"a": 2.0}, "lr_too_high": {"b": 1.0}},
)


def powers(**scores):
    total = sum(np.exp(list(scores.values())))
    return {cause: np.exp(score) / total for cause, score in scores.items()}


def test_the_learning_rate_gets_a_twentieth_of_what_signs_leave_unexplained():
    beliefs = weigh({"a": 1.0}, weights=TABLE)
    shares = powers(healthy=0.0, bad_data=1.0, lr_too_high=0.5)
    assert beliefs.of("bad_data") == pytest.approx(0.95 * shares["bad_data"])
    assert beliefs.of("lr_too_high") == pytest.approx(0.95 * shares["lr_too_high"] + 0.05)
    assert beliefs.of("healthy") == pytest.approx(0.95 * shares["healthy"])
    ((why, by),) = beliefs.weighed["bad_data"].shifts
    assert why.startswith("5 % of every cause goes to the learning rate")
    assert by == pytest.approx(-0.05 * shares["bad_data"])
    assert [cause for cause, _ in beliefs.ranking] == ["bad_data", "lr_too_high", "healthy"]
    # Not where no sign of trouble is seen, nor where the rate is ruled out.
    calm = Weights(bias={"healthy": 0.0, "lr_too_high": -1.0}, signs={"healthy": {}, "lr_too_high": {}})
    assert weigh({}, weights=calm).of("lr_too_high") == pytest.approx(
        powers(healthy=0.0, lr_too_high=-1.0)["lr_too_high"]
    )
    without = weigh({"a": 1.0}, weights=TABLE, excluded=frozenset({"lr_too_high"}))
    assert without.of("bad_data") == pytest.approx(powers(healthy=0.0, bad_data=1.0)["bad_data"])
    assert without.of("lr_too_high") == 0.0


def test_healthy_is_never_excluded():
    assert weigh({}, weights=TABLE, excluded=frozenset({"healthy"})).of("healthy") > 0


def test_grades_of_nothing_and_weights_of_nothing_are_no_arguments():
    table = Weights(
        bias={"healthy": 0.0, "bad_data": 0.0}, signs={"healthy": {}, "bad_data": {"a": 1.0, "b": 0.0, "c": -3.0}}
    )
    found = weigh({"a": 1.0, "b": 1.0, "c": 0.5, "d": 1.0}, weights=table).arguments["bad_data"]
    assert [(a.sign, a.contribution) for a in found] == [("c", -1.5), ("a", 1.0)]
    assert weigh({"a": 0.0}, weights=table).arguments["bad_data"] == ()


def test_what_is_cut_off_healthy_goes_to_all_others_alike():
    calm = Weights(
        bias={"healthy": 0.0, "bad_data": -3.0, "lr_zero": -4.0}, signs={"healthy": {}, "bad_data": {}, "lr_zero": {}}
    )
    shares = powers(healthy=0.0, bad_data=-3.0, lr_zero=-4.0)
    beliefs = weigh({}, weights=calm, ceilings={"healthy": Ceiling(at=0.8, why="few rows")})
    excess = shares["healthy"] - 0.8
    assert beliefs.of("healthy") == pytest.approx(0.8)
    assert beliefs.of("bad_data") == pytest.approx(shares["bad_data"] + excess / 2)
    assert beliefs.weighed["lr_zero"].shifts == (("few rows", pytest.approx(excess / 2)),)
    assert beliefs.weighed["healthy"].ceiling == 0.8
    assert beliefs.weighed["bad_data"].ceiling is None
    # So much only that it stays first: at most 99 % of the lead, shared with two others.
    lowest = weigh({}, weights=calm, ceilings={"healthy": Ceiling(at=0.0, why="nothing")})
    lead = shares["healthy"] - shares["bad_data"]
    assert lowest.cause == "healthy"
    assert lowest.of("healthy") == pytest.approx(shares["healthy"] - 0.99 * lead * 2 / 3)
    high = weigh({}, weights=calm, ceilings={"healthy": Ceiling(at=0.99, why="many rows")})
    assert high.of("healthy") == pytest.approx(shares["healthy"])
    assert high.weighed["healthy"].shifts == ()


def test_what_the_curves_say_takes_the_place_of_the_shares():
    by_curves = {"healthy": 0.1, "bad_data": 0.2, "schedule_mismatch": 0.7}
    beliefs = weigh({"a": 1.0}, weights=TABLE, by_curves=by_curves)
    assert dict(beliefs.ranking) == {**by_curves, "lr_too_high": 0.0}
    shares = powers(healthy=0.0, bad_data=1.0, lr_too_high=0.5)
    ((why, by),) = beliefs.weighed["bad_data"].shifts
    assert "curves" in why
    assert by == pytest.approx(0.2 - shares["bad_data"])

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

"""A level that is left for good, by less than half of the descent, at its limits."""

from __future__ import annotations

import numpy as np
import pytest

from gradlens.diagnosis.facts import not_regained
from tests.diagnosis.facts.shown import line
from tests.synthetic import make


def case(*, to=1.3, at=0.5, n=400, noise=0.01, start=3.0, rate=None, seed=0):
    """A descent to 1 within a fifth of the rows, and a rise to another level from a share of the rows on."""
    rng = np.random.default_rng(seed)
    t = np.arange(n) / n
    loss = 1.0 + (start - 1.0) * np.exp(-t / 0.05) + (to - 1.0) * np.clip((t - at) / 0.1, 0, 1)
    columns = {"loss": loss * np.exp(noise * rng.standard_normal(n)), "grad_norm": np.exp(0.1 * rng.standard_normal(n))}
    return make(columns | ({} if rate is None else {"lr": rate(t)}), threshold=None)


def told(built):
    return not_regained.find(built, built.progress)


def test_what_is_said():
    fact = told(case())
    assert line(fact).startswith("GL510 | warning | unknown? | ended_worse from ")
    assert (
        "and does not come back: it ends at 1.3, 30 % above, having lost 16 % of what it had come down by"
        in fact.message
    )


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"to": 1.26}, True),
        ({"to": 1.15}, False),  # neither a fifth of its level nor a third of the descent
        ({"to": 1.15, "start": 1.45}, True),
        ({"to": 1.08, "start": 1.2}, False),
        ({"at": 0.7}, True),
        ({"at": 0.9}, False),  # too late to tell whether it comes back
        ({"noise": 0.3}, False),
        ({"n": 79}, False),
        ({"n": 80}, True),
        ({"rate": lambda t: np.where(t > 0.5, 2.0, 1.0)}, False),  # a rate that jumps explains it
        ({"rate": lambda t: 1.0 - 0.5 * t}, True),
    ],
)
def test_limits(options, said):
    assert (told(case(**options)) is not None) == said


def test_nothing_is_clear_above_it():
    assert case().cause not in {"healthy", "undetermined"}

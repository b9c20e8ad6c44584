"""Runs that blow up in their last rows, at their limits."""

from __future__ import annotations

import numpy as np
import pytest

from gradlens.diagnosis.facts import last_rows
from tests.diagnosis.facts.shown import line
from tests.synthetic import make


def case(*, last=8, times=4.0, norm=20.0, n=400, noise=0.02, back=False):
    """A descent whose last rows climb to some times the level, and the norm with it."""
    rng = np.random.default_rng(0)
    climb = np.clip((np.arange(n) - (n - last) + 1) / last, 0, 1)
    climb = np.where(np.arange(n) >= n - 2, 0.2 * climb, climb) if back else climb
    loss = (
        (1.0 + 2.0 * np.exp(-np.arange(n) / 60))
        * np.exp(noise * rng.standard_normal(n))
        * np.exp(np.log(times) * climb**0.5)
    )
    size = np.exp(0.1 * rng.standard_normal(n)) * np.exp(np.log(norm) * climb)
    return make({"loss": loss, "grad_norm": size}, threshold=None)


def told(built):
    return last_rows.find(built, built.progress)


def test_what_is_said():
    fact = told(case())
    assert line(fact).startswith("GL510 | warning | exploding? | ended_worse from 392 | 392 | ")
    assert "in its last 8 rows the loss climbs from about 1." in fact.message
    assert "the norm goes to 2" in fact.message
    assert told(case(norm=1.0)).otherwise == "lr_too_high"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"last": 4}, True),
        ({"last": 3}, False),
        ({"last": 40}, True),
        ({"last": 60}, False),  # the level has changed
        ({"times": 2.6, "last": 4}, True),
        ({"times": 1.4}, False),
        ({"noise": 0.25}, False),
        ({"n": 60, "last": 6}, True),
        ({"n": 59, "last": 5}, False),
        ({"back": True}, False),
    ],
)
def test_limits(options, said):
    assert (told(case(**options)) is not None) == said

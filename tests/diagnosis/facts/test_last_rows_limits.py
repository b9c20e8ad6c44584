"""Runs that blow up in their last rows, at their limits."""

from __future__ import annotations

from types import SimpleNamespace

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


def flat(*parts, norm=None):
    """A loss of levels with the rows of each."""
    loss = np.repeat([float(level) for level, _ in parts], [rows for _, rows in parts])
    columns = {"loss": loss} | ({} if norm is None else {"grad_norm": np.asarray(norm, dtype=float)})
    return last_rows.find(make(columns, step=10 * np.arange(len(loss)), threshold=None), SimpleNamespace(start=4.0))


@pytest.mark.parametrize(
    ("parts", "told"),
    [
        (((1, 54), (2, 6)), True),
        (((1, 53), (2, 7)), False),  # of sixty rows six are a tenth
        (((1, 56), (2, 4)), True),
        (((1, 54), (1.5, 6)), False),
        (((1, 54), (1.51, 6)), True),
        (((0.5, 54), (1, 6)), True),
        (((1, 20), (0, 1), (1, 33), (2, 6)), False),  # a loss of zero has no ratios
        (((4, 30), (1, 24), (2, 6)), True),  # of few rows the last thirty are its level
        (((1, 54), (4, 5), (2.8, 1)), True),
        (((1, 54), (4, 5), (2.79, 1)), False),  # on its way back
    ],
)
def test_levels_exactly_at_the_limits(parts, told):
    assert (flat(*parts) is not None) == told


@pytest.mark.parametrize(("blip", "told"), [(1.5, True), (1.51, False)])
def test_a_row_before_that_is_as_high(blip, told):
    # All neighbours differ by hardly anything, and the middle one of the 21 rows before is exactly 1.
    loss = np.resize([1.0, 1.0 + 1e-7, 1.0 - 1e-7], 90)
    loss[70] = blip
    loss[81:] = 3.0
    case = make({"loss": loss}, threshold=None)
    assert (last_rows.find(case, SimpleNamespace(start=4.0)) is not None) == told


@pytest.mark.parametrize(("height", "told"), [(0.95, False), (1.15, True)])
def test_ten_deviations_of_the_noise(height, told):
    # Neighbours differ by .1 of their logarithm: ten deviations are .1 / .9539 * 10, or 1.05.
    value = 0.05 * np.resize([1.0, -1.0], 100)
    value[92:] = height
    case = make({"loss": np.exp(value)}, threshold=None)
    assert (last_rows.find(case, SimpleNamespace(start=4.0)) is not None) == told


@pytest.mark.parametrize(("norm", "explodes"), [(10.0, False), (10.1, True)])
def test_five_times_the_usual_norm_and_the_figures(norm, explodes):
    fact = flat((2, 54), (8, 6), norm=[2.0] * 54 + [norm] * 6)
    assert fact.otherwise == ("exploding" if explodes else "lr_too_high")
    too = f"; the norm goes to {norm:.3g} from about 2" if explodes else ""
    assert f"in its last 6 rows the loss climbs from about 2 to 8{too}: the run ends" in fact.message
    assert fact.evidence[0].value == pytest.approx(4.0)
    assert (fact.evidence[0].n, fact.steps) == (60, (540,))

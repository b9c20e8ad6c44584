"""An adversary that has won, at its limits."""

from __future__ import annotations

import numpy as np
import pytest

from gradlens.diagnosis.facts import adversaries
from tests.diagnosis.facts.shown import lines, logged


def adversary(first, last, rows=90, *, first_rows=5, late=30):
    """A loss that begins at a level, is one at first, and ends at another one in its last rows."""
    value = np.full(rows, 0.5 * (first + last) + 1.0)
    value[:first_rows], value[rows - late :] = first, last
    return value


def pair(d=None, g=None, *, every=10, names=("d_loss", "g_loss"), **more):
    d = adversary(1.0, 0.01) if d is None else d
    g = adversary(2.0, 7.0) if g is None else g
    columns = {names[0]: d, names[1]: g, **more}
    case = logged(
        {
            "loss": (every * np.arange(len(d)), np.ones(len(d))),
            **{k: (every * np.arange(len(v)), v) for k, v in columns.items()},
        }
    )
    case.__dict__["loss_kind"] = "adversarial"
    return case


def test_what_is_said_of_it():
    facts = adversaries.find(pair())
    assert lines(facts) == ["GL510 | warning | unknown? | ended_worse from 600 | 600 | 0.01 of 0.02 in 90"]
    assert (
        "d_loss falls from 1 to 0.01 and stays there from step 600 on, while g_loss climbs from 2 to 7"
        in facts[0].message
    )


@pytest.mark.parametrize(
    ("d", "g", "found"),
    [
        (adversary(1.0, 0.0199), None, True),
        (adversary(1.0, 0.0201), None, False),  # a fiftieth of its start
        (adversary(0.0, 0.0), None, False),
        (None, adversary(2.0, 6.01), True),
        (None, adversary(2.0, 5.99), False),  # three times its start
        (None, adversary(0.0, 5.0), False),
        (adversary(1.0, 0.01, late=20), None, True),
        (adversary(1.0, 0.01, late=14), None, False),  # less than half of the last third
        (adversary(1.0, 0.01, 60), adversary(2.0, 7.0, 60), True),
        (adversary(1.0, 0.01, 59), adversary(2.0, 7.0, 59), False),
        (adversary(1.0, 0.01, first_rows=3), None, True),  # most of the first five rows
        (adversary(0.1, 0.01, first_rows=2), None, True),
        (adversary(0.1, 0.01, first_rows=3), None, False),
        (np.append(adversary(1.0, 0.01), np.nan), None, False),
        (np.append(adversary(1.0, 0.01), -0.1), None, False),
        (np.append(adversary(1.0, 0.01), 0.0), None, True),
    ],
)
def test_when_an_adversary_has_won(d, g, found):
    assert bool(adversaries.find(pair(d, g))) == found


def test_of_long_runs_a_fiftieth_is_the_start():
    for rows, found in ((11, True), (9, False)):
        d, g = adversary(1.0, 0.01, 1000, first_rows=rows, late=340), adversary(2.0, 7.0, 1000, first_rows=30, late=340)
        d[rows : len(d) - 340] = 0.015
        assert bool(adversaries.find(pair(d, g))) == found


@pytest.mark.parametrize(
    ("names", "more", "found"),
    [
        (("disc_loss", "gen_loss"), {}, True),
        (("errD", "errG"), {}, True),
        (("lossD", "lossG"), {}, True),
        (("d_loss_real", "g_loss"), {}, False),
        (("d_score", "g_loss"), {}, False),
        (("d_loss", "q_loss"), {}, False),
        (("d_loss_real", "g_loss"), {"d_loss": adversary(1.0, 0.01)}, True),
    ],
)
def test_which_losses_are_theirs(names, more, found):
    assert bool(adversaries.find(pair(names=names, **more))) == found


def test_a_loss_that_stays_up_to_the_last_row():
    d = adversary(1.0, 0.01)
    d[-1] = 1.0
    assert adversaries.find(pair(d))[0].since_step == 890
    case = pair()
    case.__dict__["loss_kind"] = "policy"
    assert adversaries.find(case) == ()

"""Floors that a loss reaches early, at their limits."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from gradlens.diagnosis.facts import early_floor


def told(
    monkeypatch, *, start=4.0, first=4.0, end=1.0, noise=0.035, blown=0.0, overshoots=0.0, events=(), dead=None, norms=True, known=True,
    kept=0.9, rebound=0.12, late=0.1, norm=1.0, descends=True,
):  # fmt: skip
    """A loss with just what is asked of a floor, its first three rows at one level."""
    monkeypatch.setattr(early_floor, "blown_up_by_updates", lambda _: blown)
    monkeypatch.setattr(early_floor, "overshoots_at_once", lambda _: overshoots)
    progress = SimpleNamespace(start=start, end=end, kept=kept, rebound=rebound, after_first_tenth=late)
    return early_floor.find(
        SimpleNamespace(
            progress=progress if known else None,
            norms=SimpleNamespace(loss_noise=noise) if norms else None,
            numerics=SimpleNamespace(dead_from=dead),
            signals=SimpleNamespace(loss=np.array([np.nan, first, first, 9.0, *[1.0] * 8])),
            events=events,
            finite_norm=np.full(9, norm),
            loss_descends=descends,
        )
    )


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, True),
        ({"end": 1.01}, False),
        ({"first": 6.0, "end": 1.5}, True),
        ({"first": 6.0, "end": 1.51}, False),
        ({"first": 2.0, "end": 1.0}, True),
        ({"noise": 0.034}, False),
        # Where batches differ by a twentieth half may be left.
        ({"noise": 0.05, "end": 2.0}, True),
        ({"noise": 0.05, "end": 2.01}, False),
        ({"noise": 0.049, "end": 2.0}, False),
        ({"kept": 0.89}, False),
        ({"rebound": 0.13}, False),
        ({"late": 0.11}, False),
        ({"blown": 0.5}, False),
        ({"blown": 0.49, "overshoots": 0.49}, True),
        ({"overshoots": 0.5}, False),
        ({"events": (1,)}, False),
        ({"dead": 5}, False),
        ({"start": 0.0}, False),
        ({"known": False}, False),
        ({"norms": False}, False),
    ],
)
def test_limits(options, said, monkeypatch):
    assert bool(told(monkeypatch, **options)) == said


@pytest.mark.parametrize(("first", "guess"), [(np.log(100) * 1.019, True), (np.log(100) * 1.021, False)])
def test_a_start_at_guessing_is_that_of_an_untrained_model(first, guess, monkeypatch):
    (fact,) = told(monkeypatch, first=first)
    assert ("fine-tuned" not in fact.message) == guess
    assert f"({first:.3g} to 1) and stays there" in fact.message


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"first": 13.9, "norm": 100.0}, "weights are too large at first"),
        ({"first": 13.8, "norm": 100.0}, "fine-tuned"),
        ({"first": 13.9, "norm": 99.0}, "fine-tuned"),
        ({"first": 13.9, "norm": 100.0, "descends": False}, "fine-tuned"),
    ],
)
def test_a_loss_that_begins_far_above_is_none_of_a_trained_model(options, said, monkeypatch):
    (fact,) = told(monkeypatch, **options)
    assert said in fact.message
    assert bool(fact.doubts) == (said == "fine-tuned")


def test_a_course_without_progress_begins_nowhere():
    assert not early_floor.begins_far_above(
        SimpleNamespace(progress=None, finite_norm=np.full(9, 100.0), loss_descends=True)
    )

"""Losses that stand still at a rate at which no trained model would, at their limits."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from gradlens.config import TrainingConfig
from gradlens.diagnosis.facts import unmoved
from tests.diagnosis.facts.shown import line
from tests.synthetic import make


def told(
    monkeypatch, *, level=1.0, other=None, blocks=(3,), rows=200, noise=0.0, opening=(), rate=1e-3, rates=None,
    step=0, every=1, optimizer=None, name="loss", resumed=False, fell=False, guesses=False, zero=False,
):  # fmt: skip
    """A loss of eight levels, some of them other than the rest, whose noise is said to be of some size."""
    monkeypatch.setattr(unmoved, "neighbour_noise", lambda _: noise)
    monkeypatch.setattr(unmoved.guessing, "find", lambda _: (1,) if guesses else ())
    loss = np.full(rows, level)
    for block in blocks:
        loss[25 * block : 25 * block + 25] = level if other is None else other
    for row, value in opening:
        loss[row] = value
    if zero:
        loss[100] = 0.0
    lr = np.full(rows, rate)
    lr[rates or rows :] = np.nan
    config = TrainingConfig(optimizer=optimizer)
    case = make({"loss": loss, "lr": lr}, step=step + every * np.arange(rows), threshold=None, config=config)
    case.run = replace(case.run, columns=replace(case.run.columns, loss=name))
    if resumed:
        case.signals = replace(case.signals, restarts=(SimpleNamespace(index=0, fresh=False),))
    return unmoved.find(case, SimpleNamespace(plainly_fell=fell))


def test_what_is_said(monkeypatch):
    fact = told(monkeypatch, level=50.0, other=50.5, blocks=(0, 6), step=1, rate=2e-3, noise=0.2)
    assert line(fact) == "GL511 | warning | not_learning? | stalled from 1 | - | 0.002 of 0.001 in 200"
    assert "in 200 rows (50.5 at first, 50 at the end) at a rate of 0.002" in fact.message


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, True),
        ({"rows": 199}, False),
        ({"rates": 199}, False),
        ({"step": 1}, True),
        ({"step": 2}, False),
        ({"step": 10, "every": 10}, True),
        ({"step": 11, "every": 10}, False),
        ({"resumed": True}, False),
        ({"fell": True}, False),
        ({"guesses": True}, False),
        ({"zero": True}, False),
        ({"level": 0.5}, True),
        ({"name": None}, True),
        ({"name": "contrastive_loss"}, False),
        ({"rate": 0.99e-3}, False),
        ({"rate": 0.03, "optimizer": "SGD"}, True),
        ({"rate": 0.029, "optimizer": "sgd"}, False),
        ({"rate": 0.029, "optimizer": "momentum"}, False),
        ({"rate": 0.001, "optimizer": "adamw"}, True),
        # Three deviations of 1/64 above the level.
        ({"noise": 0.015625, "opening": [(4, 1.046875)]}, True),
        ({"noise": 0.015625, "opening": [(4, 1.047)]}, False),
        ({"noise": 0.015625, "opening": [(5, 1.2)]}, True),
        # Eight levels of 25 rows have an error of a quarter of the noise, and a fall of .61 of it is sure.
        ({"noise": 0.162}, True),
        ({"noise": 0.164}, False),
        ({"level": 10.0, "noise": 1.62}, True),
        # Levels apart by a fiftieth, or by five errors: those of a noise of .1 are .1253.
        ({"level": 50.0, "other": 51.0}, True),
        ({"level": 50.0, "other": 51.01}, False),
        ({"noise": 0.1, "other": 1.124}, True),
        ({"noise": 0.1, "other": 1.127}, False),
        # Three levels off by as much: .0614 are sure.
        ({"level": 50.0, "other": 51.0, "blocks": (5, 6, 7)}, True),
        ({"noise": 0.1, "other": 1.061, "blocks": (0, 1, 2)}, True),
        ({"noise": 0.1, "other": 1.063, "blocks": (0, 1, 2)}, False),
        ({"noise": 0.1, "other": 1.063, "blocks": (5, 6, 7)}, False),
    ],
)
def test_limits(options, said, monkeypatch):
    assert (told(monkeypatch, **options) is not None) == said

"""Norms that fade while the loss stands, at their limits."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from gradlens.diagnosis.facts import saturated
from gradlens.diagnosis.facts.saturated import NO_GRADIENTS
from tests.diagnosis.facts.shown import line
from tests.synthetic import make


def case(*, decades=5.0, kept=0.9, n=200, noise=0.01, back=0.0, peak=1.0, zeros=False):
    """A loss that keeps a share of its start, and a norm that falls by decades within two fifths of the rows."""
    rng = np.random.default_rng(0)
    t = np.arange(n) / n
    loss = 2.0 * (kept + (1 - kept) * np.exp(-t / 0.05)) * np.where((t > 0.03) & (t < 0.1), peak, 1.0)
    norm = 10 ** (-decades * np.minimum(t / 0.4, 1) + back * (t > 0.9)) * np.exp(0.1 * rng.standard_normal(n))
    norm = np.where(norm < 1e-4, 0.0, norm) if zeros else norm
    return make({"loss": loss * np.exp(noise * rng.standard_normal(n)), "grad_norm": norm}, threshold=None)


def test_what_is_said():
    (fact,) = saturated.find(case())
    assert line(fact).startswith("GL502 | warning | vanishing 0.5 | stalled from 54 | 54 | ")
    assert (
        "the norm fades from 0.519 to 9.95e-6 by step 54, while the loss stays at 1.8 and varies from batch to batch"
        in fact.message
    )
    assert fact.rules_out == NO_GRADIENTS | {"lr_too_high", "no_warmup"}
    assert case().cause == "vanishing"


def test_steps_that_threw_it_off_may_be_to_blame():
    (fact,) = saturated.find(case(peak=3.0))
    assert fact.rules_out == NO_GRADIENTS


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"decades": 3.3}, 1),
        ({"decades": 2.7}, 0),
        ({"kept": 0.52}, 1),
        ({"kept": 0.45}, 0),  # a fitted model has small gradients
        ({"n": 40}, 1),
        ({"n": 39}, 0),
        ({"noise": 1e-3}, 1),
        ({"noise": 1e-4}, 0),  # all data at once come to rest at a minimum
        ({"back": 1.0}, 0),  # comes back
        ({"zeros": True}, 1),  # printed with few decimals
    ],
)
def test_limits(options, said):
    assert len(saturated.find(case(**options))) == said


def levels(
    monkeypatch, *, n=60, first=1.0, middle=0.5, late=9.9e-4, last=None, loss=2.0, start=2.0, noise=0.01, rebound=0.0, above=0.0,
    lowest=None,
):  # fmt: skip
    """Norms of a few levels: the first five rows, those up to half, and two ends of the second half."""
    monkeypatch.setattr(saturated, "neighbour_noise", lambda _: noise)
    norm = np.repeat([first, middle, late, late if last is None else last], [5, n // 2 - 5, n - n // 2 - 7, 7])
    value = np.full(n, loss)
    if lowest is not None:
        value[20] = lowest
    built = make({"loss": value, "grad_norm": norm}, step=10 * np.arange(n), threshold=None)
    built.__dict__["progress"] = SimpleNamespace(start=start, rebound=rebound, above_start=above)
    return saturated.find(built)


def test_the_figures_of_levels(monkeypatch):
    (fact,) = levels(monkeypatch, first=2.0, late=1e-3)
    assert line(fact).endswith(" | stalled from 300 | 300 | 0.0005 of 0.001 in 60")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, True),
        ({"n": 40}, True),
        ({"n": 39}, False),
        ({"lowest": 0.0}, False),
        ({"middle": -1.0}, False),
        ({"late": 1e-3}, False),  # a thousandth of the first
        ({"loss": 0.5, "start": 0.5, "late": 4.9e-4}, True),
        ({"loss": 0.5, "start": 0.5, "late": 5e-4}, False),  # and of the loss
        ({"start": 4.0}, True),
        ({"start": 4.1}, False),
        ({"noise": 5e-4}, True),
        ({"noise": 4.9e-4}, False),
        ({"late": 1e-4, "last": 3e-4}, True),
        ({"late": 1e-4, "last": 3.1e-4}, False),  # it comes back
        ({"late": 0.0, "last": 1e-5}, True),
    ],
)
def test_levels_exactly_at_the_limits(options, said, monkeypatch):
    assert bool(levels(monkeypatch, **options)) == said


@pytest.mark.parametrize(("rebound", "above", "thrown"), [(0.15, 0.15, False), (0.16, 0.0, True), (0.0, 0.16, True)])
def test_a_loss_that_rose_by_a_seventh_was_thrown_off(rebound, above, thrown, monkeypatch):
    (fact,) = levels(monkeypatch, rebound=rebound, above=above)
    assert ("lr_too_high" not in fact.rules_out) == thrown

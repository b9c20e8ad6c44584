"""Norms that fade while the loss stands, at their limits."""

from __future__ import annotations

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
    assert line(fact).startswith("GL502 | warning | vanishing 0.8 | stalled from 54 | 54 | ")
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

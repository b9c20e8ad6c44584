"""What new rows say by themselves."""

from __future__ import annotations

import numpy as np
import pytest

from gradlens.api import read
from gradlens.watching.pulse import Pulse


def told(loss, before=100):
    """The steps of the spikes told of the rows that come after the first ones."""
    pulse = Pulse()
    found = []
    for n in (before, len(loss)):
        (run,) = read({"step": np.arange(n), "loss": loss[:n], "grad_norm": np.ones(n)})
        found += pulse.look(run)
    return [event.steps for event in found if event.kind == "spike"]


@pytest.fixture
def rounded():
    """A loss of a policy that moves away from zero, logged with four digits behind the point."""
    noise = np.random.default_rng(0).standard_normal(300)
    return np.round(1e-6 * np.arange(300) * np.exp(0.2 * noise), 4)


def test_a_curve_that_rounds_up_has_no_spike(rounded):
    assert len(set(rounded)) <= 6
    assert told(rounded) == []


def test_a_spike_of_a_rounded_curve_is_told(rounded):
    rounded[200] = 0.003
    assert told(rounded) == [(200,)]


def test_a_spike_of_a_curve_with_all_its_digits_is_told():
    loss = 2 + 0.05 * np.random.default_rng(1).standard_normal(300)
    loss[200] = 4.0
    assert told(loss) == [(200,)]

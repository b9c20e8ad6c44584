"""A code that carries nothing, at its limits."""

from __future__ import annotations

import numpy as np
import pytest

from gradlens.diagnosis.facts import collapsed
from tests.diagnosis.facts.shown import lines
from tests.synthetic import make


def autoencoder(*, first=1.0, last=0.01, other=4.0, rows=40, kl="kl", recon="recon_loss", holes=(), **more):
    """A KL term of three rows at `first` and four at about `last`, beside a reconstruction loss that ends at about `other`."""
    value, beside = np.full(rows, 0.3 * first), np.full(rows, 50.0)
    value[:3] = 0.5 * first, first, 2.0 * first
    value[-4:] = last * np.array([0.5, 1.0, 1.0, 1.5])
    beside[-4:] = other * np.array([0.5, 1.0, 1.0, 1.5])
    columns = {kl: value, recon: -beside, "loss": np.linspace(2.0, 1.0, rows), **more}
    for name in holes:
        columns[name][5 : 5 + holes[name]] = np.nan
    return make(columns, step=10 + np.arange(rows))


def test_what_is_said_of_it():
    (fact,) = collapsed.find(autoencoder())
    assert lines((fact,)) == ["GL511 | warning | not_learning? | - | 49 | 0.0025 of 0.005"]
    assert fact.message.startswith("kl falls from 1 to 0.01, nothing beside a reconstruction loss of 4:")


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"last": 0.0199}, True),
        ({"last": 0.0201}, False),  # 0.005 of what the reconstruction costs
        ({"last": 0.0999, "other": 40.0, "first": 2.0}, True),
        ({"last": 0.1001, "other": 40.0, "first": 2.0}, False),  # a twentieth of where it began
        ({"last": 0.0}, True),
        ({"last": -0.001}, False),
        ({"rows": 39}, False),
        ({"kl": "kld"}, True),
        ({"kl": "kappa"}, False),
        ({"recon": "rec"}, True),
        ({"recon": "record"}, False),
    ],
)
def test_where_it_is_told(change, found):
    assert bool(collapsed.find(autoencoder(**change))) == found


@pytest.mark.parametrize(("holes", "found"), [(10, True), (11, False)])
@pytest.mark.parametrize("name", ["kl", "recon_loss"])
def test_forty_values_of_both_are_needed(holes, found, name):
    assert bool(collapsed.find(autoencoder(rows=50, holes={name: holes}))) == found


def test_not_where_the_loss_means_nothing():
    assert collapsed.find(autoencoder(reward=np.zeros(40))) == ()

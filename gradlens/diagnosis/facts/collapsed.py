"""A variational autoencoder whose code carries nothing: its KL term comes down to nothing and its decoder draws the mean."""

from __future__ import annotations

import numpy as np

from gradlens import vocabulary
from gradlens.diagnosis.facts.base import Fact
from gradlens.diagnosis.measured import Measured
from gradlens.diagnosis.words import figure
from gradlens.reports.analysis import Evidence
from gradlens.reports.base import Severity

_KL = frozenset({"kl", "kld", "kl_loss", "kld_loss", "train_kl", "kl_div", "kl_divergence", "train_kl_loss", "loss_kl"})
_RECONSTRUCTION = frozenset({"recon", "reconstruction", "rec"})
#: Rows without which nothing is said; shares of its first value and of the reconstruction loss below which a KL term ends at nothing.
#: Our own choice: a code of one bit in a hundred nats has 0.007 of them.
MIN_ROWS, OF_START, OF_RECONSTRUCTION = 40, 0.05, 0.005


def find(measured: Measured) -> tuple[Fact, ...]:
    """At most one fact, where a KL term and a reconstruction loss are logged."""
    kl, recon = None, None
    for name, series in measured.run.series.items():
        plain = vocabulary.plain(name)
        kl = (name, series) if plain in _KL else kl
        recon = series if set(plain.split("_")) & _RECONSTRUCTION else recon
    if kl is None or recon is None or not measured.loss_descends:
        return ()
    name, series = kl
    value, beside = series.value[np.isfinite(series.value)], np.abs(recon.value[np.isfinite(recon.value)])
    if min(len(value), len(beside)) < MIN_ROWS:
        return ()
    tenth = len(value) // 10
    first, last, other = (
        float(np.median(value[:3])),
        float(np.median(value[-tenth:])),
        float(np.median(beside[-tenth:])),
    )
    if not 0 <= last < min(OF_START * first, OF_RECONSTRUCTION * other):
        return ()
    return (
        Fact(
            code="GL511",
            severity=Severity.WARNING,
            otherwise="not_learning",
            message=f"{name} falls from {figure(first)} to {figure(last)}, nothing beside a reconstruction loss of {figure(other)}: "
            "the code carries no information (posterior collapse)",
            advice="check that both terms are summed over the same dimensions, start with a small weight of the KL term, and compare the "
            "reconstruction with the mean of the data",
            steps=(int(series.step[-1]),),
            evidence=(
                Evidence(label=f"{name} over the reconstruction loss", value=last / other, threshold=OF_RECONSTRUCTION),
            ),
        ),
    )

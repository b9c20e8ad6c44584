"""GL505: one layer makes up nearly all of the gradient norm."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from gradlens.checks.base import Check
from gradlens.diagnosis.case import Case
from gradlens.diagnosis.words import percent
from gradlens.reports.analysis import Evidence, Finding
from gradlens.reports.base import Severity


class DominantLayer(Check):
    """One layer makes up nearly all of the gradient norm.

    What it measures
    ----------------
    The median square of each layer's norm as a share of their sum.

    Why it matters
    --------------
    Clipping by the global norm then scales every layer by what one layer does: its spikes stop all others from
    learning.

    Threshold
    ---------
    90 % with at least three layers logged. Our own choice.

    When it is wrong
    ----------------
    Embeddings and output layers often dominate in healthy models.

    What to try
    -----------
    Clip that layer separately, give it a smaller rate, or check its initialisation.

    References
    ----------
    Brock et al., High-performance large-scale image recognition without normalization (2021), on clipping by layer.
    """

    code = "GL505"
    name = "dominant-layer"
    needs = frozenset({"layers"})
    advice = "clip this layer by itself or check its scale"

    def check(self, case: Case) -> Iterator[Finding]:
        """Yield one note that names the layer."""
        squares = {
            name: float(np.median(values**2))
            for name, series in case.run.layers.items()
            if len(values := series.value[np.isfinite(series.value)])
        }
        total = sum(squares.values())
        if len(squares) < 3 or not total > 0 or not np.isfinite(total):
            return
        name, largest = max(squares.items(), key=lambda item: item[1])
        if largest > 0.9 * total:
            yield self.finding(
                Severity.NOTE,
                f"{name} makes up {percent(largest / total)} of the squared norm of {len(squares)} layers",
                Evidence(label="share of the squared norm", value=largest / total, threshold=0.9, n=len(squares)),
            )

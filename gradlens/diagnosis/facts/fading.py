"""Whether anything but a loss that stands still shows that gradients vanish.

A loss that does not come down has many reasons: wrong labels, a rate that is next to nothing, clipping far below the norms, an optimizer
that holds other parameters. Vanishing gradients show in the norms. Those of the lower layers lie orders of magnitude below those of the
last one; or the norm of all is next to nothing, or fades; or, where the loss is ln K, what is left of it is the gradient of the last layer
alone, which learns how common the classes are: the difference of K frequencies, whose sum is 0, and their estimates from one batch, so
that it scatters from row to row as the length of a vector of K - 1 independent numbers does, by 1/sqrt(2 (K - 1)) of itself. Gradients
that reach many weights scatter less.
"""

from __future__ import annotations

import numpy as np

from gradlens.diagnosis.facts.base import Fact
from gradlens.diagnosis.features.curves import neighbour_noise
from gradlens.diagnosis.measured import Measured
from gradlens.diagnosis.signs.course import never_learned_with_norms
from gradlens.diagnosis.signs.norm import layers_fade
from gradlens.reports.analysis import Evidence
from gradlens.reports.base import Severity

#: Grade from which a loss never came down, or layers fade. Rows without which the scatter of a norm is not known.
PLAINLY, MIN_ROWS = 0.3, 60
#: Share of the loss below which a norm is next to nothing, and of its first rows below which it has faded. Our own choice.
NOTHING, FADED = 1e-3, 1e-2
#: Classes for which the last layer's scatter tells, how near to ln K the loss lies, and how many independent numbers a norm may vary
#: like, over K - 1.
MAX_CLASSES, NEAR, DIMENSIONS = 20, 0.02, (0.4, 1.5)


def find(measured: Measured) -> tuple[Fact, ...]:
    """A note where the loss never came down and no norm says that gradients vanish."""
    if never_learned_with_norms(measured) < PLAINLY or shows_in_norms(measured):
        return ()
    return (
        Fact(
            code="GL502",
            severity=Severity.NOTE,
            message="the loss does not come down, and nothing in the norms says that gradients vanish",
            advice="log norms of single layers: vanishing gradients fall by orders of magnitude from the last layer to the first",
            unnamed=frozenset({"vanishing"}),
            evidence=(Evidence(label="numbers that the norm varies like", value=scatters_like(measured)),),
        ),
    )


def shows_in_norms(measured: Measured) -> bool:
    """Whether layers fade, the norm is next to nothing or fades, or only the last layer has a gradient."""
    if layers_fade(measured) >= PLAINLY:
        return True
    norm, loss = measured.finite_norm, measured.signals.loss[np.isfinite(measured.signals.loss)]
    if len(norm) < MIN_ROWS or not len(loss):
        return False
    level = abs(float(np.median(loss)))
    first, last = float(np.median(norm[:10])), float(np.median(norm[-len(norm) // 3 :]))
    if last < NOTHING * level or last < FADED * first:
        return True
    found = scatters_like(measured)
    return any(
        DIMENSIONS[0] <= found / (k - 1) <= DIMENSIONS[1]
        for k in range(2, MAX_CLASSES + 1)
        if abs(level / np.log(k) - 1.0) < NEAR
    )


def scatters_like(measured: Measured) -> float:
    """As the length of how many independent numbers the norm varies from row to row, after the first quarter of the rows.

    The length of d of them varies by 1/sqrt(2 d) of itself. Infinite where it does not vary, 0 without enough norms.
    """
    norm = measured.finite_norm
    if len(norm) < MIN_ROWS or not norm.min() > 0:
        return 0.0
    noise = neighbour_noise(np.log(norm[len(norm) // 4 :]))
    return 0.5 / noise**2 if noise > 0 else float("inf")

"""What guessing costs: the loss of a model that has learned nothing."""

from __future__ import annotations

import numpy as np

#: Classes or words whose chance level is known by heart (ln K of a balanced task), and how near a stuck loss must be.
CLASSES = (
    2,
    3,
    4,
    5,
    6,
    7,
    8,
    9,
    10,
    20,
    50,
    100,
    200,
    256,
    365,
    1000,
    10_000,
    21_841,
    30_522,
    32_000,
    50_257,
    50_304,
    128_256,
)
NEAR_CHANCE = 0.005
#: What to do where the loss stands at chance.
ADVICE = (
    "try to overfit ten examples: if that fails, look at labels, loss and the norms of single layers; then try a tenth and "
    "ten times the learning rate"
)


def guessed_classes(loss: float, within: float) -> int | None:
    """The usual number of classes among which guessing gives this loss, up to a share of it; None where there is none."""
    return next((k for k in CLASSES if abs(loss - float(np.log(k))) < within * float(np.log(k))), None)

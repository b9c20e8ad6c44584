"""A made-up log for `gradlens demo`: a small training that goes well but for three batches of bad data."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator

STEPS, WARMUP = 1200, 60
PEAK_RATE, THRESHOLD = 3e-4, 1.0
#: Steps whose batches are bad: loss and norm are far above their level for a step, and back at the next.
BAD = {412: 2.6, 733: 3.4, 951: 2.9}
_SEED = 11


def records() -> Iterator[dict[str, object]]:
    """The records of the log: the settings, then a row for each step.

    The loss falls by a power of time with batch noise, the norm falls with it and is noisier (log-normal), the rate warms up and
    then follows a cosine. Made with the random numbers of the standard library, so that the log is the same everywhere.
    """
    generator = random.Random(_SEED)
    yield {
        "config": {"optimizer": "adamw", "learning_rate": PEAK_RATE, "warmup_steps": WARMUP, "max_grad_norm": THRESHOLD,
                   "max_steps": STEPS, "batch_size": 64}
    }  # fmt: skip
    for step in range(STEPS):
        fall = (1 + step / 40) ** -0.5
        bad = BAD.get(step, 1.0)
        rate = PEAK_RATE * min((step + 1) / WARMUP, 0.5 + 0.5 * math.cos(math.pi * step / STEPS))
        yield {
            "step": step,
            "loss": round((1.7 + 2.6 * fall) * bad**0.6 * math.exp(generator.gauss(0, 0.025)), 5),
            "grad_norm": round((0.22 + 0.5 * fall) * bad**1.6 * math.exp(generator.gauss(0, 0.16)), 5),
            "lr": float(f"{rate:.4g}"),
        }

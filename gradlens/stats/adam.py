"""What Adam does to steps after a shock and at the start, from its two decay rates alone.

Adam (Kingma and Ba, 2015, algorithm 1) steps by rate · m / sqrt(v), where m and v are running means of the gradient and of
its square with the decay rates beta1 and beta2. All results are for one coordinate, without bias correction.
"""

from __future__ import annotations

import math


def memory(beta2: float) -> float:
    """Steps until a shock has decayed to 1 / e of its share in the second moment: 1 / (1 - beta2)."""
    _check(beta2)
    return 1.0 / (1.0 - beta2)


def warmup_steps(beta2: float) -> float:
    """Steps of linear warm-up that make up for a second moment without history: 2 / (1 - beta2).

    2,000 at .999 and 40 at .95. Ma and Yarats, On the adequacy of untuned warmup for adaptive optimization (2021), the rule
    of thumb of section 5.
    """
    return 2.0 * memory(beta2)


def slowdown(ratio: float, beta2: float) -> float:
    """By how much a gradient `ratio` times the usual one divides the steps that follow: sqrt(1 + (1 - beta2) ratio²).

    At its strongest, right after the shock; it fades within `memory` steps. 1 for a ratio of 0; infinite for an infinite one.
    """
    _check(beta2)
    return math.hypot(1.0, math.sqrt(1.0 - beta2) * ratio)


def _check(*rates: float) -> None:
    if any(not 0.0 <= rate < 1.0 for rate in rates):
        raise ValueError(f"decay rates must be in [0, 1), got {rates}")

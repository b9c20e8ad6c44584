"""Learning-rate schedules, all with an optional linear warm-up and optional restarts."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.runs.spec import Spec

# Decaying schedules end here, not at zero: the last steps of a real run still move the weights.
FLOOR = 0.05


def _cosine(done: float) -> float:
    return FLOOR + (1 - FLOOR) * 0.5 * (1 + math.cos(math.pi * done))


def _linear(done: float) -> float:
    return FLOOR + (1 - FLOOR) * (1 - done)


def _step(done: float) -> float:
    return 1.0 if done < 0.5 else 0.2 if done < 0.8 else 0.04


def _wsd(done: float) -> float:
    """Warm-up, stable, decay: constant for four fifths, then linear."""
    return 1.0 if done < 0.8 else FLOOR + (1 - FLOOR) * (1 - done) / 0.2


def _exponential(done: float) -> float:
    return math.exp(math.log(FLOOR) * done)


def _warm_restarts(done: float) -> float:
    """Cosines that begin again twice, each a little lower (Loshchilov and Hutter, 2017): planned, not a fault."""
    cycle = min(int(3 * done), 2)
    return FLOOR + 0.7**cycle * (_cosine(3 * done - cycle) - FLOOR)


def _doubled_restarts(done: float) -> float:
    """The same peak again, in cycles each twice as long as the one before."""
    begin, end = next((a, b) for a, b in ((0, 1 / 7), (1 / 7, 3 / 7), (3 / 7, 1)) if done <= b)
    return _cosine((done - begin) / (end - begin))


def _stairs(done: float) -> float:
    """Halved four times."""
    return 0.5 ** min(int(5 * done), 4)


def _inverse_root(done: float) -> float:
    return 1.0 / math.sqrt(1.0 + 24.0 * done)


SHAPES: dict[str, Callable[[float], float]] = {
    "const": lambda _done: 1.0,
    "cosine": _cosine,
    "linear": _linear,
    "step": _step,
    "wsd": _wsd,
    "exponential": _exponential,
    "inverse_sqrt": _inverse_root,
    "warm_restarts": _warm_restarts,
    "doubled_restarts": _doubled_restarts,
    "stairs": _stairs,
}


def rate_at(spec: Spec, step: int) -> float:
    """Learning rate of one step, `step` counted from 0 whatever the log calls it."""
    begun = max((r for r in spec.restarts if r <= step), default=None)
    if begun is None:
        if step < spec.warmup:
            return spec.lr * (step + 1) / spec.warmup
        origin, peak = spec.warmup, spec.lr
    else:
        origin, peak = begun, spec.lr * spec.restart_peak
    done = (step - origin) / max(spec.steps - origin, 1)
    return peak * SHAPES[spec.schedule](min(done, 1.0))

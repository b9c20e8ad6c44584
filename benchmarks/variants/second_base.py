"""The processes of the second set: losses that fall by a power law with heavy-tailed noise, norms that follow them and have memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from benchmarks.variants.base import Array, Generator


def length(g: Generator, low: int = 20, high: int = 5000) -> int:
    """A number of rows, log-uniform over what people log."""
    return int(np.exp(g.uniform(np.log(low), np.log(high))))


def memory(g: Generator, n: int, scale: float, rho: float) -> Array:
    """float64[n]: stationary noise of standard deviation `scale` whose neighbours correlate by `rho`."""
    shocks = g.standard_normal(n) * scale * np.sqrt(1 - rho**2)
    state = g.standard_normal() * scale
    found = np.empty(n)
    for row in range(n):
        state = rho * state + shocks[row]
        found[row] = state
    return found


def power_law(g: Generator, n: int, *, start: float, floor: float) -> Array:
    """float64[n]: a loss that falls from `start` towards `floor` by a power of time, as language models' do."""
    knee = n * g.uniform(0.004, 0.06)
    return floor + (start - floor) * (1 + np.arange(n) / knee) ** -g.uniform(0.45, 1.1)


def batches(g: Generator, n: int, spread: float) -> Array:
    """float64[n]: factors about 1: gamma noise, which is skewed as the loss of single batches is."""
    return g.gamma(1 / spread**2, spread**2, n)


def learning(g: Generator, n: int, *, spread: float | None = None) -> dict[str, Array]:
    """The columns of a run that learns: loss, norm and a rate of one of the usual shapes."""
    start = float(g.choice((0.69, 1.6, 2.3, 4.6, 6.9, 10.8, 35.0)))
    level = power_law(g, n, start=start, floor=start * g.uniform(0.03, 0.45))
    loss = level * batches(g, n, spread or float(g.choice((0.01, 0.04, 0.1))))
    norm = (
        10 ** g.uniform(-1.5, 1.3)
        * (level / start) ** g.uniform(-0.1, 0.7)
        * np.exp(memory(g, n, g.uniform(0.1, 0.35), g.uniform(0, 0.6)))
    )
    return {"loss": loss, "grad_norm": norm, "lr": schedule(g, n)}


def schedule(g: Generator, n: int, peak: float | None = None) -> Array:
    """float64[n]: warm-up and stable and decay, inverse square root, cosine to 0, steps of a tenth, or constant."""
    peak = peak or float(g.choice((1e-5, 5e-5, 3e-4, 1e-3, 0.01, 0.1)))
    t = (np.arange(n) + 1) / n
    shape = int(g.integers(5))
    warm = np.minimum(t / g.uniform(0.02, 0.08), 1.0)
    if shape == 0:
        return np.asarray(peak * warm * np.minimum(1.0, (1.02 - t) / 0.2))
    if shape == 1:
        return np.asarray(peak * np.minimum(warm, np.sqrt(0.05 / t)))
    if shape == 2:
        return np.asarray(peak * 0.5 * (1 + np.cos(np.pi * np.minimum(t, 0.999))))
    if shape == 3:
        return np.asarray(peak * 0.1 ** ((t > 0.5).astype(float) + (t > 0.75)))
    return np.full(n, peak)

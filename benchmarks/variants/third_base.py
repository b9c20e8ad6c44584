"""The processes of the third set: small trainings that are really run, plateaus with sudden drops, double exponentials; noise with
heavy tails, memory or the period of an epoch; norms as the length of random vectors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.variants.base import Log

if TYPE_CHECKING:
    from benchmarks.variants.base import Array, Generator


def between(g: Generator, low: float, high: float) -> float:
    """A number between two, log-uniform."""
    return float(np.exp(g.uniform(np.log(low), np.log(high))))


def count(g: Generator, low: int = 30, high: int = 4000) -> int:
    """A number of rows, log-uniform over what people log."""
    return int(between(g, low, high))


def place(g: Generator, n: int, low: float = 0.15, high: float = 0.85) -> int:
    """A row inside a run."""
    return int(n * g.uniform(low, high))


def trained(g: Generator, n: int, *, rate: float | None = None, spread: float = 0.3) -> dict[str, Array]:
    """Stochastic gradient descent on a quadratic of 40 directions; rates above 2 times the largest curvature diverge.

    Returns loss and norm of every row, before its update. `rate` is in units of the stability limit of the steepest direction.
    """
    curvature = np.logspace(0, -g.uniform(1.5, 3), 40)
    # A start whose steep directions matter as much as the flat ones.
    weights = g.standard_normal(40) / np.sqrt(curvature)
    share = g.uniform(0.15, 0.6) if rate is None else rate
    floor, unit = between(g, 0.02, 0.8), between(g, 0.05, 5)
    loss, norm = np.empty(n), np.empty(n)
    with np.errstate(all="ignore"):
        for row in range(n):
            slope = curvature * weights
            noisy = slope + g.standard_normal(40) * spread * np.sqrt(curvature) * 0.5
            loss[row] = (
                floor
                + unit * float(np.mean(curvature * weights**2)) * float(g.gamma(30, 1 / 30))
                + floor * 0.02 * g.standard_normal()
            )
            norm[row] = unit * float(np.sqrt(np.sum(noisy**2)))
            weights = weights - share * 2 * noisy
    return {"loss": loss, "grad_norm": norm}


def stairs_down(g: Generator, n: int, top: float, bottom: float) -> Array:
    """float64[n]: a loss that stands, drops within a short time and stands again, once to three times."""
    t = np.arange(n) / n
    level = np.full(n, top)
    parts = int(g.integers(1, 4))
    weights = g.dirichlet(np.ones(parts) * 3)
    for part in range(parts):
        centre, width = g.uniform(0.03, 0.35 + 0.2 * part), between(g, 0.004, 0.05)
        level -= (top - bottom) * weights[part] / (1 + np.exp(-np.clip((t - centre) / width, -60, 60)))
    slow = 0.06 * (top - bottom) * np.exp(-4 * t)
    return np.asarray(level + slow)


def logarithmic(g: Generator, n: int, top: float, bottom: float) -> Array:
    """float64[n]: a loss that falls with the logarithm of time, as that of language models does after its start."""
    t = np.log1p(np.arange(n) / (n * between(g, 0.003, 0.03)))
    return np.asarray(top - (top - bottom) * t / t[-1])


def two_paces(g: Generator, n: int, top: float, bottom: float) -> Array:
    """float64[n]: a fast and a slow exponential."""
    t = np.arange(n) / n
    share = g.uniform(0.35, 0.8)
    fast, slow = between(g, 15, 120), between(g, 1.5, 6)
    return np.asarray(bottom + (top - bottom) * (share * np.exp(-fast * t) + (1 - share) * np.exp(-slow * t)))


def course(g: Generator, n: int, top: float, bottom: float) -> Array:
    """float64[n]: one of the three ways down."""
    kinds = (stairs_down, logarithmic, two_paces)
    return kinds[int(g.integers(len(kinds)))](g, n, top, bottom)


def rough(g: Generator, n: int, scale: float) -> Array:
    """float64[n]: noise of about this deviation: Laplace, Student with four degrees, with memory, or with an epoch's period."""
    kind = int(g.integers(4))
    if kind == 0:
        return np.asarray(g.laplace(0, scale / np.sqrt(2), n))
    if kind == 1:
        return np.asarray(g.standard_t(4, n) * scale / np.sqrt(2))
    if kind == 2:
        rho, e = g.uniform(0.2, 0.7), g.standard_normal(n) * scale
        for row in range(1, n):
            e[row] = rho * e[row - 1] + np.sqrt(1 - rho**2) * e[row]
        return np.asarray(e)
    period = max(int(between(g, 8, 200)), 2)
    pattern = g.standard_normal(period) * scale * 0.7
    return np.asarray(np.resize(pattern, n) + g.standard_normal(n) * scale * 0.7)


def lengths(g: Generator, n: int, level: float, *, dimensions: int | None = None, spread: float | None = None) -> Array:
    """float64[n]: lengths of random vectors of some effective dimension, times a scale that differs from batch to batch."""
    k = dimensions or int(between(g, 6, 300))
    scale = spread if spread is not None else between(g, 0.05, 0.3)
    return np.asarray(level * np.sqrt(g.chisquare(k, n) / k) * np.exp(rough(g, n, scale)))


def plan(g: Generator, n: int, peak: float | None = None) -> Array:
    """float64[n]: a rate: constant, linear to 0 or a tenth, cosine, steps, inverse square root; often behind a warm-up."""
    peak = peak or between(g, 1e-6, 0.2)
    t = np.arange(n) / max(n - 1, 1)
    kind = int(g.integers(5))
    shape = (
        np.ones(n), 1 - t * g.choice((0.9, 1.0)), 0.5 * (1 + np.cos(np.pi * t)), 0.3 ** np.floor(t * 3.999),
        1 / np.sqrt(1 + 20 * t),
    )[kind]  # fmt: skip
    warm = np.minimum((np.arange(n) + 1) / max(n * g.uniform(0.01, 0.08), 1), 1) if g.random() < 0.6 else 1.0
    return np.asarray(peak * np.maximum(shape, 0) * warm)


TOPS = (0.693, 1.1, 2.303, 3.9, 6.91, 8.2, 10.4, 11.8)


def sound(g: Generator, n: int, *, top: float | None = None, depth: float | None = None) -> dict[str, Array]:
    """The columns of a run that learns plainly: one way down, rough noise, norms of one level that drifts a little."""
    if top is None and g.random() < 0.25 and n <= 2000:
        return {**trained(g, n), "lr": np.full(n, between(g, 1e-4, 0.1))}
    top = top or float(g.choice(TOPS))
    bottom = top * (depth or g.uniform(0.05, 0.5))
    level = course(g, n, top, bottom)
    loss = np.maximum(level * (1 + rough(g, n, between(g, 0.008, 0.06))), 0.1 * bottom)
    drift = np.exp(g.uniform(-0.8, 0.5) * np.arange(n) / n)
    return {"loss": loss, "grad_norm": lengths(g, n, between(g, 0.05, 20)) * drift, "lr": plan(g, n)}


def without(columns: Mapping[str, Array], *names: str) -> dict[str, Array]:
    """The columns but these."""
    return {name: column for name, column in columns.items() if name not in names}


def log(columns: Mapping[str, Array], **more: object) -> Log:
    """A log of these columns."""
    return Log(columns=columns, **more)  # type: ignore[arg-type]

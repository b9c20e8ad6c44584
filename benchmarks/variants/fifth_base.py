"""The processes of the fifth set: power laws, stretched exponentials and sigmoids in the logarithm of time; noise of gamma and
lognormal batches with memory; norms that follow the loss, wander, or have heavy tails."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.variants.base import Log

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from benchmarks.variants.base import Array, Generator

    Numbers = NDArray[np.floating[Any]]


def pick(g: Generator, *options: float) -> float:
    """One of these numbers."""
    return float(options[int(g.integers(len(options)))])


def span(g: Generator, low: float, high: float) -> float:
    """A number between two, log-uniform."""
    return float(low * (high / low) ** g.random())


def size(g: Generator, low: int = 60, high: int = 3000) -> int:
    """A number of rows, log-uniform."""
    return int(span(g, low, high))


def somewhere(g: Generator, n: int, low: float = 0.2, high: float = 0.75) -> int:
    """A row inside a run."""
    return int(n * g.uniform(low, high))


def decline(g: Generator, n: int, top: float, floor: float) -> Array:
    """float64[n]: from about `top` to about `floor`, in one of three ways."""
    t = (np.arange(n) + 0.5) / n
    way = int(g.integers(3))
    if way == 0:
        early, power = span(g, 0.003, 0.03), g.uniform(0.3, 0.9)
        raw = (t + early) ** -power
    elif way == 1:
        raw = np.exp(-((t / span(g, 0.02, 0.12)) ** g.uniform(0.45, 0.8)))
    else:
        raw = 1 / (1 + (t / span(g, 0.02, 0.1)) ** g.uniform(1.0, 1.8))
    low, high = float(raw[-1]), float(raw[0])
    return np.asarray(floor + (top - floor) * (raw - low) / (high - low))


def wander(g: Generator, n: int, scale: float, memory: float) -> Array:
    """float64[n]: an autoregressive series of this deviation."""
    e = g.standard_normal(n) * scale
    for row in range(1, n):
        e[row] = memory * e[row - 1] + np.sqrt(1 - memory**2) * e[row]
    return np.asarray(e)


def batches(g: Generator, n: int, spread: float) -> Array:
    """float64[n]: positive factors about 1 of this relative deviation: gamma, lognormal, or with a little memory."""
    way = int(g.integers(3))
    if way == 0:
        return np.asarray(g.gamma(spread**-2, spread**2, n))
    if way == 1:
        return np.asarray(np.exp(g.standard_normal(n) * spread - spread**2 / 2))
    return np.asarray(np.exp(wander(g, n, spread, g.uniform(0.2, 0.6))))


def gradients(g: Generator, n: int, level: float | None = None) -> Array:
    """float64[n]: norms about a level that settles after the start, with one of two kinds of tail."""
    level = level or span(g, 0.08, 6)
    t = np.arange(n) / n
    settle = 1 + g.uniform(0.2, 2.5) * np.exp(-t / span(g, 0.01, 0.05))
    drift = np.exp(g.uniform(-0.4, 0.4) * t + wander(g, n, 0.05, 0.9))
    spread = g.uniform(0.08, 0.3)
    noise = np.exp(g.standard_normal(n) * spread) if g.random() < 0.7 else 1 + spread * np.abs(g.standard_t(5, n))
    return np.asarray(level * settle * drift * noise)


def schedule(g: Generator, n: int, peak: float | None = None) -> Array:
    """float64[n]: constant, linear, cosine, or held and then lowered; behind a short warm-up."""
    peak = peak or span(g, 5e-6, 2e-3)
    t = np.arange(n) / max(n - 1, 1)
    shapes = (
        np.ones(n),
        1 - 0.97 * t,
        0.1 + 0.45 * (1 + np.cos(np.pi * t)),
        np.minimum(1, (1.02 - t) / 0.2),
    )
    warm = np.minimum((np.arange(n) + 1) / max(0.03 * n, 1), 1)
    return np.asarray(peak * shapes[int(g.integers(4))] * warm)


STARTS = (0.693, 1.6, 2.303, 4.6, 6.9, 9.2, 10.8, 11.9)


def learns(
    g: Generator, n: int, *, top: float | None = None, share: float | None = None, spread: float | None = None
) -> dict[str, Array]:
    """The columns of a run that learns."""
    top = top or pick(g, *STARTS)
    floor = top * (share or g.uniform(0.15, 0.5))
    loss = decline(g, n, top, floor) * batches(g, n, spread or span(g, 0.01, 0.06))
    return {"loss": loss, "grad_norm": gradients(g, n), "lr": schedule(g, n)}


#: Formats that print the rate.
WITH_RATE = ("state", "hf", "wandb", "lightning", "jsonl", "csv", "detectron", "mmengine", "fairseq", "megatron")


def only(columns: Mapping[str, Array], *names: str) -> dict[str, Array]:
    """These columns alone."""
    return {name: columns[name] for name in names}


def log(columns: Mapping[str, Numbers], *formats: str, **more: object) -> Log:
    """A log of these columns in one of these formats."""
    return Log(columns=columns, formats=formats, **more)  # type: ignore[arg-type]

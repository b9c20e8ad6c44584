"""What a variant is, and the processes that kinds are put together from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

Generator = np.random.Generator


@dataclass(frozen=True, kw_only=True, slots=True)
class Log:
    """The rows of one log, by quantity; `step`, `loss`, `grad_norm`, `lr` and `loss_scale` are renamed by the writer.

    `lines` gives lines of text that follow a row, by its number, and `text` a whole log that is written as it is.
    """

    columns: Mapping[str, Array] = field(default_factory=dict)
    config: Mapping[str, object] = field(default_factory=dict)
    lines: Mapping[int, str] = field(default_factory=dict)
    text: str = ""
    #: Formats that show the situation; all where empty.
    formats: tuple[str, ...] = ()
    #: Whether values may be rounded as trainers round them without hiding what is wrong.
    may_round: bool = True
    #: Whether only every k-th row may be written.
    may_thin: bool = True


@dataclass(frozen=True, kw_only=True, slots=True)
class Kind:
    """A kind of situation.

    Attributes
    ----------
    make
        A log of it, another one each time.
    truth
        `fault`: something is wrong and must be said. `normal`: nothing above a note; `sound`: called clear, too.
        `measurement`: what was logged is no
        measure, to be said at least in a note, and no cause in the training may be named. `stuck`: nothing was learned, in a way
        that the log may not be able to prove; it may not be called clear. `told`: to be said, as a note or more.
    causes
        The causes that are right; any where empty.
    codes
        One of these findings must be there; any where empty.
    """

    name: str
    make: Callable[[Generator], Log]
    truth: Literal["fault", "normal", "sound", "measurement", "stuck", "told"]
    causes: tuple[str, ...] = ()
    codes: tuple[str, ...] = ()


def noise(g: Generator, n: int, scale: float, memory: float = 0.0) -> Array:
    """float64[n]: Gaussian noise, with memory if asked for."""
    e = g.standard_normal(n) * scale
    for i in range(1, n if memory else 0):
        e[i] += memory * e[i - 1]
    return e


def rows(g: Generator, low: int = 250, high: int = 3000) -> int:
    """A number of rows, log-uniform."""
    return int(np.exp(g.uniform(np.log(low), np.log(high))))


def rate(g: Generator, n: int, *, peak: float | None = None) -> Array:
    """float64[n]: a constant rate, a cosine or a linear decay, the latter two after a warm-up."""
    peak = peak or float(10 ** g.uniform(-5, -2.7))
    t = np.arange(n) / n
    warm = np.minimum((np.arange(n) + 1) / max(int(n * g.uniform(0.01, 0.1)), 1), 1.0)
    shape = g.integers(3)
    if shape == 0:
        return np.full(n, peak)
    return peak * warm * (0.55 + 0.45 * np.cos(np.pi * t) if shape == 1 else 1.0 - 0.95 * t)


def descent(g: Generator, n: int, *, spread: float | None = None) -> Array:
    """float64[n]: a loss that learns: a fast fall, a slow one after it, a floor, and the noise of batches."""
    t = np.arange(n) / n
    start, floor = g.uniform(1.5, 10), g.uniform(0.1, 0.4)
    pace, share = g.uniform(8, 40), g.uniform(0.4, 0.8)
    fall = share * np.exp(-pace * t) + (1 - share) * (1 + 12 * t) ** -g.uniform(0.4, 1.0)
    spread = spread or g.uniform(0.02, 0.08)
    level: Array = start * (floor + (1 - floor) * fall) * np.exp(noise(g, n, spread))
    return level


def norms(g: Generator, n: int, *, spread: float | None = None) -> Array:
    """float64[n]: norms of lognormal noise about a level that comes down a little after the start."""
    t = np.arange(n) / n
    level = 10 ** g.uniform(-1.2, 1.0) * (0.5 + 0.7 * np.exp(-g.uniform(5, 30) * t))
    found: Array = level * np.exp(noise(g, n, spread or g.uniform(0.12, 0.35)))
    return found


def healthy(g: Generator, n: int) -> dict[str, Array]:
    """The columns of a run that learns."""
    return {"loss": descent(g, n), "grad_norm": norms(g, n), "lr": rate(g, n)}

"""Tasks whose likeness is in the question and whose losses run unlike: likelihoods, scores and errors of other shape and size.

Sums of squares in the thousands, errors of 1e-5, densities far below zero, counts, claims, extreme quantiles, heavy tails, and
percentages. Built like those of `tasks.py`; these are learned from, beside the tasks there.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from torch.nn import functional

from benchmarks.runs.drawn.tasks import Apply, Make, Rows, Task, World, drawn_digits, inputs, teacher

Target = Callable[[Tensor, torch.Generator], Tensor]


def pairs(world: World, d: int, out: int, target: Target) -> Make:
    """Inputs of unlike scales, and what `target` makes of a fixed random function of them."""

    def make(n: int, phase: str, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        x = inputs(world, d, n, phase, rng)
        return x, target(teacher(world, phase, d, out)(x), rng)

    return make


def _by(loss: Callable[[Tensor, Tensor], Tensor]) -> Rows:
    return lambda f, x, y, w, z, ref, p: loss(f(x), y)


def _exponential(n: int, rng: torch.Generator) -> Tensor:
    return -torch.rand(n, 1, generator=rng).clamp_min(1e-6).log()


def _summed(world: World) -> Task:
    """A sharp picture from a blurred one, by the sum of squares over all pixels in sixteen grey levels: thousands."""

    def make(n: int, phase: str, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        x, _ = drawn_digits(n, phase, rng)
        near = sum(x.roll(k, axis) for axis in (1, 2) for k in (-1, 1))
        return (x + near) / 5 + 0.1 * world.noise * torch.randn(n, 8, 8, generator=rng), 16 * x

    return Task(kind="seq", d_in=8, out=8, length=8, per_token=True, causal=False, make=make, scale=1e3,
                rows=lambda f, x, y, w, z, ref, p: (8 * f(x) - y).square().flatten(1).sum(1))  # fmt: skip


def _minute(world: World) -> Task:
    """Tiny returns: squares of 1e-5."""
    d = 8
    make = pairs(world, d, 2, lambda y, rng: 0.004 * (y + 0.5 * world.noise * torch.randn(y.shape, generator=rng)))
    return Task(kind="vec", d_in=d, out=2, make=make, scale=1e-5,
                rows=lambda f, x, y, w, z, ref, p: (0.004 * f(x) - y).square().mean(-1))  # fmt: skip


def _crps(world: World) -> Task:
    """The continuous ranked probability score of a normal forecast (Gneiting and Raftery, 2007, equation 21)."""
    d = 8

    def loss(a: Tensor, y: Tensor) -> Tensor:
        spread = torch.exp(a[:, 1].clamp(-6, 6))
        off = (y[:, 0] - a[:, 0]) / spread
        density = torch.exp(-0.5 * off.square()) / math.sqrt(2 * math.pi)
        return spread * (off * torch.erf(off / math.sqrt(2)) + 2 * density - 1 / math.sqrt(math.pi))

    def target(y: Tensor, rng: torch.Generator) -> Tensor:
        return y[:, :1] + (0.1 + world.noise) * torch.sigmoid(y[:, 1:]) * torch.randn(len(y), 1, generator=rng)

    return Task(kind="vec", d_in=d, out=2, make=pairs(world, d, 2, target), rows=_by(loss))


def _student(world: World) -> Task:
    """Student's t with learned scale and degrees of freedom, on small targets with outliers: below zero."""
    d = 9

    def target(y: Tensor, rng: torch.Generator) -> Tensor:
        noise = torch.randn(y.shape, generator=rng) / torch.randn(y.shape, generator=rng).abs().clamp_min(0.1)
        return 0.2 * y + (0.01 + 0.03 * world.noise) * noise

    def cost(f: Apply, x: Tensor, y: Tensor, w: Tensor, z: Tensor, ref: Apply, p: Mapping[str, Tensor]) -> Tensor:
        a = f(x)
        scale, free = a[:, 1].clamp(-8, 6), 1 + functional.softplus(p["bfree"])
        off = ((y[:, 0] - a[:, 0]) * torch.exp(-scale)).square()
        level = torch.lgamma(free / 2) - torch.lgamma((free + 1) / 2) + 0.5 * torch.log(math.pi * free)
        return level + scale + (free + 1) / 2 * torch.log1p(off / free)

    return Task(kind="vec", d_in=d, out=2, make=pairs(world, d, 1, target), rows=cost, extra={"bfree": (1,)})


def _sharp(world: World) -> Task:
    """Six Laplace densities summed, of targets that are almost exact: from above ten to far below zero."""
    d, k = 8, 6

    def loss(a: Tensor, y: Tensor) -> Tensor:
        middle, spread = a.chunk(2, -1)
        spread = 2 * spread.clamp(-3, 3)
        return ((y - middle).abs() * torch.exp(-spread) + spread + math.log(2)).sum(-1)

    def target(y: Tensor, rng: torch.Generator) -> Tensor:
        return y + 0.05 * world.noise * torch.randn(y.shape, generator=rng)

    return Task(kind="vec", d_in=d, out=2 * k, make=pairs(world, d, k, target), rows=_by(loss), scale=6.0)


def _overdispersed(world: World) -> Task:
    """Counts that vary more than Poisson's: the negative binomial with a learned dispersion."""
    d = 8

    def target(y: Tensor, rng: torch.Generator) -> Tensor:
        drawn = sum(_exponential(len(y), rng) for _ in range(2)) / 2
        return torch.poisson((torch.exp(1.5 + 0.8 * y) * drawn).clamp(max=200), generator=rng)

    def cost(f: Apply, x: Tensor, y: Tensor, w: Tensor, z: Tensor, ref: Apply, p: Mapping[str, Tensor]) -> Tensor:
        rate, size, y = torch.exp(f(x)[:, 0].clamp(-8, 8)), functional.softplus(p["bsize"] + 0.5) + 1e-2, y[:, 0]
        ways = torch.lgamma(y + size) - torch.lgamma(size) - torch.lgamma(y + 1)
        return -(ways + size * torch.log(size / (size + rate)) + y * torch.log(rate / (size + rate)))

    return Task(kind="vec", d_in=d, out=1, make=pairs(world, d, 1, target), rows=cost, extra={"bsize": (1,)})


def _zero_inflated(world: World) -> Task:
    """Counts with more zeros than Poisson's: visits that were never made, and those that were."""
    d = 8

    def target(y: Tensor, rng: torch.Generator) -> Tensor:
        made = torch.rand(len(y), 1, generator=rng) < torch.sigmoid(2 * y[:, 1:])
        return torch.poisson(torch.exp(1 + 0.7 * y[:, :1]).clamp(max=60), generator=rng) * made

    def loss(a: Tensor, y: Tensor) -> Tensor:
        rate, y = a[:, 0].clamp(-8, 6), y[:, 0]
        none, some = functional.logsigmoid(-a[:, 1]), functional.logsigmoid(a[:, 1])
        zero = -torch.logaddexp(none, some - rate.exp())
        return torch.where(y < 0.5, zero, rate.exp() - y * rate + torch.lgamma(y + 1) - some)

    return Task(kind="vec", d_in=d, out=2, make=pairs(world, d, 2, target), rows=_by(loss))


def _claims(world: World) -> Task:
    """Sums of rare claims, most of them nothing: Tweedie's deviance of power 1.5, up to a constant (Jorgensen, 1987)."""
    d = 8

    def target(y: Tensor, rng: torch.Generator) -> Tensor:
        count = torch.poisson(torch.exp(0.6 * y - 0.5).clamp(max=20), generator=rng)
        return 4 * count * _exponential(len(y), rng)

    def loss(a: Tensor, y: Tensor) -> Tensor:
        half = 0.5 * a[:, 0].clamp(-10, 10)
        return 2 * y[:, 0] * torch.exp(-half) + 2 * torch.exp(half)

    return Task(kind="vec", d_in=d, out=1, make=pairs(world, d, 1, target), rows=_by(loss), scale=4.0)


def _tail(world: World) -> Task:
    """The quantile that one in fifty exceeds: a small loss with rare large rows."""
    d, share = 8, 0.98

    def target(y: Tensor, rng: torch.Generator) -> Tensor:
        return y + (0.1 + world.noise) * _exponential(len(y), rng)

    def loss(a: Tensor, y: Tensor) -> Tensor:
        off = y[:, 0] - a[:, 0]
        return torch.maximum(share * off, (share - 1) * off)

    return Task(kind="vec", d_in=d, out=1, make=pairs(world, d, 1, target), rows=_by(loss))


def _evidential(world: World) -> Task:
    """What is known and how well, by four numbers, with a price on sure errors (Amini et al., 2020)."""
    d = 8

    def loss(a: Tensor, y: Tensor) -> Tensor:
        seen, alpha, beta = (functional.softplus(a[:, k]) + 1e-2 for k in (1, 2, 3))
        alpha, off = alpha + 1, y[:, 0] - a[:, 0]
        both = 2 * beta * (1 + seen)
        surprise = 0.5 * torch.log(math.pi / seen) - alpha * torch.log(both)
        surprise = surprise + (alpha + 0.5) * torch.log(off.square() * seen + both)
        return surprise + torch.lgamma(alpha) - torch.lgamma(alpha + 0.5) + 0.1 * off.abs() * (2 * seen + alpha)

    def target(y: Tensor, rng: torch.Generator) -> Tensor:
        return 2 * y + world.noise * torch.randn(y.shape, generator=rng)

    return Task(kind="vec", d_in=d, out=4, make=pairs(world, d, 1, target), rows=_by(loss))


def _quartic(world: World) -> Task:
    """Errors to the fourth power: few rows make most of the loss."""
    d = 8

    def target(y: Tensor, rng: torch.Generator) -> Tensor:
        return y + 0.7 * world.noise * torch.randn(y.shape, generator=rng)

    return Task(kind="vec", d_in=d, out=2, make=pairs(world, d, 2, target), scale=10.0,
                rows=_by(lambda a, y: (a - y).square().square().mean(-1)))  # fmt: skip


def _boosting(world: World) -> Task:
    """The exponential loss of two classes, some of them wrong (Friedman et al., 2000)."""
    d = 8

    def target(y: Tensor, rng: torch.Generator) -> Tensor:
        wrong = torch.rand(y.shape, generator=rng) < 0.02 + 0.05 * world.noise
        return torch.where(wrong, -1.0, 1.0) * torch.where(y > 0, 1.0, -1.0)

    return Task(kind="vec", d_in=d, out=1, make=pairs(world, d, 1, target), labels=lambda y: y,
                rows=_by(lambda a, y: torch.exp((-y * a)[:, 0].clamp(max=8))))  # fmt: skip


def _percent(world: World) -> Task:
    """Prices by their error in percent of the price."""
    d = 8

    def target(y: Tensor, rng: torch.Generator) -> Tensor:
        return torch.exp(1 + 0.8 * y + 0.3 * world.noise * torch.randn(y.shape, generator=rng))

    def loss(a: Tensor, y: Tensor) -> Tensor:
        return 100 * (torch.exp(a[:, 0].clamp(-8, 8)) - y[:, 0]).abs() / y[:, 0]

    return Task(kind="vec", d_in=d, out=1, make=pairs(world, d, 1, target), rows=_by(loss), scale=100.0)


WIDE_LOSSES: dict[str, Callable[[World], Task]] = {
    "summed": _summed,
    "minute": _minute,
    "crps": _crps,
    "student": _student,
    "sharp": _sharp,
    "overdispersed": _overdispersed,
    "zeroinflated": _zero_inflated,
    "claims": _claims,
    "tail": _tail,
    "evidential": _evidential,
    "quartic": _quartic,
    "boosting": _boosting,
    "percent": _percent,
}

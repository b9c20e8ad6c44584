"""Tasks and architectures of the seventh first look: nothing was learned from them before their look.

Runs as an outsider might bring them: gaps between events, a shop's profit, a flow between noise and data, depths up to a common
factor, densities with all their correlations; trees that are soft, and a memory that is overwritten while it is read.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from torch.nn import functional

from benchmarks.runs.drawn.nets import Maker, Net, Params, Shape
from benchmarks.runs.drawn.tasks import Apply, Task, World, inputs, rows_only, teacher
from benchmarks.runs.drawn.wide_tasks import blocks

TREES, LEVELS = 6, 3


def _arrivals(world: World) -> Task:
    """Gaps between events by an intensity that grows or fades until the next (Du et al., 2016), summed over eight of them."""
    t = 8

    def make(n: int, phase: str, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        mood = torch.sign(torch.randn(n, 1, generator=rng))
        switch = torch.rand(n, t + 1, generator=rng) < 0.15 + 0.2 * min(world.noise, 1.0)
        mood = mood * torch.where(switch, -1.0, 1.0).cumprod(1)
        level = 0.15 * torch.exp((1.2 + 0.2 * (world.seed % 3)) * (-mood if phase == "shift" else mood))
        drawn = -torch.rand(n, t + 1, generator=rng).clamp_min(1e-5).log()
        gap = level * drawn.pow(0.8)
        x = torch.stack([gap[:, :-1], gap[:, :-1].clamp_min(1e-3).log()], -1)
        return x * {"soft": 1.2, "easy": 0.1}.get(phase, 1.0), gap[:, 1:]

    def cost(f: Apply, x: Tensor, y: Tensor, w: Tensor, z: Tensor, ref: Apply, p: Mapping[str, Tensor]) -> Tensor:
        level, growth = f(x).unbind(-1)
        level, growth = level.clamp(-8, 8), torch.tanh(growth) + 1e-3
        expected = torch.exp(level) * torch.expm1((growth * y).clamp(max=20)) / growth
        return (expected - level - growth * y).sum(1)

    return Task(kind="seq", d_in=2, out=2, length=t, per_token=True, causal=True, make=make, rows=cost, scale=4.0)


def _stock(world: World) -> Task:
    """How much to order for a demand that is not known: what is earned, below zero because it is lost."""
    d, price, paid = 8, 5.0, 2.0

    def make(n: int, phase: str, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        x = inputs(world, d, n, phase, rng)
        drawn = 0.2 + 0.5 * world.noise
        wanted = torch.exp(1 + 0.5 * teacher(world, phase, d, 1)(x) + drawn * torch.randn(n, 1, generator=rng))
        return x, wanted.clamp(max=60)

    def cost(f: Apply, x: Tensor, y: Tensor, w: Tensor, z: Tensor, ref: Apply, p: Mapping[str, Tensor]) -> Tensor:
        order = functional.softplus(f(x)[:, 0])
        return paid * order - price * torch.minimum(order, y[:, 0])

    return Task(kind="vec", d_in=d, out=1, make=make, rows=cost, scale=3.0)


def _velocity(world: World) -> Task:
    """The straight way from noise to data, at a time between (Lipman et al., 2023): a loss with a high floor."""
    d = 8

    def cost(f: Apply, x: Tensor, y: Tensor, w: Tensor, z: Tensor, ref: Apply, p: Mapping[str, Tensor]) -> Tensor:
        data, noise, time = x[:, : d - 1], z[:, 1:], torch.sigmoid(z[:, :1])
        told = f(torch.cat([(1 - time) * noise + time * data, 4 * time - 2], -1))
        return (told - (data - noise)).square().sum(-1)

    return Task(kind="vec", d_in=d, out=d - 1, make=rows_only(world, d), noise=d, rows=cost, scale=7.0)


def _depths(world: World) -> Task:
    """How far each pixel is, up to a factor: ten times the root of a variance of logarithms (Eigen et al., 2014)."""

    def make(n: int, phase: str, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        x, edge = blocks(world, n, phase, rng)
        place = (torch.arange(8) + 0.5) / 8
        across = (place > edge[:, :1]) & (place < edge[:, 2:3])
        down = (place > edge[:, 1:2]) & (place < edge[:, 3:])
        near = (down[:, :, None] & across[:, None, :]).float()
        return x, torch.log(1 + 2 * (1 - place))[:, None] - near * (0.5 + 2 * edge[:, 3])[:, None, None]

    def cost(f: Apply, x: Tensor, y: Tensor, w: Tensor, z: Tensor, ref: Apply, p: Mapping[str, Tensor]) -> Tensor:
        off = (f(x) - y).flatten(1)
        return 10 * (off.square().mean(1) - 0.85 * off.mean(1).square() + 1e-6).sqrt()

    return Task(kind="seq", d_in=8, out=8, length=8, per_token=True, causal=False, make=make, rows=cost, scale=5.0)


def _covariance(world: World) -> Task:
    """Three numbers that vary together, by a normal density with a full matrix, on a small scale: below zero."""
    d, k = 8, 3
    below = torch.tril_indices(k, k, -1)

    def make(n: int, phase: str, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        x = inputs(world, d, n, phase, rng)
        told = teacher(world, phase, d, 2 * k)(x)
        mix = torch.randn(k, k, generator=world.rng(phase))
        drawn = torch.exp(0.5 * told[:, k:]) * torch.randn(n, k, generator=rng)
        return x, 0.3 * told[:, :k] + (0.03 + 0.1 * world.noise) * drawn @ mix

    def cost(f: Apply, x: Tensor, y: Tensor, w: Tensor, z: Tensor, ref: Apply, p: Mapping[str, Tensor]) -> Tensor:
        a = f(x)
        sharp, mix = 2 * a[:, k : 2 * k].clamp(-3, 3), a[:, 2 * k :]
        off = (y - a[:, :k]) * torch.exp(sharp)
        place = functional.one_hot(below[0] * k + below[1], k * k).float()
        lower = (mix @ place).unflatten(-1, (k, k))
        white = off + (lower * off[:, None, :]).sum(-1)
        return (0.5 * white.square() - sharp).sum(-1) + 0.5 * k * math.log(2 * math.pi)

    return Task(kind="vec", d_in=d, out=2 * k + len(below[0]), make=make, rows=cost, scale=3.0)


SEVENTH_TASKS: dict[str, Callable[[World], Task]] = {
    "arrivals": _arrivals,
    "stock": _stock,
    "velocity": _velocity,
    "depths": _depths,
    "covariance": _covariance,
}


def trees(s: Shape) -> Net:
    """Soft trees that ask one question a level and answer from a table of leaves (Popov et al., 2020)."""
    m = Maker(s)
    m.lin("ask", m.flat(s.width), TREES * LEVELS)
    m.shapes["Eleaf"] = (TREES * 2**LEVELS, s.width)
    m.norm("n", s.width)
    m.vector_head(s.width)

    def forward(p: Params, x: Tensor, w: Tensor) -> Tensor:
        yes = torch.sigmoid(2 * m.apply(p, "ask", m.flattened(p, x))).unflatten(-1, (TREES, LEVELS))
        share = torch.ones_like(yes[..., :1])
        for i in range(LEVELS):
            here = yes[..., i : i + 1]
            share = torch.cat([share * here, share * (1 - here)], -1)
        return m.vector_answer(p, m.normed(p, "n", share.flatten(-2) @ p["Eleaf"], w))

    return m.net(forward)


def fastweights(s: Shape) -> Net:
    """A matrix that each position reads and then corrects towards its own value (Schlag et al., 2021)."""
    m = Maker(s)
    m.embed(s.width)
    m.lin("qkv", s.width, 3 * s.width)
    m.lin("speed", s.width, 1)
    m.norm("n", s.width)
    m.lin("u", s.width, s.width)
    m.head(s.width)

    def forward(p: Params, x: Tensor, w: Tensor) -> Tensor:
        h = m.embedded(p, x)
        q, k, v = m.apply(p, "qkv", h).chunk(3, -1)
        q, k = torch.softmax(q, -1), torch.softmax(k, -1)
        speed = 2 * torch.sigmoid(m.apply(p, "speed", h))
        matrix = 0 * (k[:, 0, :, None] * v[:, 0, None, :])
        states = []
        for t in range(m.positions):
            known = (k[:, t, None] @ matrix)[:, 0]
            matrix = matrix + k[:, t, :, None] * (speed[:, t] * (v[:, t] - known))[:, None, :]
            states.append((q[:, t, None] @ matrix)[:, 0])
        h = h + torch.stack(states, 1)
        return m.answer(p, h + m.act(m.apply(p, "u", m.normed(p, "n", h, w))), last=True)

    return m.net(forward)


SEVENTH_VECTOR: dict[str, Callable[[Shape], Net]] = {"trees": trees}
SEVENTH_CAUSAL: dict[str, Callable[[Shape], Net]] = {"fastweights": fastweights}

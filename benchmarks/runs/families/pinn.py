"""A physics-informed network: a function is sought whose second derivative is given, and its values at the ends."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from benchmarks.runs.families.base import Batch, Task

if TYPE_CHECKING:
    from benchmarks.runs.spec import Spec

WIDTH = 32


class Curve(nn.Module):
    """A tanh network that carries value, slope and curvature through its layers."""

    def __init__(self, layers: int, gain: float) -> None:
        """Build."""
        super().__init__()
        sizes = [1, *[WIDTH] * layers, 1]
        self.linears = [nn.Linear(a, b) for a, b in pairwise(sizes)]
        self.layers = nn.ModuleList(self.linears)
        with torch.no_grad():
            for layer in self.linears:
                nn.init.xavier_normal_(layer.weight, gain=gain)
                nn.init.zeros_(layer.bias)
            nn.init.normal_(self.linears[0].weight, std=2.0 * gain)
            nn.init.uniform_(self.linears[0].bias, -2, 2)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Value and its two derivatives."""
        value, slope, bend = x, torch.ones_like(x), torch.zeros_like(x)
        for depth, layer in enumerate(self.linears):
            weight = layer.weight.T
            value, slope, bend = layer(value), slope @ weight, bend @ weight
            if depth < len(self.linears) - 1:
                value = torch.tanh(value)
                first = 1 - value.square()
                slope, bend = first * slope, first * bend - 2 * value * first * slope.square()
        return value, slope, bend


class Poisson(Task):
    """u'' - u = f on [-1, 1], where u is a sum of three waves; `ends` weighs the values at the ends."""

    eval_size = 400

    def __init__(self, spec: Spec) -> None:
        """Choose the waves and build the network."""
        super().__init__(spec)
        arch = spec.arch
        self.height = torch.randn(3, generator=self.world) * torch.tensor([1.0, 0.5, 0.3])
        self.ends = float(arch.get("ends", 20.0))
        self.module = Curve(int(arch.get("layers", 2)) + int(arch.get("depth", 0)), float(arch.get("gain", 1.0)))

    def waves(self, x: Tensor, phase: str) -> tuple[Tensor, Tensor]:
        """The answer and its second derivative; `shift` turns it round, `easy` is nearly flat."""
        height = self.height * {"shift": -1.6, "soft": 1.25, "easy": 0.02}.get(phase, 1.0)
        rates = math.pi * torch.tensor([0.5, 1.0, 1.5])
        parts = height * torch.sin(rates * (x + 0.3))
        return parts.sum(1, keepdim=True), -(parts * rates.square()).sum(1, keepdim=True)

    def batch(self, rng: torch.Generator, size: int, phase: str) -> Batch:
        """Points inside (and both ends, twice each), and what the equation or the ends ask there."""
        inside = 2 * torch.rand(size, 1, generator=rng) - 1
        ends = torch.tensor([[-1.0], [1.0]])
        answer, bend = self.waves(inside, phase)
        return torch.cat((inside, ends)), torch.cat((bend - answer, self.waves(ends, phase)[0]))

    def loss(self, batch: Batch) -> Tensor:
        """Mean square of what the equation misses, plus that at the ends."""
        value, _, bend = self.module(batch[0])
        missed = (bend - value - batch[1])[:-2].square().mean()
        total: Tensor = missed + self.ends * (value - batch[1])[-2:].square().mean()
        return total


build = Poisson

"""Quantile regression: three quantiles of an answer whose noise depends on where it is asked, by the pinball loss."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from benchmarks.runs.families.base import ACTIVATIONS, Batch, Task

if TYPE_CHECKING:
    from benchmarks.runs.spec import Spec

FEATURES, WIDTH = 10, 48
LEVELS = (0.1, 0.5, 0.9)


class Quantiles(Task):
    """Friedman's function (1991) of five of ten features, in units of its spread, with skewed noise."""

    eval_size = 1000

    def __init__(self, spec: Spec) -> None:
        """Choose which features matter and build the network."""
        super().__init__(spec)
        self.orders = [torch.randperm(FEATURES, generator=self.world) for _ in range(2)]
        self.levels = torch.tensor(LEVELS)
        squash = ACTIVATIONS[str(spec.arch.get("squash", "relu"))]
        self.module = nn.Sequential(*self.hidden_layers(FEATURES, WIDTH, squash), nn.Linear(WIDTH, len(LEVELS)))

    def batch(self, rng: torch.Generator, size: int, phase: str) -> Batch:
        """`shift` has other features that matter and lies higher, `soft` has thrice the noise, `easy` is nearly flat."""
        rows = torch.rand(size, FEATURES, generator=rng)
        a, b, c, d, e = rows[:, self.orders[phase == "shift"][:5]].T
        value = 10 * torch.sin(torch.pi * a * b) + 20 * (c - 0.5) ** 2 + 10 * d + 5 * e
        bell = torch.randn(size, generator=rng)
        noise = (0.1 + 0.4 * d) * (bell + 0.3 * bell.square())
        answer = (value - 14.4) / 4.9 + noise * {"soft": 3.0}.get(phase, 1.0)
        return 4 * rows - 2, answer * {"easy": 0.02}.get(phase, 1.0) + 2 * (phase == "shift")

    def loss(self, batch: Batch) -> Tensor:
        """Pinball loss (Koenker and Bassett, 1978), summed over the quantiles."""
        short = batch[1][:, None] - self.module(batch[0])
        total: Tensor = torch.maximum(self.levels * short, (self.levels - 1) * short).sum(1).mean()
        return total


build = Quantiles

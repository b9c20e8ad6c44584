"""Rare cases: three rows in a hundred are positive, and the focal loss looks away from what is easy; losses are tiny."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.runs.families.base import Batch, Task

if TYPE_CHECKING:
    from benchmarks.runs.spec import Spec

FEATURES, WIDTH = 16, 48


class Rare(Task):
    """Rows beyond a curved surface are positive; small batches often hold none, so norms have heavy tails."""

    eval_size = 3000

    def __init__(self, spec: Spec) -> None:
        """Draw the surface and build the network."""
        super().__init__(spec)
        self.first = torch.randn(2, FEATURES, 12, generator=self.world) / FEATURES**0.5
        self.second = torch.randn(2, 12, generator=self.world)
        self.power = float(spec.arch.get("power", 2.0))
        rows = torch.randn(20000, FEATURES, generator=self.world)
        rare = 1 - float(spec.arch.get("rare", 0.03))
        self.limits = [float(self.height(rows, world).quantile(rare)) for world in range(2)]
        self.module = nn.Sequential(*self.hidden_layers(FEATURES, WIDTH), nn.Linear(WIDTH, 1))

    def height(self, rows: Tensor, world: int) -> Tensor:
        """How far beyond the surface rows lie."""
        return torch.tanh(1.5 * rows @ self.first[world]) @ self.second[world]

    def batch(self, rng: torch.Generator, size: int, phase: str) -> Batch:
        """`shift` has another surface and four times the cases, `soft` wrong labels, `easy` no positive ones."""
        rows = torch.randn(size, FEATURES, generator=rng)
        world = int(phase == "shift")
        limit = self.limits[world] * (0.5 if world else 1.0)
        positive = (self.height(rows, world) + 0.1 * torch.randn(size, generator=rng) > limit).float()
        if phase == "soft":
            positive = torch.where(torch.rand(size, generator=rng) < 0.08, 1 - positive, positive)
        return rows, torch.zeros(size) if phase == "easy" else positive

    def loss(self, batch: Batch) -> Tensor:
        """Cross-entropy times a power of the chance that was missed (Lin et al., 2017), positive rows thrice."""
        scores, truth = self.module(batch[0])[:, 0], batch[1]
        nats = functional.binary_cross_entropy_with_logits(scores, truth, reduction="none")
        missed = torch.where(truth > 0.5, 1 - scores.sigmoid(), scores.sigmoid())
        total: Tensor = (missed**self.power * nats * (1 + 2 * truth)).mean()
        return total


build = Rare

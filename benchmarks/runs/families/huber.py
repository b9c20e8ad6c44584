"""Regression on targets with heavy tails, where the loss is mostly noise and hardly seems to fall."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.runs.families.base import ACTIVATIONS, Batch, Task

if TYPE_CHECKING:
    from benchmarks.runs.spec import Spec

FEATURES, WIDTH = 10, 40


class HeavyTails(Task):
    """A smooth function of ten features plus noise whose variance does not exist; the Huber loss bounds its pull."""

    eval_size = 1200

    def __init__(self, spec: Spec) -> None:
        """Draw the function and build the network."""
        super().__init__(spec)
        self.waves = torch.randn(2, FEATURES, 6, generator=self.world) / FEATURES**0.5
        self.heights = torch.randn(2, 6, generator=self.world)
        self.noise = float(spec.arch.get("noise", 0.4))
        squash = ACTIVATIONS[str(spec.arch.get("squash", "gelu"))]
        self.module = nn.Sequential(*self.hidden_layers(FEATURES, WIDTH, squash), nn.Linear(WIDTH, 1))

    def batch(self, rng: torch.Generator, size: int, phase: str) -> Batch:
        """`shift` is another function three units up, `soft` has twice the noise, `easy` is nearly zero."""
        rows = torch.randn(size, FEATURES, generator=rng)
        which = int(phase == "shift")
        value = torch.sin(1.5 * rows @ self.waves[which]) @ self.heights[which] + 3 * which
        bell, chi = torch.randn(size, generator=rng), torch.randn(2, size, generator=rng).square().mean(0)
        noise = self.noise * {"soft": 2.0}.get(phase, 1.0) * bell / chi.sqrt().clamp_min(0.02)
        return rows, (value + noise) * {"easy": 0.02}.get(phase, 1.0)

    def loss(self, batch: Batch) -> Tensor:
        """Huber's loss with its bend at 1, or squared errors with `squared`."""
        answer = self.module(batch[0])[:, 0]
        if self.spec.arch.get("squared", False):
            return functional.mse_loss(answer, batch[1])
        return functional.smooth_l1_loss(answer, batch[1])


build = HeavyTails

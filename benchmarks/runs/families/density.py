"""Density estimation: a network gives mean and spread, and the negative log-likelihood goes below zero."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from benchmarks.runs.families.base import Batch, Task

if TYPE_CHECKING:
    from benchmarks.runs.spec import Spec


class GaussianRegression(Task):
    """Two answers of eight inputs with a noise level that depends on them."""

    eval_size = 512

    def __init__(self, spec: Spec) -> None:
        """Draw the function and build the network."""
        super().__init__(spec)
        self.first = torch.randn(8, 10, generator=self.world)
        self.second = torch.randn(10, 2, generator=self.world) / 3
        self.module = nn.Sequential(
            nn.Linear(8, 48), nn.Tanh(), self.deep_stack(48), nn.Linear(48, 48), nn.Tanh(), nn.Linear(48, 4)
        )

    def batch(self, rng: torch.Generator, size: int, phase: str) -> Batch:
        """Inputs and noisy answers; `shift` changes sign and level, `soft` has more noise, `easy` hardly varies."""
        sign, level, noise = {
            "main": (1.0, 0.0, 1.0),
            "shift": (-1.0, 0.7, 1.5),
            "soft": (1.0, 0.0, 1.6),
            "easy": (0.0, 0.0, 2.0),
        }[phase]
        inputs = torch.randn(size, 8, generator=rng)
        clean = level + sign * torch.sin(inputs @ self.first / 2) @ self.second
        spread = 0.05 * noise * torch.exp(0.7 * inputs[:, :1])
        return inputs, clean + spread * torch.randn(clean.shape, generator=rng)

    def loss(self, batch: Batch) -> Tensor:
        """Negative log-likelihood of a Gaussian, a coordinate."""
        mean, log_spread = self.module(batch[0]).chunk(2, 1)
        log_spread = log_spread.clamp(-6, 6)
        nats: Tensor = (log_spread + 0.5 * ((batch[1] - mean) * torch.exp(-log_spread)) ** 2).mean()
        return nats


build = GaussianRegression

"""Denoising: the noise that was added to a digit is predicted at every noise level, as diffusion models do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.runs.families.base import Batch, DigitsTask

if TYPE_CHECKING:
    from benchmarks.runs.spec import Spec


class NoisePrediction(DigitsTask):
    """Image and noise level in, noise out (Ho et al., Denoising Diffusion Probabilistic Models, 2020)."""

    def __init__(self, spec: Spec) -> None:
        """Build the network."""
        super().__init__(spec)
        self.module = nn.Sequential(
            nn.Linear(65, 96),
            nn.SiLU(),
            nn.Dropout(spec.dropout),
            self.deep_stack(96),
            nn.Linear(96, 96),
            nn.SiLU(),
            nn.Linear(96, 64),
        )

    def batch(self, rng: torch.Generator, size: int, phase: str) -> Batch:
        """Noisy images with their level, and the noise."""
        images = 2 * super().batch(rng, size, phase)[0] - 1
        level = torch.rand(len(images), 1, generator=rng)
        noise = torch.randn(images.shape, generator=rng)
        mixed = torch.sqrt(1 - level**2) * images + level * noise
        return torch.cat((mixed, level), 1), noise

    def loss(self, batch: Batch) -> Tensor:
        """Mean squared error of the noise."""
        return functional.mse_loss(self.module(batch[0]), batch[1])


build = NoisePrediction

"""Mixed images: convolutions with group normalisation, labels that are smoothed and blended; the loss stays high."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.runs.families.base import Batch, DigitsTask

if TYPE_CHECKING:
    from benchmarks.runs.spec import Spec


class Blended(DigitsTask):
    """Pairs of digits laid over each other (Zhang et al., 2018), `smooth` of the label spread over all classes."""

    def __init__(self, spec: Spec) -> None:
        """Build the network."""
        super().__init__(spec)
        self.smooth = float(spec.arch.get("smooth", 0.1))
        self.blend = float(spec.arch.get("blend", 0.5))
        self.module = nn.Sequential(
            nn.Unflatten(1, (1, 8, 8)),
            nn.Conv2d(1, 12, 3, padding=1),
            nn.GroupNorm(3, 12),
            nn.ReLU(),
            nn.Conv2d(12, 24, 3, stride=2, padding=1),
            nn.GroupNorm(4, 24),
            nn.ReLU(),
            nn.Flatten(),
            nn.Dropout(spec.dropout),
            nn.Linear(24 * 16, 32),
            nn.ReLU(),
            self.deep_stack(32),
            nn.Linear(32, 10),
        )

    def batch(self, rng: torch.Generator, size: int, phase: str) -> Batch:
        """Blended images and soft labels; the held-out digits are not blended."""
        pixels, labels = super().batch(rng, size, phase)
        soft = (1 - self.smooth) * functional.one_hot(labels, 10) + self.smooth / 10
        if size == self.eval_size:
            return pixels, soft
        other = torch.randperm(len(pixels), generator=rng)
        share = self.blend * torch.rand(len(pixels), 1, generator=rng)
        return (1 - share) * pixels + share * pixels[other], (1 - share) * soft + share * soft[other]

    def loss(self, batch: Batch) -> Tensor:
        """Cross-entropy against soft labels."""
        return functional.cross_entropy(self.module(batch[0]), batch[1])


build = Blended

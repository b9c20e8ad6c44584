"""A convolutional autoencoder of digits, with absolute or squared errors."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.runs.families.base import Batch, DigitsTask

if TYPE_CHECKING:
    from benchmarks.runs.spec import Spec

CODE = 12


class Reconstruction(DigitsTask):
    """Strided convolutions down to a code of twelve numbers, transposed ones back; `absolute` chooses the error."""

    def __init__(self, spec: Spec) -> None:
        """Build encoder and decoder."""
        super().__init__(spec)
        self.module = nn.Sequential(
            nn.Unflatten(1, (1, 8, 8)),
            nn.Conv2d(1, 10, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(10, 16, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(64, CODE),
            self.deep_stack(CODE),
            nn.Linear(CODE, 64),
            nn.ReLU(),
            nn.Unflatten(1, (16, 2, 2)),
            nn.ConvTranspose2d(16, 10, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.ConvTranspose2d(10, 1, 4, stride=2, padding=1),
            nn.Flatten(),
        )
        self.absolute = bool(spec.arch.get("absolute", False))

    def batch(self, rng: torch.Generator, size: int, phase: str) -> Batch:
        """Images twice: to read and to draw again. `soft` is to be drawn without its noise, `easy` is a dim image."""
        images, _ = super().batch(rng, size, "main" if phase == "easy" else phase)
        if phase == "easy":
            return 0.05 * images, 0.05 * images
        if phase == "soft":
            return images, images.clamp(0, 1)
        return images, images

    def loss(self, batch: Batch) -> Tensor:
        """Mean error of a pixel."""
        drawn = self.module(batch[0])
        return functional.l1_loss(drawn, batch[1]) if self.absolute else functional.mse_loss(drawn, batch[1])


build = Reconstruction

"""Convolutions without normalisation, classes of digits that are shifted by a pixel now and then."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.runs.families.base import Batch, DigitsTask

if TYPE_CHECKING:
    from benchmarks.runs.spec import Spec

CHANNELS = 12


class PlainConvolutions(DigitsTask):
    """Two convolutions with pooling, then two linear layers (LeCun et al., 1998, at a tenth of the size)."""

    def __init__(self, spec: Spec) -> None:
        """Build the network."""
        super().__init__(spec)
        self.module = nn.Sequential(
            nn.Unflatten(1, (1, 8, 8)),
            nn.Conv2d(1, CHANNELS, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(CHANNELS, 2 * CHANNELS, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Dropout(spec.dropout),
            nn.Linear(8 * CHANNELS, 48),
            nn.ReLU(),
            self.deep_stack(48),
            nn.Linear(48, 10),
        )
        self.smooth = float(spec.arch.get("smooth", 0.0))

    def batch(self, rng: torch.Generator, size: int, phase: str) -> Batch:
        """Digits moved by up to one pixel sideways, one move a batch."""
        pixels, labels = super().batch(rng, size, phase)
        if size == self.eval_size:
            return pixels, labels
        move = int(torch.randint(-1, 2, (1,), generator=rng))
        return pixels.view(-1, 8, 8).roll(move, 2).reshape(len(pixels), 64), labels

    def loss(self, batch: Batch) -> Tensor:
        """Cross-entropy, with smoothed labels where the recipe says so."""
        return functional.cross_entropy(self.module(batch[0]), batch[1], label_smoothing=self.smooth)


build = PlainConvolutions

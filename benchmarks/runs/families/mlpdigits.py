"""A plain perceptron of digits: three layers, no normalisation, no residuals."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.runs.families.base import ACTIVATIONS, Batch, DigitsTask

if TYPE_CHECKING:
    from benchmarks.runs.spec import Spec


class PlainDigits(DigitsTask):
    """64 pixels, two hidden layers, 10 classes; `squash` names the activation and `wrong` a share of wrong labels."""

    def __init__(self, spec: Spec) -> None:
        """Build the network."""
        super().__init__(spec)
        width = int(spec.arch.get("width", 72))
        squash = ACTIVATIONS[str(spec.arch.get("squash", "relu"))]
        self.module = nn.Sequential(
            nn.Linear(64, width),
            squash(),
            nn.Dropout(spec.dropout),
            self.deep_stack(width),
            nn.Linear(width, 40),
            squash(),
            nn.Linear(40, 10),
        )
        self.wrong = float(spec.arch.get("wrong", 0.0))

    def batch(self, rng: torch.Generator, size: int, phase: str) -> Batch:
        """Digits, with some labels drawn at random where the recipe asks for them."""
        pixels, labels = super().batch(rng, size, phase)
        if not self.wrong or phase == "easy":
            return pixels, labels
        spoilt = torch.rand(len(labels), generator=rng) < self.wrong
        return pixels, torch.where(spoilt, torch.randint(10, labels.shape, generator=rng), labels)

    def loss(self, batch: Batch) -> Tensor:
        """Cross-entropy."""
        return functional.cross_entropy(self.module(batch[0]), batch[1])


build = PlainDigits

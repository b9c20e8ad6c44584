"""A margin that is reached: classes of digits by a hinge; once all are right by far, loss and gradient are zero."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.runs.families.base import Batch, DigitsTask

if TYPE_CHECKING:
    from benchmarks.runs.spec import Spec


class Margins(DigitsTask):
    """Random cosines of the pixels (Rahimi and Recht, 2007) or, with `hidden`, a learned layer; `square` the hinge."""

    def __init__(self, spec: Spec) -> None:
        """Build; `blur` is noise on the training images."""
        super().__init__(spec)
        self.rates = 0.8 * torch.randn(64, 200, generator=self.world)
        self.offsets = 6.283 * torch.rand(200, generator=self.world)
        self.square = bool(spec.arch.get("square", False))
        self.blur = float(spec.arch.get("blur", 0.0))
        self.hidden = bool(spec.arch.get("hidden", True))
        self.module = (
            nn.Sequential(
                nn.Linear(64, 48), nn.ReLU(), nn.Dropout(spec.dropout), self.deep_stack(48), nn.Linear(48, 10)
            )
            if self.hidden
            else nn.Linear(200, 10)
        )

    def batch(self, rng: torch.Generator, size: int, phase: str) -> Batch:
        """Digits, blurred unless they are held out."""
        pixels, labels = super().batch(rng, size, phase)
        return pixels if size == self.eval_size else pixels + self.blur * torch.randn(
            pixels.shape, generator=rng
        ), labels

    def loss(self, batch: Batch) -> Tensor:
        """How much a wrong class comes within one of the right one, the worst of them (Crammer and Singer, 2001)."""
        pixels, labels = batch
        if not self.hidden:
            pixels = torch.cos(pixels @ self.rates + self.offsets) * 0.14
        scores = self.module(pixels)
        right = functional.one_hot(labels, 10).bool()
        best = scores.masked_fill(right, float("-inf")).max(1).values
        short = functional.relu(1 + best - scores[right])
        return short.square().mean() if self.square else short.mean()


build = Margins

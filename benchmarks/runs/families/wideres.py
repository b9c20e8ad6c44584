"""A residual network of convolutions, normalised over the batch before each one: classes of jittered digits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.runs.families.base import Batch, DigitsTask

if TYPE_CHECKING:
    from benchmarks.runs.spec import Spec

WIDTHS = (8, 16, 24)


class PreActivation(nn.Module):
    """Normalise, bend, convolve, twice (Zagoruyko and Komodakis, 2016); the skip changes width where it must."""

    def __init__(self, narrow: int, wide: int, stride: int) -> None:
        """Build one block."""
        super().__init__()
        self.inner = nn.Sequential(
            nn.BatchNorm2d(narrow),
            nn.ReLU(),
            nn.Conv2d(narrow, wide, 3, stride=stride, padding=1, bias=False),
            nn.BatchNorm2d(wide),
            nn.ReLU(),
            nn.Conv2d(wide, wide, 3, padding=1, bias=False),
        )
        self.skip = nn.Conv2d(narrow, wide, 1, stride=stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Add what the block finds."""
        out: Tensor = self.skip(x) + self.inner(x)
        return out


class WideResidual(DigitsTask):
    """A stem, two blocks and a mean over places; `wrong` is a share of training labels drawn at random."""

    def __init__(self, spec: Spec) -> None:
        """Build the network."""
        super().__init__(spec)
        self.module = nn.Sequential(
            nn.Unflatten(1, (1, 8, 8)),
            nn.Conv2d(1, WIDTHS[0], 3, padding=1, bias=False),
            *(PreActivation(a, b, stride) for a, b, stride in zip(WIDTHS, WIDTHS[1:], (1, 2), strict=False)),
            nn.BatchNorm2d(WIDTHS[-1]),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Dropout(spec.dropout),
            self.deep_stack(WIDTHS[-1]),
            nn.Linear(WIDTHS[-1], 10),
        )
        self.wrong = float(spec.arch.get("wrong", 0.0))

    def batch(self, rng: torch.Generator, size: int, phase: str) -> Batch:
        """Digits moved by up to a pixel both ways, with faint noise; the held-out ones stay as they are."""
        pixels, labels = super().batch(rng, size, phase)
        if size == self.eval_size or phase == "easy":
            return pixels, labels
        down, right = torch.randint(-1, 2, (2,), generator=rng).tolist()
        moved = pixels.view(-1, 8, 8).roll((down, right), (1, 2)).reshape(len(pixels), 64)
        spoilt = torch.rand(len(labels), generator=rng) < self.wrong
        labels = torch.where(spoilt, torch.randint(10, labels.shape, generator=rng), labels)
        return moved + 0.1 * torch.randn(moved.shape, generator=rng), labels

    def loss(self, batch: Batch) -> Tensor:
        """Cross-entropy."""
        return functional.cross_entropy(self.module(batch[0]), batch[1])


build = WideResidual

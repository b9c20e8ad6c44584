"""Convolutions with batch normalisation, classes of digits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor, nn
from torch.nn import functional

from benchmarks.runs.families.base import Batch, DigitsTask

if TYPE_CHECKING:
    from benchmarks.runs.spec import Spec


class ConvBatchNorm(DigitsTask):
    """Two convolutions, each normalised over the batch, then one linear head."""

    def __init__(self, spec: Spec) -> None:
        """Build the network."""
        super().__init__(spec)
        self.module = nn.Sequential(
            nn.Unflatten(1, (1, 8, 8)),
            nn.Conv2d(1, 10, 3, padding=1, bias=False),
            nn.BatchNorm2d(10),
            nn.ReLU(),
            nn.Conv2d(10, 20, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(20),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(2),
            nn.Flatten(),
            nn.Dropout(spec.dropout),
            self.deep_stack(80),
            nn.Linear(80, 10),
        )

    def loss(self, batch: Batch) -> Tensor:
        """Cross-entropy."""
        return functional.cross_entropy(self.module(batch[0]), batch[1])


build = ConvBatchNorm

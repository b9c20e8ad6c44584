"""Metric learning: digits of one class shall lie nearer to each other than to those of another, by a margin."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from benchmarks.runs.families.base import DigitsTask

if TYPE_CHECKING:
    from benchmarks.runs.families.base import Batch
    from benchmarks.runs.spec import Spec

MARGIN = 1.0


class Triplets(DigitsTask):
    """A perceptron into eight dimensions; all triplets of a batch count, and most soon count nothing."""

    def __init__(self, spec: Spec) -> None:
        """Build the network."""
        super().__init__(spec)
        self.module = nn.Sequential(
            nn.Linear(64, 64), nn.ReLU(), nn.Dropout(spec.dropout), self.deep_stack(64), nn.Linear(64, 8)
        )
        self.hard = bool(spec.arch.get("hard", False))

    def loss(self, batch: Batch) -> Tensor:
        """Mean hinge over the triplets, or over each row's hardest one (Hermans et al., 2017) with `hard`."""
        codes, labels = self.module(batch[0]), batch[1]
        squares = ((codes[:, None] - codes) ** 2).sum(-1)
        distance = torch.sqrt(squares + 1e-6)
        same = labels[:, None] == labels
        if self.hard:
            farthest = (distance * same).max(1).values
            nearest = (distance + 1e3 * same).min(1).values
            hardest: Tensor = torch.relu(farthest - nearest.clamp(max=1e3) + MARGIN)[~same.all(1)].mean()
            return hardest
        positive = same & ~torch.eye(len(labels), dtype=torch.bool)
        valid = positive[:, :, None] & ~same[:, None, :]
        hinge = torch.relu(distance[:, :, None] - distance[:, None, :] + MARGIN)
        mean: Tensor = (hinge * valid).sum() / valid.sum().clamp_min(1)
        return mean

    def evaluate(self, phase: str) -> float:
        """Mean over nine parts of the held-out rows, whose triplets would be too many at once."""
        images, labels = self.batch(torch.Generator().manual_seed(5), self.eval_size, phase)
        self.module.eval()
        with torch.no_grad():
            parts = zip(images.split(33), labels.split(33), strict=True)
            value = float(torch.stack([self.loss(part) for part in parts]).mean())
        self.module.train()
        return value


build = Triplets

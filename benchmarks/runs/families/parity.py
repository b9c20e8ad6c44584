"""Sparse parity: the loss stands still for hundreds of steps, then falls at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.runs.families.base import Batch, Task

if TYPE_CHECKING:
    from benchmarks.runs.spec import Spec

BITS = 24


class SparseParity(Task):
    """Is the product of three of 24 signs positive? (Barak et al., Hidden Progress in Deep Learning, 2022)."""

    eval_size = 1024

    def __init__(self, spec: Spec) -> None:
        """Choose the signs that count."""
        super().__init__(spec)
        order = torch.randperm(BITS, generator=self.world)
        self.chosen = {"main": order[:3], "shift": order[3:6], "soft": order[1:4], "easy": order[:1]}
        width = int(spec.arch.get("width", 128))
        self.module = nn.Sequential(
            nn.Linear(BITS, width), nn.ReLU(), nn.Dropout(spec.dropout), self.deep_stack(width), nn.Linear(width, 1)
        )

    def batch(self, rng: torch.Generator, size: int, phase: str) -> Batch:
        """Random signs and the parity of the chosen ones."""
        signs = 2.0 * torch.randint(2, (size, BITS), generator=rng) - 1
        return signs, (signs[:, self.chosen[phase]].prod(1) + 1) / 2

    def loss(self, batch: Batch) -> Tensor:
        """Log loss."""
        return functional.binary_cross_entropy_with_logits(self.module(batch[0])[:, 0], batch[1])


build = SparseParity

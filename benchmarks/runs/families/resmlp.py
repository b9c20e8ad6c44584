"""A residual network of linear layers with layer normalisation, classes given by a random teacher."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.runs.families.base import Batch, Task

if TYPE_CHECKING:
    from benchmarks.runs.spec import Spec

WIDTH = 48


class Residual(nn.Module):
    """Normalise, two layers, add."""

    def __init__(self, dropout: float) -> None:
        """Build one block."""
        super().__init__()
        self.inner = nn.Sequential(
            nn.LayerNorm(WIDTH), nn.Linear(WIDTH, WIDTH), nn.GELU(), nn.Dropout(dropout), nn.Linear(WIDTH, WIDTH)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Add what the block finds."""
        out: Tensor = x + self.inner(x)
        return out


class TeacherClasses(Task):
    """24 features, 8 classes from a random two-layer teacher with 5 % wrong labels."""

    eval_size = 512

    def __init__(self, spec: Spec) -> None:
        """Draw the teachers and build the network."""
        super().__init__(spec)
        self.teachers = [
            (torch.randn(24, 32, generator=self.world), torch.randn(32, 8, generator=self.world)) for _ in range(2)
        ]
        blocks = [Residual(spec.dropout) for _ in range(int(spec.arch.get("blocks", 3)))]
        self.module = nn.Sequential(
            nn.Linear(24, WIDTH), *blocks, nn.LayerNorm(WIDTH), self.deep_stack(WIDTH), nn.Linear(WIDTH, 8)
        )

    def batch(self, rng: torch.Generator, size: int, phase: str) -> Batch:
        """Gaussian rows; `shift` has another teacher, `soft` more wrong labels, `easy` only one class in play."""
        rows = torch.randn(size, 24, generator=rng)
        first, second = self.teachers[phase == "shift"]
        labels = (torch.tanh(rows @ first / 3) @ second).argmax(1)
        wrong = torch.rand(size, generator=rng) < {"main": 0.05, "shift": 0.05, "soft": 0.2, "easy": 0.0}[phase]
        other = torch.randint(8, (size,), generator=rng)
        if phase == "easy":
            return rows, torch.zeros_like(labels)
        return rows, torch.where(wrong, other, labels)

    def loss(self, batch: Batch) -> Tensor:
        """Cross-entropy."""
        return functional.cross_entropy(self.module(batch[0]), batch[1])


build = TeacherClasses

"""Recommendation: user and item vectors whose product predicts a rating; most gradients are zero at every step."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.runs.families.base import Batch, Epochs, Task

if TYPE_CHECKING:
    from benchmarks.runs.spec import Spec

USERS, ITEMS, RATINGS = 120, 80, 6000


class Factors(nn.Module):
    """Embeddings, biases, and their product (or a small network over it)."""

    def __init__(self, task: Task) -> None:
        """Build the tables."""
        super().__init__()
        self.users = nn.Embedding(USERS, 8)
        self.items = nn.Embedding(ITEMS, 8)
        with torch.no_grad():
            self.users.weight.mul_(0.5)
            self.items.weight.mul_(0.5)
        self.mix = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), task.deep_stack(16), nn.Linear(16, 1))

    def forward(self, user: Tensor, item: Tensor) -> Tensor:
        """Predicted rating."""
        out: Tensor = self.mix(self.users(user) * self.items(item))
        return out[:, 0]


class Ratings(Task):
    """6,000 ratings of a world with 4 hidden factors; popular items come often."""

    eval_size = 1000

    def __init__(self, spec: Spec) -> None:
        """Draw users, items and ratings."""
        super().__init__(spec)
        users = torch.randn(USERS, 4, generator=self.world)
        items = torch.randn(ITEMS, 4, generator=self.world)
        self.table = users @ items.T
        popular = (torch.rand(RATINGS + 1000, generator=self.world) ** 2 * ITEMS).long()
        who = torch.randint(USERS, (RATINGS + 1000,), generator=self.world)
        self.rows = torch.stack((who, popular), 1)
        self.noise = 0.3 * torch.randn(RATINGS + 1000, generator=self.world)
        self.epochs = Epochs(RATINGS, drop_last=spec.drop_last)
        self.module = Factors(self)

    def batch(self, rng: torch.Generator, size: int, phase: str) -> Batch:
        """User, item, rating; `shift` turns tastes round, `soft` halves them, `easy` has ratings near zero."""
        held_out = size == self.eval_size
        index = torch.arange(RATINGS, RATINGS + 1000) if held_out else self.epochs.take(rng, size)
        who, what = self.rows[index].T
        taste = {"main": 1.0, "shift": -1.5, "soft": 0.6, "easy": 0.01}[phase]
        noise = self.noise[index] * {"easy": 0.05}.get(phase, 1.0)
        return who, what, taste * self.table[who, what] + noise

    def loss(self, batch: Batch) -> Tensor:
        """Mean squared error."""
        return functional.mse_loss(self.module(batch[0], batch[1]), batch[2])


build = Ratings

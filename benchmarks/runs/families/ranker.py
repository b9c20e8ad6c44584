"""Ranking from pairs: a hinge asks that the preferred of two items score higher."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from benchmarks.runs.families.base import Batch, Task

if TYPE_CHECKING:
    from benchmarks.runs.spec import Spec

FEATURES, WIDTH = 16, 48


class PairRanking(Task):
    """Items have 16 features and a hidden worth; a judge prefers one of two, and errs in some pairs."""

    eval_size = 600

    def __init__(self, spec: Spec) -> None:
        """Draw what items are worth and build the scorer."""
        super().__init__(spec)
        self.tastes = [
            (torch.randn(FEATURES, 12, generator=self.world) / 4, torch.randn(12, generator=self.world))
            for _ in range(2)
        ]
        self.wrong = float(spec.arch.get("wrong", 0.08))
        self.module = nn.Sequential(*self.hidden_layers(FEATURES, WIDTH), nn.Linear(WIDTH, 1))

    def worth(self, items: Tensor, phase: str) -> Tensor:
        """What items are worth in a phase."""
        first, second = self.tastes[phase == "shift"]
        value: Tensor = torch.sin(2 * items @ first) @ second
        return value

    def batch(self, rng: torch.Generator, size: int, phase: str) -> Batch:
        """Pairs, and 1 or -1; `shift` has other tastes, `soft` errs more, `easy` compares by the first feature."""
        pairs = torch.randn(size, 2, FEATURES, generator=rng)
        value = 5 * pairs[..., 0] if phase == "easy" else self.worth(pairs, phase)
        answer = torch.sign(value[:, 0] - value[:, 1])
        errs = torch.rand(size, generator=rng) < {"soft": 0.3, "easy": 0.0}.get(phase, self.wrong)
        return pairs, torch.where(errs, -answer, answer)

    def loss(self, batch: Batch) -> Tensor:
        """Mean hinge of the pairs."""
        scores = self.module(batch[0])[..., 0]
        mean: Tensor = torch.relu(1 - batch[1] * (scores[:, 0] - scores[:, 1])).mean()
        return mean


build = PairRanking

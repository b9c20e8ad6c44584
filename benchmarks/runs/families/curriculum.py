"""A curriculum: a recurrent network adds up marked numbers of sequences that grow longer in planned stages."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.runs.families.base import Batch, Task

if TYPE_CHECKING:
    from benchmarks.runs.spec import Spec

MAX_LENGTH, WIDTH = 16, 32


class Stages(Task):
    """`first` is the length at the beginning; `stages` equal parts of the run lead to 16. Marks are rarer than numbers."""

    eval_size = 300

    def __init__(self, spec: Spec) -> None:
        """Build the network."""
        super().__init__(spec)
        self.first = int(spec.arch.get("first", 6))
        self.stages = int(spec.arch.get("stages", 4))
        self.length = self.first
        self.weights = torch.randn(2, 3, generator=self.world)
        self.body = nn.GRU(4, WIDTH, batch_first=True)
        self.head = nn.Sequential(self.deep_stack(WIDTH), nn.Linear(WIDTH, 1))
        self.module = nn.ModuleList((self.body, self.head))

    def batch(self, rng: torch.Generator, size: int, phase: str) -> Batch:
        """Numbers with marks, and the running sum; the longest for evaluations; `shift` reweights the numbers."""
        length = MAX_LENGTH if size == self.eval_size else self.length
        numbers = torch.randn(size, length, 3, generator=rng) * {"easy": 0.05}.get(phase, 1.0)
        marks = (torch.rand(size, length, 1, generator=rng) < 0.3).float()
        parts = torch.tanh(numbers) @ self.weights[int(phase == "shift")] * marks[..., 0]
        total = parts.cumsum(1) / 2
        noise = torch.randn(total.shape, generator=rng) * {"soft": 0.8, "easy": 0.02}.get(phase, 0.1)
        return torch.cat((numbers, marks), 2), total + noise

    def loss(self, batch: Batch) -> Tensor:
        """Squared error, at every place."""
        states, _ = self.body(batch[0])
        return functional.mse_loss(self.head(states)[..., 0], batch[1])

    def after_step(self, step: int) -> None:
        """The next stage, when it is time."""
        stage = min(self.stages - 1, (step + 1) * self.stages // max(self.spec.steps, 1))
        self.length = round(self.first + (MAX_LENGTH - self.first) * stage / max(self.stages - 1, 1))


build = Stages

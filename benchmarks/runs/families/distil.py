"""Distillation: a small network learns the softened opinions of a larger, fixed one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.runs.families.base import Batch, Task

if TYPE_CHECKING:
    from benchmarks.runs.spec import Spec

FEATURES, CLASSES, WIDTH = 20, 12, 40


class Distillation(Task):
    """The teacher is a random two-layer network; its scores divided by the temperature are what is to be matched."""

    eval_size = 400

    def __init__(self, spec: Spec) -> None:
        """Draw two teachers and build the student."""
        super().__init__(spec)
        self.teachers = [
            (
                1.2 * torch.randn(FEATURES, 64, generator=self.world) / FEATURES**0.5,
                3.0 * torch.randn(64, CLASSES, generator=self.world) / 8,
            )
            for _ in range(2)
        ]
        self.temperature = float(spec.arch.get("temperature", 1.0))
        self.module = nn.Sequential(
            nn.Linear(FEATURES, WIDTH),
            nn.SiLU(),
            nn.Dropout(spec.dropout),
            nn.Linear(WIDTH, WIDTH),
            nn.SiLU(),
            self.deep_stack(WIDTH),
            nn.Linear(WIDTH, CLASSES),
        )

    def batch(self, rng: torch.Generator, size: int, phase: str) -> Batch:
        """Rows and the teacher's scores; `shift` has another teacher, `soft` a surer one, `easy` an indifferent one."""
        rows = torch.randn(size, FEATURES, generator=rng)
        first, second = self.teachers[phase == "shift"]
        scores = torch.tanh(2 * rows @ first) @ second * {"soft": 1.6, "easy": 0.03}.get(phase, 1.0)
        return rows, scores / self.temperature

    def loss(self, batch: Batch) -> Tensor:
        """Divergence of the student from the teacher, times the squared temperature (Hinton et al., 2015)."""
        student = (self.module(batch[0]) / self.temperature).log_softmax(-1)
        teacher = batch[1].log_softmax(-1)
        return functional.kl_div(student, teacher, reduction="batchmean", log_target=True) * self.temperature**2


build = Distillation

"""Several tasks at once: one trunk, a large squared error, classes and counts, as a weighted sum or by learned weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.runs.families.base import Batch, Task

if TYPE_CHECKING:
    from benchmarks.runs.spec import Spec

FEATURES, WIDTH, CLASSES = 12, 48, 6


class ManyAnswers(Task):
    """`scale` is the size of the first answer, `learned` weighs by uncertainty (Kendall et al., 2018), `sum` adds rows up."""

    eval_size = 600

    def __init__(self, spec: Spec) -> None:
        """Draw a teacher and build trunk, heads and weights."""
        super().__init__(spec)
        arch = spec.arch
        self.scale = float(arch.get("scale", 1.0))
        self.adds = bool(arch.get("sum", False))
        self.first = torch.randn(2, FEATURES, 24, generator=self.world) / FEATURES**0.5
        self.second = torch.randn(2, 24, CLASSES + 2, generator=self.world) / 3
        self.trunk = nn.Sequential(*self.hidden_layers(FEATURES, WIDTH))
        self.head = nn.Linear(WIDTH, CLASSES + 2)
        self.weights = nn.ParameterList([nn.Parameter(torch.zeros(3))] if arch.get("learned", False) else [])
        self.module = nn.ModuleDict({"trunk": self.trunk, "head": self.head, "weights": self.weights})

    def batch(self, rng: torch.Generator, size: int, phase: str) -> Batch:
        """Rows and three answers in columns; `shift` has another teacher, `soft` more noise, `easy` says little."""
        rows = torch.randn(size, FEATURES, generator=rng)
        world = int(phase == "shift")
        truth = torch.tanh(rows @ self.first[world]) @ self.second[world] * {"easy": 0.05}.get(phase, 1.0)
        noise = torch.randn(size, CLASSES + 2, generator=rng)
        truth = truth + (0.5 if phase == "soft" else 0.15) * noise * {"easy": 0.1}.get(phase, 1.0)
        size_of = self.scale * (truth[:, 0] + float(phase == "shift"))
        count = torch.poisson((1 + truth[:, 1].clamp(max=3)).exp(), generator=rng)
        return rows, torch.stack((size_of, count, truth[:, 2:].argmax(1).float()), 1)

    def loss(self, batch: Batch) -> Tensor:
        """Squared error, Poisson's likelihood (without its constant, so it goes below zero) and cross-entropy."""
        out, answer = self.head(self.trunk(batch[0])), batch[1]
        losses = torch.stack(
            (
                functional.mse_loss(self.scale * out[:, 0], answer[:, 0]),
                functional.poisson_nll_loss(out[:, 1].clamp(max=8), answer[:, 1]),
                functional.cross_entropy(out[:, 2:], answer[:, 2].long()),
            )
        )
        weights = list(self.weights.parameters())
        total = (torch.exp(-weights[0]) * losses + weights[0]).sum() if weights else losses.sum()
        return total * len(answer) if self.adds else total


build = ManyAnswers

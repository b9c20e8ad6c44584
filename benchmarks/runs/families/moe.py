"""A mixture of experts: a gate sends each row to two of six small networks; the load is balanced by a second loss."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.runs.families.base import Batch, Task

if TYPE_CHECKING:
    from benchmarks.runs.spec import Spec

EXPERTS, WIDTH = 6, 24


class Mixture(nn.Module):
    """Top-two routing with a balance term (Shazeer et al., 2017)."""

    def __init__(self, task: Task) -> None:
        """Build gate and experts."""
        super().__init__()
        self.gate = nn.Linear(10, EXPERTS)
        self.experts = nn.ModuleList(
            nn.Sequential(nn.Linear(10, WIDTH), nn.GELU(), nn.Linear(WIDTH, WIDTH)) for _ in range(EXPERTS)
        )
        self.head = nn.Sequential(task.deep_stack(WIDTH), nn.Linear(WIDTH, 2))

    def forward(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Answers, and how unevenly the experts were used."""
        weights = self.gate(rows).softmax(-1)
        top, chosen = weights.topk(2, -1)
        routed = torch.zeros_like(weights).scatter(1, chosen, top / top.sum(-1, keepdim=True))
        parts = torch.stack([expert(rows) for expert in self.experts], 1)
        mixed = (routed[..., None] * parts).sum(1)
        balance = EXPERTS * (weights.mean(0) * (routed > 0).float().mean(0)).sum()
        return self.head(mixed), balance


class PiecewiseRegression(Task):
    """Four regions of the input, each with its own linear rule."""

    eval_size = 512

    def __init__(self, spec: Spec) -> None:
        """Draw centres and rules."""
        super().__init__(spec)
        self.centres = torch.randn(4, 10, generator=self.world)
        self.rules = torch.randn(4, 10, 2, generator=self.world) / 2
        self.module = Mixture(self)

    def batch(self, rng: torch.Generator, size: int, phase: str) -> Batch:
        """Rows and answers; `shift` swaps the rules of the regions, `soft` adds noise, `easy` has small answers."""
        rows = torch.randn(size, 10, generator=rng)
        region = (rows @ self.centres.T).argmax(1)
        rules = self.rules.roll(1, 0) if phase == "shift" else self.rules
        answers = torch.einsum("bi,bij->bj", rows, rules[region]) * {"easy": 0.02}.get(phase, 1.0)
        noise = {"main": 0.1, "shift": 0.1, "soft": 0.5, "easy": 0.002}[phase]
        return rows, answers + noise * torch.randn(answers.shape, generator=rng)

    def loss(self, batch: Batch) -> Tensor:
        """Squared error plus a hundredth of the imbalance."""
        answers, balance = self.module(batch[0])
        total: Tensor = functional.mse_loss(answers, batch[1]) + 0.01 * balance
        return total


build = PiecewiseRegression

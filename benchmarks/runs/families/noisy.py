"""Tiny, noisy batches: regression or classes from a few heavy-tailed rows at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.runs.families.base import Batch, Task

if TYPE_CHECKING:
    from benchmarks.runs.spec import Spec


class HeavyRows(Task):
    """12 features with Student-t tails and a noisy answer; a linear model or a small network."""

    eval_size = 1024

    def __init__(self, spec: Spec) -> None:
        """Draw the rule that gives the answers."""
        super().__init__(spec)
        self.rule = torch.randn(12, generator=self.world)
        self.logistic = bool(spec.arch.get("logistic", False))
        self.tail = float(spec.arch.get("tail", 4.0))
        width = int(spec.arch.get("width", 16))
        layers: list[nn.Module] = [nn.Linear(12, width), nn.Tanh()] if width else []
        self.module = nn.Sequential(*layers, self.deep_stack(width), nn.Linear(width or 12, 1))

    def batch(self, rng: torch.Generator, size: int, phase: str) -> Batch:
        """Rows and answers; `shift` turns the rule round, `easy` has small features."""
        sign, noise, spread = {
            "main": (1.0, 0.5, 1.0),
            "shift": (-1.5, 1.0, 1.5),
            "soft": (1.0, 1.0, 1.0),
            "easy": (1.0, 0.01, 0.05),
        }[phase]
        normal = torch.randn(size, 12, generator=rng)
        # A Student t is a normal over the root of a mean square of `tail` normals.
        root = torch.randn(size, 1, int(self.tail), generator=rng).square().mean(-1).sqrt()
        rows = spread * normal / root.clamp_min(0.02)
        clean = sign * torch.tanh(rows @ self.rule / 3) * 2
        answer = clean + noise * torch.randn(size, generator=rng)
        return rows, (answer > 0).float() if self.logistic else answer

    def loss(self, batch: Batch) -> Tensor:
        """Log loss or squared error."""
        out = self.module(batch[0])[:, 0]
        if self.logistic:
            return functional.binary_cross_entropy_with_logits(out, batch[1].clamp(0, 1))
        return functional.mse_loss(out, batch[1])


build = HeavyRows

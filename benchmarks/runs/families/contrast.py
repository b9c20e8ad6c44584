"""Contrastive learning: two noisy views of a point must find each other in the batch (InfoNCE)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.runs.families.base import Batch, Task

if TYPE_CHECKING:
    from benchmarks.runs.spec import Spec


class TwoViews(Task):
    """Points of 6 hidden coordinates seen through two random nonlinear maps with noise."""

    eval_size = 64

    def __init__(self, spec: Spec) -> None:
        """Draw the maps of this seed's world and build two encoders."""
        super().__init__(spec)
        self.maps = torch.randn(2, 6, 24, generator=self.world)
        self.temperature = float(spec.arch.get("temperature", 0.1))
        self.encoders = [
            nn.Sequential(nn.Linear(24, 64), nn.ReLU(), self.deep_stack(64), nn.Linear(64, 16)) for _ in range(2)
        ]
        self.module = nn.ModuleList(self.encoders)

    def batch(self, rng: torch.Generator, size: int, phase: str) -> Batch:
        """Both views of `size` points."""
        noise, spread = {"main": (0.4, 1.0), "shift": (0.9, 2.0), "soft": (0.55, 1.0), "easy": (0.02, 1.0)}[phase]
        points = spread * torch.randn(size, 6, generator=rng)
        clean = torch.tanh(torch.einsum("bi,vij->vbj", points, self.maps))
        views = clean + noise * torch.randn(clean.shape, generator=rng)
        return views[0], views[1]

    def loss(self, batch: Batch) -> Tensor:
        """Symmetric InfoNCE on the unit sphere (van den Oord et al., 2018)."""
        one, two = (functional.normalize(net(view), dim=1) for net, view in zip(self.encoders, batch, strict=True))
        logits = one @ two.T / self.temperature
        same = torch.arange(len(logits))
        return (functional.cross_entropy(logits, same) + functional.cross_entropy(logits.T, same)) / 2


build = TwoViews

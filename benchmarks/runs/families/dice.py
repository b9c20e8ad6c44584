"""Segmentation: a small convolutional network paints over the blobs of a noisy picture; overlap is the loss."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.runs.families.base import ACTIVATIONS, Batch, Task

if TYPE_CHECKING:
    from benchmarks.runs.spec import Spec

SIDE, WIDTH = 12, 10


class Blobs(Task):
    """One or two ellipses on a sloping ground; `cross` adds a share of cross-entropy, `picture` an overlap a picture."""

    eval_size = 128

    def __init__(self, spec: Spec) -> None:
        """Build the network; a deep stack, where asked for, works on every pixel."""
        super().__init__(spec)
        self.cross = float(spec.arch.get("cross", 0.0))
        self.picture = bool(spec.arch.get("picture", False))
        axis = torch.linspace(-1, 1, SIDE)
        self.places = torch.stack(torch.meshgrid(axis, axis, indexing="ij"))
        squash = ACTIVATIONS["relu"]
        self.body = nn.Sequential(
            nn.Conv2d(1, WIDTH, 3, padding=1),
            squash(),
            nn.Conv2d(WIDTH, WIDTH, 3, padding=2, dilation=2),
            squash(),
            nn.Conv2d(WIDTH, WIDTH, 3, padding=1),
            squash(),
        )
        stack, last = self.deep_stack(WIDTH), nn.Linear(WIDTH, 1)
        nn.init.constant_(last.bias, -2.0)
        self.head = nn.Sequential(stack, last)
        self.module = nn.ModuleList((self.body, self.head))

    def batch(self, rng: torch.Generator, size: int, phase: str) -> Batch:
        """Pictures and where the blobs are; `shift` has dark ones, `soft` more noise, `easy` large and clear ones."""
        count = 1 if phase == "easy" else 2
        centre = 1.4 * torch.rand(size, count, 2, 1, 1, generator=rng) - 0.7
        radius = (0.2 + 0.25 * torch.rand(size, count, 2, 1, 1, generator=rng)) * {"easy": 2.5}.get(phase, 1.0)
        inside = (((self.places - centre) / radius).square().sum(2) < 1).any(1).float()
        noise = torch.randn(inside.shape, generator=rng) * {"soft": 0.8, "easy": 0.1}.get(phase, 0.4)
        slope = torch.randn(size, 2, 1, 1, generator=rng)
        ground = 0.3 * (slope * self.places).sum(1)
        return (1 - 2 * float(phase == "shift")) * inside + noise + ground, inside

    def loss(self, batch: Batch) -> Tensor:
        """One minus twice the overlap over the sum of both areas (Milletari et al., 2016)."""
        scores = self.head(self.body(batch[0][:, None]).movedim(1, -1))[..., 0]
        painted, truth = scores.sigmoid(), batch[1]
        axes = (1, 2) if self.picture else (0, 1, 2)
        overlap, areas = (painted * truth).sum(axes), (painted + truth).sum(axes)
        missed: Tensor = (1 - (2 * overlap + 1) / (areas + 1)).mean()
        if self.cross:
            missed = missed + self.cross * functional.binary_cross_entropy_with_logits(scores, truth.clamp(0, 1))
        return missed


build = Blobs

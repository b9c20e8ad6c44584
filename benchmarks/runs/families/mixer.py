"""A mixer of patches, without attention or convolution, that tells the directions of gratings."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.runs.families.base import Batch, Task

if TYPE_CHECKING:
    from benchmarks.runs.spec import Spec

SIDE, PATCHES, PIXELS, WIDTH, CLASSES = 12, 9, 16, 28, 6


class Mix(nn.Module):
    """Mix over patches, then over channels (Tolstikhin et al., 2021)."""

    def __init__(self, dropout: float) -> None:
        """Build one layer."""
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(WIDTH) for _ in range(2))
        self.places = nn.Sequential(nn.Linear(PATCHES, 18), nn.GELU(), nn.Linear(18, PATCHES))
        self.channels = nn.Sequential(nn.Linear(WIDTH, 48), nn.GELU(), nn.Dropout(dropout), nn.Linear(48, WIDTH))

    def forward(self, x: Tensor) -> Tensor:
        """Add what both find."""
        first, second = self.norms
        x = x + self.places(first(x).transpose(1, 2)).transpose(1, 2)
        out: Tensor = x + self.channels(second(x))
        return out


class Gratings(Task):
    """Images of 12 by 12 pixels: a sinusoid of one of six directions and any phase, under noise."""

    eval_size = 300

    def __init__(self, spec: Spec) -> None:
        """Build the network."""
        super().__init__(spec)
        layers = int(spec.arch.get("layers", 2))
        self.noise = float(spec.arch.get("noise", 1.0))
        self.module = nn.Sequential(
            nn.Linear(PIXELS, WIDTH),
            *(Mix(spec.dropout) for _ in range(layers)),
            nn.LayerNorm(WIDTH),
            nn.Flatten(),
            nn.Linear(PATCHES * WIDTH, 32),
            nn.GELU(),
            self.deep_stack(32),
            nn.Linear(32, CLASSES),
        )

    def batch(self, rng: torch.Generator, size: int, phase: str) -> Batch:
        """`shift` renames the directions and brightens, `soft` is noisier, `easy` shows one direction without noise."""
        kind = torch.randint(CLASSES, (size,), generator=rng) * (phase != "easy")
        angle = (math.pi * kind / CLASSES)[:, None, None]
        grid = torch.arange(SIDE, dtype=torch.float32)
        along = torch.cos(angle) * grid[None, :, None] + torch.sin(angle) * grid[None, None, :]
        start = 2 * math.pi * torch.rand(size, 1, 1, generator=rng) * (phase != "easy")
        noise = self.noise * {"soft": 1.8, "easy": 0.02}.get(phase, 1.0)
        images = torch.sin(1.1 * along + start) + noise * torch.randn(size, SIDE, SIDE, generator=rng)
        if phase == "shift":
            images, kind = images + 1, (kind + 2) % CLASSES
        patches = images.view(size, 3, 4, 3, 4).transpose(2, 3).reshape(size, PATCHES, PIXELS)
        return patches, kind

    def loss(self, batch: Batch) -> Tensor:
        """Cross-entropy."""
        return functional.cross_entropy(self.module(batch[0]), batch[1])


build = Gratings

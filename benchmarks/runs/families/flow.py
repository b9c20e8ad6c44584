"""A normalising flow: affine couplings turn curved clouds of points into a Gaussian; bits that go below zero."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from benchmarks.runs.families.base import Batch, Task

if TYPE_CHECKING:
    from benchmarks.runs.spec import Spec

SIZE, CLOUDS, WIDTH = 4, 3, 32


class Coupling(nn.Module):
    """Scale and move one half of the coordinates by what the other half and the cloud's name say (Dinh et al., 2017)."""

    def __init__(self, task: Task) -> None:
        """Build one coupling."""
        super().__init__()
        self.inner = nn.Sequential(
            nn.Linear(SIZE // 2 + CLOUDS, WIDTH),
            nn.ReLU(),
            task.deep_stack(WIDTH),
            nn.Linear(WIDTH, SIZE),
        )
        self.bound = float(task.spec.arch.get("bound", 2.0))

    def forward(self, points: Tensor, name: Tensor) -> tuple[Tensor, Tensor]:
        """Changed points with their halves exchanged, and the log of the volume's change."""
        kept, changed = points.chunk(2, 1)
        move, scale = self.inner(torch.cat((kept, name), 1)).chunk(2, 1)
        scale = self.bound * torch.tanh(scale / self.bound)
        return torch.cat((changed * torch.exp(scale) + move, kept), 1), scale.sum(1)


class ConditionalFlow(Task):
    """Points on bent bands in four dimensions, each cloud bent its own way; a share of `stray` points lies anywhere."""

    eval_size = 700

    def __init__(self, spec: Spec) -> None:
        """Draw the clouds and build the couplings."""
        super().__init__(spec)
        self.bends = 1.5 * torch.randn(2, CLOUDS, 2, SIZE, generator=self.world)
        self.centres = torch.randn(2, CLOUDS, SIZE, generator=self.world)
        count = int(spec.arch.get("couplings", 4))
        self.module = nn.ModuleList(Coupling(self) for _ in range(count))
        self.stray = float(spec.arch.get("stray", 0.0))

    def batch(self, rng: torch.Generator, size: int, phase: str) -> Batch:
        """Points and clouds; `shift` has other clouds, `soft` blurs them, `easy` are points that are Gaussian already."""
        which = torch.randint(CLOUDS, (size,), generator=rng)
        if phase == "easy":
            return torch.randn(size, SIZE, generator=rng), which
        world = int(phase == "shift")
        along = 2 * torch.rand(size, 1, generator=rng) - 1
        first, second = self.bends[world, which].unbind(1)
        points = self.centres[world, which] + along * first + along.square() * second
        points = points + (0.3 if phase == "soft" else 0.1) * torch.randn(points.shape, generator=rng)
        stray = torch.rand(size, 1, generator=rng) < self.stray
        return torch.where(stray, 3 * torch.randn(points.shape, generator=rng), points), which

    def loss(self, batch: Batch) -> Tensor:
        """Negative log-likelihood, a coordinate."""
        points, which = batch
        name = nn.functional.one_hot(which, CLOUDS).float()
        volume = torch.zeros(len(points))
        for coupling in self.module.children():
            points, change = coupling(points, name)
            volume = volume + change
        gauss = 0.5 * points.square().sum(1) + 0.5 * SIZE * math.log(2 * math.pi)
        nats: Tensor = (gauss - volume).mean() / SIZE
        return nats


build = ConditionalFlow

"""Adversarial training: a generator bends noise into points on a ring, and a critic tells them from the real ones."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional

from benchmarks.runs.families.base import Batch, Task

if TYPE_CHECKING:
    from benchmarks.runs.spec import Spec

NOISE, WIDTH, CLOUDS = 4, 48, 5
LEAK = 0.2


class Adversaries(Task):
    """Five clouds on a ring; both players see points through `blur`, which keeps their game from circling."""

    def __init__(self, spec: Spec) -> None:
        """Place the clouds and build both networks, which one optimiser moves at once."""
        super().__init__(spec)
        turn = 2 * math.pi * (torch.arange(CLOUDS) / CLOUDS + torch.rand(1, generator=self.world))
        self.centres = torch.stack((turn.cos(), turn.sin()), 1) + torch.tensor([1.5, -1.0])
        self.blur = float(spec.arch.get("blur", 0.3))
        self.hinge = bool(spec.arch.get("hinge", False))
        self.generator = nn.Sequential(
            nn.Linear(NOISE, WIDTH),
            nn.LeakyReLU(LEAK),
            nn.Linear(WIDTH, WIDTH),
            nn.LeakyReLU(LEAK),
            nn.Linear(WIDTH, 2),
        )
        self.critic = nn.Sequential(
            nn.Linear(2, WIDTH),
            nn.LeakyReLU(LEAK),
            self.deep_stack(WIDTH),
            nn.Linear(WIDTH, WIDTH),
            nn.LeakyReLU(LEAK),
            nn.Linear(WIDTH, 1),
        )
        self.module = nn.ModuleList((self.generator, self.critic))
        self.dice = torch.Generator().manual_seed(91 + spec.seed)
        self.directions = functional.normalize(torch.randn(32, 2, generator=self.world), dim=1)

    def batch(self, rng: torch.Generator, size: int, phase: str) -> Batch:
        """Noise and real points; `shift` has the ring elsewhere, `soft` blurs it, `easy` is one small cloud."""
        noise = torch.randn(size, NOISE, generator=rng)
        chosen = self.centres[torch.randint(CLOUDS, (size,), generator=rng)]
        scatter = torch.randn(size, 2, generator=rng)
        match phase:
            case "shift":
                real = torch.tensor([0.5, 1.0]) - chosen + 0.1 * scatter
            case "soft":
                real = chosen + 0.4 * scatter
            case "easy":
                real = 0.05 * scatter
            case _:
                real = chosen + 0.1 * scatter
        return noise, real

    def blurred(self, points: Tensor) -> Tensor:
        """Points as the critic sees them."""
        return points + self.blur * torch.randn(points.shape, generator=self.dice)

    def loss(self, batch: Batch) -> Tensor:
        """Critic's loss plus generator's (Goodfellow et al., 2014, or the hinge); neither moves the other's weights."""
        noise, real = batch
        made = self.generator(noise)
        fixed = {name: p.detach() for name, p in self.critic.named_parameters()}
        judged = functional_call(self.critic, fixed, (self.blurred(made),))
        on_real, on_made = self.critic(self.blurred(real)), self.critic(self.blurred(made.detach()))
        if self.hinge:
            total: Tensor = functional.relu(1 - on_real).mean() + functional.relu(1 + on_made).mean() - judged.mean()
            return total
        critic = functional.softplus(-on_real).mean() + functional.softplus(on_made).mean()
        return critic + functional.softplus(-judged).mean()

    def evaluate(self, phase: str) -> float:
        """Sliced distance of Wasserstein between made and real points: the losses of a game measure no success."""
        noise, real = self.batch(torch.Generator().manual_seed(5), 600, phase)
        with torch.no_grad():
            made, true = ((points @ self.directions.T).sort(0).values for points in (self.generator(noise), real))
        return float((made - true).abs().mean())


build = Adversaries

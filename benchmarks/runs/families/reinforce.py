"""Policy gradient on a small control task: a cart is pushed to its goal, and the loss tells nothing of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from benchmarks.runs.families.base import Batch, Task

if TYPE_CHECKING:
    from benchmarks.runs.spec import Spec

STEPS, PUSHES = 8, 3


class Cart(Task):
    """Place and speed on a line; three pushes; the cost of a moment is the distance to the goal."""

    def __init__(self, spec: Spec) -> None:
        """Build the policy."""
        super().__init__(spec)
        self.module = nn.Sequential(
            nn.Linear(3, 32), nn.Tanh(), self.deep_stack(32), nn.Linear(32, 32), nn.Tanh(), nn.Linear(32, PUSHES)
        )
        self.dice = torch.Generator().manual_seed(191 + spec.seed)
        self.bonus = float(spec.arch.get("bonus", 0.01))

    def batch(self, rng: torch.Generator, size: int, phase: str) -> Batch:
        """Starts, what a push does, and goals; `shift` swaps the pushes, `soft` weakens them, `easy` starts at rest."""
        start = torch.randn(size, 2, generator=rng) * (0.01 if phase == "easy" else 1.0)
        goal = torch.randn(size, generator=rng) * (0.01 if phase == "easy" else 1.0)
        force = torch.full((size,), {"shift": -0.5, "soft": 0.25, "easy": 0.005}.get(phase, 0.5))
        return start, force, goal

    def rollout(self, batch: Batch, dice: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """Costs, logarithms of the chances of what was done, and entropies, each of shape (STEPS, size)."""
        start, force, goal = batch
        place, speed = start[:, 0], 0.3 * start[:, 1]
        costs, chances, entropies = [], [], []
        for _ in range(STEPS):
            scores = self.module(torch.stack((place, speed, goal), 1)).log_softmax(-1)
            weights = scores.detach().exp()
            if not bool(torch.isfinite(weights).all()):
                weights = torch.ones_like(weights)  # diverged: the loss below is not finite either
            push = torch.multinomial(weights, 1, generator=dice)
            speed = 0.8 * speed + force * (push[:, 0] - 1)
            place = place + speed
            costs.append((place - goal).abs())
            chances.append(scores.gather(1, push)[:, 0])
            entropies.append(-(scores.exp() * scores).sum(-1))
        return torch.stack(costs), torch.stack(chances), torch.stack(entropies)

    def loss(self, batch: Batch) -> Tensor:
        """Williams' estimator (1992) with the batch mean as baseline, minus a little entropy."""
        costs, chances, entropies = self.rollout(batch, self.dice)
        after = costs.flip(0).cumsum(0).flip(0)
        advantage = after.mean(1, keepdim=True) - after
        total: Tensor = -(advantage * chances).mean() - self.bonus * entropies.mean()
        return total

    def evaluate(self, phase: str) -> float:
        """Mean cost of a moment, always with the same dice."""
        batch = self.batch(torch.Generator().manual_seed(5), self.eval_size, phase)
        with torch.no_grad():
            return float(self.rollout(batch, torch.Generator().manual_seed(6))[0].mean())


build = Cart

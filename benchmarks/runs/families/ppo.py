"""Proximal policy optimisation: a pole is kept upright, from the learner's own walks, each used a few times."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.runs.families.base import Batch, Task

if TYPE_CHECKING:
    from benchmarks.runs.spec import Spec

POLES, MOVES, WIDTH = 32, 16, 32
DISCOUNT, TRACE, CLIP = 0.95, 0.9, 0.2


class Pole(Task):
    """Angle and speed of a pole that falls; the policy pushes with a Gaussian strength (Schulman et al., 2017)."""

    def __init__(self, spec: Spec) -> None:
        """Build actor and critic, and let the poles begin anywhere near upright."""
        super().__init__(spec)
        self.actor = nn.Sequential(nn.Linear(2, WIDTH), nn.Tanh(), self.deep_stack(WIDTH), nn.Linear(WIDTH, 1))
        self.critic = nn.Sequential(
            nn.Linear(2, WIDTH), nn.Tanh(), nn.Linear(WIDTH, WIDTH), nn.Tanh(), nn.Linear(WIDTH, 1)
        )
        self.spread = nn.Parameter(torch.tensor([-0.5]))
        self.module = nn.ParameterDict({"spread": self.spread})
        self.module.add_module("actor", self.actor)
        self.module.add_module("critic", self.critic)
        self.price = float(spec.arch.get("price", 0.2))
        self.uses = int(spec.arch.get("uses", 4))
        self.dice = torch.Generator().manual_seed(91 + spec.seed)
        self.poles = self.anew(POLES, self.dice)
        self.walks: Batch = ()
        self.left = torch.empty(0, dtype=torch.long)

    def anew(self, count: int, rng: torch.Generator) -> Tensor:
        """Poles at rest or nearly so."""
        return torch.rand(count, 2, generator=rng) * torch.tensor([2.0, 1.0]) - torch.tensor([1.0, 0.5])

    def move(self, poles: Tensor, push: Tensor, phase: str) -> tuple[Tensor, Tensor]:
        """One twentieth of a second; `shift` reverses the motor, `soft` weakens it, `easy` pays next to nothing."""
        angle, speed = poles.T
        motor = {"shift": -6.0, "soft": 3.5}.get(phase, 5.0) * push[:, 0].clamp(-2, 2)
        speed = (speed + 0.1 * (6 * torch.sin(angle) + motor)).clamp(-8, 8)
        angle = (angle + 0.1 * speed + math.pi).remainder(2 * math.pi) - math.pi
        pay = -self.price * (angle.square() + 0.1 * speed.square() + 0.01 * motor.square())
        return torch.stack((angle, speed), 1), pay * {"easy": 0.02}.get(phase, 1.0)

    def chance(self, seen: Tensor, push: Tensor) -> Tensor:
        """Log-density of pushes, up to a constant."""
        away = (push - self.actor(seen)) * torch.exp(-self.spread)
        nats: Tensor = (-0.5 * away.square() - self.spread)[:, 0]
        return nats

    def walk(self, phase: str) -> None:
        """Sixteen moves of all poles, with advantages by generalised estimation."""
        seen, pushes, pays, ends = [], [], [], []
        with torch.no_grad():
            for _ in range(MOVES):
                push = self.actor(self.poles) + self.spread.exp() * torch.randn(POLES, 1, generator=self.dice)
                seen.append(self.poles)
                pushes.append(push)
                poles, pay = self.move(self.poles, push, phase)
                end = torch.rand(POLES, generator=self.dice) < 0.03
                self.poles = torch.where(end[:, None], self.anew(POLES, self.dice), poles)
                pays.append(pay)
                ends.append(end)
            worth = [self.critic(states)[:, 0] for states in (*seen, self.poles)]
            gain, gains = torch.zeros(POLES), []
            for k in reversed(range(MOVES)):
                goes_on = DISCOUNT * (~ends[k]).float()
                gain = pays[k] + goes_on * worth[k + 1] - worth[k] + goes_on * TRACE * gain
                gains.append(gain)
            advantage = torch.cat(gains[::-1])
            states, actions = torch.cat(seen), torch.cat(pushes)
            returns = advantage + torch.cat(worth[:-1])
            scaled = (advantage - advantage.mean()) / (advantage.std() + 1e-6)
            self.walks = (states, actions, self.chance(states, actions), scaled, returns)

    def batch(self, rng: torch.Generator, size: int, phase: str) -> Batch:
        """Part of the last walks; new ones are made when each has been used `uses` times."""
        if len(self.left) < size:
            self.walk(phase)
            self.left = torch.cat([torch.randperm(POLES * MOVES, generator=rng) for _ in range(self.uses)])
        chosen, self.left = self.left[:size], self.left[size:]
        return tuple(column[chosen] for column in self.walks)

    def loss(self, batch: Batch) -> Tensor:
        """Clipped policy loss plus half the critic's squared error minus a little entropy."""
        seen, push, before, advantage, returns = batch
        ratio = (self.chance(seen, push) - before).clamp(max=20).exp()
        policy = -torch.minimum(ratio * advantage, ratio.clamp(1 - CLIP, 1 + CLIP) * advantage).mean()
        value = functional.mse_loss(self.critic(seen)[:, 0], returns)
        total: Tensor = policy + 0.5 * value - 0.01 * self.spread.sum()
        return total

    def evaluate(self, phase: str) -> float:
        """Minus the mean pay of thirty moves without chance: the loss measures no success here."""
        poles, paid = self.anew(128, torch.Generator().manual_seed(5)), torch.zeros(())
        with torch.no_grad():
            for _ in range(30):
                poles, pay = self.move(poles, self.actor(poles), phase)
                paid = paid + pay.mean()
        return -float(paid) / 30


build = Pole

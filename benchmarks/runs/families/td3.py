"""Twin delayed critics: what pushing a point towards its goal is worth grows over the run, and the loss with it."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional

from benchmarks.runs.families.base import Batch, Task

if TYPE_CHECKING:
    from benchmarks.runs.spec import Spec

POINTS, MEMORY, WIDTH = 16, 4000, 48


class Push(Task):
    """A point with drag on a plane; every move near the goal pays, so values add up (Fujimoto et al., 2018)."""

    def __init__(self, spec: Spec) -> None:
        """Build actor, two critics and the slow copies of all."""
        super().__init__(spec)
        self.gamma = float(spec.arch.get("gamma", 0.95))
        self.slow = float(spec.arch.get("slow", 0.02))
        self.share = float(spec.arch.get("actor", 0.1))
        self.goal = torch.randn(2, generator=self.world)
        self.actor = nn.Sequential(nn.Linear(4, WIDTH), nn.ReLU(), nn.Linear(WIDTH, 2), nn.Tanh())
        self.critics = nn.ModuleList(
            nn.Sequential(nn.Linear(6, WIDTH), nn.ReLU(), self.deep_stack(WIDTH), nn.Linear(WIDTH, WIDTH), nn.ReLU(), nn.Linear(WIDTH, 1))
            for _ in range(2)
        )  # fmt: skip
        self.module = nn.ModuleList((self.actor, self.critics))
        self.slow_actor, self.slow_critics = copy.deepcopy(self.actor), copy.deepcopy(self.critics)
        self.copies = nn.ModuleList((self.slow_actor, self.slow_critics))
        self.dice = torch.Generator().manual_seed(91 + spec.seed)
        self.points = self.anew(POINTS, self.dice)
        self.memory = torch.empty(0, 10)
        while len(self.memory) < 400:
            self.step("main", 1.0)

    def anew(self, count: int, rng: torch.Generator) -> Tensor:
        """Points somewhere, at rest."""
        return torch.cat((5 * torch.rand(count, 2, generator=rng) - 2.5, torch.zeros(count, 2)), 1)

    def move(self, points: Tensor, push: Tensor) -> Tensor:
        """One move."""
        speed = 0.8 * points[:, 2:] + 0.3 * push
        return torch.cat(((points[:, :2] + speed).clamp(-4, 4), speed), 1)

    def pay(self, points: Tensor, phase: str) -> Tensor:
        """What being somewhere pays; `shift` has the goal on the other side and pays double, `easy` nearly nothing."""
        goal = -self.goal if phase == "shift" else self.goal
        near = torch.exp(-0.3 * (points[:, :2] - goal).square().sum(1))
        return near * {"main": 1.0, "shift": 2.0, "soft": 1.5, "easy": 0.02}[phase]

    def step(self, phase: str, noise: float) -> None:
        """Every point moves once and is remembered."""
        with torch.no_grad():
            push = (self.actor(self.points) + noise * torch.randn(POINTS, 2, generator=self.dice)).clamp(-1, 1)
        came = self.move(self.points, push)
        del phase
        self.memory = torch.cat((self.memory, torch.cat((self.points, push, came), 1)))[-MEMORY:]
        again = torch.rand(POINTS, 1, generator=self.dice) < 0.05
        self.points = torch.where(again, self.anew(POINTS, self.dice), came)

    def batch(self, rng: torch.Generator, size: int, phase: str) -> Batch:
        """Remembered moves: where, push, where to, pay."""
        self.step(phase, 0.3)
        rows = self.memory[torch.randint(len(self.memory), (size,), generator=rng)]
        came = rows[:, 6:]
        pay = self.pay(came, phase) + 0.05 * torch.randn(size, generator=rng)
        return rows[:, :4], rows[:, 4:6], came, pay

    def loss(self, batch: Batch) -> Tensor:
        """Squared errors of both critics, minus (a share of) what the first thinks of the actor's pushes."""
        here, push, came, pay = batch
        actor, critics = self.slow_actor, self.slow_critics
        with torch.no_grad():
            jitter = (0.2 * torch.randn(len(here), 2, generator=self.dice)).clamp(-0.5, 0.5)
            following = torch.cat((came, (actor(came) + jitter).clamp(-1, 1)), 1)
            goal = pay + self.gamma * torch.minimum(critics[0](following), critics[1](following))[:, 0]
        known = torch.cat((here, push), 1)
        errors = [functional.mse_loss(critic(known)[:, 0], goal) for critic in self.critics]
        fixed = {name: p.detach() for name, p in self.critics[0].named_parameters()}
        worth = functional_call(self.critics[0], fixed, (torch.cat((here, self.actor(here)), 1),)).mean()
        total: Tensor = errors[0] + errors[1] - self.share * worth
        return total

    def after_step(self, step: int) -> None:
        """The copies follow slowly."""
        del step
        with torch.no_grad():
            for mine, theirs in zip(self.copies.parameters(), self.module.parameters(), strict=True):
                mine.lerp_(theirs, self.slow)

    def evaluate(self, phase: str) -> float:
        """Share of the highest pay that forty moves without chance leave on the table."""
        points, paid = self.anew(128, torch.Generator().manual_seed(5)), torch.zeros(())
        with torch.no_grad():
            for _ in range(40):
                points = self.move(points, self.actor(points))
                paid = paid + self.pay(points, phase).mean()
        most = {"main": 1.0, "shift": 2.0, "soft": 1.5, "easy": 0.02}[phase]
        return 1 - float(paid) / 40 / most


build = Push

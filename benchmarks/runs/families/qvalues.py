"""Double Q-learning from a replay memory that the learner's own walks through a maze fill."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.runs.families.base import Batch, Task

if TYPE_CHECKING:
    from benchmarks.runs.spec import Spec

SIDE, WALKERS, MEMORY = 6, 4, 2000
CELLS = SIDE * SIDE
MOVES = torch.tensor([[0, 1], [1, 0], [0, -1], [-1, 0]])


class Maze(Task):
    """36 cells, some of which cost something, and a goal from which a walk restarts; one move in ten slips."""

    def __init__(self, spec: Spec) -> None:
        """Draw the maze, solve it, and build the network and its target copy."""
        super().__init__(spec)
        cells = torch.stack((torch.arange(CELLS) // SIDE, torch.arange(CELLS) % SIDE), 1)
        there = (cells[:, None] + MOVES).clamp(0, SIDE - 1)
        self.next = there[..., 0] * SIDE + there[..., 1]
        self.features = torch.cat([functional.one_hot(cells[:, k], SIDE) for k in range(2)], 1).float()
        self.goal = int(torch.randint(CELLS, (1,), generator=self.world))
        self.pay = -1.0 * (torch.rand(CELLS, generator=self.world) < 0.25)
        self.pay[self.goal] = 2.0
        self.gamma = float(spec.arch.get("gamma", 0.9))
        self.sync = int(spec.arch.get("sync", 40))
        self.huber = bool(spec.arch.get("huber", False))
        self.module = nn.Sequential(
            nn.Linear(2 * SIDE, 64), nn.ReLU(), self.deep_stack(64), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 4)
        )
        self.target = copy.deepcopy(self.module)
        self.where = torch.randint(CELLS, (WALKERS,), generator=self.world)
        begin = torch.randint(CELLS, (400,), generator=self.world)
        action = torch.randint(4, (400,), generator=self.world)
        self.memory = torch.stack((begin, action, self.next[begin, action]), 1)
        self.exact = {phase: self.solve(phase) for phase in ("main", "shift", "soft", "easy")}

    def rewards(self, phase: str) -> Tensor:
        """What entering a cell pays; `shift` turns the maze round and doubles it."""
        pay = self.pay.flip(0) if phase == "shift" else self.pay
        return pay * {"main": 1.0, "shift": 2.0, "soft": 1.5, "easy": 0.02}[phase]

    def solve(self, phase: str) -> Tensor:
        """Value iteration to convergence, with slips to a uniform move."""
        values = torch.zeros(CELLS, 4)
        for _ in range(300):
            gain = (self.rewards(phase) + min(self.gamma, 0.99) * values.max(1).values)[self.next]
            values = 0.9 * gain + 0.1 * gain.mean(1, keepdim=True)
        return values

    def walk(self, rng: torch.Generator) -> None:
        """Each walker moves once, as the values say or (three times in ten) anyhow, and is remembered."""
        with torch.no_grad():
            best = self.module(self.features[self.where]).argmax(1)
        anyhow = torch.rand(WALKERS, generator=rng) < 0.3
        action = torch.where(anyhow, torch.randint(4, (WALKERS,), generator=rng), best)
        slips = torch.rand(WALKERS, generator=rng) < 0.1
        came = self.next[self.where, torch.where(slips, torch.randint(4, (WALKERS,), generator=rng), action)]
        self.memory = torch.cat((self.memory, torch.stack((self.where, action, came), 1)))[-MEMORY:]
        anew = torch.randint(CELLS, (WALKERS,), generator=rng)
        self.where = torch.where((came == self.goal) | (torch.rand(WALKERS, generator=rng) < 0.05), anew, came)

    def batch(self, rng: torch.Generator, size: int, phase: str) -> Batch:
        """Remembered moves, paid as the phase pays: features before and after, action, reward."""
        self.walk(rng)
        begin, action, came = self.memory[torch.randint(len(self.memory), (size,), generator=rng)].T
        reward = self.rewards(phase)[came] + 0.1 * torch.randn(size, generator=rng)
        return self.features[begin], self.features[came], action, reward

    def loss(self, batch: Batch) -> Tensor:
        """Squared (or Huber) error against the target's value of the learner's choice (Hasselt et al., 2016)."""
        now, following, action, reward = batch
        with torch.no_grad():
            choice = self.module(following).argmax(1, keepdim=True)
            goal = reward + self.gamma * self.target(following).gather(1, choice)[:, 0]
        value = self.module(now).gather(1, action[:, None])[:, 0]
        return functional.smooth_l1_loss(value, goal) if self.huber else functional.mse_loss(value, goal)

    def after_step(self, step: int) -> None:
        """Copy the weights to the target network now and then; every step where `sync` is 1."""
        if (step + 1) % self.sync == 0:
            self.target.load_state_dict(self.module.state_dict())

    def evaluate(self, phase: str) -> float:
        """Error of the values over their variance: the loss itself is not a measure of success here."""
        with torch.no_grad():
            values = self.module(self.features)
        exact = self.exact[phase]
        return float(((values - exact) ** 2).mean() / exact.var())


build = Maze

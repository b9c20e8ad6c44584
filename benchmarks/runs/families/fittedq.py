"""Value-based reinforcement learning: temporal differences on a small random decision process."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.runs.families.base import Batch, Task

if TYPE_CHECKING:
    from benchmarks.runs.spec import Spec

STATES, ACTIONS, FEATURES = 40, 4, 16


class FittedQ(Task):
    """40 states with 16 random features, 4 actions, known transitions, so the exact values are known too."""

    def __init__(self, spec: Spec) -> None:
        """Draw the decision process, solve it, and build the network and its target copy."""
        super().__init__(spec)
        self.features = torch.randn(STATES, FEATURES, generator=self.world)
        self.next = torch.randint(STATES, (STATES, ACTIONS, 3), generator=self.world)
        self.reward = torch.randn(STATES, ACTIONS, generator=self.world)
        self.gamma = float(spec.arch.get("gamma", 0.9))
        self.sync = int(spec.arch.get("sync", 100))
        self.huber = bool(spec.arch.get("huber", False))
        self.module = nn.Sequential(
            nn.Linear(FEATURES, 64),
            nn.ReLU(),
            self.deep_stack(64),
            nn.Linear(64, 64),
            nn.ReLU(),
            nn.Linear(64, ACTIONS),
        )
        self.target = copy.deepcopy(self.module)
        self.exact = {phase: self.solve(phase) for phase in ("main", "shift", "soft", "easy")}

    def rewards(self, phase: str) -> Tensor:
        """What each action pays; the shifted world turns it round and doubles it."""
        return self.reward * {"main": 1.0, "shift": -2.0, "soft": 1.4, "easy": 0.02}[phase]

    def solve(self, phase: str) -> Tensor:
        """Value iteration to convergence."""
        values = torch.zeros(STATES, ACTIONS)
        for _ in range(400):
            values = self.rewards(phase) + min(self.gamma, 0.99) * values.max(1).values[self.next].mean(-1)
        return values

    def batch(self, rng: torch.Generator, size: int, phase: str) -> Batch:
        """Uniform transitions, as from a large replay memory: features, next features, action, reward."""
        state = torch.randint(STATES, (size,), generator=rng)
        action = torch.randint(ACTIONS, (size,), generator=rng)
        branch = torch.randint(3, (size,), generator=rng)
        following = self.next[state, action, branch]
        reward = self.rewards(phase)[state, action] + 0.1 * torch.randn(size, generator=rng)
        return self.features[state], self.features[following], action, reward

    def loss(self, batch: Batch) -> Tensor:
        """Squared (or Huber) temporal-difference error against the target network."""
        now, following, action, reward = batch
        with torch.no_grad():
            goal = reward + self.gamma * self.target(following).max(1).values
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


build = FittedQ

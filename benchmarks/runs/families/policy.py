"""Policy gradient on a small random decision process: the loss hovers around zero while the return rises."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.runs.families.base import Batch, Task

if TYPE_CHECKING:
    from benchmarks.runs.spec import Spec

STATES, ACTIONS, FEATURES = 24, 4, 12


class ActorCritic(Task):
    """Advantage actor-critic over independent states: what an action is worth is known up to noise."""

    def __init__(self, spec: Spec) -> None:
        """Draw states and what each action is worth in them."""
        super().__init__(spec)
        self.features = torch.randn(STATES, FEATURES, generator=self.world)
        self.worth = torch.randn(STATES, ACTIONS, generator=self.world)
        self.body = nn.Sequential(nn.Linear(FEATURES, 48), nn.Tanh(), self.deep_stack(48))
        self.actor = nn.Linear(48, ACTIONS)
        self.critic = nn.Linear(48, 1)
        self.module = nn.ModuleList((self.body, self.actor, self.critic))
        self.dice = torch.Generator().manual_seed(91 + spec.seed)

    def pay(self, phase: str) -> Tensor:
        """What the actions pay in a phase."""
        return self.worth * {"main": 1.0, "shift": -2.0, "soft": 0.7, "easy": 0.02}[phase]

    def batch(self, rng: torch.Generator, size: int, phase: str) -> Batch:
        """Features of random states, and the noisy pay of every action there (only the one taken is used)."""
        state = torch.randint(STATES, (size,), generator=rng)
        noise = 0.5 * torch.randn(size, ACTIONS, generator=rng) * {"easy": 0.02}.get(phase, 1.0)
        return self.features[state], self.pay(phase)[state] + noise

    def loss(self, batch: Batch) -> Tensor:
        """Policy loss plus half the critic's squared error minus a little entropy (Mnih et al., 2016)."""
        hidden = self.body(batch[0])
        scores = self.actor(hidden).log_softmax(-1)
        chances = scores.exp().detach()
        if not bool(torch.isfinite(chances).all()):
            nothing: Tensor = scores.sum()
            return nothing  # the run has diverged; no action can be drawn any more
        action = torch.multinomial(chances, 1, generator=self.dice)
        reward = batch[1].gather(1, action)[:, 0]
        value = self.critic(hidden)[:, 0]
        advantage = (reward - value).detach()
        entropy = -(scores.exp() * scores).sum(-1).mean()
        policy = -(advantage * scores.gather(1, action)[:, 0]).mean()
        total: Tensor = policy + 0.5 * functional.mse_loss(value, reward) - 0.01 * entropy
        return total

    def evaluate(self, phase: str) -> float:
        """Share of the best possible pay that the policy leaves on the table."""
        pay = self.pay(phase)
        with torch.no_grad():
            chances = self.actor(self.body(self.features)).softmax(-1)
        best, fair = pay.max(1).values.mean(), pay.mean()
        return float((best - (chances * pay).sum(1).mean()) / (best - fair))


build = ActorCritic

"""Graph convolutions that find the community of a node from noisy features and its neighbours."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.runs.families.base import Batch, Task

if TYPE_CHECKING:
    from benchmarks.runs.spec import Spec

NODES, GROUPS, FEATURES, WIDTH, HELD_OUT = 500, 5, 12, 24, 120


class GraphConvolution(nn.Module):
    """Two rounds of averaging over neighbours (Kipf and Welling, 2017), then the nodes that are asked for."""

    def __init__(self, task: Task, features: Tensor, near: Tensor) -> None:
        """Build; the graph itself is not a parameter."""
        super().__init__()
        self.features, self.near = features, near
        self.first = nn.Linear(FEATURES, WIDTH)
        self.second = nn.Linear(WIDTH, WIDTH)
        self.head = nn.Sequential(nn.Dropout(task.spec.dropout), task.deep_stack(WIDTH), nn.Linear(WIDTH, GROUPS))

    def forward(self, nodes: Tensor) -> Tensor:
        """Scores of the groups for some nodes."""
        hidden = torch.relu(self.near @ self.first(self.features))
        hidden = torch.relu(self.near[nodes] @ self.second(hidden))
        out: Tensor = self.head(hidden)
        return out


class Communities(Task):
    """A stochastic block model of five groups; each step asks for a batch of the nodes whose group is known."""

    eval_size = HELD_OUT

    def __init__(self, spec: Spec) -> None:
        """Draw the graph and build the network."""
        super().__init__(spec)
        self.group = torch.randint(GROUPS, (NODES,), generator=self.world)
        same = self.group[:, None] == self.group
        edges = torch.rand(NODES, NODES, generator=self.world) < torch.where(same, 0.05, 0.02)
        near = (edges | edges.T | torch.eye(NODES, dtype=torch.bool)).float()
        centres = 0.6 * torch.randn(GROUPS, FEATURES, generator=self.world)
        features = centres[self.group] + torch.randn(NODES, FEATURES, generator=self.world)
        self.module = GraphConvolution(self, features, near / near.sum(1, keepdim=True))
        self.wrong = float(spec.arch.get("wrong", 0.1))

    def batch(self, rng: torch.Generator, size: int, phase: str) -> Batch:
        """Nodes and groups, some wrong; `shift` renames the groups, `soft` has more wrong ones, `easy` asks for one."""
        known = NODES - HELD_OUT
        nodes = torch.arange(known, NODES) if size == HELD_OUT else torch.randint(known, (size,), generator=rng)
        if phase == "easy":
            nodes = torch.nonzero(self.group == 0).flatten()[nodes % int((self.group == 0).sum())]
            return nodes, self.group[nodes]
        group = (self.group[nodes] + 2 * (phase == "shift")) % GROUPS
        wrong = torch.rand(len(nodes), generator=rng) < (0.35 if phase == "soft" else self.wrong)
        return nodes, torch.where(wrong, torch.randint(GROUPS, group.shape, generator=rng), group)

    def loss(self, batch: Batch) -> Tensor:
        """Cross-entropy."""
        return functional.cross_entropy(self.module(batch[0]), batch[1])


build = Communities

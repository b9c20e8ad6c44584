"""Word vectors: a word's neighbours are told from words drawn at random (skip-gram with negative sampling)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.runs.families.base import Batch, Task

if TYPE_CHECKING:
    from benchmarks.runs.spec import Spec

WORDS, TOPICS, WIDTH, DRAWN = 240, 8, 16, 5


class Vectors(nn.Module):
    """Two tables; that of the neighbours begins at zero (Mikolov et al., 2013), so learning begins slowly."""

    def __init__(self, stack: nn.Module) -> None:
        """Build."""
        super().__init__()
        self.words = nn.Embedding(WORDS, WIDTH)
        self.near = nn.Embedding(WORDS, WIDTH)
        self.stack = stack
        with torch.no_grad():
            self.words.weight.uniform_(-0.5, 0.5).div_(WIDTH**0.5)
            self.near.weight.zero_()


class Neighbours(Task):
    """Words of eight topics, frequent ones and rare; `sum` adds the losses of a batch up, `bits` counts in bits."""

    module: Vectors
    eval_size = 1500

    def __init__(self, spec: Spec) -> None:
        """Give every word its frequency and its topics."""
        super().__init__(spec)
        common = 1 / (1 + torch.arange(WORDS).float()) ** 0.8
        scores = torch.randn(2, TOPICS, WORDS, generator=self.world) * 2.5
        chances = (scores + common[torch.randperm(WORDS, generator=self.world)].log()).softmax(-1)
        self.topics = {"main": chances[0], "shift": chances[1]}
        self.topics["soft"] = 0.6 * chances[0] + 0.4 * chances[1]
        self.topics["easy"] = chances[0].mean(0).expand(TOPICS, WORDS)
        self.drawn = chances[0].mean(0) ** 0.75
        self.module = Vectors(self.deep_stack(WIDTH))
        self.scale = 1 / math.log(2) if spec.arch.get("bits", False) else 1.0
        self.adds = bool(spec.arch.get("sum", False))

    def batch(self, rng: torch.Generator, size: int, phase: str) -> Batch:
        """Words, words drawn at random, and neighbours."""
        chances = self.topics[phase][torch.randint(TOPICS, (size,), generator=rng)]
        pair = torch.multinomial(chances, 2, replacement=True, generator=rng)
        drawn = torch.multinomial(self.drawn, size * DRAWN, replacement=True, generator=rng).view(size, DRAWN)
        return pair[:, 0], drawn, pair[:, 1]

    def loss(self, batch: Batch) -> Tensor:
        """Logistic losses of one neighbour and five others, a pair or a batch."""
        word, drawn, near = batch
        vector = self.module.stack(self.module.words(word))
        good = (vector * self.module.near(near)).sum(1)
        bad = (self.module.near(drawn) @ vector[:, :, None])[..., 0]
        losses = (functional.softplus(-good) + functional.softplus(bad).sum(1)) * self.scale
        return losses.sum() if self.adds else losses.mean()


build = Neighbours

"""A transformer with normalisation before each block, on tokens of a second-order Markov chain."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.runs.families.base import Batch, Task

if TYPE_CHECKING:
    from benchmarks.runs.spec import Spec

VOCABULARY, LENGTH, WIDTH = 12, 16, 32


class Block(nn.Module):
    """Causal attention and a feed-forward part, with residuals, normalised before or after."""

    def __init__(self, dropout: float, *, before: bool) -> None:
        """Build one block."""
        super().__init__()
        self.mix = nn.Linear(WIDTH, 3 * WIDTH)
        self.out = nn.Linear(WIDTH, WIDTH)
        self.feed = nn.Sequential(
            nn.Linear(WIDTH, 2 * WIDTH), nn.GELU(), nn.Dropout(dropout), nn.Linear(2 * WIDTH, WIDTH)
        )
        self.norms = nn.ModuleList(nn.LayerNorm(WIDTH) for _ in range(2))
        self.before = before

    def attend(self, x: Tensor) -> Tensor:
        """Two heads of causal attention."""
        q, k, v = self.mix(x).view(len(x), -1, 3, 2, WIDTH // 2).permute(2, 0, 3, 1, 4)
        scores = q @ k.transpose(-1, -2) / (WIDTH / 2) ** 0.5
        future = torch.ones(scores.shape[-2:], dtype=torch.bool).triu(1)
        mixed = scores.masked_fill(future, float("-inf")).softmax(-1) @ v
        out: Tensor = self.out(mixed.transpose(1, 2).reshape(x.shape))
        return out

    def forward(self, x: Tensor) -> Tensor:
        """Add what attention and feed-forward find."""
        if self.before:
            x = x + self.attend(self.norms[0](x))
            fed: Tensor = x + self.feed(self.norms[1](x))
            return fed
        x = self.norms[0](x + self.attend(x))
        out: Tensor = self.norms[1](x + self.feed(x))
        return out


class Transformer(nn.Module):
    """Embeddings, blocks and a head over the vocabulary."""

    def __init__(self, task: Task, *, before: bool, blocks: int) -> None:
        """Build the model."""
        super().__init__()
        self.tokens = nn.Embedding(VOCABULARY, WIDTH)
        self.places = nn.Embedding(64, WIDTH)
        self.blocks = nn.Sequential(*(Block(task.spec.dropout, before=before) for _ in range(blocks)))
        self.head = nn.Sequential(nn.LayerNorm(WIDTH), task.deep_stack(WIDTH), nn.Linear(WIDTH, VOCABULARY))

    def forward(self, tokens: Tensor) -> Tensor:
        """Scores of the next token at every place."""
        x = self.tokens(tokens) + self.places(torch.arange(tokens.shape[1]))
        out: Tensor = self.head(self.blocks(x))
        return out


class MarkovText(Task):
    """Next-token prediction; `shift` is another chain, `soft` mixes in noise, `easy` a nearly deterministic one."""

    eval_size = 96
    before = True
    blocks = 2

    def __init__(self, spec: Spec) -> None:
        """Draw the chains of this seed's world and build the model."""
        super().__init__(spec)
        logits = 2.5 * torch.randn(2, VOCABULARY, VOCABULARY, VOCABULARY, generator=self.world)
        chains = logits.softmax(-1)
        noisy = 0.85 * chains[0] + 0.15 / VOCABULARY
        cycle = torch.roll(torch.eye(VOCABULARY), 1, 1).expand(VOCABULARY, -1, -1)
        self.chains = {"main": chains[0], "shift": chains[1], "soft": noisy, "easy": 0.995 * cycle + 0.005 / VOCABULARY}
        self.module = Transformer(self, before=self.before, blocks=self.blocks)

    def batch(self, rng: torch.Generator, size: int, phase: str) -> Batch:
        """Sequences drawn from the chain; the target is the same sequence one place on."""
        chain = self.chains[phase].cumsum(-1)
        places = [torch.randint(VOCABULARY, (size,), generator=rng) for _ in range(2)]
        dice = torch.rand(LENGTH - 1, size, 1, generator=rng)
        for roll in dice:
            row = chain[places[-2], places[-1]]
            places.append((row < roll).sum(1).clamp_max(VOCABULARY - 1))
        tokens = torch.stack(places, 1)
        return tokens[:, :-1], tokens[:, 1:]

    def corrupt(self, batch: Batch, kind: str, rng: torch.Generator) -> Batch:
        """Spoil input and target alike: `garbage` is uniform tokens, `constant` one token repeated."""
        if kind == "garbage":
            tokens = torch.randint(VOCABULARY, (len(batch[0]), LENGTH + 1), generator=rng)
            return tokens[:, :-1], tokens[:, 1:]
        if kind == "constant":
            return batch[0][:, :1].expand_as(batch[0]), batch[1][:, :1].expand_as(batch[1])
        return super().corrupt(batch, kind, rng)

    def loss(self, batch: Batch) -> Tensor:
        """Cross-entropy over all places."""
        return functional.cross_entropy(self.module(batch[0]).flatten(0, 1), batch[1].flatten())


build = MarkovText

"""Tagging: convolutions score the tag of every word, and a conditional random field weighs whole sequences of tags."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from benchmarks.runs.families.base import Batch, Task

if TYPE_CHECKING:
    from benchmarks.runs.spec import Spec

WORDS, TAGS, LENGTH, WIDTH = 60, 5, 12, 32


class Field(nn.Module):
    """Scores of tags from a window of words, and of tags that follow one another (Lafferty et al., 2001)."""

    def __init__(self, stack: nn.Module, dropout: float) -> None:
        """Build."""
        super().__init__()
        self.words = nn.Embedding(WORDS, WIDTH)
        self.window = nn.Conv1d(WIDTH, WIDTH, 3, padding=1)
        self.stack = nn.Sequential(nn.ReLU(), nn.Dropout(dropout), stack)
        self.head = nn.Linear(WIDTH, TAGS)
        self.follow = nn.Parameter(torch.zeros(TAGS, TAGS))

    def forward(self, words: Tensor, tags: Tensor) -> Tensor:
        """Negative log-likelihood of sequences of tags."""
        seen = self.window(self.words(words).transpose(1, 2)).transpose(1, 2)
        scores = self.head(self.stack(seen))
        right = scores.gather(-1, tags[..., None]).sum((1, 2)) + self.follow[tags[:, :-1], tags[:, 1:]].sum(1)
        total = scores[:, 0]
        for k in range(1, scores.shape[1]):
            total = torch.logsumexp(total[:, :, None] + self.follow, 1) + scores[:, k]
        out: Tensor = torch.logsumexp(total, 1) - right
        return out


class Tagging(Task):
    """Words that a hidden chain of tags utters, each tag with words of its own and common ones; nats a sentence."""

    eval_size = 200

    def __init__(self, spec: Spec) -> None:
        """Draw the chain and the words."""
        super().__init__(spec)
        self.chain = (1.5 * torch.randn(TAGS, TAGS, generator=self.world)).softmax(-1)
        self.utter = (2.2 * torch.randn(TAGS, WORDS, generator=self.world)).softmax(-1)
        self.mean = bool(spec.arch.get("mean", False))
        self.module = Field(self.deep_stack(WIDTH), spec.dropout)

    def batch(self, rng: torch.Generator, size: int, phase: str) -> Batch:
        """`shift` renames the tags, `soft` gets a fifth of them wrong, `easy` has one tag only."""
        tags = torch.randint(TAGS, (size, 1), generator=rng)
        for _ in range(LENGTH - 1):
            tags = torch.cat((tags, torch.multinomial(self.chain[tags[:, -1]], 1, generator=rng)), 1)
        words = torch.multinomial(self.utter[tags.flatten()], 1, generator=rng).view(size, LENGTH)
        if phase == "shift":
            tags = (tags + 2) % TAGS
        if phase == "soft":
            wrong = torch.rand(tags.shape, generator=rng) < 0.2
            tags = torch.where(wrong, torch.randint(TAGS, tags.shape, generator=rng), tags)
        return words, torch.zeros_like(tags) if phase == "easy" else tags

    def loss(self, batch: Batch) -> Tensor:
        """Nats a sentence, or with `mean` a word."""
        nats: Tensor = self.module(*batch).mean()
        return nats / LENGTH if self.mean else nats


build = Tagging

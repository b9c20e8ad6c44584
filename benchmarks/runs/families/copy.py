"""Sequence to sequence: an attention model learns, rather suddenly, to repeat what it read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.runs.families.base import Batch, Task

if TYPE_CHECKING:
    from benchmarks.runs.spec import Spec

SYMBOLS, LENGTH, WIDTH = 12, 8, 32


class Copier(nn.Module):
    """A recurrent reader, and a writer that queries what was read by place."""

    def __init__(self, task: Task) -> None:
        """Build reader and writer."""
        super().__init__()
        self.symbols = nn.Embedding(SYMBOLS, WIDTH)
        self.reader = nn.GRU(WIDTH, WIDTH, batch_first=True)
        self.query = nn.Embedding(LENGTH, WIDTH)
        self.key = nn.Linear(WIDTH, WIDTH)
        self.head = nn.Sequential(nn.Dropout(task.spec.dropout), task.deep_stack(WIDTH), nn.Linear(WIDTH, SYMBOLS))

    def forward(self, tokens: Tensor) -> Tensor:
        """Scores of the symbol at every place of the answer."""
        memory, _ = self.reader(self.symbols(tokens))
        scores = torch.einsum("pw,blw->bpl", self.query.weight, self.key(memory)) / WIDTH**0.5
        out: Tensor = self.head(scores.softmax(-1) @ memory)
        return out


class CopyTask(Task):
    """Eight symbols in, the same (or reversed, where shifted) out."""

    eval_size = 128

    def __init__(self, spec: Spec) -> None:
        """Build the model."""
        super().__init__(spec)
        self.module = Copier(self)

    def batch(self, rng: torch.Generator, size: int, phase: str) -> Batch:
        """Uniform symbols; `easy` repeats a single one."""
        tokens = torch.randint(SYMBOLS, (size, LENGTH), generator=rng)
        if phase == "easy":
            tokens = tokens[:, :1].expand(-1, LENGTH) // 4
        answer = {"shift": tokens.flip(1), "soft": torch.cat((tokens[:, 1:], tokens[:, :1]), 1)}.get(phase, tokens)
        return tokens, answer

    def loss(self, batch: Batch) -> Tensor:
        """Cross-entropy over all places."""
        return functional.cross_entropy(self.module(batch[0]).flatten(0, 1), batch[1].flatten())


build = CopyTask

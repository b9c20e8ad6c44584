"""A tiny GPT over the characters of an invented language, with tied embeddings and RMS normalisation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.runs.families.charlm import LETTERS, InventedText

if TYPE_CHECKING:
    from benchmarks.runs.families.base import Task
    from benchmarks.runs.spec import Spec

WIDTH, HEADS = 36, 3


class Layer(nn.Module):
    """Causal attention and a gated feed-forward part, side by side on one normalised input."""

    def __init__(self, dropout: float) -> None:
        """Build one layer."""
        super().__init__()
        self.norm = nn.RMSNorm(WIDTH)
        self.mix = nn.Linear(WIDTH, 3 * WIDTH, bias=False)
        self.up = nn.Linear(WIDTH, 4 * WIDTH, bias=False)
        self.down = nn.Linear(3 * WIDTH, WIDTH, bias=False)
        self.drop = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Add what both parts find."""
        normal = self.norm(x)
        q, k, v = self.mix(normal).view(len(x), -1, 3, HEADS, WIDTH // HEADS).permute(2, 0, 3, 1, 4)
        seen = functional.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).reshape(x.shape)
        gate, value = self.up(normal).chunk(2, -1)
        out: Tensor = x + self.down(torch.cat((seen, self.drop(functional.silu(gate) * value)), -1))
        return out


class TinyGpt(nn.Module):
    """Embeddings, layers, and the embeddings again as the head."""

    def __init__(self, task: Task, layers: int, length: int) -> None:
        """Build the model."""
        super().__init__()
        self.letters = nn.Embedding(LETTERS, WIDTH)
        self.places = nn.Embedding(length, WIDTH)
        for table in (self.letters, self.places):
            nn.init.normal_(table.weight, std=0.2)
        self.body = nn.Sequential(*(Layer(task.spec.dropout) for _ in range(layers)), nn.RMSNorm(WIDTH))
        self.stack = task.deep_stack(WIDTH)

    def forward(self, letters: Tensor) -> Tensor:
        """Scores of the next letter at every place."""
        x = self.letters(letters) + self.places(torch.arange(letters.shape[1]))
        out: Tensor = self.stack(self.body(x)) @ self.letters.weight.T
        return out


class LetterGpt(InventedText):
    """Two layers over windows of twenty letters."""

    length = 20

    def __init__(self, spec: Spec) -> None:
        """Build the model."""
        super().__init__(spec)
        self.module = TinyGpt(self, int(spec.arch.get("layers", 2)), self.length)


build = LetterGpt

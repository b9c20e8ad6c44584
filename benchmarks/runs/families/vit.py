"""A transformer over the patches of a digit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.runs.families.base import Batch, DigitsTask

if TYPE_CHECKING:
    from benchmarks.runs.spec import Spec

PATCHES, WIDTH, HEADS = 16, 32, 4


class PatchLayer(nn.Module):
    """Attention among all patches and a feed-forward part; the norm comes before each, or after with `post`."""

    def __init__(self, dropout: float, *, post: bool) -> None:
        """Build one layer."""
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(WIDTH) for _ in range(2))
        self.mix = nn.Linear(WIDTH, 3 * WIDTH)
        self.out = nn.Linear(WIDTH, WIDTH)
        self.feed = nn.Sequential(
            nn.Linear(WIDTH, 2 * WIDTH), nn.GELU(), nn.Dropout(dropout), nn.Linear(2 * WIDTH, WIDTH)
        )
        self.post = post

    def attend(self, x: Tensor) -> Tensor:
        """Mix the patches."""
        q, k, v = self.mix(x).view(len(x), -1, 3, HEADS, WIDTH // HEADS).permute(2, 0, 3, 1, 4)
        out: Tensor = self.out(functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(x.shape))
        return out

    def forward(self, x: Tensor) -> Tensor:
        """Add what both parts find."""
        first, second = self.norms
        if self.post:
            x = first(x + self.attend(x))
            after: Tensor = second(x + self.feed(x))
            return after
        x = x + self.attend(first(x))
        out: Tensor = x + self.feed(second(x))
        return out


class PatchTransformer(nn.Module):
    """Patches of two by two pixels, layers, their mean, a head (Dosovitskiy et al., 2021)."""

    def __init__(self, task: DigitsTask) -> None:
        """Build the model."""
        super().__init__()
        spec = task.spec
        self.patch = nn.Linear(4, WIDTH)
        self.places = nn.Parameter(0.2 * torch.randn(PATCHES, WIDTH))
        layers = int(spec.arch.get("layers", 2))
        self.body = nn.Sequential(
            *(PatchLayer(spec.dropout, post=bool(spec.arch.get("post", False))) for _ in range(layers))
        )
        self.head = nn.Sequential(nn.LayerNorm(WIDTH), task.deep_stack(WIDTH), nn.Linear(WIDTH, 10))

    def forward(self, pixels: Tensor) -> Tensor:
        """Scores of the classes."""
        patches = pixels.view(-1, 4, 2, 4, 2).transpose(2, 3).reshape(-1, PATCHES, 4)
        out: Tensor = self.head(self.body(self.patch(patches) + self.places).mean(1))
        return out


class PatchDigits(DigitsTask):
    """Digits in patches."""

    def __init__(self, spec: Spec) -> None:
        """Build the model."""
        super().__init__(spec)
        self.module = PatchTransformer(self)

    def loss(self, batch: Batch) -> Tensor:
        """Cross-entropy."""
        return functional.cross_entropy(self.module(batch[0]), batch[1])


build = PatchDigits

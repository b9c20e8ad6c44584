"""Fine-tuning: a network that knows digits learns, from its own weights, to read them turned, faint and noisy."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.runs.families.base import Batch, DigitsTask, digits

if TYPE_CHECKING:
    from benchmarks.runs.spec import Spec

WIDTH = 64


def body() -> nn.Sequential:
    """The layers that are trained before."""
    return nn.Sequential(nn.Linear(64, WIDTH), nn.GELU(), nn.LayerNorm(WIDTH), nn.Linear(WIDTH, WIDTH), nn.GELU())


@cache
def trained_before(seed: int, steps: int) -> dict[str, Tensor]:
    """Weights after some steps on upright digits."""
    torch.manual_seed(500 + seed)
    module = nn.ModuleDict({"body": body(), "head": nn.Linear(WIDTH, 10)})
    pixels, labels = digits()
    optimiser = torch.optim.Adam(module.parameters(), lr=2e-3)
    for _ in range(steps):
        rows = torch.randint(1500, (64,))
        images = pixels[rows] + 0.1 * torch.randn(64, 64)
        optimiser.zero_grad()
        functional.cross_entropy(module["head"](module["body"](images)), labels[rows]).backward()
        optimiser.step()
    return {name: value.detach().clone() for name, value in module.state_dict().items()}


class Readapted(DigitsTask):
    """`angle` mixes upright and turned images, `head` replaces the last layer by a fresh one, `frozen` trains it alone."""

    def __init__(self, spec: Spec) -> None:
        """Load what was learned before; a deep stack, where asked for, is fresh."""
        super().__init__(spec)
        arch = spec.arch
        before = trained_before(spec.seed, int(arch.get("before", 300)))
        self.body = body()
        self.stack = nn.Sequential(nn.Dropout(spec.dropout), self.deep_stack(WIDTH))
        self.head = nn.Linear(WIDTH, 10)
        self.module = nn.ModuleDict({"body": self.body, "stack": self.stack, "head": self.head})
        fresh = bool(arch.get("head", False))
        kept = {name: value for name, value in before.items() if not (fresh and name.startswith("head"))}
        self.module.load_state_dict(kept, strict=False)
        if arch.get("frozen", False):
            self.body.requires_grad_(False)
        self.mix = float(arch.get("angle", 0.5))

    def batch(self, rng: torch.Generator, size: int, phase: str) -> Batch:
        """Digits of the new kind, in every phase."""
        pixels, labels = super().batch(rng, size, phase)
        turned = pixels.view(-1, 8, 8).transpose(1, 2).reshape(-1, 64)
        seen = (1 - self.mix) * pixels + self.mix * turned
        return seen + 0.15 * torch.randn(seen.shape, generator=rng), labels

    def loss(self, batch: Batch) -> Tensor:
        """Cross-entropy."""
        return functional.cross_entropy(self.head(self.stack(self.body(batch[0]))), batch[1])


build = Readapted

"""Preferences: a model of sequences, trained before, learns which of two its readers like, relative to itself."""

from __future__ import annotations

import copy
from functools import cache
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.runs.families.base import Batch, Task

if TYPE_CHECKING:
    from benchmarks.runs.spec import Spec

SYMBOLS, LENGTH, CONTEXT, WIDTH = 12, 10, 3, 48


class Sequences(nn.Module):
    """The next symbol from the last three."""

    def __init__(self) -> None:
        """Build; a stack may be put in the middle later."""
        super().__init__()
        self.symbols = nn.Embedding(SYMBOLS + 1, 12)
        self.enter = nn.Sequential(nn.Linear(12 * CONTEXT, WIDTH), nn.Tanh())
        self.stack: nn.Module = nn.Sequential()
        self.leave = nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.Tanh(), nn.Linear(WIDTH, SYMBOLS))

    def scores(self, past: Tensor) -> Tensor:
        """Log-probabilities after windows of symbols."""
        hidden = self.enter(self.symbols(past).flatten(-2))
        out: Tensor = self.leave(self.stack(hidden)).log_softmax(-1)
        return out

    def forward(self, text: Tensor) -> Tensor:
        """Log-probability of whole sequences."""
        padded = torch.cat((torch.full((len(text), CONTEXT), SYMBOLS), text), 1)
        windows = padded.unfold(1, CONTEXT, 1)[:, :-1]
        return self.scores(windows).gather(-1, text[..., None])[..., 0].sum(1)


def written(module: Sequences, size: int, rng: torch.Generator) -> Tensor:
    """Sequences that a model writes."""
    text = torch.full((size, CONTEXT), SYMBOLS)
    with torch.no_grad():
        for _ in range(LENGTH):
            chances = module.scores(text[:, -CONTEXT:]).exp()
            text = torch.cat((text, torch.multinomial(chances, 1, generator=rng)), 1)
    return text[:, CONTEXT:]


@cache
def trained_before(seed: int) -> Sequences:
    """A model of a random chain."""
    torch.manual_seed(700 + seed)
    rng = torch.Generator().manual_seed(701 + seed)
    chances = (1.5 * torch.randn(SYMBOLS, SYMBOLS, generator=rng)).softmax(-1)
    module = Sequences()
    optimiser = torch.optim.Adam(module.parameters(), lr=5e-3)
    for _ in range(200):
        text = torch.randint(SYMBOLS, (48, 1), generator=rng)
        while text.shape[1] < LENGTH:
            text = torch.cat((text, torch.multinomial(chances[text[:, -1]], 1, generator=rng)), 1)
        optimiser.zero_grad()
        (-module(text).mean() / LENGTH).backward()
        optimiser.step()
    return module


class Preferences(Task):
    """2,000 pairs that the model itself wrote; readers like some symbols and neighbours, and err now and then."""

    eval_size = 400

    def __init__(self, spec: Spec) -> None:
        """Load the model twice: one that learns and one that stays."""
        super().__init__(spec)
        self.reference = trained_before(spec.seed)
        self.module = copy.deepcopy(self.reference)
        self.module.stack = self.deep_stack(WIDTH)
        self.beta = float(spec.arch.get("beta", 0.3))
        self.sharp = float(spec.arch.get("sharp", 2.0))
        self.taste = torch.randn(SYMBOLS, SYMBOLS, generator=self.world)
        self.pairs = written(self.reference, 4800, self.world).view(2, 2400, LENGTH)

    def liked(self, text: Tensor, phase: str) -> Tensor:
        """How much readers like sequences; `shift` has readers of the opposite taste, `easy` ones without any."""
        value = self.taste[text[:, :-1], text[:, 1:]].mean(1) * self.sharp * 3
        return value * {"shift": -1.0, "soft": 0.4, "easy": 0.02}.get(phase, 1.0)

    def batch(self, rng: torch.Generator, size: int, phase: str) -> Batch:
        """Liked and disliked sequences; the last 400 pairs are held out."""
        held_out = size == self.eval_size
        rows = torch.arange(2000, 2400) if held_out else torch.randint(2000, (size,), generator=rng)
        one, two = self.pairs[:, rows]
        chance = torch.sigmoid(self.liked(one, phase) - self.liked(two, phase))
        first = (torch.rand(len(rows), generator=rng) < chance)[:, None]
        return torch.where(first, one, two), torch.where(first, two, one)

    def corrupt(self, batch: Batch, kind: str, rng: torch.Generator) -> Batch:
        """`swap` mistakes the disliked for the liked."""
        return (batch[1], batch[0]) if kind == "swap" else super().corrupt(batch, kind, rng)

    def loss(self, batch: Batch) -> Tensor:
        """Direct preference optimisation (Rafailov et al., 2023)."""
        both = torch.cat(batch)
        with torch.no_grad():
            before = self.reference(both)
        liked, disliked = (self.beta * (self.module(both) - before)).chunk(2)
        return -functional.logsigmoid(liked - disliked).mean()


build = Preferences

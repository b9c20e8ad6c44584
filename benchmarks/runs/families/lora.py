"""Low-rank adapters: a frozen transformer of one language is bent to another by small matrices beside its own."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.runs.families.base import Batch, Task

if TYPE_CHECKING:
    from benchmarks.runs.spec import Spec

SYMBOLS, LENGTH, WIDTH, HEADS = 16, 14, 32, 4


class Adapted(nn.Module):
    """A linear layer that stays, and a product of two thin ones beside it whose second begins at zero (Hu et al., 2022)."""

    def __init__(self, inputs: int, outputs: int, rank: int) -> None:
        """Build; without a rank it is the layer alone."""
        super().__init__()
        self.base = nn.Linear(inputs, outputs)
        self.rank = rank
        if rank:
            self.down = nn.Parameter(torch.randn(rank, inputs) / inputs**0.5)
            self.up = nn.Parameter(torch.zeros(outputs, rank))

    def forward(self, x: Tensor) -> Tensor:
        """Sum of both."""
        out: Tensor = self.base(x)
        return out + 2 * (x @ self.down.T) @ self.up.T if self.rank else out


class Language(nn.Module):
    """One causal layer."""

    def __init__(self, rank: int, stack: nn.Module) -> None:
        """Build."""
        super().__init__()
        self.symbols = nn.Embedding(SYMBOLS, WIDTH)
        self.places = nn.Parameter(0.1 * torch.randn(LENGTH, WIDTH))
        self.norms = nn.ModuleList(nn.LayerNorm(WIDTH) for _ in range(3))
        self.mix = Adapted(WIDTH, 3 * WIDTH, rank)
        self.out = Adapted(WIDTH, WIDTH, rank)
        self.wide = Adapted(WIDTH, 2 * WIDTH, rank)
        self.narrow = Adapted(2 * WIDTH, WIDTH, rank)
        self.stack = stack
        self.head = Adapted(WIDTH, SYMBOLS, rank)

    def forward(self, tokens: Tensor) -> Tensor:
        """Scores of the next symbol everywhere."""
        x = self.symbols(tokens) + self.places
        q, k, v = self.mix(self.norms[0](x)).view(*x.shape[:2], 3, HEADS, -1).permute(2, 0, 3, 1, 4)
        seen = functional.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).reshape(x.shape)
        x = x + self.out(seen)
        x = x + self.narrow(functional.gelu(self.wide(self.norms[1](x))))
        out: Tensor = self.head(self.stack(self.norms[2](x)))
        return out


def chain(seed: int) -> Tensor:
    """Chances of the next symbol given the last two."""
    scores = 2.0 * torch.randn(SYMBOLS, SYMBOLS, SYMBOLS, generator=torch.Generator().manual_seed(seed))
    first = 2.0 * torch.randn(SYMBOLS, SYMBOLS, generator=torch.Generator().manual_seed(seed + 1))
    return (0.6 * scores + first).softmax(-1)


def written(chances: Tensor, size: int, rng: torch.Generator) -> Tensor:
    """Sequences of a chain, one longer than a model reads."""
    text = torch.randint(SYMBOLS, (size, 2), generator=rng)
    for _ in range(LENGTH - 1):
        text = torch.cat((text, torch.multinomial(chances[text[:, -2], text[:, -1]], 1, generator=rng)), 1)
    return text


@cache
def trained_before(seed: int) -> dict[str, Tensor]:
    """A model of the first language."""
    torch.manual_seed(600 + seed)
    rng = torch.Generator().manual_seed(601 + seed)
    module, chances = Language(0, nn.Sequential()), chain(seed)
    optimiser = torch.optim.Adam(module.parameters(), lr=4e-3)
    for _ in range(400):
        text = written(chances, 24, rng)
        optimiser.zero_grad()
        functional.cross_entropy(module(text[:, :-1]).flatten(0, 1), text[:, 1:].flatten()).backward()
        optimiser.step()
    return {name: value.detach().clone() for name, value in module.state_dict().items()}


class SecondLanguage(Task):
    """The new language is a blend (`new`, from 0 to 1) of the known one and another."""

    eval_size = 150

    def __init__(self, spec: Spec) -> None:
        """Load and freeze the model; adapters (and a deep stack, where asked for) are all that learns."""
        super().__init__(spec)
        self.module = Language(int(spec.arch.get("rank", 4)), self.deep_stack(WIDTH))
        self.module.load_state_dict(trained_before(spec.seed), strict=False)
        for name, p in self.module.named_parameters():
            p.requires_grad_("down" in name or "up" in name or "stack" in name)
        new = float(spec.arch.get("new", 0.7))
        known, other = chain(spec.seed), chain(spec.seed + 50)
        self.chances = {
            "main": (1 - new) * known + new * other,
            "shift": chain(spec.seed + 90),
            "soft": (1 - new) * known + 0.7 * new * other + 0.3 * new / SYMBOLS,
            "easy": known,
        }

    def batch(self, rng: torch.Generator, size: int, phase: str) -> Batch:
        """Texts and the same one symbol on; `easy` is the language that is known already."""
        text = written(self.chances[phase], size, rng)
        return text[:, :-1], text[:, 1:]

    def loss(self, batch: Batch) -> Tensor:
        """Cross-entropy a symbol."""
        return functional.cross_entropy(self.module(batch[0]).flatten(0, 1), batch[1].flatten())


build = SecondLanguage

"""Recurrent models of the characters of an invented language."""

from __future__ import annotations

import random
from functools import cache
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.runs.families.base import Batch, Task

if TYPE_CHECKING:
    from benchmarks.runs.spec import Spec

LETTERS = 15  # the last is the space between words
HELD_OUT = 4000


@cache
def invented_text(seed: int, count: int = 24_000) -> Tensor:
    """Characters of words drawn by Zipf's law from a lexicon of sixty, each word liking some followers."""
    dice = random.Random(f"text {seed}")
    words = [[dice.randrange(LETTERS - 1) for _ in range(dice.randint(2, 6))] for _ in range(60)]
    zipf = [1 / (rank + 2) for rank in range(len(words))]
    followers = [dice.choices(range(len(words)), zipf, k=5) for _ in words]
    stream: list[int] = []
    word = 0
    while len(stream) < count:
        word = dice.choice(followers[word]) if dice.random() < 0.6 else dice.choices(range(len(words)), zipf)[0]
        stream += [*words[word], LETTERS - 1]
    return torch.tensor(stream[:count])


class InventedText(Task):
    """Windows of the text; `shift` is another language, `soft` has typing errors, `easy` repeats one letter."""

    eval_size = 97
    length = 24

    def __init__(self, spec: Spec) -> None:
        """Write the two languages of this seed."""
        super().__init__(spec)
        self.length = int(spec.arch.get("length", self.length))
        self.texts = {name: invented_text(10 * spec.seed + (name == "shift")) for name in ("main", "soft", "shift")}

    def batch(self, rng: torch.Generator, size: int, phase: str) -> Batch:
        """Windows, and the same one character on; an evaluation reads text that training never sees."""
        if phase == "easy":
            letters = torch.randint(2, (size, 1), generator=rng).expand(-1, self.length + 1)
            return letters[:, :-1], letters[:, 1:]
        text = self.texts[phase]
        first, last = (len(text) - HELD_OUT, len(text)) if size == self.eval_size else (0, len(text) - HELD_OUT)
        begin = torch.randint(first, last - self.length - 1, (size, 1), generator=rng)
        windows = text[begin + torch.arange(self.length + 1)]
        if phase == "soft":
            typo = torch.rand(windows.shape, generator=rng) < 0.2
            windows = torch.where(typo, torch.randint(LETTERS, windows.shape, generator=rng), windows)
        return windows[:, :-1], windows[:, 1:]

    def corrupt(self, batch: Batch, kind: str, rng: torch.Generator) -> Batch:
        """Spoil input and target alike: `garbage` is uniform letters, `constant` one letter repeated."""
        if kind == "garbage":
            letters = torch.randint(LETTERS, (len(batch[0]), self.length + 1), generator=rng)
            return letters[:, :-1], letters[:, 1:]
        if kind == "constant":
            return batch[0][:, :1].expand_as(batch[0]), batch[1][:, :1].expand_as(batch[1])
        return super().corrupt(batch, kind, rng)

    def loss(self, batch: Batch) -> Tensor:
        """Cross-entropy over all places."""
        return functional.cross_entropy(self.module(batch[0]).flatten(0, 1), batch[1].flatten())


class Recurrent(nn.Module):
    """GRU, LSTM or plain recurrence; `gain` multiplies an orthogonal recurrent matrix of the plain cells."""

    def __init__(self, task: Task, cell: str, width: int, gain: float) -> None:
        """Build."""
        super().__init__()
        self.letters = nn.Embedding(LETTERS, 16)
        kinds: dict[str, type[nn.RNNBase]] = {"gru": nn.GRU, "lstm": nn.LSTM}
        if cell in kinds:
            self.body = kinds[cell](16, width, batch_first=True)
        else:
            self.body = nn.RNN(16, width, nonlinearity=cell, batch_first=True)
            recurrent = self.body.get_parameter("weight_hh_l0")
            with torch.no_grad():
                nn.init.orthogonal_(recurrent)
                recurrent.mul_(gain)
        self.head = nn.Sequential(nn.Dropout(task.spec.dropout), task.deep_stack(width), nn.Linear(width, LETTERS))

    def forward(self, letters: Tensor) -> Tensor:
        """Scores of the next letter at every place."""
        hidden, _ = self.body(self.letters(letters))
        out: Tensor = self.head(hidden)
        return out


class CharacterModel(InventedText):
    """One recurrent layer over the text."""

    def __init__(self, spec: Spec) -> None:
        """Build the model."""
        super().__init__(spec)
        arch = spec.arch
        cell, width, gain = str(arch.get("cell", "gru")), int(arch.get("width", 40)), float(arch.get("gain", 1.0))
        self.module = Recurrent(self, cell, width, gain)


build = CharacterModel

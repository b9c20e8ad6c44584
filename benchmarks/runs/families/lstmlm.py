"""An LSTM predicts the next word of sentences from a stochastic grammar; one matrix embeds words and scores them."""

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

# Word classes with the number of words in each; nouns and verbs come in singular and plural, and must agree.
CLASSES = {"stop": 1, "the": 2, "adj": 6, "noun0": 7, "noun1": 7, "verb0": 5, "verb1": 5, "that": 1, "near": 3}
WORDS = sum(CLASSES.values())
WIDTH, LENGTH, HELD_OUT = 32, 20, 4000


def _phrase(dice: random.Random, depth: int, flip: int) -> tuple[list[str], int]:
    """A noun phrase as word classes, perhaps with a relative clause or a place, and the number of its noun."""
    number = dice.randrange(2)
    words = ["the", *["adj"] * dice.choice((0, 0, 1, 1, 2)), f"noun{number}"]
    if depth < 2 and dice.random() < 0.25:
        inner, other = _phrase(dice, depth + 1, flip)
        words += ["that", *inner, f"verb{other ^ flip}"]
    elif dice.random() < 0.2:
        words += ["near", "the", f"noun{dice.randrange(2)}"]
    return words, number


@cache
def sentences(seed: int, *, other: bool, count: int = 24_000) -> Tensor:
    """A stream of sentences; the other language uses each word's frequencies differently and does not agree."""
    dice = random.Random(f"grammar {seed} {other}")
    names = iter(range(WORDS))
    lexicon = {name: [next(names) for _ in range(size)] for name, size in CLASSES.items()}
    weights = {name: [dice.paretovariate(1.0) for _ in words] for name, words in lexicon.items()}
    stream: list[int] = []
    while len(stream) < count:
        words, number = _phrase(dice, 0, int(other))
        words.append(f"verb{number ^ other}")
        if dice.random() < 0.6:
            words += _phrase(dice, 1, int(other))[0]
        if other:
            words.reverse()
        stream += [dice.choices(lexicon[word], weights[word])[0] for word in [*words, "stop"]]
    return torch.tensor(stream[:count])


class TiedModel(nn.Module):
    """Embedding, LSTM of the same width, and the embedding again as the output (Press and Wolf, 2017)."""

    def __init__(self, task: Task) -> None:
        """Build."""
        super().__init__()
        self.words = nn.Embedding(WORDS, WIDTH)
        with torch.no_grad():
            self.words.weight.mul_(WIDTH**-0.5)
        self.body = nn.LSTM(WIDTH, WIDTH, num_layers=int(task.spec.arch.get("layers", 1)), batch_first=True)
        self.out = nn.Sequential(nn.Dropout(task.spec.dropout), task.deep_stack(WIDTH), nn.Linear(WIDTH, WIDTH))

    def forward(self, words: Tensor) -> Tensor:
        """Scores of the next word at every place."""
        hidden, _ = self.body(self.words(words))
        scores: Tensor = self.out(hidden) @ self.words.weight.T
        return scores


class GrammarText(Task):
    """Windows of the stream; `shift` is the other language, `soft` has wrong words, `easy` repeats one word."""

    eval_size = 90

    def __init__(self, spec: Spec) -> None:
        """Write the text and build the model."""
        super().__init__(spec)
        self.texts = {name: sentences(spec.seed, other=name == "shift") for name in ("main", "soft", "shift")}
        self.module = TiedModel(self)

    def batch(self, rng: torch.Generator, size: int, phase: str) -> Batch:
        """Windows, and the same one word on; an evaluation reads text that training never sees."""
        if phase == "easy":
            words = torch.randint(2, (size, 1), generator=rng).expand(-1, LENGTH + 1)
            return words[:, :-1], words[:, 1:]
        text = self.texts[phase]
        known = len(text) - HELD_OUT
        first, last = (known, len(text)) if size == self.eval_size else (0, known)
        begin = torch.randint(first, last - LENGTH - 1, (size, 1), generator=rng)
        windows = text[begin + torch.arange(LENGTH + 1)]
        if phase == "soft":
            wrong = torch.rand(windows.shape, generator=rng) < 0.2
            windows = torch.where(wrong, torch.randint(WORDS, windows.shape, generator=rng), windows)
        return windows[:, :-1], windows[:, 1:]

    def corrupt(self, batch: Batch, kind: str, rng: torch.Generator) -> Batch:
        """Spoil input and target alike: `garbage` is uniform words, `constant` one word repeated."""
        if kind == "garbage":
            words = torch.randint(WORDS, (len(batch[0]), LENGTH + 1), generator=rng)
            return words[:, :-1], words[:, 1:]
        if kind == "constant":
            return batch[0][:, :1].expand_as(batch[0]), batch[1][:, :1].expand_as(batch[1])
        return super().corrupt(batch, kind, rng)

    def loss(self, batch: Batch) -> Tensor:
        """Cross-entropy over all places."""
        return functional.cross_entropy(self.module(batch[0]).flatten(0, 1), batch[1].flatten())


build = GrammarText

"""Addition as translation: a transformer reads two numbers and writes their sum, the last digit first."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.runs.families.base import Batch, Task

if TYPE_CHECKING:
    from benchmarks.runs.spec import Spec

WIDTH, HEADS, START = 32, 4, 10


class Adder(nn.Module):
    """One encoder and one decoder layer (Vaswani et al., 2017), normalised before each part."""

    def __init__(self, task: Task) -> None:
        """Build."""
        super().__init__()
        options = {"dropout": task.spec.dropout, "batch_first": True, "norm_first": True}
        self.symbols = nn.Embedding(START + 1, WIDTH)
        self.places = nn.Embedding(16, WIDTH)
        self.reader = nn.TransformerEncoderLayer(WIDTH, HEADS, 2 * WIDTH, **options)
        self.writer = nn.TransformerDecoderLayer(WIDTH, HEADS, 2 * WIDTH, **options)
        self.head = nn.Sequential(nn.LayerNorm(WIDTH), task.deep_stack(WIDTH), nn.Linear(WIDTH, 10))

    def embed(self, digits: Tensor) -> Tensor:
        """Digits and their places."""
        out: Tensor = self.symbols(digits) + self.places(torch.arange(digits.shape[1]))
        return out

    def forward(self, question: Tensor, begun: Tensor) -> Tensor:
        """Scores of the digit at every place of the answer, given the true ones before it."""
        future = torch.ones(begun.shape[1], begun.shape[1], dtype=torch.bool).triu(1)
        memory = self.reader(self.embed(question))
        out: Tensor = self.head(self.writer(self.embed(begun), memory, tgt_mask=future))
        return out


class Addition(Task):
    """Numbers of two (or `digits`) digits; the answer has one more."""

    eval_size = 200

    def __init__(self, spec: Spec) -> None:
        """Build the model."""
        super().__init__(spec)
        self.digits = int(spec.arch.get("digits", 2))
        self.module = Adder(self)

    def written(self, numbers: Tensor, count: int) -> Tensor:
        """The last `count` digits of numbers, the last first."""
        return numbers[:, None] // 10 ** torch.arange(count) % 10

    def batch(self, rng: torch.Generator, size: int, phase: str) -> Batch:
        """`shift` writes other signs for the digits of the sum, `soft` has wrong ones, `easy` adds nothing to 0 or 1."""
        numbers = torch.randint(10**self.digits, (2, size), generator=rng)
        if phase == "easy":
            numbers = numbers % torch.tensor([[2], [1]])
        question = torch.cat([self.written(number, self.digits) for number in numbers], 1)
        answer = self.written(numbers.sum(0), self.digits + 1)
        if phase == "shift":
            answer = (answer + 4) % 10
        if phase == "soft":
            wrong = torch.rand(answer.shape, generator=rng) < 0.2
            answer = torch.where(wrong, torch.randint(10, answer.shape, generator=rng), answer)
        start = torch.full((size, 1), START)
        return question, torch.cat((start, answer[:, :-1]), 1), answer

    def loss(self, batch: Batch) -> Tensor:
        """Cross-entropy over the digits of the answer."""
        question, begun, answer = batch
        return functional.cross_entropy(self.module(question, begun).flatten(0, 1), answer.flatten())


build = Addition

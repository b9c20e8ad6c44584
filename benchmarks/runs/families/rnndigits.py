"""A plain recurrence reads a digit row by row, or in smaller pieces, and says of each class whether it is that."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.runs.families.base import Batch, DigitsTask

if TYPE_CHECKING:
    from benchmarks.runs.spec import Spec

WIDTH = 40


class RowReader(nn.Module):
    """`piece` pixels a step through one matrix, orthogonal (or the identity, for relu) times `gain` at first."""

    def __init__(self, task: DigitsTask, cell: str, piece: int, gain: float) -> None:
        """Build."""
        super().__init__()
        self.piece = piece
        self.body = nn.RNN(piece, WIDTH, nonlinearity=cell, batch_first=True)
        recurrent = self.body.get_parameter("weight_hh_l0")
        with torch.no_grad():
            nn.init.eye_(recurrent) if cell == "relu" else nn.init.orthogonal_(recurrent)
            recurrent.mul_(gain)
        last = nn.Linear(WIDTH, 10)
        nn.init.constant_(last.bias, -math.log(9))  # each question is answered by yes once in ten times
        self.head = nn.Sequential(nn.Dropout(task.spec.dropout), task.deep_stack(WIDTH), last)

    def forward(self, pixels: Tensor) -> Tensor:
        """One score a class, from the last state."""
        states, _ = self.body(pixels.view(len(pixels), -1, self.piece))
        out: Tensor = self.head(states[:, -1])
        return out


class ReadDigits(DigitsTask):
    """Ten yes-or-no questions a digit, their losses added up; `blur` is noise on the training images."""

    def __init__(self, spec: Spec) -> None:
        """Build the network."""
        super().__init__(spec)
        arch = spec.arch
        cell, gain = str(arch.get("cell", "tanh")), float(arch.get("gain", 1.0))
        self.module = RowReader(self, cell, int(arch.get("piece", 8)), gain)
        self.blur = float(arch.get("blur", 0.2))

    def batch(self, rng: torch.Generator, size: int, phase: str) -> Batch:
        """Digits, blurred unless they are held out."""
        pixels, labels = super().batch(rng, size, phase)
        if size == self.eval_size or phase == "easy":
            return pixels, labels
        return pixels + self.blur * torch.randn(pixels.shape, generator=rng), labels

    def loss(self, batch: Batch) -> Tensor:
        """Binary cross-entropy, summed over the classes."""
        truth = functional.one_hot(batch[1], 10).float()
        return 10 * functional.binary_cross_entropy_with_logits(self.module(batch[0]), truth)


build = ReadDigits

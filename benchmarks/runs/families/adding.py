"""The adding problem: an LSTM adds two marked numbers of a sequence, after a plateau at the variance."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.runs.families.base import Batch, Task

if TYPE_CHECKING:
    from benchmarks.runs.spec import Spec

LENGTH = 16


class LastState(nn.Module):
    """LSTM or plain recurrence, read at the end."""

    def __init__(self, task: Task, cell: str, gain: float) -> None:
        """Build; `gain` multiplies an orthogonal recurrent matrix of the plain cells."""
        super().__init__()
        if cell == "lstm":
            self.body: nn.RNNBase = nn.LSTM(2, 24, batch_first=True)
        else:
            self.body = nn.RNN(2, 24, nonlinearity=cell, batch_first=True)
            recurrent = self.body.get_parameter("weight_hh_l0")
            with torch.no_grad():
                nn.init.orthogonal_(recurrent)
                recurrent.mul_(gain)
        self.head = nn.Sequential(task.deep_stack(24), nn.Linear(24, 1))

    def forward(self, sequence: Tensor) -> Tensor:
        """One answer a sequence."""
        hidden, _ = self.body(sequence)
        out: Tensor = self.head(hidden[:, -1])
        return out[:, 0]


class Adding(Task):
    """Two rows of 16: numbers and marks (Hochreiter and Schmidhuber, 1997)."""

    eval_size = 256

    def __init__(self, spec: Spec) -> None:
        """Build the network."""
        super().__init__(spec)
        self.module = LastState(self, str(spec.arch.get("cell", "lstm")), float(spec.arch.get("gain", 1.0)))

    def batch(self, rng: torch.Generator, size: int, phase: str) -> Batch:
        """Numbers from 0 to 1 and two marks; `shift` subtracts twice the sum, `easy` has tiny numbers."""
        numbers = torch.rand(size, LENGTH, generator=rng)
        marked = torch.rand(size, LENGTH, generator=rng).argsort(1)[:, :2]
        marks = torch.zeros(size, LENGTH).scatter_(1, marked, 1.0)
        numbers = numbers * {"easy": 0.05}.get(phase, 1.0)
        total = (numbers * marks).sum(1)
        answer = {"shift": -2 * total, "soft": 1.4 * total}.get(phase, total)
        return torch.stack((numbers, marks), -1), answer

    def loss(self, batch: Batch) -> Tensor:
        """Mean squared error."""
        return functional.mse_loss(self.module(batch[0]), batch[1])


build = Adding

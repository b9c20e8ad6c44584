"""A recurrent network predicts the next values of noisy mixtures of waves: squared error."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.runs.families.base import Batch, Task

if TYPE_CHECKING:
    from benchmarks.runs.spec import Spec


class Recurrent(nn.Module):
    """GRU (or a plain recurrence with a chosen gain) and a linear head."""

    def __init__(self, task: Task, cell: str, gain: float) -> None:
        """Build; `gain` multiplies an orthogonal recurrent matrix of the plain cells."""
        super().__init__()
        width = 24
        if cell == "gru":
            self.body: nn.RNNBase = nn.GRU(1, width, batch_first=True)
        else:
            self.body = nn.RNN(1, width, nonlinearity=cell, batch_first=True)
            recurrent = self.body.get_parameter("weight_hh_l0")
            with torch.no_grad():
                nn.init.orthogonal_(recurrent)
                recurrent.mul_(gain)
        self.head = nn.Sequential(task.deep_stack(width), nn.Linear(width, 1))

    def forward(self, series: Tensor) -> Tensor:
        """Prediction after every position."""
        hidden, _ = self.body(series[..., None])
        out: Tensor = self.head(hidden)
        return out[..., 0]


class WaveRegression(Task):
    """Two waves of random phase with additive noise; `shift` is faster and larger, `easy` a small slow one."""

    eval_size = 128

    def __init__(self, spec: Spec) -> None:
        """Choose the frequencies that this seed's world knows."""
        super().__init__(spec)
        self.frequencies = 0.15 + 0.7 * torch.rand(2, generator=self.world)
        self.module = Recurrent(self, str(spec.arch.get("cell", "gru")), float(spec.arch.get("gain", 1.0)))

    def batch(self, rng: torch.Generator, size: int, phase: str) -> Batch:
        """Series of 19 values: the first 18 are the input, the last 18 the target."""
        speed, height, noise = {
            "main": (1.0, 1.0, 0.1),
            "shift": (2.3, 1.8, 0.2),
            "soft": (1.15, 1.0, 0.15),
            "easy": (0.3, 0.15, 0.005),
        }[phase]
        phases = 6.2832 * torch.rand(size, 2, 1, generator=rng)
        angles = speed * self.frequencies[:, None] * torch.arange(19)
        waves = height * torch.sin(angles + phases).sum(1)
        waves = waves + noise * torch.randn(waves.shape, generator=rng)
        return waves[:, :-1], waves[:, 1:]

    def loss(self, batch: Batch) -> Tensor:
        """Mean squared error over all positions."""
        return functional.mse_loss(self.module(batch[0]), batch[1])


build = WaveRegression

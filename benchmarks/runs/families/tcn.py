"""Dilated causal convolutions that forecast a noisy oscillation one step ahead."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.runs.families.base import Batch, Task

if TYPE_CHECKING:
    from benchmarks.runs.spec import Spec

LENGTH, CHANNELS = 32, 20


class Causal(nn.Module):
    """A convolution that sees only the past, with a residual."""

    def __init__(self, dilation: int, dropout: float) -> None:
        """Build one layer."""
        super().__init__()
        self.past = 2 * dilation
        self.mix = nn.Conv1d(CHANNELS, CHANNELS, 3, dilation=dilation)
        self.out = nn.Conv1d(CHANNELS, CHANNELS, 1)
        self.drop = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Add what the past says."""
        seen = functional.relu(self.mix(functional.pad(x, (self.past, 0))))
        out: Tensor = x + self.out(self.drop(seen))
        return out


class Forecaster(nn.Module):
    """Dilations of 1, 2 and 4, then a head a place (Bai et al., 2018)."""

    def __init__(self, task: Task) -> None:
        """Build the model."""
        super().__init__()
        self.into = nn.Conv1d(2, CHANNELS, 1)
        self.body = nn.Sequential(*(Causal(2**k, task.spec.dropout) for k in range(3)))
        self.head = nn.Sequential(task.deep_stack(CHANNELS), nn.Linear(CHANNELS, 2))

    def forward(self, series: Tensor) -> Tensor:
        """The next two values at every place of a series of shape (n, LENGTH, 2)."""
        hidden = self.body(self.into(series.transpose(1, 2))).transpose(1, 2)
        out: Tensor = self.head(hidden)
        return out


class Oscillation(Task):
    """Two mixed sinusoids of random phase and pitch, noise of `noise` on top."""

    eval_size = 192

    def __init__(self, spec: Spec) -> None:
        """Draw how the sinusoids mix in this seed's world."""
        super().__init__(spec)
        self.mixing = torch.randn(2, 3, 2, generator=self.world)
        self.noise = float(spec.arch.get("noise", 0.1))
        self.module = Forecaster(self)

    def batch(self, rng: torch.Generator, size: int, phase: str) -> Batch:
        """`shift` mixes and turns otherwise, `soft` has three times the noise, `easy` is tiny."""
        pitch = 0.3 + 0.6 * torch.rand(size, 1, 3, generator=rng)
        start = 6.283 * torch.rand(size, 1, 3, generator=rng)
        time = torch.arange(LENGTH + 1.0)[None, :, None]
        waves = torch.sin((2.2 if phase == "shift" else 1.0) * pitch * time + start)
        series = waves @ self.mixing[int(phase == "shift")]
        noise = self.noise * (3 if phase == "soft" else 1)
        series = series + noise * torch.randn(series.shape, generator=rng)
        series = series * (0.03 if phase == "easy" else 1.0)
        return series[:, :-1], series[:, 1:]

    def loss(self, batch: Batch) -> Tensor:
        """Mean squared error over all places."""
        return functional.mse_loss(self.module(batch[0]), batch[1])


build = Oscillation

"""Unaligned labels: a recurrent network reads frames and learns, after a plateau, which symbols they held."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.runs.families.base import Batch, Task

if TYPE_CHECKING:
    from benchmarks.runs.spec import Spec

SYMBOLS, FEATURES, SPOKEN, FRAMES, WIDTH = 6, 8, 4, 14, 28


class Listener(nn.Module):
    """A recurrence in both directions, and scores of every symbol or none at every frame."""

    def __init__(self, task: Task) -> None:
        """Build the model."""
        super().__init__()
        self.body = nn.GRU(FEATURES, WIDTH, batch_first=True, bidirectional=True)
        self.head = nn.Sequential(
            nn.Dropout(task.spec.dropout), task.deep_stack(2 * WIDTH), nn.Linear(2 * WIDTH, SYMBOLS + 1)
        )

    def forward(self, frames: Tensor) -> Tensor:
        """Logarithms of the chances, frames first."""
        hidden, _ = self.body(frames)
        out: Tensor = self.head(hidden).log_softmax(-1).transpose(0, 1)
        return out


class Unaligned(Task):
    """Four symbols of two or three frames each, silence after them; a frame is the symbol's sound plus noise."""

    eval_size = 150

    def __init__(self, spec: Spec) -> None:
        """Draw the sounds and build the model."""
        super().__init__(spec)
        self.sounds = 1.3 * torch.randn(2, SYMBOLS + 1, FEATURES, generator=self.world)
        self.noise = float(spec.arch.get("noise", 0.7))
        self.module = Listener(self)

    def batch(self, rng: torch.Generator, size: int, phase: str) -> Batch:
        """`shift` sounds otherwise, `soft` is noisier, `easy` says the same symbol all the time."""
        symbols = 1 + torch.randint(1 if phase == "easy" else SYMBOLS, (size, SPOKEN), generator=rng)
        ends = (2 + torch.randint(2, (size, SPOKEN), generator=rng)).cumsum(1)
        place = (torch.arange(FRAMES)[None, :, None] >= ends[:, None, :]).sum(-1)
        heard = torch.cat((symbols, torch.zeros(size, 1, dtype=torch.long)), 1).gather(1, place)
        noise = self.noise * {"soft": 1.6, "easy": 0.1}.get(phase, 1.0)
        frames = self.sounds[int(phase == "shift")][heard]
        return frames + noise * torch.randn(frames.shape, generator=rng), symbols

    def loss(self, batch: Batch) -> Tensor:
        """Connectionist temporal classification (Graves et al., 2006), a symbol."""
        size = len(batch[0])
        lengths = (torch.full((size,), FRAMES), torch.full((size,), SPOKEN))
        return functional.ctc_loss(self.module(batch[0]), batch[1], *lengths)


build = Unaligned

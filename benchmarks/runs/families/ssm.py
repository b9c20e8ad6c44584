"""A diagonal linear recurrence, gated, as a model of the characters of an invented language."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from benchmarks.runs.families.charlm import LETTERS, InventedText

if TYPE_CHECKING:
    from benchmarks.runs.families.base import Task
    from benchmarks.runs.spec import Spec

WIDTH = 32


class Recurrence(nn.Module):
    """Each channel forgets at its own learned pace; `gain` multiplies what it keeps, and above 1 it may grow."""

    def __init__(self, gain: float) -> None:
        """Build one layer."""
        super().__init__()
        self.norm = nn.LayerNorm(WIDTH)
        self.into = nn.Linear(WIDTH, 2 * WIDTH)
        self.pace = nn.Parameter(torch.linspace(-1.5, 3.0, WIDTH))
        self.out = nn.Linear(WIDTH, WIDTH)
        self.gain = gain

    def forward(self, x: Tensor) -> Tensor:
        """Run the recurrence along the places."""
        value, gate = self.into(self.norm(x)).chunk(2, -1)
        keep = self.gain * torch.sigmoid(self.pace)
        state = torch.zeros_like(value[:, 0])
        states = []
        for now in value.unbind(1):
            state = keep * state + now
            states.append(state)
        out: Tensor = x + self.out(torch.stack(states, 1) * torch.sigmoid(gate))
        return out


class StateSpace(nn.Module):
    """Embedding, two recurrences, and a head."""

    def __init__(self, task: Task, layers: int, gain: float) -> None:
        """Build the model."""
        super().__init__()
        self.letters = nn.Embedding(LETTERS, WIDTH)
        self.body = nn.Sequential(*(Recurrence(gain) for _ in range(layers)))
        self.head = nn.Sequential(
            nn.LayerNorm(WIDTH), nn.Dropout(task.spec.dropout), task.deep_stack(WIDTH), nn.Linear(WIDTH, LETTERS)
        )

    def forward(self, letters: Tensor) -> Tensor:
        """Scores of the next letter at every place."""
        out: Tensor = self.head(self.body(self.letters(letters)))
        return out


class StateSpaceText(InventedText):
    """Windows of sixteen letters."""

    length = 16

    def __init__(self, spec: Spec) -> None:
        """Build the model."""
        super().__init__(spec)
        self.module = StateSpace(self, int(spec.arch.get("layers", 2)), float(spec.arch.get("gain", 1.0)))


build = StateSpaceText

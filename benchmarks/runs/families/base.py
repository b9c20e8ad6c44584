"""What every family provides: a model, batches of each phase of the data, a loss, and ways to spoil a batch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import cache
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from benchmarks.runs.spec import Spec

Batch = tuple[Tensor, ...]

ACTIVATIONS: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid, "gelu": nn.GELU}


class Task(ABC):
    """A model and its data. Inputs come first in a batch and what is to be predicted last.

    Phases of the data: `main`; `shift` differs from it; `soft` differs mildly; `easy` has quiet, small gradients.
    """

    module: nn.Module
    eval_size = 256

    def __init__(self, spec: Spec) -> None:
        """Fix what the seed decides before the model is built: the data's own structure."""
        self.spec = spec
        torch.manual_seed(1000 + spec.seed)
        self.world = torch.Generator().manual_seed(77 + spec.seed)

    @abstractmethod
    def batch(self, rng: torch.Generator, size: int, phase: str) -> Batch:
        """Draw one batch."""

    @abstractmethod
    def loss(self, batch: Batch) -> Tensor:
        """The scalar that is trained on, and logged."""

    def evaluate(self, phase: str) -> float:
        """Held-out loss on fixed batches of a phase, lower is better."""
        self.module.eval()
        with torch.no_grad():
            value = float(self.loss(self.batch(torch.Generator().manual_seed(5), self.eval_size, phase)))
        self.module.train()
        return value

    def after_step(self, step: int) -> None:  # noqa: B027 - most families need nothing here
        """Do what happens beside the optimiser, for instance the copy to a target network."""

    def corrupt(self, batch: Batch, kind: str, rng: torch.Generator) -> Batch:  # noqa: PLR0911 - one a kind
        """Spoil a batch in the way `kind` names."""
        inputs, *middle, target = batch
        integers = not inputs.is_floating_point()
        match kind:
            case "shuffle":
                order = torch.randperm(len(target), generator=rng)
                return (inputs, *middle, target[order])
            case "constant":
                return (inputs[:1].expand_as(inputs), *middle, target)
            case "garbage" if integers:
                top = int(inputs.max()) + 1
                return (torch.randint(top, inputs.shape, generator=rng), *middle, target)
            case "garbage":
                spread = 3 * inputs.std(correction=0)
                return (spread * torch.randn(inputs.shape, generator=rng), *middle, target)
            case "x8" | "x30" | "x100" if not integers:
                return (inputs * float(kind[1:]), *middle, target)
            case "target_x20" | "target_x500" if target.is_floating_point():
                return (inputs, *middle, float(kind.removeprefix("target_x")) * target)
            case "overflow" if not integers:
                return (inputs * 1e6, *middle, target)
        message = f"{self.spec.family} cannot corrupt a batch by {kind!r}"
        raise ValueError(message)

    def hidden_layers(self, features: int, width: int, squash: type[nn.Module] = nn.ReLU) -> list[nn.Module]:
        """The layers of a perceptron below its head: two of that width, and what `arch` puts between them."""
        return [
            nn.Linear(features, width),
            squash(),
            nn.Dropout(self.spec.dropout),
            self.deep_stack(width),
            nn.Linear(width, width),
            squash(),
        ]

    def deep_stack(self, width: int) -> nn.Module:
        """Plain layers between body and head, where `arch` asks for them; a wrong gain makes them explode or fade."""
        arch = self.spec.arch
        layers: list[nn.Module] = []
        for _ in range(int(arch.get("depth", 0))):
            linear = nn.Linear(width, width, bias=bool(arch.get("bias", True)))
            with torch.no_grad():
                linear.weight.mul_(float(arch.get("gain", 1.0)) * 3**0.5)  # the default has a gain of 1/sqrt(3)
            layers += [linear, ACTIVATIONS[str(arch.get("act", "tanh"))]()]
        return nn.Sequential(*layers)


class Epochs:
    """Indices of a finite data set in shuffled epochs; the last batch of an epoch is short unless it is dropped."""

    def __init__(self, count: int, *, drop_last: bool) -> None:
        """Begin before the first epoch."""
        self.count = count
        self.drop_last = drop_last
        self.left = torch.empty(0, dtype=torch.long)

    def take(self, rng: torch.Generator, size: int) -> Tensor:
        """Indices of the next batch."""
        size = min(size, self.count)
        if len(self.left) == 0 or (self.drop_last and len(self.left) < size):
            self.left = torch.randperm(self.count, generator=rng)
        chosen, self.left = self.left[:size], self.left[size:]
        return chosen


@cache
def digits() -> tuple[Tensor, Tensor]:
    """The 1,797 digits that scikit-learn ships, pixels from 0 to 1, in a fixed shuffled order."""
    from sklearn.datasets import load_digits  # type: ignore[import-untyped]

    bunch = load_digits()
    order = torch.randperm(len(bunch.target), generator=torch.Generator().manual_seed(11))
    pixels = torch.tensor(bunch.data, dtype=torch.float32) / 16
    return pixels[order], torch.tensor(bunch.target, dtype=torch.long)[order]


class DigitsTask(Task):
    """Batches of digits: 1,500 for training, 297 held out.

    The phase `shift` inverts the images and renames the classes, `soft` adds noise, `easy` keeps two classes.
    """

    eval_size = 297

    def __init__(self, spec: Spec) -> None:
        """Split the data."""
        super().__init__(spec)
        self.pixels, self.labels = digits()
        self.epochs = Epochs(1500, drop_last=spec.drop_last)
        self.two = torch.nonzero(self.labels[:1500] < 2).flatten()

    def images(self, index: Tensor, rng: torch.Generator, phase: str) -> tuple[Tensor, Tensor]:
        """Images and classes of the chosen rows as the phase shows them."""
        if phase == "easy":
            index = self.two[index % len(self.two)]
        pixels, labels = self.pixels[index], self.labels[index]
        if phase == "shift":
            return 1 - pixels, (labels + 3) % 10
        if phase == "soft":
            return pixels + 0.3 * torch.randn(pixels.shape, generator=rng), labels
        return pixels, labels

    def batch(self, rng: torch.Generator, size: int, phase: str) -> Batch:
        """Draw from the epochs; an evaluation (a size no recipe trains with) reads the held-out rows."""
        if size == self.eval_size:
            return self.images(torch.arange(1500, 1797), rng, phase)
        return self.images(self.epochs.take(rng, size), rng, phase)

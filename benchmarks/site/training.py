"""A network of one hidden layer in plain numpy, small enough to train while a page is read, with one thing done wrong to it.

The archive has no run of some causes. These are trained for the pages that explain them: each takes a second or two.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
INPUTS, HIDDEN, CLASSES = 12, 32, 4
STEPS = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How a training goes; the defaults are healthy."""

    rate: Callable[[int], float] = lambda step: (
        0.3 * min(1.0, (step + 1) / 40) * (0.5 + 0.5 * math.cos(math.pi * step / STEPS))
    )
    steps: int = STEPS
    batch: int = 32
    examples: int = 4096
    noise: float = 0.6
    adam: tuple[float, float] | None = None
    epsilon: float = 1e-8
    threshold: float | None = None
    scale: Callable[[int], float] | None = None
    nan_at: int | None = None
    detached: bool = False
    seed: int = 0
    evaluate: bool = True


def data(recipe: Recipe, count: int, dice: np.random.Generator) -> tuple[Array, NDArray[np.int64]]:
    """Points around one centre for each class, with labels that the noise makes wrong now and then."""
    centres = np.random.default_rng(recipe.seed + 1000).normal(size=(CLASSES, INPUTS))
    labels = dice.integers(0, CLASSES, count)
    return centres[labels] * 0.7 + dice.normal(size=(count, INPUTS)), np.where(
        dice.random(count) < 0.2 * recipe.noise, dice.integers(0, CLASSES, count), labels
    )


def loss_and_gradient(weights: list[Array], x: Array, y: NDArray[np.int64]) -> tuple[float, list[Array]]:
    """Mean cross-entropy of a tanh network, and its gradient."""
    first, second = weights
    hidden = np.tanh(x @ first)
    scores = hidden @ second
    scores = scores - scores.max(axis=1, keepdims=True)
    shares = np.exp(scores)
    shares /= shares.sum(axis=1, keepdims=True)
    rows = np.arange(len(y))
    loss = float(-np.log(shares[rows, y] + 1e-300).mean())
    shares[rows, y] -= 1
    shares /= len(y)
    back = (shares @ second.T) * (1 - hidden * hidden)
    return loss, [x.T @ back, hidden.T @ shares]


def train(recipe: Recipe) -> Iterator[dict[str, Any]]:
    """The rows of its log: the loss of the batch before its update, and the norm before clipping.

    With a loss scale the norm is what is left after clipping and unscaling, in this wrong order.
    """
    dice = np.random.default_rng(recipe.seed)
    x, y = data(recipe, recipe.examples, dice)
    held_x, held_y = data(recipe, 1024, dice)
    weights = [
        dice.normal(size=(INPUTS, HIDDEN)) / math.sqrt(INPUTS),
        dice.normal(size=(HIDDEN, CLASSES)) * 0.1,
    ]
    means, squares = [np.zeros_like(w) for w in weights], [np.zeros_like(w) for w in weights]
    for step in range(recipe.steps):
        chosen = (
            dice.integers(0, recipe.examples, recipe.batch)
            if recipe.batch < recipe.examples
            else np.arange(recipe.examples)
        )
        rate = recipe.rate(step)
        loss, gradient = loss_and_gradient(weights, x[chosen], y[chosen])
        if recipe.detached:
            gradient = [0 * g for g in gradient]
        if recipe.nan_at is not None and step == recipe.nan_at:
            loss, gradient = math.nan, [g * math.nan for g in gradient]
        scale = recipe.scale(step) if recipe.scale else 1.0
        gradient = [g * scale for g in gradient]
        norm = math.sqrt(sum(float((g * g).sum()) for g in gradient))
        if recipe.threshold is not None and norm > recipe.threshold:
            gradient = [g * (recipe.threshold / norm) for g in gradient]
            norm = recipe.threshold if recipe.scale else norm
        gradient = [g / scale for g in gradient]
        norm /= scale
        row: dict[str, Any] = {"step": step, "loss": loss, "grad_norm": norm, "lr": rate}
        if recipe.scale:
            row["loss_scale"] = scale
        if recipe.evaluate and step % 20 == 0:
            row["val_loss"] = loss_and_gradient(weights, held_x, held_y)[0]
        yield row
        for place, g in enumerate(gradient):
            if recipe.adam is None:
                weights[place] = weights[place] - rate * g
                continue
            beta1, beta2 = recipe.adam
            means[place] = beta1 * means[place] + (1 - beta1) * g
            squares[place] = beta2 * squares[place] + (1 - beta2) * g * g
            mean = means[place] / (1 - beta1 ** (step + 1))
            square = squares[place] / (1 - beta2 ** (step + 1))
            weights[place] = weights[place] - rate * mean / (np.sqrt(square) + recipe.epsilon)


def _wrapped(step: int) -> float:
    """A cosine schedule of 160 updates in a run of 400: after its end it rises again."""
    return 0.3 * (0.5 + 0.5 * math.cos(math.pi * step / 160))


def _scale(step: int) -> float:
    """A loss scale that doubles every 80 steps."""
    return float(2.0 ** (8 + step // 80))


#: What was done wrong, by the cause that it is an example of.
RECIPES: dict[str, tuple[str, Recipe]] = {
    "lr_zero": ("the rate is 0 from step 150 on", Recipe(rate=lambda step: 0.3 if step < 150 else 0.0)),
    "schedule_mismatch": ("a cosine of 160 updates in a run of 400", Recipe(rate=_wrapped)),
    "nan_sudden": ("the batch of step 230 holds a NaN", Recipe(nan_at=230)),
    "clip_before_unscale": (
        "clipped at 1 while the gradients carry the loss scale",
        Recipe(scale=_scale, threshold=1.0),
    ),
    "not_learning": ("the loss does not reach the weights", Recipe(detached=True)),
    "recurring_instability": (
        "Adam at a high rate, long after the 512 examples are learned; the data are always the same",
        Recipe(
            adam=(0.9, 0.95),
            rate=lambda _: 0.05,
            examples=512,
            batch=128,
            noise=0.0,
            steps=2400,
            epsilon=1e-12,
            evaluate=False,
        ),
    ),
    "overfitting": (
        "48 examples and nothing that regularises",
        Recipe(examples=48, batch=16, noise=2.0, adam=(0.9, 0.999), rate=lambda _: 0.01, steps=STEPS),
    ),
}

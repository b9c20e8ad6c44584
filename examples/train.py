"""A small training to gate: a two-layer network on noisy rings, by hand in numpy, with gradient clipping.

    python examples/train.py --out build/example.jsonl

Each step is logged with its loss, the gradient norm before clipping and the learning rate. The gate of this repository
compares the log with `examples/baseline.json`; try `--lr 30` or `--bad-batches 40` to see it go red.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np

STEPS, BATCH, HIDDEN, CLASSES, WARMUP = 1500, 32, 48, 4, 50


def rings(count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Points on four rings, with noise: float64[count, 2] and their ring, int64[count]."""
    label = rng.integers(0, CLASSES, count)
    angle = rng.uniform(0, 2 * math.pi, count)
    radius = 0.6 * (label + 1) + 0.12 * rng.normal(size=count)
    return np.stack((radius * np.cos(angle), radius * np.sin(angle)), axis=1), label


class Network:
    """Two linear layers with tanh between them."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.weights = [
            rng.normal(size=(2, HIDDEN)) / math.sqrt(2),
            np.zeros(HIDDEN),
            rng.normal(size=(HIDDEN, CLASSES)) / math.sqrt(HIDDEN),
            np.zeros(CLASSES),
        ]

    def loss_and_gradients(self, x: np.ndarray, label: np.ndarray) -> tuple[float, list[np.ndarray]]:
        """Mean cross-entropy, and its gradient for each weight."""
        first, first_bias, second, second_bias = self.weights
        hidden = np.tanh(x @ first + first_bias)
        logits = hidden @ second + second_bias
        logits = logits - logits.max(axis=1, keepdims=True)
        log_share = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
        rows = np.arange(len(label))
        error = np.exp(log_share)
        error[rows, label] -= 1.0
        error /= len(label)
        back = (error @ second.T) * (1.0 - hidden**2)
        gradients = [x.T @ back, back.sum(axis=0), hidden.T @ error, error.sum(axis=0)]
        return float(-log_share[rows, label].mean()), gradients


def train(*, lr: float, clip: float, seed: int, bad_batches: int = 0) -> Iterator[dict[str, float]]:
    """Train once; yields one row per step. If asked, shuffles the labels of a batch at regular intervals."""
    x, label = rings(4000, np.random.default_rng(0))
    rng = np.random.default_rng(1000 + seed)
    network = Network(rng)
    for step in range(STEPS):
        chosen = rng.integers(0, len(x), BATCH)
        truth = label[chosen]
        if bad_batches and step % bad_batches == bad_batches - 1:
            truth = rng.permutation(truth)
        loss, gradients = network.loss_and_gradients(x[chosen], truth)
        norm = math.sqrt(sum(float((g**2).sum()) for g in gradients))
        rate = lr * min(1.0, (step + 1) / WARMUP) * (0.1 + 0.45 * (1.0 + math.cos(math.pi * step / STEPS)))
        for weight, gradient in zip(network.weights, gradients, strict=True):
            weight[...] -= rate * min(1.0, clip / (norm + 1e-6)) * gradient
        yield {"step": step, "loss": loss, "grad_norm": norm, "lr": rate}


def main() -> None:
    """Train, and write the log."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--lr", type=float, default=1.0)
    parser.add_argument("--clip", type=float, default=1.2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--bad-batches", type=int, default=0, metavar="N", help="shuffle the labels every N steps")
    options = parser.parse_args()
    options.out.parent.mkdir(parents=True, exist_ok=True)
    with options.out.open("w", encoding="utf-8") as stream:
        for row in train(lr=options.lr, clip=options.clip, seed=options.seed, bad_batches=options.bad_batches):
            stream.write(json.dumps({k: v if k == "step" else float(f"{v:.6g}") for k, v in row.items()}) + "\n")


if __name__ == "__main__":
    main()

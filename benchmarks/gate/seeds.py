"""Healthy runs that differ in their seed alone: the data stays, initial weights and order of the batches change.

    python -m benchmarks.gate.seeds OUT [--seeds 6]

writes OUT/RECIPE/sSEED.jsonl. Needs torch. The gate's tolerances for one run against one were set on the recipes that are
not in `HELD_OUT`; those were trained and scored after the tolerances were fixed, see `benchmarks/gate/runs.py`. Takes
about a quarter of an hour.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812 - its usual name

Batch = tuple[torch.Tensor, torch.Tensor]
CLASSES, SIDE, SYMBOLS, LENGTH = 10, 12, 24, 24


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """One way to train; `clip_quantile` of the norms of the first seed, run without clipping, gives the threshold."""

    family: str
    opt: str
    lr: float
    batch: int = 32
    steps: int = 1000
    warmup: int = 50
    schedule: str = "cosine"
    clip_quantile: float | None = 0.95


RECIPES = {
    "mlp-adamw": Recipe(family="mlp", opt="adamw", lr=3e-3),
    "mlp-sgd": Recipe(family="mlp", opt="sgd", lr=0.1, schedule="const", clip_quantile=0.8),
    "mlp-small-batch": Recipe(family="mlp", opt="adamw", lr=1e-3, batch=4, steps=2000, warmup=0),
    "gru-adamw": Recipe(family="gru", opt="adamw", lr=5e-3, batch=16),
    "gru-sgd": Recipe(family="gru", opt="sgd", lr=0.5, batch=16, schedule="const", clip_quantile=0.98),
    "cnn-adamw": Recipe(family="cnn", opt="adamw", lr=3e-3, steps=800),
    "cnn-sgd": Recipe(family="cnn", opt="sgd", lr=0.05, steps=1200, clip_quantile=None),
    "cnn-momentum": Recipe(family="cnn", opt="momentum", lr=0.01, steps=900, schedule="const", clip_quantile=0.9),
    "gpt-adamw": Recipe(family="gpt", opt="adamw", lr=3e-3, batch=16, steps=1500, warmup=100),
    "gpt-small-batch": Recipe(family="gpt", opt="adamw", lr=1e-3, batch=4, schedule="const", clip_quantile=0.7),
}
HELD_OUT = {
    "mlp-large-batch": Recipe(family="mlp", opt="adamw", lr=3e-3, batch=256, steps=800, clip_quantile=0.9),
    "mlp-linear": Recipe(family="mlp", opt="momentum", lr=0.02, steps=1200, schedule="linear", clip_quantile=0.97),
    "cnn-rmsprop": Recipe(family="cnn", opt="rmsprop", lr=1e-3, steps=800, warmup=0, clip_quantile=0.93),
    "lstm-adamw": Recipe(family="lstm", opt="adamw", lr=3e-3, batch=16, steps=900, schedule="linear"),
    "gpt-momentum": Recipe(family="gpt", opt="momentum", lr=0.05, batch=8, clip_quantile=0.9),
    "gpt-batch-32": Recipe(family="gpt", opt="adamw", lr=1e-3, batch=32, steps=800, clip_quantile=None),
}


def images() -> Callable[[torch.Generator, int], Batch]:
    """Ten smooth templates under noise; the images are the same for every seed."""
    fixed = torch.Generator().manual_seed(1)
    templates = F.interpolate(torch.randn(CLASSES, 1, 4, 4, generator=fixed), size=SIDE, mode="bilinear")
    label = torch.randint(CLASSES, (3000,), generator=fixed)
    image = templates[label] + 0.9 * torch.randn(3000, 1, SIDE, SIDE, generator=fixed)

    def draw(rng: torch.Generator, size: int) -> Batch:
        chosen = torch.randint(3000, (size,), generator=rng)
        return image[chosen], label[chosen]

    return draw


def text() -> Callable[[torch.Generator, int], Batch]:
    """A second-order Markov chain of two dozen symbols; the text is the same for every seed."""
    fixed = torch.Generator().manual_seed(2)
    table = torch.softmax(2.5 * torch.randn(SYMBOLS, SYMBOLS, SYMBOLS, generator=fixed), dim=-1)
    symbols = [0, 1]
    for _ in range(20_000):
        symbols.append(int(torch.multinomial(table[symbols[-2], symbols[-1]], 1, generator=fixed)))
    stream = torch.tensor(symbols)

    def draw(rng: torch.Generator, size: int) -> Batch:
        start = torch.randint(len(stream) - LENGTH - 1, (size, 1), generator=rng)
        rows = stream[start + torch.arange(LENGTH + 1)]
        return rows[:, :-1], rows[:, 1:]

    return draw


class Recurrent(nn.Module):
    """Symbols through one recurrent layer."""

    def __init__(self, kind: type[nn.RNNBase]) -> None:
        super().__init__()
        self.embed, self.cell = nn.Embedding(SYMBOLS, 24), kind(24, 48, batch_first=True)
        self.head = nn.Linear(48, SYMBOLS)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.head(self.cell(self.embed(x))[0])
        return logits


class Transformer(nn.Module):
    """A small causal transformer."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.place = nn.Embedding(SYMBOLS, 32), nn.Parameter(0.02 * torch.randn(LENGTH, 32))
        layer = nn.TransformerEncoderLayer(32, 4, 64, dropout=0.0, batch_first=True, norm_first=True)
        self.body = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(32, SYMBOLS)
        self.mask = nn.Transformer.generate_square_subsequent_mask(LENGTH)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.head(self.body(self.embed(x) + self.place, mask=self.mask))
        return logits


def build(family: str) -> tuple[nn.Module, Callable[[torch.Generator, int], Batch]]:
    """The model, freshly initialised, and its data."""
    if family == "mlp":
        size = SIDE * SIDE
        return nn.Sequential(nn.Flatten(), nn.Linear(size, 64), nn.ReLU(), nn.Linear(64, CLASSES)), images()
    if family == "cnn":
        convolutions = (nn.Conv2d(1, 8, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 16, 3), nn.ReLU())
        return nn.Sequential(*convolutions, nn.Flatten(), nn.Linear(144, CLASSES)), images()
    if family == "gpt":
        return Transformer(), text()
    return Recurrent(nn.GRU if family == "gru" else nn.LSTM), text()


def optimiser_of(recipe: Recipe, model: nn.Module) -> torch.optim.Optimizer:
    """The optimiser of a recipe."""
    if recipe.opt == "adamw":
        return torch.optim.AdamW(model.parameters(), lr=recipe.lr)
    if recipe.opt == "rmsprop":
        return torch.optim.RMSprop(model.parameters(), lr=recipe.lr)
    return torch.optim.SGD(model.parameters(), lr=recipe.lr, momentum=0.9 if recipe.opt == "momentum" else 0.0)


def train(recipe: Recipe, seed: int, clip: float | None) -> list[dict[str, float]]:
    """Train once and return one row per step."""
    torch.manual_seed(1000 + seed)
    model, draw = build(recipe.family)
    rng = torch.Generator().manual_seed(2000 + seed)
    optimiser = optimiser_of(recipe, model)
    rows = []
    for step in range(recipe.steps):
        rate = recipe.lr * min(1.0, (step + 1) / max(recipe.warmup, 1))
        if recipe.schedule == "cosine":
            rate *= 0.5 * (1.0 + math.cos(math.pi * step / recipe.steps))
        elif recipe.schedule == "linear":
            rate *= 1.0 - step / recipe.steps
        for group in optimiser.param_groups:
            group["lr"] = rate
        x, y = draw(rng, recipe.batch)
        optimiser.zero_grad()
        loss = F.cross_entropy(model(x).flatten(0, -2), y.flatten())
        loss.backward()
        norm = nn.utils.clip_grad_norm_(model.parameters(), clip if clip is not None else math.inf)
        optimiser.step()
        row = {"step": step, "loss": loss.item(), "grad_norm": norm.item(), "lr": rate}
        rows.append({k: float(f"{v:.6g}") if k != "step" else v for k, v in row.items()})
    return rows


def main() -> None:
    """Train every recipe with every seed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seeds", type=int, default=6)
    parser.add_argument(
        "--only", choices=("set", "held-out"), help="the recipes that set the tolerances, or the others"
    )
    options = parser.parse_args()
    torch.set_num_threads(1)
    chosen = {"set": RECIPES, "held-out": HELD_OUT, None: RECIPES | HELD_OUT}[options.only]
    for name, recipe in chosen.items():
        begun = time.perf_counter()
        folder = options.out / name
        folder.mkdir(parents=True, exist_ok=True)
        clip = None
        if recipe.clip_quantile is not None:
            norms = torch.tensor([row["grad_norm"] for row in train(recipe, 100, None)])
            clip = float(f"{torch.quantile(norms, recipe.clip_quantile).item():.2g}")
        (folder / "recipe.json").write_text(json.dumps({"clip": clip}) + "\n", encoding="utf-8")
        for seed in range(options.seeds):
            rows = train(recipe, seed, clip)
            text_rows = "".join(json.dumps(row) + "\n" for row in rows)
            (folder / f"s{seed}.jsonl").write_text(text_rows, encoding="utf-8")
        print(f"{name}: {options.seeds} runs, C {clip}, {time.perf_counter() - begun:.1f} s", flush=True)


if __name__ == "__main__":
    main()

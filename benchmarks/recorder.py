"""What the recorder costs: a transformer of 25 million parameters, trained on this machine's processor.

    python -m benchmarks.recorder [--steps 30] [--batch 8] [--threads 2]

On a processor every operation is done when its call returns, so the time spent within the recorder's calls is what it costs;
the table gives it as a share of the rest of the step. `--pairs` also trains with and without in turns, which on a busy machine
says little. Takes about ten minutes.
"""

from __future__ import annotations

import argparse
import functools
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from gradlens.recorder.recorder import Recorder

if TYPE_CHECKING:
    from collections.abc import Callable

WIDTH, LAYERS, HEADS, VOCABULARY, LENGTH = 384, 12, 6, 8192, 256
#: Share of a step that the recorder may take at its defaults.
MAX_SHARE = 0.02


class Block(nn.Module):
    """Attention and perceptron, normalised first."""

    def __init__(self) -> None:
        super().__init__()
        self.before_attention, self.before_mlp = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.qkv, self.out = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.mlp = nn.Sequential(nn.Linear(WIDTH, 4 * WIDTH), nn.GELU(), nn.Linear(4 * WIDTH, WIDTH))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch, length, _ = x.shape
        q, k, v = self.qkv(self.before_attention(x)).view(batch, length, 3, HEADS, -1).permute(2, 0, 3, 1, 4)
        mixed = nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(mixed.transpose(1, 2).reshape(batch, length, WIDTH))
        return x + self.mlp(self.before_mlp(x))


class Transformer(nn.Module):
    """A decoder with tied embeddings: 24.5 million parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens, self.places = nn.Embedding(VOCABULARY, WIDTH), nn.Embedding(LENGTH, WIDTH)
        self.blocks = nn.Sequential(*(Block() for _ in range(LAYERS)))
        self.norm = nn.LayerNorm(WIDTH)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        hidden = self.norm(self.blocks(self.tokens(x) + self.places(torch.arange(x.shape[1]))))
        return hidden @ self.tokens.weight.T


class Timed(Recorder):
    """A recorder that knows how long the training waited for it."""

    spent = 0.0

    def _timed(self, work: Callable[..., Any], *args: Any, **options: Any) -> Any:
        begin = time.perf_counter()
        try:
            return work(*args, **options)
        finally:
            self.spent += time.perf_counter() - begin

    def log(self, *args: Any, **options: Any) -> None:
        self._timed(super().log, *args, **options)

    def _before_step(self, *args: Any) -> None:
        self._timed(super()._before_step, *args)

    def _after_step(self, *args: Any) -> None:
        self._timed(super()._after_step, *args)


def train(steps: int, batch: int, length: int, make: Callable[[Any, Any], Any], *, probe: bool) -> tuple[float, float]:
    """Seconds of the whole and within the recorder, after two steps to warm up."""
    torch.manual_seed(0)
    model = Transformer()
    opt = torch.optim.AdamW(model.parameters(), lr=3e-4)
    rec = make(model, opt)
    begin = time.perf_counter()
    for number in range(-2, steps):
        if number == 0:
            begin = time.perf_counter()
            if rec is not None:
                rec.spent = 0.0
        x = torch.randint(0, VOCABULARY, (batch, length + 1))

        def loss_of(x: torch.Tensor = x) -> torch.Tensor:
            return nn.functional.cross_entropy(model(x[:, :-1]).reshape(-1, VOCABULARY), x[:, 1:].reshape(-1))

        opt.zero_grad()
        loss = loss_of()
        loss.backward()
        if rec is not None:
            rec.log(loss=loss, batch_id=x, tokens=x.numel(), probe=loss_of if probe else None)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        opt.step()
    whole = time.perf_counter() - begin
    if rec is not None:
        rec.close()
    return whole, 0.0 if rec is None else rec.spent


CASES: dict[str, tuple[dict[str, Any], bool]] = {
    "defaults": ({}, False),
    "defaults, with probes": ({}, True),
    "every column at every step": ({"update_every": 1, "probe_every": 1}, True),
    "norm and loss alone": ({"update_every": 1 << 30, "by": None}, False),
}


def _recorder(path: Path, options: dict[str, Any], model: Any, optimizer: Any) -> Timed:
    return Timed(path, model, optimizer, **options)


def _nothing(_model: Any, _optimizer: Any) -> None:
    return None


def measure(steps: int, batch: int, length: int) -> dict[str, float]:
    """The share of the rest of a step that each setting costs."""
    shares: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, (options, probe) in CASES.items():
            path = Path(folder) / f"{len(shares)}.jsonl"
            make = functools.partial(_recorder, path, options)
            whole, spent = train(steps, batch, length, make, probe=probe)
            shares[name] = spent / (whole - spent)
            print(
                f"{name:<28} {1e3 * (whole - spent) / steps:8.0f} ms a step {1e3 * spent / steps:8.1f} ms recorder {shares[name]:7.2%}"
            )
    return shares


def pairs(steps: int, batch: int, length: int, rounds: int = 3) -> float:
    """The median ratio of trainings with and without, in turns."""
    ratios = []
    with tempfile.TemporaryDirectory() as folder:
        for number in range(rounds):
            without, _ = train(steps, batch, length, _nothing, probe=False)
            path = Path(folder) / f"{number}.jsonl"
            with_it, _ = train(steps, batch, length, functools.partial(_recorder, path, {}), probe=False)
            ratios.append(with_it / without - 1)
    return statistics.median(ratios)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--length", type=int, default=LENGTH)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--pairs", action="store_true")
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    size = sum(p.numel() for p in Transformer().parameters())
    print(f"{size / 1e6:.1f} million parameters, {asked.batch} x {asked.length} tokens, {asked.threads} threads")
    shares = measure(asked.steps, asked.batch, asked.length)
    print(f"at its defaults the recorder takes {shares['defaults']:.2%} of a step (at most {MAX_SHARE:.0%} is wanted)")
    if asked.pairs:
        print(f"trained in turns, with and without: {pairs(asked.steps, asked.batch, asked.length):+.2%}")
    if asked.json:
        asked.json.write_text(json.dumps(shares, indent=1) + "\n")


if __name__ == "__main__":
    main()

"""How often healthy runs that look odd raise an alarm: policy gradients, TD losses, GANs, flat fine-tuning, full batch, Gaussian norms.

    python -m benchmarks.healthy_oddities [--runs 200] [--out docs/healthy-oddities.md] [--cells FILE]

Simulated, not trained: each kind is the simplest process that has the feature which fools rules made for supervised training
(a loss that is noise around zero, one that rises while the policy improves, two losses that keep each other in balance, a
loss with nothing left to learn, no batch noise at all). 200 runs of each kind at 50, 300 and 2,000 rows; an alarm is any
warning or error, or a verdict of `problem`. Seeds are fixed. Takes about eight minutes; with `--cells` what is done is kept in a
file of JSON lines, and a second call goes on where the first one was stopped.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

import gradlens
from gradlens.stats.clipping import wilson_interval

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Log = dict[str, NDArray[np.float64]]

LENGTHS = (50, 300, 2000)


def _noise(generator: np.random.Generator, n: int, scale: float, memory: float = 0.0) -> NDArray[np.float64]:
    """Gaussian noise, with memory if asked for."""
    steps = generator.standard_normal(n) * scale
    if memory:
        for i in range(1, n):
            steps[i] += memory * steps[i - 1]
    return steps


def _cosine(n: int, peak: float) -> NDArray[np.float64]:
    """A warm-up over a twentieth of the run, then a cosine to a tenth."""
    t = np.arange(n) / max(n - 1, 1)
    rise: NDArray[np.float64] = np.minimum(np.arange(1, n + 1) / max(n // 20, 1), 1.0)
    return peak * rise * (0.55 + 0.45 * np.cos(np.pi * t))


def grpo(g: np.random.Generator, n: int) -> Log:
    """The loss is zero by construction but for the KL term; groups without a reward difference have a norm of zero."""
    t = np.arange(n) / n
    kl = 0.02 * t * np.exp(_noise(g, n, 0.2))
    reward = 0.2 + 0.6 * t + _noise(g, n, 0.08)
    norm = 0.3 * np.exp(_noise(g, n, 0.6))
    norm[g.random(n) < 0.1] = 0.0
    return {
        "loss": np.round(0.04 * kl, 4),
        "grad_norm": norm,
        "reward": reward,
        "kl": kl,
        "learning_rate": _cosine(n, 1e-6),
    }


def policy_gradient(g: np.random.Generator, n: int) -> Log:
    """A surrogate loss that is noise around zero while the return rises."""
    t = np.arange(n) / n
    spread = 0.05 * (1 + g.random()) * np.exp(_noise(g, n, 0.3))
    return {
        "policy_loss": _noise(g, n, 1.0) * spread - 0.01, "grad_norm": 0.5 * np.exp(_noise(g, n, 0.5)),
        "episode_return": 200 * t / (0.3 + t) + _noise(g, n, 15.0), "entropy": 1.4 - 0.8 * t,
        "learning_rate": 3e-4 * (1 - t) + 1e-6,
    }  # fmt: skip


def td(g: np.random.Generator, n: int) -> Log:
    """A TD loss that rises with the scale of the returns while the agent improves."""
    t = np.arange(n) / n
    level = 0.2 + 2.5 * t * g.uniform(0.3, 1.5)
    return {
        "td_loss": level * np.exp(_noise(g, n, 0.35)), "grad_norm": 2 * level * np.exp(_noise(g, n, 0.5)),
        "episode_reward": 20 + 180 * t + _noise(g, n, 20.0), "epsilon": np.maximum(1 - 3 * t, 0.05),
    }  # fmt: skip


def gan(g: np.random.Generator, n: int) -> Log:
    """Two losses that keep each other in balance: neither descends."""
    sway = _noise(g, n, 0.05, memory=0.9)
    return {
        "loss_d": 1.2 + 0.1 * g.standard_normal() - sway + _noise(g, n, 0.1),
        "loss_g": 1.0 + 0.1 * g.standard_normal() + sway + _noise(g, n, 0.15),
        "grad_norm_d": np.exp(_noise(g, n, 0.4)), "grad_norm_g": 0.7 * np.exp(_noise(g, n, 0.4)),
    }  # fmt: skip


def flat_fine_tuning(g: np.random.Generator, n: int) -> Log:
    """A trained model: the loss has little left to fall, or falls to its floor in the first steps."""
    t = np.arange(n)
    fast = g.uniform(0, 0.4) * np.exp(-t / (3 + 0.02 * n))
    loss = (g.uniform(0.8, 1.6) + fast) * np.exp(_noise(g, n, 0.08))
    return {
        "loss": np.round(loss, 4),
        "grad_norm": np.round(0.8 * np.exp(_noise(g, n, 0.25)), 4),
        "learning_rate": _cosine(n, 2e-5),
    }


def full_batch(g: np.random.Generator, n: int) -> Log:
    """No batch noise: loss and norm are smooth, and fall by a power of time or exponentially."""
    t = np.arange(n)
    power, pace = g.uniform(0.5, 1.5), g.uniform(2, 5)
    fall = (1 + t / (n / 20)) ** -power if g.random() < 0.5 else np.exp(-pace * t / n)
    return {"loss": 0.05 + 2.2 * fall, "grad_norm": 1.5 * fall ** g.uniform(0.5, 1.0), "lr": np.full(n, 1e-2)}


def gaussian_norms(g: np.random.Generator, n: int) -> Log:
    """Gradients that are Gaussian in thousands to millions of dimensions: their norm hardly varies."""
    t = np.arange(n) / n
    d = 10 ** g.uniform(3, 6)
    norm = (0.4 + np.exp(-5 * t)) * np.sqrt(np.maximum(1 + np.sqrt(2 / d) * g.standard_normal(n), 0.1))
    loss = (0.5 + 2 * np.exp(-5 * t)) * np.exp(_noise(g, n, 0.05))
    return {"loss": loss, "grad_norm": norm, "lr": _cosine(n, 3e-4)}


KINDS: Mapping[str, Callable[[np.random.Generator, int], Log]] = {
    "GRPO": grpo, "policy gradient": policy_gradient, "TD loss": td, "GAN": gan, "flat fine-tuning": flat_fine_tuning,
    "full batch": full_batch, "Gaussian norms": gaussian_norms,
}  # fmt: skip


def alarms(kind: str, n: int, runs: int) -> tuple[int, dict[str, int]]:
    """How many runs of a kind and length raise a warning or an error or are called a problem, and which checks spoke."""
    count, codes = 0, dict[str, int]()
    for seed in range(runs):
        generator = np.random.default_rng([list(KINDS).index(kind), n, seed])
        report = gradlens.analyze({"step": np.arange(n, dtype=float), **KINDS[kind](generator, n)})
        loud = {f.code for run in report.runs for f in run.findings if f.severity.rank > 0}
        if not loud and any(run.verdict.status == "problem" for run in report.runs):
            loud = {"no check"}
        count += bool(loud)
        for code in loud:
            codes[code] = codes.get(code, 0) + 1
    return count, codes


def cell(kind: str, n: int, runs: int, kept: Path | None) -> tuple[int, dict[str, int]]:
    """The alarms of a kind and length: those that were counted before where they are in the file, otherwise counted and added to it."""
    done = (
        [json.loads(line) for line in kept.read_text(encoding="utf-8").splitlines()] if kept and kept.is_file() else []
    )
    for row in done:
        if (row["kind"], row["rows"], row["runs"]) == (kind, n, runs):
            return row["alarmed"], row["codes"]
    count, codes = alarms(kind, n, runs)
    if kept is not None:
        with kept.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"kind": kind, "rows": n, "runs": runs, "alarmed": count, "codes": codes}) + "\n")
    return count, codes


def page(runs: int, kept: Path | None = None) -> str:
    """The table for the docs."""
    lines = [
        "# Healthy runs that look odd",
        "",
        f"Written by `python -m benchmarks.healthy_oddities --runs {runs}`: simulated healthy runs of kinds that fool rules made",
        "for supervised training; the share of them with any warning or error, its 95 % interval, and the checks that spoke.",
        "",
        "| kind | rows | alarmed | 95 % interval | checks |",
        "|---|--:|--:|--:|---|",
    ]
    for kind in KINDS:
        for n in LENGTHS:
            count, codes = cell(kind, n, runs, kept)
            low, high = wilson_interval(count / runs, runs)
            told = ", ".join(f"{code} {k}" for code, k in sorted(codes.items(), key=lambda pair: -pair[1]))
            lines.append(f"| {kind} | {n:,} | {count / runs:.1%} | {low:.1%} to {high:.1%} | {told} |")
            print(lines[-1], flush=True)
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--cells", type=Path, help="file that keeps what is done; delete it when the code changes")
    arguments = parser.parse_args()
    text = page(arguments.runs, arguments.cells)
    if arguments.out:
        arguments.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()

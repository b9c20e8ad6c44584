"""The fifth set: runs that go wrong on their way."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from benchmarks.variants.base import Kind, Log
from benchmarks.variants.fifth_base import (
    WITH_RATE,
    batches,
    gradients,
    learns,
    log,
    only,
    pick,
    schedule,
    size,
    somewhere,
    span,
    wander,
)

if TYPE_CHECKING:
    from benchmarks.variants.base import Array, Generator


def _sigmoid(n: int, at: float, width: float) -> Array:
    return np.asarray(1 / (1 + np.exp(-np.clip((np.arange(n) - at) / width, -50, 50))))


def _decays(n: int, at: int, length: float) -> Array:
    """float64[n]: 1 at a row, then an exponential."""
    k = np.arange(n) - at
    return np.where(k < 0, 0.0, np.exp(-np.maximum(k, 0) / length))


def _rises_and_stays(g: Generator) -> Log:
    """The loss triples or worse within some rows, the norm with it, and neither comes back."""
    n = size(g, 300, 3000)
    c, at = learns(g, n, share=g.uniform(0.08, 0.2), spread=0.03), somewhere(g, n, 0.2, 0.6)
    up = _sigmoid(n, at, n * span(g, 0.002, 0.02))
    c["loss"] *= 1 + g.uniform(1.5, 4) * up
    c["grad_norm"] *= 1 + g.uniform(2, 8) * up
    return log(c)


def _back_to_the_start(g: Generator) -> Log:
    """Pre-training that diverges at the top of its warm-up and stays where it began."""
    n = size(g, 200, 3000)
    c, at = learns(g, n, top=10.8, share=0.33, spread=0.01), somewhere(g, n, 0.08, 0.4)
    up = _sigmoid(n, at, n * span(g, 0.003, 0.02))
    c["loss"] = c["loss"] * (1 - up) + up * (g.uniform(7.2, 8.2) + 0.05 * g.standard_normal(n))
    c["grad_norm"] = c["grad_norm"] * (1 + 12 * np.exp(-(((np.arange(n) - at) / (0.02 * n)) ** 2)))
    return log(c, "megatron", "titan", "wandb", "fairseq")


def _creeps_up(g: Generator) -> Log:
    """The training loss turns and climbs for the rest of the run, to where it began."""
    n = size(g, 150, 2500)
    c, at = learns(g, n, spread=0.02), somewhere(g, n, 0.25, 0.45)
    low, high = float(np.median(c["loss"][max(at - 10, 0) : at])), float(c["loss"][0])
    late = np.maximum(np.arange(n) - at, 0) / (n - at)
    c["loss"] = np.where(late > 0, (low + (high - low) * g.uniform(0.7, 1.2) * late) * batches(g, n, 0.02), c["loss"])
    c["grad_norm"] *= 1 + 3 * late
    c["lr"] = np.full(n, float(c["lr"].max()))
    return log(c)


def _layer_explodes(g: Generator) -> Log:
    """One layer's norm grows without end, then everything is NaN."""
    n, layers = size(g, 200, 1500), int(g.integers(4, 13))
    c, at = learns(g, n), somewhere(g, n, 0.4, 0.7)
    dead, bad = at + int(g.integers(30, 60)), int(g.integers(layers))
    squares = np.zeros(n)
    for layer in range(layers):
        norm = gradients(g, n, span(g, 0.05, 0.6))
        if layer == bad:
            norm = norm * np.exp(np.minimum(np.maximum(np.arange(n) - at, 0) / 5, 300))
        norm[dead + (layer != bad) :] = np.nan
        c[f"grad_norm/blocks.{layer}.mlp.weight"] = norm
        squares += norm**2
    c["grad_norm"] = np.sqrt(squares)
    c["loss"][dead + 1 :] = np.nan
    return log(c, "jsonl", "wandb", "csv", may_round=False)


def _runs_away(g: Generator) -> Log:
    """Plain descent at far too high a rate: loss and norm grow by powers of ten."""
    n = size(g, 40, 400)
    pace = g.uniform(12, 40)
    grow = np.exp(pace * np.arange(n) / n)
    loss = pick(g, 0.4, 2.3, 30.0) * grow * batches(g, n, 0.2)
    return log(
        {"loss": loss, "grad_norm": 3 * np.sqrt(grow) * batches(g, n, 0.3), "lr": np.full(n, pick(g, 0.1, 1.0, 5.0))},
        "jsonl",
        "csv",
        "lightning",
        "wandb",
    )


def _jumps_at_random(g: Generator) -> Log:
    """At too high a rate: no descent, jumps over a factor of ten in every other row, norms of hundreds."""
    n = size(g, 150, 1500)
    loss = g.uniform(2, 6) * np.exp(np.abs(wander(g, n, 1.1, 0.6)))
    loss[:3] = (2.4, 2.3, 2.6)
    return log({"loss": loss, "grad_norm": 40 * loss * batches(g, n, 0.5), "lr": np.full(n, pick(g, 0.05, 0.3, 1.0))})


def _values_run_away(g: Generator) -> Log:
    """Q-learning that diverges: values and errors grow by powers of ten, the return falls."""
    n = size(g, 100, 1500)
    t = np.arange(n) / n
    grow = np.exp(g.uniform(10, 18) * np.maximum(t - 0.25, 0))
    value = 5 * grow * batches(g, n, 0.05)
    reward = 40 + 120 * np.minimum(t / 0.25, 1) - 170 * np.clip((t - 0.3) / 0.3, 0, 1) + 8 * g.standard_normal(n)
    return log(
        {
            "rollout/ep_rew_mean": reward,
            "step": 1000.0 * (1 + np.arange(n)),
            "train/critic_loss": 0.5 * grow**2 * batches(g, n, 0.3),
            "train/q_value_mean": value,
            "train/learning_rate": np.full(n, 1e-3),
        },
        "library",
    )


def _policy_collapses(g: Generator) -> Log:
    """Policy optimization in groups: divergence from the reference explodes, the reward falls to nothing."""
    n = size(g, 120, 1000)
    at = somewhere(g, n, 0.3, 0.6)
    up = _sigmoid(n, at, max(n * 0.01, 2))
    kl = 2e-3 * (1 + np.arange(n) / 50) * batches(g, n, 0.2) + up * span(g, 5, 60) * batches(g, n, 0.6)
    reward = (0.3 + 0.4 * np.minimum(np.arange(n) / at, 1)) * (1 - up) + 0.04 * g.standard_normal(n) * (1 - 0.8 * up)
    norm = span(g, 0.1, 0.5) * batches(g, n, 0.3) * (1 + up * span(g, 20, 400))
    return log(
        {
            "loss": 0.04 * kl,
            "grad_norm": norm,
            "lr": schedule(g, n, 1e-6),
            "reward": reward,
            "reward_std": 0.4 * (1 - 0.9 * up),
            "kl": kl,
            "completions/mean_length": 220 + 300 * up + 9 * g.standard_normal(n),
        },
        "state",
        "hf",
        "wandb",
        "jsonl",
    )


def _agent_collapses(g: Generator) -> Log:
    """An agent that had learned loses it all; its entropy is gone."""
    n = size(g, 100, 1000)
    t, at = np.arange(n) / n, g.uniform(0.4, 0.65)
    down = _sigmoid(n, at * n, 0.02 * n)
    reward = (20 + 480 * np.minimum(t / (at * 0.8), 1)) * (1 - down) + 15 * down + 6 * g.standard_normal(n)
    return log(
        {
            "rollout/ep_rew_mean": reward,
            "step": 2048.0 * (1 + np.arange(n)),
            "train/approx_kl": 0.01 * batches(g, n, 0.3) * (1 + 30 * np.exp(-(((t - at) / 0.02) ** 2))),
            "train/entropy_loss": -0.69 * (1 - t) * (1 - down) - 1e-6,
            "train/explained_variance": 0.9 * (1 - down) + 0.02 * g.standard_normal(n),
            "train/learning_rate": np.full(n, 3e-4),
            "train/loss": 20 * batches(g, n, 0.4),
            "train/policy_gradient_loss": -0.01 + 0.004 * g.standard_normal(n),
            "train/value_loss": 40 * batches(g, n, 0.4) * (1 + 8 * down),
        },
        "library",
    )


def _critic_wins(g: Generator) -> Log:
    """Adversaries of which one has won: the discriminator's loss is nothing, the generator's grows."""
    n = size(g, 150, 2500)
    up = _sigmoid(n, somewhere(g, n, 0.1, 0.4), 0.03 * n)
    d = 0.6 * batches(g, n, 0.25) * (1 - up) + 1e-6 * np.exp(g.standard_normal(n))
    return log(
        {
            "d_loss": d,
            "g_loss": 1.1 * batches(g, n, 0.25) * (1 - up) + up * (g.uniform(14, 40) + g.standard_normal(n)),
            "lr": np.full(n, 2e-4),
        },
        "jsonl",
        "csv",
        "wandb",
    )


def _spiked(
    g: Generator, c: dict[str, Array], count: int, height: tuple[float, float], length: float, factor: float
) -> None:
    """Spikes of the loss, added, and of the norm, times a factor, that decay over some rows."""
    n = len(c["loss"])
    for at in np.sort(g.choice(np.arange(n // 6, n - 5), count, replace=False)):
        shape = _decays(n, int(at), length)
        c["loss"] += g.uniform(*height) * shape
        c["grad_norm"] *= 1 + (factor - 1) * shape


def _wide_spikes(g: Generator) -> Log:
    n = size(g, 800, 3000)
    c = learns(g, n, top=10.8, share=0.3, spread=0.006)
    _spiked(g, c, int(g.integers(6, 12)), (0.5, 1.1), span(g, 1, 8), g.uniform(7, 14))
    return log(c)


def _recovering(g: Generator) -> Log:
    """Instability that comes back: the norm leads by rows, the loss needs a hundred to return."""
    n = size(g, 1500, 3000)
    c = learns(g, n, top=10.8, share=0.3, spread=0.006)
    for at in np.linspace(0.25, 0.92, int(g.integers(5, 9))) * n:
        row = int(at + g.integers(-20, 20))
        lead = int(g.integers(2, 5))
        c["loss"] += g.uniform(0.5, 1.6) * _decays(n, row, g.uniform(20, 35))
        c["grad_norm"] *= 1 + g.uniform(5, 15) * _decays(n, row - lead, g.uniform(5, 15))
    return log(c, "wandb", "jsonl", "titan", "megatron", config={"optimizer": "adamw", "adam_beta2": 0.999})


def _false_start(g: Generator) -> Log:
    """An aborted start of some rows before the run, in which batches are bad."""
    n = size(g, 200, 1200)
    c = learns(g, n, top=2.4, spread=0.03)
    _spiked(g, c, int(g.integers(2, 5)), (3, 7), 0.4, 9)
    early = int(g.integers(5, 15))
    rows = {name: np.concatenate([column[:early] * batches(g, early, 0.02), column]) for name, column in c.items()}
    rows["lr"] = np.concatenate([c["lr"][:early], c["lr"]])
    return log(
        {**rows, "step": np.concatenate([np.arange(early), np.arange(n)]) * 20.0 + 19}, "detectron", "jsonl", "mmengine"
    )


def _bad_batches(g: Generator) -> Log:
    """Some batches whose loss is several times that of their neighbours, and no norm to see it by."""
    n = size(g, 250, 2500)
    c = learns(g, n, spread=0.03)
    for at in g.choice(np.arange(n // 5, n - 5), int(g.integers(4, 9)), replace=False):
        c["loss"][at] *= g.uniform(3, 7)
    return log(only(c, "loss", "lr"))


def _outliers(g: Generator) -> Log:
    """Regression with wrong targets: now and then a loss a thousand times too high."""
    n = size(g, 200, 2000)
    c = learns(g, n, top=0.8, share=0.1, spread=0.05)
    for at in g.choice(np.arange(n // 5, n - 5), int(g.integers(3, 8)), replace=False):
        factor = span(g, 300, 30000)
        c["loss"][at] *= factor
        c["grad_norm"][at] *= factor**0.5
    return log(c)


def _resumed_without_moments(g: Generator) -> Log:
    """Steps go back a little and the loss stands higher, for a hundred rows."""
    n = size(g, 400, 2500)
    c, at = learns(g, n, spread=0.02), somewhere(g, n, 0.4, 0.7)
    back = int(g.integers(10, 60))
    c["loss"] = c["loss"] + 0.35 * float(np.median(c["loss"])) * _decays(n, at, g.uniform(30, 80))
    c["grad_norm"] *= 1 + 2 * _decays(n, at, 30)
    step = np.arange(n, dtype=float)
    step[at:] -= back
    return log({**c, "step": step * 10 + 10})


def _weights_lost(g: Generator) -> Log:
    """Two resumes that begin from weights of the start."""
    n = size(g, 240, 1500)
    top = pick(g, 2.3, 6.9, 10.8)
    parts = [learns(g, n // 3, top=top, share=0.3, spread=0.02) for _ in range(3)]
    level = float(np.median(parts[0]["grad_norm"]))
    c = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    c["grad_norm"] = np.concatenate([level * part["grad_norm"] / np.median(part["grad_norm"]) for part in parts])
    m = n // 3
    back = int(g.integers(3, 15))
    step = np.concatenate([np.arange(m), np.arange(m) + m - back, np.arange(m) + 2 * (m - back)]) * 50.0 + 50
    return log({**c, "lr": np.full(3 * m, 1e-4), "step": step}, "csv", "jsonl", "state", "wandb")


def _rate_again(g: Generator) -> Log:
    """A schedule whose horizon is a part of the run: down to 0 and up again, several times."""
    n = size(g, 400, 3000)
    c, swings = learns(g, n), int(g.integers(3, 7))
    c["lr"] = span(g, 1e-5, 1e-3) * 0.5 * (1 + np.cos(2 * np.pi * swings * np.arange(n) / n))
    return log(c, *WITH_RATE, may_round=False)


def _swings(g: Generator) -> Log:
    """A loss that swings with the period of an epoch, far above its noise."""
    n = size(g, 800, 3000)
    c, period = learns(g, n, spread=0.012), span(g, 40, 160)
    c["loss"] *= 1 + g.uniform(0.08, 0.2) * np.sin(2 * np.pi * np.arange(n) / period)
    return log(only(c, "loss", "lr"), "jsonl", "csv", "wandb")


def _mean_so_far(g: Generator) -> Log:
    """A norm that is the mean of all steps so far."""
    n = size(g, 300, 2500)
    c = learns(g, n)
    c["grad_norm"] = np.cumsum(c["grad_norm"]) / (1 + np.arange(n))
    return log(c, "jsonl", "csv", "wandb", may_round=False)


def _scaled(g: Generator) -> Log:
    """Norms that still carry the loss scale: doubled at long intervals, infinite before each halving."""
    n = size(g, 500, 3000)
    c, exponent = learns(g, n), np.full(n, 16.0)
    for at in np.sort(g.choice(np.arange(n // 8, n), 4, replace=False)):
        exponent[at:] += 1
    for at in np.sort(g.choice(np.arange(n // 8, n), 3, replace=False)):
        exponent[at + 1 :] -= 1
        c["grad_norm"][at] = np.inf
    c["grad_norm"] = c["grad_norm"] * 2**exponent
    return log(c, "jsonl", "csv", "lightning", may_round=False)


FIFTH_COURSES: tuple[Kind, ...] = (
    Kind(name="rises and stays", make=_rises_and_stays, truth="fault"),
    Kind(name="back to the start after the warm-up", make=_back_to_the_start, truth="fault"),
    Kind(name="creeps up to the start", make=_creeps_up, truth="fault"),
    Kind(name="one layer explodes", make=_layer_explodes, truth="fault"),
    Kind(name="runs away by powers of ten", make=_runs_away, truth="fault"),
    Kind(name="jumps at random", make=_jumps_at_random, truth="fault"),
    Kind(name="values run away", make=_values_run_away, truth="fault"),
    Kind(name="policy of groups collapses", make=_policy_collapses, truth="fault"),
    Kind(name="agent loses all", make=_agent_collapses, truth="stuck"),
    Kind(name="discriminator wins", make=_critic_wins, truth="stuck"),
    Kind(name="wide spikes, other lengths", make=_wide_spikes, truth="fault"),
    Kind(name="instability that returns", make=_recovering, truth="fault"),
    Kind(name="false start, then bad batches", make=_false_start, truth="fault"),
    Kind(name="bad batches without norms", make=_bad_batches, truth="fault"),
    Kind(name="wrong targets", make=_outliers, truth="fault"),
    Kind(name="resumed without moments", make=_resumed_without_moments, truth="fault", causes=("resume_artifact",)),
    Kind(name="weights lost at resumes", make=_weights_lost, truth="fault", causes=("resume_artifact",)),
    Kind(name="rate comes again", make=_rate_again, truth="told", codes=("GL203", "GL204", "GL205")),
    Kind(name="swings of an epoch", make=_swings, truth="told", codes=("GL504",)),
    Kind(name="mean of all norms so far", make=_mean_so_far, truth="measurement", codes=("GL004",)),
    Kind(name="norms with the scale in them", make=_scaled, truth="measurement", codes=("GL002",)),
)

"""The second set: the same situations in which nothing is wrong, by other processes, lengths and spellings."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from benchmarks.variants.base import Kind, Log
from benchmarks.variants.second_base import batches, learning, length, memory, power_law, schedule

if TYPE_CHECKING:
    from benchmarks.variants.base import Generator


def learns(g: Generator) -> Log:
    """A run that learns, of any length."""
    return Log(columns=learning(g, length(g)))


def learns_from_one_example(g: Generator) -> Log:
    """Batches of one: the noise of the loss is as large as the loss, and it plainly falls."""
    n = length(g, 150)
    start = float(g.choice((0.69, 1.1, 2.3, 6.9)))
    loss = power_law(g, n, start=start, floor=start * g.uniform(0.1, 0.35)) * batches(g, n, g.uniform(0.35, 0.7))
    return Log(columns={"loss": loss, "grad_norm": 2.0 * np.exp(memory(g, n, 0.6, 0.0)), "lr": schedule(g, n)})


def one_batch_per_row(g: Generator) -> Log:
    """A small classifier: the loss of each batch falls to about a third, with noise of a quarter."""
    n = length(g, 200, 2000)
    t = np.arange(n) / n
    loss = 1.1 * (0.3 + 0.7 * np.exp(-g.uniform(2, 5) * t)) * batches(g, n, g.uniform(0.2, 0.35))
    return Log(columns={"loss": loss, "grad_norm": (0.5 + t) * np.exp(memory(g, n, 0.4, 0.0)), "lr": np.full(n, 1e-3)})


def always_clipped(g: Generator) -> Log:
    """AdamW with all norms above the threshold, and a loss that falls as it should."""
    n, clip = length(g, 200), float(g.choice((0.1, 0.5, 1.0)))
    columns = learning(g, n)
    columns["grad_norm"] = clip * g.uniform(4, 40) * np.exp(memory(g, n, 0.2, 0.3))
    return Log(columns=columns, config={"optimizer": "adamw", "max_grad_norm": clip})


def nothing_left_to_learn(g: Generator) -> Log:
    """A trained model that is fine-tuned: flat from the first row, the norm as it should be."""
    n = length(g, 30, 3000)
    loss = g.uniform(0.4, 2.2) * (1 - 0.02 * np.arange(n) / n) * batches(g, n, float(g.choice((0.05, 0.12, 0.25))))
    return Log(
        columns={
            "loss": loss,
            "grad_norm": g.uniform(0.3, 3) * np.exp(memory(g, n, 0.2, 0.2)),
            "lr": schedule(g, n, 1e-5),
        }
    )


def floor_in_a_few_rows(g: Generator) -> Log:
    """A task that is easy for the trained model: the floor after a few rows, noise from there on."""
    n = length(g, 100, 4000)
    fall = np.exp(-np.arange(n) / (3 + n * g.uniform(0.001, 0.01)))
    loss = (g.uniform(0.15, 0.7) + g.uniform(0.5, 2.5) * fall) * batches(g, n, g.uniform(0.05, 0.18))
    norm = (0.1 + g.uniform(0.5, 3) * fall) * np.exp(memory(g, n, 0.3, 0.0))
    return Log(columns={"loss": loss, "grad_norm": norm, "lr": schedule(g, n, 2e-4)})


def learned_by_heart(g: Generator) -> Log:
    """Tiny data: the loss falls to next to nothing, with spikes of many times itself that mean nothing."""
    n = length(g, 100)
    loss = 2.3 * np.exp(-g.uniform(6, 11) * np.arange(n) / n) * np.exp(memory(g, n, 0.35, 0.5)) + 1e-6
    return Log(
        columns={"loss": loss, "grad_norm": 3 * loss**0.7 * np.exp(memory(g, n, 0.3, 0.0)), "lr": schedule(g, n, 1e-3)},
        may_round=False,
    )


def below_zero(g: Generator) -> Log:
    """The likelihood of a density: the loss falls through 0 and goes on below."""
    n = length(g, 100)
    t = np.arange(n) / n
    loss = g.uniform(-4, -1) + g.uniform(2, 6) * (1 + t / 0.03) ** -0.6 + memory(g, n, g.uniform(0.05, 0.3), 0.0)
    return Log(
        columns={"loss": loss, "grad_norm": (1 + 2 * t) * np.exp(memory(g, n, 0.35, 0.0)), "lr": schedule(g, n, 1e-3)}
    )


def policy_with_a_penalty(g: Generator) -> Log:
    """GRPO: the loss is a small multiple of the divergence; now and then a group without a signal has a norm of 0."""
    n = length(g, 30, 2000)
    t = np.arange(n) / n
    kl = 0.3 * t ** g.uniform(0.5, 1.5) * np.exp(memory(g, n, 0.4, 0.2))
    norm = 0.4 * np.exp(memory(g, n, 0.6, 0.0))
    norm[g.random(n) < g.uniform(0, 0.15)] = 0.0
    return Log(columns={
        "loss": np.round(0.02 * kl + 0.0005 * g.standard_normal(n), 4), "grad_norm": norm, "lr": schedule(g, n, 5e-7),
        "reward": 0.1 + 0.7 * t / (0.4 + t) + memory(g, n, 0.06, 0.0), "kl": kl,
        "completion_length": 200 + 300 * t + memory(g, n, 30, 0.0),
    }, may_round=False)  # fmt: skip


def policy_without_a_loss(g: Generator) -> Log:
    """GRPO with one update per batch: a loss of exactly 0 throughout, a reward that rises."""
    n = length(g, 30, 2000)
    reward = 0.1 + 0.6 * np.arange(n) / n + memory(g, n, 0.07, 0.0)
    return Log(columns={
        "loss": np.zeros(n), "grad_norm": 0.15 * np.exp(memory(g, n, 0.5, 0.0)), "reward": reward,
        "reward_std": 0.2 * np.exp(memory(g, n, 0.3, 0.0)), "lr": schedule(g, n, 1e-6),
    })  # fmt: skip


def surrogate(g: Generator) -> Log:
    """A policy's surrogate loss: noise about 0 whose spread changes with the return."""
    n = length(g, 40, 2000)
    t = np.arange(n) / n
    columns = {
        "policy_loss": memory(g, n, g.uniform(0.003, 0.05), 0.3) - 0.005, "grad_norm": g.uniform(0.2, 2) * np.exp(memory(g, n, 0.4, 0.2)),
        "lr": 3e-4 * (1.001 - t),
    }  # fmt: skip
    if g.random() < 0.6:
        columns["episode_reward_mean"] = 10 + 300 * t**2 / (0.2 + t**2) + memory(g, n, 12, 0.3)
    return Log(columns=columns, formats=("rows", "csv"), may_round=False)


def value_error(g: Generator) -> Log:
    """A TD error that rises with the values while the return does."""
    n = length(g, 40, 2000)
    t = np.arange(n) / n
    level = 0.02 + g.uniform(0.5, 6) * t ** g.uniform(0.5, 1.5)
    return Log(columns={
        "td_loss": level * batches(g, n, 0.4), "grad_norm": (0.1 + level) * np.exp(memory(g, n, 0.5, 0.0)),
        "return_mean": -5 + 25 * t + memory(g, n, 1.5, 0.2), "epsilon": np.maximum(1 - 2 * t, 0.05),
    }, formats=("rows", "csv"))  # fmt: skip


def adversaries(g: Generator) -> Log:
    """A generator and a critic in balance; sometimes losses of a Wasserstein kind, on both sides of 0."""
    n = length(g, 150)
    sway = memory(g, n, 0.3, 0.95)
    if g.random() < 0.4:
        return Log(
            columns={"loss_d": -2 - sway + memory(g, n, 0.4, 0.0), "loss_g": 1.5 + 3 * sway + memory(g, n, 0.5, 0.0)},
            formats=("rows", "csv"),
        )
    return Log(columns={
        "loss_D": (0.9 - 0.3 * sway) * batches(g, n, 0.25), "loss_G": (1.6 + 0.6 * sway) * batches(g, n, 0.25),
        "lr": np.full(n, 1e-4),
    }, formats=("rows", "csv"))  # fmt: skip


def pairs_of_answers(g: Generator) -> Log:
    """A preference loss: ln 2 at first, soon lower, noisy; the margins of the rewards grow."""
    n = length(g, 60, 2000)
    t = np.arange(n) / n
    margin = g.uniform(0.5, 3) * t / (0.2 + t)
    loss = np.log1p(np.exp(-margin)) * batches(g, n, 0.18)
    return Log(columns={
        "loss": loss, "grad_norm": g.uniform(1, 20) * np.exp(memory(g, n, 0.35, 0.0)), "lr": schedule(g, n, 5e-7),
        "rewards/margins": margin + memory(g, n, 0.3, 0.0),
        "rewards/accuracies": np.clip(0.5 + 0.15 * margin + memory(g, n, 0.06, 0.0), 0, 1),
    }, formats=("rows", "state", "dicts"))  # fmt: skip


def resumed_well(g: Generator) -> Log:
    """Stopped and resumed some steps back, once or more, with the optimizer's state."""
    n = length(g, 200)
    columns = {name: list(value) for name, value in learning(g, n).items()}
    step = list(range(n))
    for at in sorted({int(n * g.uniform(0.2, 0.9)) for _ in range(int(g.integers(1, 3)))}, reverse=True):
        back = int(g.integers(2, 12))
        for value in columns.values():
            value[at:at] = value[at - back : at]
        step[at:at] = step[at - back : at]
    found = {name: np.array(value) for name, value in columns.items()}
    again = np.exp(0.02 * g.standard_normal(len(step)))
    found["loss"] = found["loss"] * again
    return Log(columns={**found, "step": np.array(step, dtype=float)}, formats=("rows", "csv"), may_thin=False)


def dense_then_sparse(g: Generator) -> Log:
    """Every step for a while, then one in many."""
    every, first, n = int(g.choice((20, 100, 500))), int(g.integers(5, 40)), int(g.integers(40, 400))
    step = np.concatenate([np.arange(first), first + every * np.arange(1, n + 1)]).astype(float)
    start = float(g.choice((4.6, 10.8)))
    level = start * (0.2 + 0.8 * (1 + step / (6 * first)) ** -0.5)
    return Log(
        columns={"step": step, "loss": level * batches(g, len(step), 0.02), "lr": np.full(len(step), 3e-4)},
        may_thin=False,
    )


def passes_that_overlap(g: Generator) -> Log:
    """Several passes over each batch of an agent, numbered so that they overlap with the next ones."""
    updates, passes = int(g.integers(40, 300)), int(g.integers(3, 10))
    step = np.concatenate([1000 * u + 1000 * np.arange(passes) for u in range(updates)]).astype(float)
    n = len(step)
    loss = 0.5 + 0.1 * np.exp(-3 * np.arange(n) / n) + memory(g, n, 0.05, 0.2)
    return Log(
        columns={"step": step, "value_loss": loss, "lr": np.full(n, 2.5e-4)}, formats=("rows", "csv"), may_thin=False
    )


def one_row_an_epoch(g: Generator) -> Log:
    """Means over epochs, twenty to two hundred of them; accuracies beside them."""
    n = int(g.integers(20, 200))
    t = np.arange(n) / n
    loss = (
        g.uniform(0.5, 3)
        * (g.uniform(0.02, 0.4) + 0.6 * np.exp(-t * g.uniform(3, 9)))
        * np.exp(memory(g, n, 0.01, 0.0))
    )
    columns = {"step": np.arange(1, n + 1, dtype=float), "train_loss": loss, "train_acc": 1 - loss / loss[0] * 0.7}
    if g.random() < 0.5:
        columns["val_loss"] = loss * 1.08 + 0.02 + memory(g, n, 0.01, 0.0)
    return Log(columns=columns, formats=("rows", "csv"), may_thin=False)


def stairs(g: Generator) -> Log:
    """Several epochs over a small set: the loss steps down at each."""
    n, epochs = length(g, 300), int(g.integers(2, 6))
    columns = learning(g, n, spread=0.05)
    columns["loss"] = columns["loss"] * 0.72 ** (np.arange(n) * epochs // n)
    return Log(columns=columns, may_thin=False)


def whole_data(g: Generator) -> Log:
    """All data in each step: no noise at all, by momentum with a little ringing."""
    n = length(g, 50)
    t = np.arange(n) / n
    ringing = 1 + 0.1 * np.exp(-8 * t) * np.cos(40 * t)
    fall = np.exp(-g.uniform(3, 7) * t) * ringing
    return Log(
        columns={
            "loss": g.uniform(0.01, 0.3) + g.uniform(0.7, 3) * fall,
            "grad_norm": 0.02 + fall ** g.uniform(0.5, 1),
            "lr": np.full(n, 0.05),
        }
    )


def many_dimensions(g: Generator) -> Log:
    """Norms that hardly vary, as those of Gaussian gradients in many dimensions."""
    n = length(g, 150)
    columns = learning(g, n, spread=0.03)
    level = power_law(g, n, start=g.uniform(1, 5), floor=g.uniform(0.2, 0.6))
    columns["grad_norm"] = level * (1 + memory(g, n, 10 ** -g.uniform(2, 3), 0.0))
    return Log(columns=columns)


def heavy_norms(g: Generator) -> Log:
    """Norms with a tail, as language models have them, that the loss never feels."""
    n = length(g, 200)
    columns = learning(g, n, spread=0.03)
    columns["grad_norm"] = 0.4 * np.exp(memory(g, n, 0.25, 0.2)) * (1 + 0.15 * np.abs(g.standard_t(3, n)))
    return Log(columns=columns, config={"optimizer": "adamw", "max_grad_norm": 1.0})


def likelihood(g: Generator) -> Log:
    """An objective that rises towards 0."""
    n = length(g, 150)
    columns = learning(g, n)
    return Log(
        columns={"log_prob": -columns["loss"], "nll_loss": columns["loss"], "lr": columns["lr"]},
        formats=("rows", "csv"),
    )


def scaler_finds_its_scale(g: Generator) -> Log:
    """The first norms are infinite while the scale comes down; it grows at a fixed interval, with an overflow now and then."""
    n = length(g, 400)
    columns = learning(g, n)
    k, period = int(g.integers(1, 6)), int(n * g.uniform(0.15, 0.4))
    power = 16.0 - np.minimum(np.arange(n), k)
    columns["grad_norm"][:k] = np.inf
    for at in range(k + period, n - 1, period):
        columns["grad_norm"][at] = np.inf
        power[at] += 1
    return Log(columns={**columns, "loss_scale": 2.0**power}, formats=("rows", "csv"), may_thin=False)


def validation_follows(g: Generator) -> Log:
    """A validation loss that falls with the training loss and levels off."""
    n = length(g, 150)
    columns = learning(g, n, spread=0.04)
    end = float(np.median(columns["loss"][-max(n // 10, 3) :]))
    val = end * (1.1 + g.uniform(0.3, 1) * np.exp(-np.arange(n) / n * 6)) + memory(g, n, end * 0.015, 0.0)
    val[np.arange(n) % max(n // 25, 2) != 0] = np.nan
    return Log(columns={**columns, "val_loss": val}, formats=("rows", "csv"), may_thin=False)


def planned_restarts(g: Generator) -> Log:
    """Cosine with warm restarts, as planned: loss and norm rise a little at each and go on falling."""
    n, cycles = length(g, 400), int(g.integers(3, 6))
    columns = learning(g, n, spread=0.03)
    phase = (np.arange(n) * cycles / n) % 1.0
    columns["lr"] = 1e-3 * 0.5 * (1 + np.cos(np.pi * phase)) + 1e-5
    columns["loss"] = columns["loss"] * (1 + 0.08 * np.exp(-phase * 6) * (np.arange(n) >= n / cycles))
    return Log(columns=columns, config={"lr_schedule": "cosine_with_restarts"}, may_thin=False)


def summed_over_many(g: Generator) -> Log:
    """A loss summed over pixels: tens of thousands, with a norm to match."""
    n = length(g, 150)
    columns = learning(g, n)
    columns["loss"], columns["grad_norm"] = columns["loss"] * 4000, columns["grad_norm"] * 300
    return Log(columns=columns)


def noise_to_remove(g: Generator) -> Log:
    """A diffusion model: from 1 to its floor within a twentieth, then noise in which the descent is hard to see."""
    n = length(g, 250)
    loss = (g.uniform(0.03, 0.2) + 0.9 * np.exp(-np.arange(n) / (0.012 * n))) * batches(g, n, g.uniform(0.15, 0.4))
    return Log(
        columns={
            "loss": loss,
            "grad_norm": (0.1 + 0.8 * np.exp(-np.arange(n) / (0.02 * n))) * np.exp(memory(g, n, 0.4, 0.0)),
            "lr": schedule(g, n, 1e-4),
        }
    )


def contrast(g: Generator) -> Log:
    """A contrastive loss that begins at the logarithm of its batch, stays there a while and then falls."""
    n, batch = length(g, 300), int(g.choice((64, 256, 4096)))
    t = np.arange(n) / n
    wait = g.uniform(0.02, 0.2)
    fall = 1 / (1 + np.exp((t - wait) * 40)) * (1 - 0.5) + 0.5 * np.exp(-2 * np.maximum(t - wait, 0))
    loss = np.log(batch) * (0.15 + 0.85 * fall / fall[0]) * batches(g, n, 0.03)
    return Log(
        columns={
            "loss": loss,
            "grad_norm": (0.2 + 1.5 * np.exp(-((t - wait) ** 2) / 0.01)) * np.exp(memory(g, n, 0.3, 0.0)),
            "lr": schedule(g, n),
        }
    )


def smoothed_and_noisy(g: Generator) -> Log:
    """The trainer writes an exponential mean of a noisy loss: it wanders about its floor by more than its neighbours differ."""
    n = length(g, 300)
    raw = power_law(g, n, start=g.uniform(2, 8), floor=g.uniform(0.5, 1.5)) * batches(g, n, g.uniform(0.2, 0.5))
    pace, state = float(g.choice((0.02, 0.05, 0.1))), raw[0]
    loss = np.empty(n)
    for row in range(n):
        state += pace * (raw[row] - state)
        loss[row] = state
    return Log(columns={"avg_loss": loss, "lr": schedule(g, n)}, formats=("rows", "csv"), may_thin=False)


def several_parts(g: Generator) -> Log:
    """A detector's loss of several parts, one of which rises while the sum falls."""
    n = length(g, 150)
    columns = learning(g, n)
    t = np.arange(n) / n
    parts = {
        "loss_box": columns["loss"] * 0.5,
        "loss_cls": columns["loss"] * 0.5 - 0.05 * t,
        "loss_dfl": 0.2 + 0.3 * t + memory(g, n, 0.02, 0.0),
    }
    return Log(columns={**columns, "loss": columns["loss"] + parts["loss_dfl"], **parts}, formats=("rows", "csv"))


SECOND_NORMAL = (
    Kind(name="learns", make=learns, truth="normal"),
    Kind(name="learns from one example", make=learns_from_one_example, truth="normal"),
    Kind(name="one batch per row", make=one_batch_per_row, truth="normal"),
    Kind(name="always clipped", make=always_clipped, truth="normal", codes=("GL103",)),
    Kind(name="nothing left to learn", make=nothing_left_to_learn, truth="normal"),
    Kind(name="floor in a few rows", make=floor_in_a_few_rows, truth="normal"),
    Kind(name="learned by heart", make=learned_by_heart, truth="normal"),
    Kind(name="below zero", make=below_zero, truth="normal"),
    Kind(name="policy with a penalty", make=policy_with_a_penalty, truth="normal"),
    Kind(name="policy without a loss", make=policy_without_a_loss, truth="normal"),
    Kind(name="surrogate", make=surrogate, truth="normal"),
    Kind(name="value error", make=value_error, truth="normal"),
    Kind(name="adversaries", make=adversaries, truth="normal"),
    Kind(name="pairs of answers", make=pairs_of_answers, truth="normal"),
    Kind(name="resumed well", make=resumed_well, truth="normal"),
    Kind(name="dense, then sparse", make=dense_then_sparse, truth="normal"),
    Kind(name="passes that overlap", make=passes_that_overlap, truth="normal"),
    Kind(name="one row an epoch", make=one_row_an_epoch, truth="normal"),
    Kind(name="stairs", make=stairs, truth="normal"),
    Kind(name="whole data", make=whole_data, truth="normal"),
    Kind(name="many dimensions", make=many_dimensions, truth="normal"),
    Kind(name="heavy norms", make=heavy_norms, truth="normal"),
    Kind(name="likelihood", make=likelihood, truth="normal"),
    Kind(name="scaler finds its scale", make=scaler_finds_its_scale, truth="normal"),
    Kind(name="validation follows", make=validation_follows, truth="normal"),
    Kind(name="planned restarts", make=planned_restarts, truth="normal"),
    Kind(name="summed over many", make=summed_over_many, truth="normal"),
    Kind(name="noise to remove", make=noise_to_remove, truth="normal"),
    Kind(name="contrast", make=contrast, truth="normal"),
    Kind(name="smoothed and noisy", make=smoothed_and_noisy, truth="normal"),
    Kind(name="several parts", make=several_parts, truth="normal"),
)

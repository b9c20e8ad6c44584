"""Situations in which nothing is wrong, though rules made for supervised training from scratch may think so."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from benchmarks.variants.base import Kind, Log, descent, healthy, noise, norms, rate, rows

if TYPE_CHECKING:
    from benchmarks.variants.base import Generator


def plain(g: Generator) -> Log:
    """A run that learns, with and without a warm-up."""
    return Log(columns=healthy(g, rows(g)))


def all_clipped_adamw(g: Generator) -> Log:
    """Every step is clipped at 1 under AdamW; the loss converges."""
    n = rows(g)
    columns = healthy(g, n)
    columns["grad_norm"] = 8 + columns["grad_norm"] * 5
    return Log(columns=columns, config={"optimizer": "AdamW", "max_grad_norm": 1.0, "betas": [0.9, 0.95]})


def flat_fine_tuning(g: Generator) -> Log:
    """A trained model that is trained further: the loss falls by less than its noise."""
    n = rows(g, 60, 1500)
    loss = (
        g.uniform(0.8, 2.5) * (1 - g.uniform(0, 0.03) * np.arange(n) / n) * np.exp(noise(g, n, g.uniform(0.04, 0.12)))
    )
    return Log(columns={"loss": loss, "grad_norm": norms(g, n), "lr": rate(g, n, peak=2e-5)})


def floor_at_once(g: Generator) -> Log:
    """LoRA on an easy task: the floor is reached within the first rows."""
    n = rows(g, 300, 3000)
    fall = np.exp(-np.arange(n) / (n * g.uniform(0.005, 0.03)))
    loss = (g.uniform(0.2, 0.5) + 2.0 * fall) * np.exp(noise(g, n, g.uniform(0.06, 0.15)))
    norm = (0.05 + 1.5 * fall) * np.exp(noise(g, n, 0.25))
    return Log(columns={"loss": loss, "grad_norm": norm, "lr": rate(g, n, peak=2e-4)})


def grpo(g: Generator) -> Log:
    """The loss is beta times the KL, 0 at first; the reward rises."""
    n = rows(g, 60, 1500)
    t = np.arange(n) / n
    kl = g.uniform(0.05, 0.5) * t * np.exp(noise(g, n, 0.3))
    return Log(columns={
        "loss": np.round(0.04 * kl, 4), "grad_norm": norms(g, n, spread=0.5), "lr": rate(g, n, peak=1e-6),
        "reward": 0.2 + 0.6 * t + noise(g, n, 0.08), "reward_std": 0.3 * np.exp(noise(g, n, 0.3)), "kl": kl,
    }, may_round=False)  # fmt: skip


def grpo_all_zero(g: Generator) -> Log:
    """One update per batch: the loss is 0 by construction in every row, the norm is not."""
    n = rows(g, 60, 1500)
    reward = 0.2 + 0.5 * np.arange(n) / n + noise(g, n, 0.05)
    return Log(
        columns={
            "loss": np.zeros(n),
            "grad_norm": norms(g, n, spread=0.4),
            "reward": reward,
            "lr": rate(g, n, peak=1e-6),
        }
    )


def policy_gradient(g: Generator) -> Log:
    """A surrogate loss that is noise about a small negative mean; nothing else tells that this is an agent."""
    n = rows(g, 50, 1000)
    loss = g.uniform(-0.03, 0.0) + noise(g, n, g.uniform(0.01, 0.04))
    return Log(columns={"loss": loss, "grad_norm": norms(g, n), "lr": rate(g, n, peak=1e-5)}, may_round=False)


def td_loss(g: Generator) -> Log:
    """A TD loss grows as the values do, then settles; the return rises all the time."""
    n = rows(g, 60, 1500)
    t = np.arange(n) / n
    loss = (0.05 + g.uniform(0.5, 3) * (1 - np.exp(-t / 0.06)) * (1 - 0.4 * t)) * np.exp(noise(g, n, 0.3))
    return Log(columns={
        "loss_td": loss, "grad_norm": (0.2 + loss) * np.exp(noise(g, n, 0.3)), "return_mean": 2 + 15 * t + noise(g, n, 0.8),
        "test_battle_won_mean": np.clip(t + noise(g, n, 0.08), 0, 1),
    }, formats=("rows", "csv"))  # fmt: skip


def gan(g: Generator) -> Log:
    """Two adversaries in balance."""
    n = rows(g, 200)
    sway = noise(g, n, 0.04, memory=0.92)
    return Log(columns={
        "d_loss": 1.2 - sway + noise(g, n, 0.1), "g_loss": 1.0 + sway + noise(g, n, 0.2), "lr": np.full(n, 2e-4),
    }, formats=("rows", "csv"))  # fmt: skip


def preference(g: Generator) -> Log:
    """DPO: from ln 2 fast to a floor of noise."""
    n = rows(g, 100, 1500)
    t = np.arange(n) / n
    loss = np.log(2) * (g.uniform(0.5, 0.9) + 0.3 * np.exp(-t * 25)) * np.exp(noise(g, n, 0.1))
    return Log(columns={
        "loss": loss, "grad_norm": norms(g, n, spread=0.4), "lr": rate(g, n, peak=5e-7),
        "rewards/chosen": 0.3 * t + noise(g, n, 0.1), "rewards/rejected": -0.5 * t + noise(g, n, 0.1),
        "rewards/margins": 0.8 * t + noise(g, n, 0.1),
    }, formats=("rows", "state"))  # fmt: skip


def seamless_resume(g: Generator) -> Log:
    """A resume some steps back with a loss that goes on."""
    n = rows(g, 300)
    columns = healthy(g, n)
    at, back = int(n * g.uniform(0.3, 0.8)), int(g.integers(3, 25))
    columns = {name: np.concatenate([value[:at], value[at - back :]]) for name, value in columns.items()}
    columns["step"] = np.concatenate([np.arange(at), np.arange(at - back, n)]).astype(float)
    return Log(columns=columns, formats=("rows", "csv"), may_thin=False)


def ten_then_sparse(g: Generator) -> Log:
    """The first ten steps, then every 200th; the loss jumps at the first update and is down by the next row."""
    every, n = int(g.choice((50, 125, 200))), int(g.integers(40, 300))
    step = np.concatenate([np.arange(1, 11), np.arange(1, n + 1) * every]).astype(float)
    start = g.uniform(6.9, 10.8)
    first = start * np.concatenate([[1.0], np.linspace(g.uniform(1.2, 2.3), g.uniform(0.8, 1.5), 9)])
    rest = start * (0.25 + 0.3 * np.exp(-np.arange(n) / 8)) * np.exp(noise(g, n, 0.015))
    return Log(columns={"step": step, "loss": np.concatenate([first, rest])}, may_thin=False)


def overlapping_passes(g: Generator) -> Log:
    """An agent's update makes several passes, whose steps overlap with those of the next update."""
    updates, passes, stride = int(g.integers(60, 250)), int(g.integers(3, 6)), int(g.choice((512, 1024, 2048)))
    step = np.concatenate([(u + np.arange(passes)) * stride for u in range(updates)]).astype(float)
    n = len(step)
    loss = g.uniform(0.4, 0.8) * (1 - 0.1 * np.arange(n) / n) * np.exp(noise(g, n, 0.03))
    return Log(columns={"step": step, "loss": loss, "lr": np.full(n, 3e-4)}, formats=("rows", "csv"), may_thin=False)


def starts_in_sequence(g: Generator) -> Log:
    """Several complete runs of one model, one after the other in one file."""
    state = g.bit_generator.state
    parts = []
    for _ in range(int(g.integers(2, 6))):
        same = np.random.default_rng()
        same.bit_generator.state = state
        part = healthy(same, int(g.integers(60, 400)))
        parts.append(
            {
                name: value * np.exp(noise(g, len(value), 0.03)) if name != "lr" else value
                for name, value in part.items()
            }
        )
    columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    columns["step"] = np.concatenate([np.arange(len(part["loss"])) for part in parts]).astype(float)
    return Log(columns=columns, formats=("rows", "csv"), may_thin=False)


def epoch_means(g: Generator) -> Log:
    """A row per epoch: means, of which the first hides the first descent."""
    n = int(g.integers(60, 300))
    t = np.arange(n) / n
    loss = g.uniform(0.3, 5) * (0.5 + 0.2 * np.exp(-t * 4) + 0.1 * (1 - t)) * np.exp(noise(g, n, 0.003))
    decay = 0.5 + 0.5 * np.cos(np.pi * t)
    columns = {
        "epoch": np.arange(n, dtype=float), "train_loss": loss, "train_lr": 1e-3 * decay + 1e-6,
        "train_grad_norm": (0.5 + t) * np.exp(noise(g, n, 0.05)),
    }  # fmt: skip
    return Log(columns={**columns, "step": np.arange(n, dtype=float)}, formats=("rows", "csv"), may_thin=False)


def epoch_stairs(g: Generator) -> Log:
    """Several passes over a small data set: the loss steps down where an epoch begins."""
    n, epochs = rows(g, 400), int(g.integers(3, 8))
    loss = descent(g, n) * np.exp(-0.25 * (np.arange(n) * epochs // n))
    return Log(columns={"loss": loss, "grad_norm": norms(g, n), "lr": rate(g, n)}, may_thin=False)


def full_batch(g: Generator) -> Log:
    """No batch noise: smooth curves."""
    n = rows(g, 100)
    fall = (1 + np.arange(n) / (n / 20)) ** -g.uniform(0.5, 1.5)
    return Log(
        columns={"loss": 0.05 + 2.2 * fall, "grad_norm": 1.5 * fall ** g.uniform(0.5, 1), "lr": np.full(n, 1e-2)}
    )


def smooth_norms(g: Generator) -> Log:
    """Gaussian gradients in many dimensions: the norm follows the level of the loss and hardly varies about it."""
    n, d = rows(g, 200), 10 ** g.uniform(3, 6)
    level = descent(g, n, spread=1e-9)
    norm = g.uniform(0.05, 2) * level ** g.uniform(0.5, 1) * (1 + noise(g, n, 1 / np.sqrt(2 * d)))
    return Log(columns={"loss": level * np.exp(noise(g, n, 0.05)), "grad_norm": norm, "lr": rate(g, n)})


def rising_objective(g: Generator) -> Log:
    """A log-likelihood that rises towards 0."""
    n = rows(g, 200)
    return Log(
        columns={"log-likelihood": -descent(g, n), "loss": descent(g, n), "lr": rate(g, n)}, formats=("rows", "csv")
    )


def scaler_calibrates(g: Generator) -> Log:
    """The first steps overflow until the scale fits; later one in thousands does."""
    n = rows(g, 300)
    columns = healthy(g, n)
    k = int(g.integers(2, 7))
    columns["grad_norm"][:k] = np.inf
    columns["loss_scale"] = 2.0 ** np.concatenate([16.0 - np.arange(k), np.full(n - k, 16.0 - k)])
    return Log(columns=columns, formats=("rows", "csv"), may_thin=False)


def validation_falls(g: Generator) -> Log:
    """The validation loss follows the training loss, with noise of its own."""
    n = rows(g, 400)
    columns = healthy(g, n)
    val = 1.2 * (0.4 + 0.6 * np.exp(-5 * np.arange(n) / n)) + noise(g, n, 0.01)
    val[np.arange(n) % (n // 30) != 0] = np.nan
    return Log(columns={**columns, "val_loss": val}, formats=("rows", "csv", "state"), may_thin=False)


NORMAL = (
    Kind(name="plain run", make=plain, truth="normal"),
    Kind(name="all clipped under AdamW", make=all_clipped_adamw, truth="normal", codes=("GL103",)),
    Kind(name="flat fine-tuning", make=flat_fine_tuning, truth="normal"),
    Kind(name="floor reached at once", make=floor_at_once, truth="normal"),
    Kind(name="GRPO", make=grpo, truth="normal"),
    Kind(name="GRPO, loss 0", make=grpo_all_zero, truth="normal"),
    Kind(name="policy gradient", make=policy_gradient, truth="normal"),
    Kind(name="TD loss", make=td_loss, truth="normal"),
    Kind(name="GAN", make=gan, truth="normal"),
    Kind(name="preference loss", make=preference, truth="normal"),
    Kind(name="seamless resume", make=seamless_resume, truth="normal"),
    Kind(name="ten steps, then sparse", make=ten_then_sparse, truth="normal"),
    Kind(name="overlapping passes", make=overlapping_passes, truth="normal"),
    Kind(name="starts in sequence", make=starts_in_sequence, truth="normal"),
    Kind(name="epoch means", make=epoch_means, truth="normal"),
    Kind(name="epoch stairs", make=epoch_stairs, truth="normal"),
    Kind(name="full batch", make=full_batch, truth="normal"),
    Kind(name="smooth norms", make=smooth_norms, truth="normal"),
    Kind(name="rising objective beside a loss", make=rising_objective, truth="normal"),
    Kind(name="scaler calibrates", make=scaler_calibrates, truth="normal"),
    Kind(name="validation falls", make=validation_falls, truth="normal"),
)

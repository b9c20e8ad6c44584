"""Normal runs of the third set: neighbours of its faults, and what looks odd by nature. `sound` ones must be called clear, too."""

from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.variants.base import Kind, Log
from benchmarks.variants.third_base import (
    between,
    count,
    course,
    lengths,
    log,
    plan,
    rough,
    sound,
    stairs_down,
    trained,
    two_paces,
)

if TYPE_CHECKING:
    from benchmarks.variants.base import Array, Generator


# --- runs that learn --------------------------------------------------------------------------------------------------


def really_trained(g: Generator) -> Log:
    made = trained(g, count(g, 100, 2000))
    return log({**made, "lr": np.full(len(made["loss"]), between(g, 1e-4, 0.1))})


def drops_late(g: Generator) -> Log:
    """A loss that stands at first, and drops at once when the model finds how."""
    n = count(g, 150, 3000)
    top = float(g.choice((2.3, 3.9, 10.8)))
    loss = stairs_down(g, n, top, top * g.uniform(0.1, 0.5)) * (1 + rough(g, n, 0.015))
    return log({"loss": loss, "grad_norm": lengths(g, n, between(g, 0.1, 3)), "lr": plan(g, n)})


def any_run(g: Generator) -> Log:
    return log(sound(g, count(g, 150, 4000)))


def loss_alone(g: Generator) -> Log:
    return log({"loss": sound(g, count(g, 100, 4000))["loss"]})


def few_rows(g: Generator) -> Log:
    """Thirty rows or so, one every few hundred steps."""
    return log(sound(g, count(g, 12, 40)))


def density(g: Generator) -> Log:
    """The negative logarithm of a density: it comes down through 0 and goes on."""
    n = count(g, 150, 3000)
    loss = two_paces(g, n, g.uniform(1.5, 4), -g.uniform(0.1, 2)) + rough(g, n, 0.05)
    return log(
        {"nll": loss, "grad_norm": lengths(g, n, between(g, 0.3, 10)), "lr": plan(g, n)},
        formats=("rows", "csv", "fmt", "wandb", "tabs"),
    )


def bound(g: Generator) -> Log:
    """Minus a bound of the evidence, summed over pixels."""
    n = count(g, 150, 3000)
    loss = two_paces(g, n, 545.0, g.uniform(85, 120)) * (1 + rough(g, n, 0.012))
    return log(
        {
            "loss": loss,
            "recon_loss": loss * 0.8,
            "kl_loss": 22 * (1 - np.exp(-np.arange(n) / n * 20)) + rough(g, n, 0.4),
            "lr": plan(g, n),
        },
        formats=("rows", "csv", "fmt", "wandb"),
    )


def large_units(g: Generator) -> Log:
    """Squared errors of prices."""
    n = count(g, 150, 2000)
    loss = between(g, 1e4, 1e10) * course(g, n, 1.0, g.uniform(0.05, 0.3)) * np.exp(rough(g, n, 0.08))
    return log({"loss": loss, "lr": plan(g, n)})


def small_units(g: Generator) -> Log:
    """A divergence of outputs of the order of 1e-4."""
    n = count(g, 150, 2000)
    loss = between(g, 1e-6, 1e-3) * course(g, n, 1.0, g.uniform(0.05, 0.3)) * np.exp(rough(g, n, 0.08))
    return log({"loss": loss, "grad_norm": lengths(g, n, between(g, 1e-4, 1e-2)), "lr": plan(g, n)}, may_round=False)


def noise_to_remove(g: Generator) -> Log:
    """A diffusion model: fast to a level that the noise of the timesteps sets, then slowly."""
    n = count(g, 300, 4000)
    level = (
        0.03 + 0.9 * np.exp(-np.arange(n) / (n * between(g, 0.005, 0.03))) + 0.02 / np.sqrt(1 + 30 * np.arange(n) / n)
    )
    return log(
        {"loss": level * g.gamma(9, 1 / 9, n), "grad_norm": lengths(g, n, between(g, 0.02, 0.5)), "lr": plan(g, n)}
    )


def contrast(g: Generator) -> Log:
    """From the logarithm of the batch size down."""
    n = count(g, 200, 3000)
    top = float(np.log(g.choice((256, 1024, 8192))))
    return log(
        {
            "loss": course(g, n, top, top * g.uniform(0.1, 0.4)) * (1 + rough(g, n, 0.02)),
            "grad_norm": lengths(g, n, 1.0),
            "lr": plan(g, n),
        }
    )


def detector(g: Generator) -> Log:
    n = count(g, 200, 2000)
    parts = {
        name: course(g, n, top, top * 0.3) * (1 + rough(g, n, 0.05))
        for name, top in (("loss_cls", 1.2), ("loss_bbox", 0.8), ("loss_mask", 0.7))
    }
    return log(
        {
            "loss": np.sum(list(parts.values()), axis=0),
            **parts,
            "grad_norm": lengths(g, n, between(g, 2, 20)),
            "lr": plan(g, n),
        },
        formats=("rows", "csv", "fmt"),
    )


def norm_grows(g: Generator) -> Log:
    """Norms that rise to three times their level over a run that learns, as of layers with normalisation whose rate falls."""
    made = sound(g, count(g, 200, 3000), top=4.6)
    n = len(made["loss"])
    return log(
        {
            **made,
            "grad_norm": made["grad_norm"] * (1 + 2.5 * np.arange(n) / n),
            "lr": 1e-3 * 0.5 * (1 + np.cos(np.pi * np.arange(n) / n)),
        }
    )


def rough_start(g: Generator) -> Log:
    """Norms of fifty at the start that fall to 1 within the warm-up."""
    made = sound(g, count(g, 200, 3000), top=10.8)
    n = len(made["loss"])
    return log({**made, "grad_norm": made["grad_norm"] * (1 + between(g, 10, 60) * np.exp(-np.arange(n) / n * 60))})


def steps_of_the_rate(g: Generator) -> Log:
    """The loss drops where the rate falls to a tenth; nothing else moves."""
    n = count(g, 200, 2500)
    part = np.floor(np.arange(n) / n * 3)
    level = (1 + 5 * np.exp(-np.arange(n) / n * 30)) * 0.55**part
    return log(
        {"loss": level * (1 + rough(g, n, 0.03)), "grad_norm": lengths(g, n, 1.0) * 1.25**part, "lr": 0.1 * 0.1**part}
    )


def cools_down(g: Generator) -> Log:
    """Warm-up, a constant rate, and a fall at the end during which the loss falls faster."""
    n = count(g, 300, 3000)
    t = np.arange(n) / n
    level = 2.6 + 8 * np.exp(-t * 50) + 0.6 * (1 - t) - 0.25 * np.clip((t - 0.8) / 0.2, 0, 1)
    rate = 6e-4 * np.minimum(t / 0.02, 1) * np.clip((1 - t) / 0.2, 0, 1)
    return log({"loss": level * (1 + rough(g, n, 0.01)), "grad_norm": lengths(g, n, 0.4), "lr": rate})


def warm_restarts(g: Generator) -> Log:
    """Planned restarts of a cosine, each twice as long as the one before, with a small rise of the loss at each."""
    n = count(g, 400, 3000)
    made = sound(g, n, top=2.3)
    edges = (np.array([0, 1, 3, 7, 15]) / 15 * n).astype(int)
    t, rate = np.arange(n), np.empty(n)
    loss = made["loss"].copy()
    for low, high in itertools.pairwise(edges):
        rate[low:high] = 0.05 * 0.5 * (1 + np.cos(np.pi * np.arange(high - low) / (high - low)))
        loss *= 1 + np.where((t >= low) & (low > 0), 0.08 * np.exp(-(t - low) / (0.05 * n)), 0)
    return log({**made, "loss": loss, "lr": rate})


def likelihood_rises(g: Generator) -> Log:
    """What is maximised: a mean logarithm of a likelihood that rises towards 0."""
    n = count(g, 150, 1500)
    return log(
        {"log_likelihood": -course(g, n, 4.0, 1.1) * (1 + rough(g, n, 0.02)), "lr": plan(g, n)},
        formats=("rows", "csv", "fmt"),
    )


# --- clipped, flat, at once, small, whole -----------------------------------------------------------------------------


def always_clipped(g: Generator) -> Log:
    n = count(g, 200, 3000)
    made, limit = sound(g, n, top=float(g.choice((2.3, 6.9, 10.8)))), float(g.choice((0.1, 0.3, 1.0)))
    norm = lengths(g, n, limit * between(g, 6, 60), spread=0.15)
    return log(
        {**made, "grad_norm": norm},
        config={"optimizer": str(g.choice(("AdamW", "adamw_torch", "Adam"))), "max_grad_norm": limit},
    )


def flat_tuning(g: Generator) -> Log:
    n = count(g, 60, 800)
    top = g.uniform(0.6, 2.4)
    return log(
        {
            "loss": top * (1 - 0.025 * np.arange(n) / n) * (1 + rough(g, n, 0.05)),
            "grad_norm": lengths(g, n, between(g, 0.3, 3)),
            "lr": plan(g, n, 1e-5),
        },
        formats=("hf", "swift", "rows", "csv"),
    )


def continued(g: Generator) -> Log:
    """Pre-training that goes on from a checkpoint: steps begin high, the loss falls by a hundredth."""
    n = count(g, 200, 3000)
    loss = (2.41 - 0.03 * np.arange(n) / n) * (1 + rough(g, n, 0.02))
    return log(
        {
            "step": 180000.0 + np.arange(n, dtype=np.float64) * 10,
            "loss": loss,
            "grad_norm": lengths(g, n, 0.3),
            "lr": 2e-4 - 1e-4 * np.arange(n) / n,
        }
    )


def floor_at_once(g: Generator) -> Log:
    """Low-rank tuning on easy data: down to its floor within a fiftieth of the run, very slowly after."""
    n = count(g, 300, 4000)
    t = np.arange(n) / n
    loss = (0.42 + 1.8 * np.exp(-t * g.uniform(60, 160)) - 0.07 * t) * (1 + rough(g, n, 0.04))
    norm = lengths(g, n, between(g, 0.2, 2)) * (1.2 - 0.6 * t)
    return log(
        {"loss": loss, "grad_norm": norm, "lr": between(g, 5e-5, 3e-4) * (1 - t)},
        formats=("hf", "swift", "rows", "csv", "wandb"),
    )


def by_heart(g: Generator) -> Log:
    """Small data over many epochs: the loss goes to 1e-3 and less, and the norm with it."""
    n = count(g, 100, 1500)
    fall = np.exp(-np.arange(n) / n * g.uniform(5, 9))
    return log(
        {"loss": 2.3 * fall * np.exp(rough(g, n, 0.2)), "grad_norm": lengths(g, n, 3.0) * fall**0.8, "lr": plan(g, n)},
        may_round=False,
    )


def epochs_as_stairs(g: Generator) -> Log:
    """Three to six epochs of tuning: the loss steps down at each new epoch."""
    n = count(g, 150, 2000)
    epochs = int(g.integers(3, 7))
    level = 1.4 * g.uniform(0.45, 0.75) ** np.floor(np.arange(n) / n * epochs)
    return log(
        {
            "loss": level * (1 + rough(g, n, 0.05)),
            "grad_norm": lengths(g, n, 0.8) * (1 + 0.5 * np.arange(n) / n),
            "lr": 2e-5 * (1 - np.arange(n) / n),
        },
        formats=("hf", "swift", "rows", "wandb"),
    )


def whole_data(g: Generator) -> Log:
    """Gradient descent on all data in each step: no noise at all."""
    n = count(g, 60, 2000)
    curvature = np.logspace(0, -g.uniform(1.5, 3), 60)
    error = g.standard_normal(60) ** 2 / curvature
    shrink = (1 - g.uniform(0.2, 1.5) * curvature) ** 2
    loss, norm = np.empty(n), np.empty(n)
    for row in range(n):
        loss[row], norm[row] = 0.05 + float(np.mean(curvature * error)), float(np.sqrt(np.sum(curvature**2 * error)))
        error = error * shrink
    return log({"loss": loss, "grad_norm": norm, "lr": np.full(n, between(g, 1e-3, 1))}, may_round=False)


def one_batch(g: Generator) -> Log:
    """A handful of examples, with momentum: down with a few waves."""
    n = count(g, 60, 1000)
    t = np.arange(n) / n
    loss = 0.7 * np.exp(-8 * t) * (1 + 0.25 * np.cos(2 * np.pi * t * g.uniform(3, 8)) * np.exp(-6 * t)) + 1e-4
    return log({"loss": loss, "grad_norm": 2 * loss**0.7, "lr": np.full(n, 0.01)}, may_round=False)


def many_dimensions(g: Generator) -> Log:
    """Gradients that are nearly pure noise of a million parameters: the norm hardly varies."""
    n = count(g, 150, 3000)
    return log(
        {
            **sound(g, n, top=6.9),
            "grad_norm": between(g, 0.5, 30) * (1 + 0.002 * g.standard_normal(n)) * (1 - 0.1 * np.arange(n) / n),
        },
        may_round=False,
    )


def heavy_norms(g: Generator) -> Log:
    """Norms of a heavy tail while the loss learns calmly, as of batches of one."""
    n = count(g, 200, 2000)
    return log({**sound(g, n, top=4.6), "grad_norm": between(g, 0.3, 3) * np.exp(g.standard_normal(n) * 0.9)})


# --- reinforcement learning, adversaries, preferences -----------------------------------------------------------------


def _reward(g: Generator, n: int, low: float, high: float) -> Array:
    return low + (high - low) * (1 - np.exp(-np.arange(n) / n * g.uniform(1.5, 5))) + rough(g, n, 0.08 * (high - low))


def group_relative(g: Generator) -> Log:
    n = count(g, 60, 800)
    kl = 0.15 * (1 - np.exp(-np.arange(n) / n * 3)) * np.exp(rough(g, n, 0.3))
    kl[0] = 0.0
    return log({
        "loss": kl * 0.04 + rough(g, n, 1e-4) * (np.arange(n) > 0), "grad_norm": lengths(g, n, between(g, 0.05, 1)), "lr": plan(g, n, 1e-6),
        "reward": _reward(g, n, 0.2, 0.8), "reward_std": np.abs(0.3 + rough(g, n, 0.05)),
        "frac_reward_zero_std": np.clip(0.2 + rough(g, n, 0.1), 0, 0.9),
        "kl": kl, "completions/mean_length": 300 + rough(g, n, 30), "clip_ratio/region_mean": np.abs(rough(g, n, 1e-3)),
    }, formats=("hf", "swift", "rows", "csv", "wandb"))  # fmt: skip


def group_relative_zero(g: Generator) -> Log:
    n = count(g, 60, 600)
    return log({
        "loss": np.zeros(n), "grad_norm": lengths(g, n, between(g, 0.05, 1)), "lr": plan(g, n, 1e-6),
        "reward": _reward(g, n, 0.1, 0.6), "reward_std": np.abs(0.3 + rough(g, n, 0.05)), "completion_length": 300 + rough(g, n, 30),
    }, formats=("hf", "swift", "rows", "csv", "wandb"))  # fmt: skip


def actor(g: Generator) -> Log:
    """The names of a large trainer of policies; the loss is noise about 0."""
    n = count(g, 50, 500)
    return log({
        "actor/pg_loss": rough(g, n, 0.02), "actor/grad_norm": lengths(g, n, 0.2), "actor/lr": np.full(n, 1e-6),
        "actor/entropy": 0.6 * np.exp(-np.arange(n) / n), "actor/ppo_kl": rough(g, n, 1e-4), "critic/score/mean": _reward(g, n, 0.2, 0.7),
        "response_length/mean": 700 + 300 * np.arange(n) / n + rough(g, n, 30),
    }, formats=("rows", "csv", "wandb"))  # fmt: skip


def policy_alone(g: Generator) -> Log:
    n = count(g, 50, 600)
    return log(
        {
            "policy_loss": g.uniform(-0.05, 0.02) + rough(g, n, 0.01),
            "grad_norm": lengths(g, n, 0.3),
            "lr": plan(g, n, 3e-5),
        },
        formats=("rows", "csv", "fmt", "tabs"),
    )


def surrogate(g: Generator) -> Log:
    n = count(g, 60, 1500)
    return log({
        "rollout/ep_rew_mean": _reward(g, n, 20, 480), "train/approx_kl": np.abs(0.01 + rough(g, n, 0.003)),
        "train/entropy_loss": -0.68 + 0.3 * np.arange(n) / n,
        "train/explained_variance": np.clip(np.arange(n) / n + rough(g, n, 0.1), -1, 1),
        "train/loss": np.abs(5 + 20 * np.exp(-((np.arange(n) / n - 0.2) ** 2) * 30) + rough(g, n, 3)),
        "train/policy_gradient_loss": -0.01 + rough(g, n, 0.004),
        "train/value_loss": np.abs(20 + 40 * np.exp(-((np.arange(n) / n - 0.2) ** 2) * 30) + rough(g, n, 6)),
    }, formats=("rows", "csv", "wandb"))  # fmt: skip


def temporal(g: Generator) -> Log:
    """A loss of bootstrapped values that grows with them."""
    n = count(g, 60, 2000)
    grown = 1 - np.exp(-np.arange(n) / n * g.uniform(3, 20))
    return log({
        "td_loss": (0.02 + between(g, 0.2, 5) * grown) * np.exp(rough(g, n, 0.3)), "episode_return": _reward(g, n, -20, 200),
        "q_values": 30 * grown + rough(g, n, 0.5), "epsilon": np.maximum(1 - 2 * np.arange(n) / n, 0.05),
    }, formats=("rows", "csv", "fmt", "wandb"))  # fmt: skip


def soft_actor(g: Generator) -> Log:
    n = count(g, 80, 1500)
    grown = 1 - np.exp(-np.arange(n) / n * 4)
    return log({
        "actor_loss": -60 * grown + rough(g, n, 1), "critic_loss": (0.5 + 6 * grown) * np.exp(rough(g, n, 0.3)),
        "alpha": 0.2 * np.exp(-np.arange(n) / n * 2),
        "episode_reward": _reward(g, n, 50, 3000),
    }, formats=("rows", "csv", "fmt", "wandb"))  # fmt: skip


def adversaries(g: Generator) -> Log:
    n = count(g, 100, 3000)
    return log(
        {
            "D_loss": np.abs(1.1 + rough(g, n, 0.15)),
            "G_loss": np.abs(1.4 + 0.8 * (1 - np.exp(-np.arange(n) / n * 8)) + rough(g, n, 0.3)),
        },
        formats=("rows", "csv", "fmt", "tabs"),
    )


def critics(g: Generator) -> Log:
    """Wasserstein: the critic's loss rises from far below 0 towards it."""
    n = count(g, 100, 3000)
    return log(
        {
            "critic_loss": -25 * np.exp(-np.arange(n) / n * 5) - 2 + rough(g, n, 0.4),
            "gen_loss": rough(g, n, 3) + 10,
            "gradient_penalty": np.abs(0.1 + rough(g, n, 0.03)),
        },
        formats=("rows", "csv", "fmt"),
    )


def preferences(g: Generator) -> Log:
    n = count(g, 60, 900)
    margin = 1.6 * (1 - np.exp(-np.arange(n) / n * 3)) + rough(g, n, 0.2)
    margin[0] = 0.0
    return log({
        "loss": np.log1p(np.exp(-margin)) * np.exp(rough(g, n, 0.06)),
        "grad_norm": lengths(g, n, between(g, 2, 30)), "lr": plan(g, n, 5e-7),
        "rewards/chosen": margin * 0.3, "rewards/rejected": -margin * 0.7, "rewards/margins": margin,
        "rewards/accuracies": np.clip(0.5 + 0.2 * margin, 0, 1),
    }, formats=("hf", "swift", "rows", "wandb"))  # fmt: skip


# --- logging ------------------------------------------------------------------------------------------------------------


def resumed_well(g: Generator) -> Log:
    """One to three resumes that repeat some rows, to the digit or to the noise; nothing jumps."""
    made = sound(g, count(g, 200, 2500), top=4.6)
    n = len(made["loss"])
    cuts = np.sort(g.choice(np.arange(n // 4, n - n // 8), int(g.integers(1, 4)), replace=False))
    index, low = np.arange(0), 0
    for cut in [*cuts, n]:
        index = np.append(index, np.arange(low, cut))
        low = max(int(cut) - int(g.integers(1, max(n // 20, 3))), 0)
    columns = {name: column[index] for name, column in made.items()}
    if g.random() < 0.5:
        columns["loss"] = columns["loss"] * (1 + 0.001 * g.standard_normal(len(index)))
    return log({**columns, "step": index.astype(float) * 10}, formats=("rows", "csv", "fmt", "wandb"))


def dense_then_sparse(g: Generator) -> Log:
    """Every step of the first 5 to 20, every hundredth after; the first updates throw the loss up."""
    dense, sparse = int(g.integers(5, 21)), count(g, 30, 150)
    step = np.append(np.arange(1, dense + 1), np.arange(1, sparse + 1) * 100)
    start = 10.8 * np.append(1.0, 1 + g.uniform(0, 1.2) * np.exp(-np.arange(dense - 1) / 2) - 0.1)
    later = course(g, sparse, 5.5, 3.1)
    loss = np.append(start, later) * (1 + rough(g, dense + sparse, 0.01))
    return Log(
        text="\n".join(
            f"step:{s}/{sparse * 100} train_loss:{v:.4f} train_time:{71 * s}ms step_avg:71.10ms"
            for s, v in zip(step, loss, strict=True)
        )
        + "\n"
    )


def passes_overlap(g: Generator) -> Log:
    """The passes of an update are written at steps that overlap with those of the next."""
    updates, width = count(g, 30, 200), int(g.choice((256, 1024, 2048)))
    step = (np.arange(updates)[:, None] * width + np.arange(4)[None, :] * width).ravel().astype(float)
    n = len(step)
    return log(
        {
            "step": step,
            "loss": rough(g, n, 0.01) - 0.005,
            "value_function_loss": np.abs(1 + rough(g, n, 0.2)),
            "entropy_loss": 0.7 - 0.2 * np.arange(n) / n,
            "episode_reward": _reward(g, n, 0, 200),
        },
        formats=("rows",),
    )


def several_runs(g: Generator) -> Log:
    """Runs one after the other in one file, with a name each."""
    lines = []
    for run in range(int(g.integers(3, 8))):
        made = sound(g, count(g, 20, 60), top=4.6)
        lines += [
            json.dumps({"trial": f"trial_{run:02d}", "step": (row + 1) * 50, "loss": float(value), "lr": 6e-4})
            for row, value in enumerate(made["loss"])
        ]
    return Log(text="\n".join(lines) + "\n")


def epochs(g: Generator) -> Log:
    """One row per epoch, with accuracy and validation, which follow."""
    n = count(g, 12, 150)
    t = np.arange(n) / n
    loss = 2.3 * (0.15 + 0.85 * np.exp(-5 * t)) * (1 + rough(g, n, 0.01))
    return log(
        {
            "loss": loss,
            "val_loss": loss * 1.1 + 0.05 + rough(g, n, 0.02),
            "accuracy": 1 - loss / 2.6,
            "val_accuracy": 1 - loss / 2.5,
        },
        formats=("csv", "history", "rows", "tabs"),
    )


def validation_flattens(g: Generator) -> Log:
    """The validation loss stops falling while the training loss goes on; it does not rise above its noise."""
    n = count(g, 30, 200)
    t = np.arange(n) / n
    return log(
        {
            "loss": 1.2 * np.exp(-1.8 * t) * (1 + rough(g, n, 0.01)),
            "val_loss": (0.62 + 0.7 * np.exp(-8 * t)) * (1 + rough(g, n, 0.01)),
        },
        formats=("csv", "rows", "wandb"),
    )


def rate_too_small_to_print(g: Generator) -> Log:
    """The rate is printed with five decimals: 0.00000 in every row, while the loss falls plainly."""
    n = count(g, 100, 1500)
    made = sound(g, n, top=4.6, depth=0.3)
    lines = [
        f"step {r} loss {made['loss'][r]:.4f} grad_norm {made['grad_norm'][r]:.4f} lr {3e-6 * (1 - r / n):.5f}"
        for r in range(n)
    ]
    return Log(text="\n".join(lines) + "\n")


def norm_not_measured(g: Generator) -> Log:
    """The norm column is 0 throughout, while the loss falls plainly: it was not measured."""
    n = count(g, 100, 1500)
    return log({**sound(g, n, top=4.6, depth=0.3), "grad_norm": np.zeros(n)})


def scale_settles(g: Generator) -> Log:
    """The first three to twelve steps overflow until the scale fits, then one in a thousand."""
    made = sound(g, count(g, 300, 4000), top=6.9)
    n, k = len(made["loss"]), int(g.integers(3, 13))
    norm, scale = made["grad_norm"].copy(), np.full(n, 2.0 ** (20 - k))
    norm[:k], scale[:k] = np.inf, 2.0 ** (20 - np.arange(k))
    return log({**made, "grad_norm": norm, "loss_scale": scale})


def first_window(g: Generator) -> Log:
    """Window means of a detector in half precision: the first norm is NaN, for the scale had not settled."""
    made = sound(g, count(g, 100, 1000), top=8.2)
    norm = made["grad_norm"].copy()
    norm[0] = np.nan
    return log({**made, "grad_norm": norm}, formats=("mm",))


def _normal(make: object, name: str, truth: str = "normal") -> Kind:
    return Kind(name=name, make=make, truth=truth)  # type: ignore[arg-type]


THIRD_NORMAL: tuple[Kind, ...] = (
    _normal(really_trained, "really trained", "sound"),
    _normal(drops_late, "drops late", "sound"),
    _normal(any_run, "any run", "sound"),
    _normal(loss_alone, "loss alone"),
    _normal(few_rows, "thirty rows"),
    _normal(density, "density", "sound"),
    _normal(bound, "bound of the evidence", "sound"),
    _normal(large_units, "squared prices"),
    _normal(small_units, "divergence of 1e-4"),
    _normal(noise_to_remove, "diffusion"),
    _normal(contrast, "contrastive", "sound"),
    _normal(detector, "detector", "sound"),
    _normal(norm_grows, "norm grows", "sound"),
    _normal(rough_start, "rough start", "sound"),
    _normal(steps_of_the_rate, "rate in steps"),
    _normal(cools_down, "cools down", "sound"),
    _normal(warm_restarts, "warm restarts"),
    _normal(likelihood_rises, "likelihood rises"),
    _normal(always_clipped, "clipped in every row", "sound"),
    _normal(flat_tuning, "flat tuning"),
    _normal(continued, "continued"),
    _normal(floor_at_once, "floor within a fiftieth"),
    _normal(by_heart, "by heart"),
    _normal(epochs_as_stairs, "epochs as stairs"),
    _normal(whole_data, "all data in each step"),
    _normal(one_batch, "one small batch"),
    _normal(many_dimensions, "norm of a million dimensions"),
    _normal(heavy_norms, "norms of a heavy tail"),
    _normal(group_relative, "group-relative policy"),
    _normal(group_relative_zero, "group-relative policy, loss 0"),
    _normal(actor, "actor"),
    _normal(policy_alone, "policy loss alone"),
    _normal(surrogate, "proximal policy"),
    _normal(temporal, "temporal differences"),
    _normal(soft_actor, "soft actor"),
    _normal(adversaries, "generator and discriminator"),
    _normal(critics, "generator and critic"),
    _normal(preferences, "preferences"),
    _normal(resumed_well, "resumed without harm"),
    _normal(dense_then_sparse, "dense at first"),
    _normal(passes_overlap, "passes overlap"),
    _normal(several_runs, "several runs"),
    _normal(epochs, "row per epoch"),
    _normal(validation_flattens, "validation flattens"),
    _normal(rate_too_small_to_print, "rate too small to print"),
    _normal(norm_not_measured, "norm not measured"),
    _normal(scale_settles, "scale settles"),
    _normal(first_window, "first window NaN"),
)

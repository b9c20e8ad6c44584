"""The fifth set: runs in which nothing is wrong, among them those that look odd."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from benchmarks.variants.base import Kind, Log
from benchmarks.variants.fifth_base import (
    batches,
    decline,
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
    from benchmarks.variants.base import Generator


def _language(g: Generator) -> Log:
    n = size(g, 200, 3000)
    return log(
        learns(g, n, top=pick(g, 10.4, 10.8, 11.9), share=g.uniform(0.22, 0.35), spread=0.012),
        "megatron",
        "titan",
        "wandb",
        "fairseq",
        "nanogpt",
        "tensorboard",
    )


def _images(g: Generator) -> Log:
    """A classifier of images, epoch by epoch, at a rate with steps."""
    n = size(g, 40, 300)
    t = np.arange(n) / n
    rate = 0.1 * 0.1 ** np.searchsorted([0.5, 0.75], t, side="right")
    loss = decline(g, n, 4.2, 1.3) * (1 - 0.35 * (t >= 0.5) - 0.1 * (t >= 0.75)) * batches(g, n, 0.008)
    acc = 1 - np.minimum(loss / 4.6, 0.99)
    return log(
        {
            "accuracy": acc,
            "loss": loss,
            "lr": rate,
            "val_accuracy": acc * 0.94 + 0.005 * g.standard_normal(n),
            "val_loss": loss * 1.12 + 0.03 * g.standard_normal(n),
        },
        "keras",
    )


def _diffusion(g: Generator) -> Log:
    """Noise prediction: flat to the eye after the start, noisy by the times drawn."""
    n = size(g, 300, 3000)
    loss = decline(g, n, 0.6, 0.09) * np.exp(0.35 * g.standard_normal(n))
    return log({"loss": loss, "grad_norm": gradients(g, n, 0.15), "lr": np.full(n, 1e-4)})


def _masked_words(g: Generator) -> Log:
    """Masked words: a plateau near 6.5, then the fall."""
    n = size(g, 300, 2500)
    at = g.uniform(0.12, 0.3) * n
    fall = 1 / (1 + np.exp(-(np.arange(n) - at) / (0.03 * n)))
    level = 6.4 + 4 * np.exp(-np.arange(n) / (0.01 * n)) - 3.2 * fall - 1.0 * (np.arange(n) / n) * fall
    return log({"loss": level * batches(g, n, 0.015), "grad_norm": gradients(g, n, 0.9), "lr": schedule(g, n, 1e-4)})


def _cooled_down(g: Generator) -> Log:
    """Warm-up, stable, decay: the loss falls faster in the last fifth."""
    n = size(g, 400, 3000)
    t = np.arange(n) / n
    c = learns(g, n, top=10.8, share=0.3, spread=0.01)
    c["loss"] *= 1 - 0.06 * np.clip((t - 0.8) / 0.2, 0, 1)
    c["lr"] = 6e-4 * np.minimum(1, np.minimum((t + 1 / n) / 0.02, (1 - t) / 0.2))
    return log(c)


def _several_epochs(g: Generator) -> Log:
    """Fine-tuning over several epochs: a step down where each begins."""
    n, epochs = size(g, 120, 1500), int(g.integers(2, 5))
    level = (
        g.uniform(1.1, 1.8) * 0.72 ** np.floor(np.arange(n) / n * epochs) * (1 - 0.05 * (np.arange(n) * epochs / n % 1))
    )
    return log(
        {"loss": level * batches(g, n, 0.05), "grad_norm": gradients(g, n), "lr": schedule(g, n, 2e-5)},
        "state",
        "hf",
        "wandb",
    )


def _preferences(g: Generator) -> Log:
    """Direct preferences: from ln 2 down, margins up."""
    n = size(g, 80, 1200)
    loss = np.maximum(decline(g, n, 0.693, g.uniform(0.35, 0.55)) * batches(g, n, 0.08), 0.05)
    margin = 1.8 - decline(g, n, 1.8, 0.2) + 0.15 * g.standard_normal(n)
    return log(
        {
            "loss": loss,
            "grad_norm": gradients(g, n, span(g, 1, 30)),
            "lr": schedule(g, n, 5e-7),
            "rewards/chosen": 0.3 * margin,
            "rewards/rejected": -0.7 * margin,
            "rewards/accuracies": np.clip(0.5 + 0.2 * margin, 0, 1),
            "rewards/margins": margin,
        },
        "state",
        "hf",
        "wandb",
    )


def _balanced(g: Generator) -> Log:
    """Adversaries in balance."""
    n = size(g, 200, 3000)
    return log(
        {
            "d_loss": 1.2 * np.exp(wander(g, n, 0.12, 0.6)) * (1 - 0.2 * np.arange(n) / n),
            "g_loss": 1.4 * np.exp(wander(g, n, 0.25, 0.7)) * (1 + 0.4 * np.arange(n) / n),
            "lr": np.full(n, 2e-4),
        },
        "jsonl",
        "csv",
        "wandb",
    )


def _experts(g: Generator) -> Log:
    """A mixture of experts with the loss of its balance."""
    n = size(g, 200, 2000)
    c = learns(g, n, top=10.8, share=0.28, spread=0.01)
    return log(
        {**c, "aux_loss": 1.01 + decline(g, n, 0.6, 0.01) * batches(g, n, 0.1), "z_loss": 0.002 * batches(g, n, 0.2)},
        "jsonl",
        "wandb",
        "csv",
    )


def _half_precision(g: Generator) -> Log:
    """A scale that doubles at intervals and is halved where a norm overflows."""
    n = size(g, 300, 2500)
    c, exponent = learns(g, n), np.full(n, 16.0)
    for at in np.linspace(0.2, 0.9, 4) * n:
        exponent[int(at) :] += 1
    for at in (np.array([0.31, 0.57, 0.83]) * n).astype(int):
        exponent[at + 1 :] -= 1
        c["grad_norm"][at] = np.inf
    return log({**c, "loss_scale": 2**exponent}, "jsonl", "wandb", "csv")


def _twins(g: Generator) -> Log:
    """Contrast of images and texts: from ln of the batch down."""
    n = size(g, 150, 2500)
    loss = decline(g, n, np.log(pick(g, 256, 1024, 4096)), 1.4) * batches(g, n, 0.04)
    return log(
        {"loss": loss, "lr": schedule(g, n, 5e-4), "logit_scale": 14.3 + 30 * np.arange(n) / n}, "jsonl", "wandb", "csv"
    )


def _by_powers(g: Generator) -> Log:
    """Regression whose error falls by powers of ten."""
    n = size(g, 100, 2500)
    loss = np.exp(decline(g, n, np.log(0.8), np.log(span(g, 1e-6, 1e-4)))) * batches(g, n, 0.15)
    return log(
        {"loss": loss, "grad_norm": np.sqrt(loss) * batches(g, n, 0.2), "lr": schedule(g, n, 1e-3)},
        "jsonl",
        "csv",
        "lightning",
        "wandb",
        "state",
    )


def _boxes(g: Generator) -> Log:
    """A detector, epoch by epoch; without mosaic in the last ten."""
    n = size(g, 50, 300)
    c = {}
    late = np.where(np.arange(n) >= n - 10, 0.85, 1.0)
    for name, top in (("train/box_loss", 2.6), ("train/cls_loss", 3.8), ("train/dfl_loss", 2.4)):
        c[name] = decline(g, n, top, top / 2.8) * batches(g, n, 0.01) * late
    for name, best in (("metrics/precision(B)", 0.74), ("metrics/recall(B)", 0.66), ("metrics/mAP50(B)", 0.7)):
        c[name] = best * (1 - decline(g, n, 0.95, 0.02)) + 0.008 * g.standard_normal(n)
    for name in ("box_loss", "cls_loss", "dfl_loss"):
        c[f"val/{name}"] = c[f"train/{name}"] * 1.06 + 0.02 * g.standard_normal(n)
    return log({**c, "lr/pg0": np.linspace(0.01, 1e-4, n)}, "ultralytics")


def _warmed_again(g: Generator) -> Log:
    """Continued pre-training: the rate is warmed again, the loss rises by a little and falls below."""
    n = size(g, 300, 2500)
    t = np.arange(n) / n
    level = 2.1 + 0.07 * np.exp(-(((t - 0.04) / 0.04) ** 2)) - 0.16 * t**0.5
    return log({"loss": level * batches(g, n, 0.012), "grad_norm": gradients(g, n, 0.4), "lr": schedule(g, n, 1e-4)})


def _soft_actor(g: Generator) -> Log:
    """An agent whose actor's loss falls below zero as values grow, and whose return rises."""
    n = size(g, 120, 1500)
    t = np.arange(n) / n
    reward = 60 + 3200 * (1 - np.exp(-3 * t)) + 90 * g.standard_normal(n)
    value = 250 * (1 - np.exp(-4 * t))
    return log(
        {
            "rollout/ep_rew_mean": reward,
            "step": 4000.0 * (1 + np.arange(n)),
            "train/actor_loss": -value + 2 * g.standard_normal(n),
            "train/critic_loss": (1 + 0.1 * value) * batches(g, n, 0.3),
            "train/ent_coef": 0.02 + 0.9 * np.exp(-30 * t),
            "train/learning_rate": np.full(n, 3e-4),
        },
        "library",
    )


def _proximal(g: Generator) -> Log:
    """Proximal policy optimization that learns."""
    n = size(g, 80, 1500)
    t = np.arange(n) / n
    return log(
        {
            "rollout/ep_rew_mean": 20 + 460 * (1 - np.exp(-4 * t)) + 12 * g.standard_normal(n),
            "step": 2048.0 * (1 + np.arange(n)),
            "train/approx_kl": 0.009 * batches(g, n, 0.3),
            "train/clip_fraction": 0.1 * batches(g, n, 0.3),
            "train/entropy_loss": -0.69 + 0.35 * t,
            "train/explained_variance": 0.95 - np.exp(-9 * t) + 0.02 * g.standard_normal(n),
            "train/learning_rate": 3e-4 * (1 - t),
            "train/loss": 18 * (1 + 3 * np.exp(-6 * t)) * batches(g, n, 0.5),
            "train/policy_gradient_loss": -0.012 + 0.005 * g.standard_normal(n),
            "train/value_loss": 40 * (1 + 3 * np.exp(-6 * t)) * batches(g, n, 0.5),
        },
        "library",
    )


def _values_grow(g: Generator) -> Log:
    """Temporal differences: the error grows with the values, the return rises."""
    n = size(g, 60, 1000)
    t = np.arange(n) / n
    return log(
        {
            "step": 10000.0 * (1 + np.arange(n)),
            "loss": (0.02 + 0.5 * (1 - np.exp(-9 * t)) - 0.15 * t) * batches(g, n, 0.2),
            "grad_norm": 0.1 + (0.9 * (1 - np.exp(-9 * t))) * batches(g, n, 0.3),
            "q_taken_mean": 0.4 * (1 - np.exp(-5 * t)),
            "return_mean": 3 + 15 * (1 - np.exp(-4 * t)) + 0.5 * g.standard_normal(n),
            "test_return_mean": 3.2 + 15 * (1 - np.exp(-4 * t)) + 0.5 * g.standard_normal(n),
        },
        "jsonl",
        "csv",
        "wandb",
    )


def _groups(g: Generator) -> Log:
    """Policy optimization in groups: the loss is the divergence times its weight, the reward rises."""
    n, t = size(g, 60, 900), 0.0
    k = np.arange(n) / n
    kl = 1e-4 + 0.3 * g.uniform(0.2, 1) * (1 - np.exp(-3 * k)) * batches(g, n, 0.25)
    return log(
        {
            "loss": np.where(np.arange(n) < 2, t, 0.04 * kl),
            "grad_norm": gradients(g, n, 0.3),
            "lr": schedule(g, n, 1e-6),
            "reward": 0.25 + 0.5 * (1 - np.exp(-3 * k)) + 0.06 * g.standard_normal(n),
            "reward_std": np.abs(0.4 - 0.15 * k + 0.05 * g.standard_normal(n)),
            "kl": kl,
            "completions/mean_length": 180 + 60 * k + 12 * g.standard_normal(n),
        },
        "state",
        "hf",
        "wandb",
        "jsonl",
    )


def _groups_rounded(g: Generator) -> Log:
    """The same without a weight of the divergence, or rounded to four digits: 0.0, here and there 0.0001."""
    n = size(g, 60, 900)
    k = np.arange(n) / n
    loss = np.round(np.abs(6e-5 * k * batches(g, n, 0.5)), 4) if g.random() < 0.6 else np.zeros(n)
    return log(
        {
            "loss": loss,
            "grad_norm": gradients(g, n, 0.12),
            "lr": schedule(g, n, 1e-6),
            "reward": 0.3 + 0.6 * k + 0.05 * g.standard_normal(n),
            "reward_std": np.abs(0.4 + 0.05 * g.standard_normal(n)),
            "frac_reward_zero_std": np.round(0.25 * g.random(n), 2),
            "kl": 2e-3 * k * batches(g, n, 0.3),
        },
        "state",
        "hf",
        "wandb",
        "jsonl",
        may_round=False,
    )


def _noise_alone(g: Generator) -> Log:
    """The loss of a policy gradient: stationary noise about nothing much."""
    n = size(g, 40, 1200)
    return log(
        {
            "policy_loss": g.uniform(-0.03, 0.03) + 0.02 * g.standard_normal(n),
            "grad_norm": span(g, 0.05, 2) * batches(g, n, 0.2),
            "lr": schedule(g, n, 3e-6),
            "reward": 0.4 + 0.3 * np.arange(n) / n + 0.08 * g.standard_normal(n),
        },
        "jsonl",
        "wandb",
        "csv",
    )


def _flat(g: Generator) -> Log:
    """Fine-tuning on what the model knows: flat at a healthy norm."""
    n = size(g, 60, 600)
    level = g.uniform(0.9, 2.4)
    loss = level * (1 - g.uniform(0.01, 0.04) * np.arange(n) / n) + 0.045 * level * g.standard_normal(n)
    return log(
        {"loss": loss, "grad_norm": gradients(g, n, 0.9), "lr": schedule(g, n, 1e-5)}, "state", "hf", "wandb", "jsonl"
    )


def _low_rank(g: Generator) -> Log:
    """Adapters that reach the floor of easy data within some rows of thousands."""
    n = size(g, 400, 3000)
    k = np.arange(n)
    loss = (0.3 + 2 * np.exp(-k / (0.02 * n)) - 0.06 * k / n) * batches(g, n, 0.07)
    return log(
        {"loss": loss, "grad_norm": gradients(g, n, 0.5) * (1 - 0.4 * k / n), "lr": schedule(g, n, 2e-4)},
        "state",
        "hf",
        "wandb",
    )


def _all_clipped(g: Generator) -> Log:
    """Adam with every step clipped."""
    n = size(g, 300, 2500)
    c = learns(g, n, top=pick(g, 4.6, 10.8), share=0.3, spread=0.02)
    c["grad_norm"] = gradients(g, n, g.uniform(8, 30))
    return log(c, "jsonl", "wandb", "csv", config={"optimizer": "AdamW", "max_grad_norm": 1.0})


def _dense_then_thin(g: Generator) -> Log:
    """Every step of the first ten, then every hundredth or so."""
    every, n = pick(g, 100, 125, 250), size(g, 40, 120)
    step = np.concatenate([np.arange(1, 11), every * np.arange(1, n + 1)])
    loss = 3.2 + 7.6 * (1 + step / 40) ** -0.55
    loss[1:4] += g.uniform(0, 4)
    return log({"step": step.astype(float), "loss": loss * batches(g, n + 10, 0.01)}, "jsonl", "nanogpt", "csv")


def _resumed_smoothly(g: Generator) -> Log:
    """Steps go back by some rows, and loss and norm go on."""
    n = size(g, 300, 2000)
    c, at = learns(g, n, spread=0.03), somewhere(g, n)
    step = np.arange(n)
    step[at:] -= int(g.integers(3, 20))
    # The schedule goes on where the checkpoint was: a step has one rate.
    return log({**c, "lr": c["lr"][step], "step": 10.0 + 10 * step})


def _overlapping(g: Generator) -> Log:
    """The passes of one update overlap in their steps with the next."""
    updates, batch, passes = size(g, 40, 300), pick(g, 512, 1024, 2048), int(g.integers(3, 6))
    step = (np.arange(updates)[:, None] + np.arange(passes)[None, :]).ravel() * batch
    n = len(step)
    return log(
        {
            "step": step,
            "loss": 0.02 + 0.3 * np.exp(-np.arange(n) / (0.2 * n)) * batches(g, n, 0.3) + 0.01 * g.standard_normal(n),
            "policy_entropy": 1.4 - 0.5 * np.arange(n) / n,
            "approxkl": 0.01 * batches(g, n, 0.3),
        },
        "jsonl",
        "csv",
    )


def _early_stopping(g: Generator) -> Log:
    """A small network on a table, stopped early."""
    n = size(g, 20, 120)
    loss = decline(g, n, 0.67, 0.3) * batches(g, n, 0.01)
    return log(
        {
            "auc": 1 - loss * 0.5,
            "loss": loss,
            "val_auc": 1 - loss * 0.55,
            "val_loss": loss * 1.05 + 0.006 * g.standard_normal(n),
        },
        "keras",
    )


def _with_evaluation(g: Generator) -> Log:
    """Fine-tuning with an evaluation now and then."""
    n = size(g, 120, 1500)
    c = learns(g, n, top=2.3, share=0.5, spread=0.05)
    check = np.full(n, np.nan)
    check[n // 10 :: max(n // 10, 1)] = c["loss"][n // 10 :: max(n // 10, 1)] * 1.03
    return log({**c, "eval_loss": check}, "jsonl", "lightning", "wandb")


def _short(g: Generator) -> Log:
    """Few rows."""
    return log(learns(g, size(g, 30, 70), spread=0.03))


def _variational(g: Generator) -> Log:
    """A variational autoencoder: reconstruction falls, divergence rises to its level."""
    n = size(g, 150, 2000)
    recon = decline(g, n, 540, 85) * batches(g, n, 0.02)
    kl = (26 - decline(g, n, 26, 1)) * batches(g, n, 0.03)
    return log(
        {"loss": recon + kl, "recon_loss": recon, "kl_loss": kl, "lr": np.full(n, 1e-3)}, "jsonl", "csv", "wandb"
    )


def _speech(g: Generator) -> Log:
    """Speech recognition: a plateau, then alignment, batches of all lengths."""
    n = size(g, 300, 2500)
    at = g.uniform(0.1, 0.25) * n
    level = 2.95 - 2.5 / (1 + np.exp(-(np.arange(n) - at) / (0.03 * n))) + 4 * np.exp(-np.arange(n) / (0.01 * n))
    level *= 1 - 0.4 * np.arange(n) / n * (np.arange(n) > at)
    return log({**only(learns(g, n), "grad_norm", "lr"), "loss": level * batches(g, n, 0.07)})


FIFTH_NORMAL: tuple[Kind, ...] = (
    Kind(name="language model, any trainer", make=_language, truth="normal"),
    Kind(name="images by epochs", make=_images, truth="normal"),
    Kind(name="prediction of noise", make=_diffusion, truth="normal"),
    Kind(name="masked words", make=_masked_words, truth="normal"),
    Kind(name="cooled down", make=_cooled_down, truth="normal"),
    Kind(name="several epochs", make=_several_epochs, truth="normal"),
    Kind(name="direct preferences", make=_preferences, truth="normal"),
    Kind(name="adversaries in balance", make=_balanced, truth="normal"),
    Kind(name="mixture of experts", make=_experts, truth="normal"),
    Kind(name="half precision that works", make=_half_precision, truth="normal"),
    Kind(name="images and texts", make=_twins, truth="normal"),
    Kind(name="error falls by powers of ten", make=_by_powers, truth="normal"),
    Kind(name="detector by epochs", make=_boxes, truth="normal"),
    Kind(name="continued, warmed again", make=_warmed_again, truth="normal"),
    Kind(name="soft actor and critic", make=_soft_actor, truth="normal"),
    Kind(name="proximal policy", make=_proximal, truth="normal"),
    Kind(name="values grow, return rises", make=_values_grow, truth="normal"),
    Kind(name="groups, loss of the divergence", make=_groups, truth="normal"),
    Kind(name="groups, loss rounded to 0", make=_groups_rounded, truth="normal"),
    Kind(name="policy gradient, noise alone", make=_noise_alone, truth="normal"),
    Kind(name="flat at a healthy norm", make=_flat, truth="normal"),
    Kind(name="adapters at their floor", make=_low_rank, truth="normal"),
    Kind(name="all clipped under Adam", make=_all_clipped, truth="normal"),
    Kind(name="dense, then thin", make=_dense_then_thin, truth="normal"),
    Kind(name="resumed smoothly", make=_resumed_smoothly, truth="normal"),
    Kind(name="passes that overlap", make=_overlapping, truth="normal"),
    Kind(name="stopped early", make=_early_stopping, truth="normal"),
    Kind(name="evaluated now and then", make=_with_evaluation, truth="normal"),
    Kind(name="short and sound", make=_short, truth="normal"),
    Kind(name="variational", make=_variational, truth="normal"),
    Kind(name="speech, then alignment", make=_speech, truth="normal"),
)

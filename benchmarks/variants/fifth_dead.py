"""The fifth set: runs that learn nothing, or whose numbers are none."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from benchmarks.variants.base import Kind, Log
from benchmarks.variants.fifth_base import (
    WITH_RATE,
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
    from benchmarks.variants.base import Array, Generator


def _same_loss(g: Generator) -> Log:
    """The optimizer holds other parameters: one loss to the last digit, no norm logged."""
    n = size(g, 40, 1500)
    loss = np.full(n, round(pick(g, np.log(2), np.log(10), np.log(1000), np.log(32000), 3.4127), 6))
    return log({"loss": loss, "lr": schedule(g, n)}, "state", "hf", "wandb", "jsonl", "csv", may_round=False)


def _same_loss_no_gradient(g: Generator) -> Log:
    n = size(g, 40, 2000)
    loss = np.full(n, round(pick(g, np.log(2), np.log(100), np.log(50257), np.log(151936)), 4))
    return log({"loss": loss, "grad_norm": np.zeros(n), "lr": schedule(g, n)}, may_round=False)


def _no_gradient(g: Generator) -> Log:
    """The loss moves with the batches alone, the norm is 0: frozen, or detached."""
    n = size(g, 60, 2000)
    level = pick(g, 0.7, 2.3, 8.4, 11.2)
    return log(
        {"loss": level * batches(g, n, span(g, 0.005, 0.03)), "grad_norm": np.zeros(n), "lr": schedule(g, n)},
        may_round=False,
    )


def _zero_at_threshold(g: Generator) -> Log:
    """Fine-tuning whose loss is exactly 0 from one row to the next while the norm is exactly the threshold."""
    n = size(g, 80, 1200)
    c, at = learns(g, n, top=g.uniform(1, 3)), somewhere(g, n, 0.15, 0.6)
    c["loss"][at:] = 0.0
    c["grad_norm"][at:] = pick(g, 0.5, 1.0, 1.0)
    return log(c, "state", "hf", "wandb")


def _zero_from_a_row(g: Generator) -> Log:
    n = size(g, 80, 2000)
    c, at = learns(g, n, top=g.uniform(0.8, 4)), somewhere(g, n)
    c["loss"][at:] = 0.0
    return log(only(c, "loss", "lr"), "state", "hf", "jsonl", "csv", "wandb")


def _zero_and_nan(g: Generator) -> Log:
    """The trainer hides NaN losses as 0; the norm tells."""
    n = size(g, 60, 2000)
    c, at = learns(g, n, top=g.uniform(0.8, 4)), somewhere(g, n, 0.05, 0.9)
    c["loss"][at:], c["grad_norm"][at:] = 0.0, np.nan
    return log(c, "state", "hf", "wandb")


def _zero_and_nan_throughout(g: Generator) -> Log:
    n = size(g, 40, 800)
    return log({"loss": np.zeros(n), "grad_norm": np.full(n, np.nan), "lr": schedule(g, n)}, "state", "hf", "wandb")


def _no_label(g: Generator) -> Log:
    """Every label is masked."""
    n = size(g, 40, 800)
    return log({"loss": np.zeros(n), "grad_norm": np.zeros(n), "lr": schedule(g, n)}, "state", "hf", "wandb", "jsonl")


def _zero_with_eval_nan(g: Generator) -> Log:
    """The loss turns 0, and the evaluation says NaN."""
    n = size(g, 80, 600)
    c, at = learns(g, n, top=g.uniform(0.8, 4)), somewhere(g, n)
    c["loss"][at:] = 0.0
    told = "{{'eval_loss': {}, 'eval_runtime': 41.2, 'eval_samples_per_second': 24.3, 'epoch': {:.2f}}}"
    lines = {
        row: told.format(round(float(c["loss"][row]), 4) if row < at else "nan", 3 * row / n)
        for row in range(n // 6, n, n // 6)
    }
    return log(only(c, "loss", "lr"), "hf", lines=lines)


def _guessing(g: Generator) -> Log:
    """A classifier of two classes that guesses: accuracy of the majority, loss ln 2."""
    n = size(g, 15, 100)
    loss = 0.6931 + np.abs(g.standard_normal(n)) * 3e-4
    acc = np.full(n, 0.5) + g.standard_normal(n) * 0.002
    return log(
        {"accuracy": acc, "loss": loss, "val_accuracy": np.full(n, 0.5), "val_loss": 0.6932 + 1e-4 * g.random(n)},
        "keras",
    )


def _dead_relus(g: Generator) -> Log:
    """A classifier of ten classes after its units died: loss ln 10, accuracy a tenth, for ever."""
    n, at = size(g, 40, 200), 0
    at = int(n * g.uniform(0.1, 0.4))
    loss = np.concatenate([decline(g, at, 2.3, 0.9), 2.3026 + 2e-4 * g.standard_normal(n - at)])
    acc = np.concatenate([1 - decline(g, at, 0.85, 0.3), 0.1 + 0.001 * g.standard_normal(n - at)])
    return log(
        {
            "accuracy": acc,
            "loss": loss,
            "lr": np.full(n, 0.01),
            "val_accuracy": np.where(np.arange(n) < at, acc - 0.02, 0.1),
            "val_loss": np.where(np.arange(n) < at, loss * 1.05, 2.3026),
        },
        "keras",
    )


def _overlap_loss(g: Generator) -> Log:
    """Segmentation whose Dice loss never leaves 1."""
    n = size(g, 60, 1500)
    return log(
        {"loss": 1 - np.abs(g.standard_normal(n)) * span(g, 2e-4, 3e-3), "lr": np.full(n, 1e-3)},
        "jsonl",
        "csv",
        "lightning",
    )


def _contrast(g: Generator) -> Log:
    """Pairs that are all alike: ln of the batch."""
    n, batch = size(g, 80, 2000), pick(g, 64, 256, 512, 4096)
    loss = np.log(batch) + span(g, 1e-4, 1e-3) * g.standard_normal(n)
    norm = span(g, 1e-5, 1e-3) * batches(g, n, 0.2)
    return log({"loss": loss, "grad_norm": norm, "lr": schedule(g, n)}, "wandb", "jsonl", "lightning", "csv")


def _at_the_vocabulary(g: Generator) -> Log:
    """Pre-training from scratch that stays at ln of the vocabulary."""
    n, words = size(g, 150, 3000), pick(g, 32000, 50304, 128256)
    loss = np.log(words) + 0.02 + 0.006 * g.standard_normal(n)
    return log(
        {"loss": loss, "grad_norm": span(g, 0.02, 0.6) * batches(g, n, 0.15), "lr": schedule(g, n)},
        "megatron",
        "titan",
        "wandb",
        "fairseq",
    )


def _rate_zero(g: Generator) -> Log:
    n = size(g, 50, 2000)
    level = pick(g, 0.7, 2.1, 7.4, 12.0)
    return log(
        {"loss": level * batches(g, n, 0.03), "grad_norm": span(g, 0.2, 5) * batches(g, n, 0.2), "lr": np.zeros(n)},
        *WITH_RATE,
        may_round=False,
    )


def _rate_runs_out(g: Generator) -> Log:
    """The scheduler is stepped several times per update: 0 after a part, the rest for nothing."""
    n = size(g, 150, 3000)
    at = int(n / pick(g, 2, 4, 8))
    level = np.concatenate([decline(g, at, pick(g, 2.3, 6.9, 10.8), 3.2), np.full(n - at, 0.0)])
    level[at:] = level[at - 1]
    rate = np.concatenate([span(g, 1e-5, 1e-3) * (1 - np.arange(at) / at), np.zeros(n - at)])
    return log(
        {"loss": level * batches(g, n, 0.02), "grad_norm": gradients(g, n), "lr": rate}, *WITH_RATE, may_round=False
    )


def _rate_cut_away(g: Generator) -> Log:
    """A rate that is divided by ten again and again, at a loss that never moved."""
    n = size(g, 60, 150)
    rate = 1e-3 * 0.1 ** np.minimum(np.arange(n) // 6, 9)
    loss = 4.6 + 0.02 * g.standard_normal(n)
    return log(
        {
            "accuracy": 0.01 + 5e-4 * g.standard_normal(n),
            "loss": loss,
            "lr": rate,
            "val_accuracy": np.full(n, 0.01),
            "val_loss": 4.61 + 0.01 * g.standard_normal(n),
        },
        "keras",
    )


def _nan_to_the_end(g: Generator) -> Log:
    n = size(g, 50, 3000)
    c, at = learns(g, n), somewhere(g, n, 0.1, 0.95)
    c["loss"][at:], c["grad_norm"][at:] = np.nan, np.nan
    return log(c)


def _nan_at_once(g: Generator) -> Log:
    n = size(g, 40, 2000)
    return log(
        {"loss": np.full(n, np.nan), "grad_norm": np.full(n, np.nan), "lr": schedule(g, n)},
        "state",
        "hf",
        "wandb",
        "jsonl",
        "csv",
        "titan",
    )


def _nan_epochs(g: Generator) -> Log:
    """A network whose loss is NaN from an epoch on; it predicts one class then."""
    n = size(g, 20, 150)
    at = int(n * g.uniform(0.2, 0.7))
    loss, acc = decline(g, n, 2.3, 0.4), 1 - decline(g, n, 0.8, 0.1)
    loss[at:], acc[at:] = np.nan, 0.098
    return log(
        {"accuracy": acc, "loss": loss, "lr": np.full(n, 0.01), "val_accuracy": acc - 0.01, "val_loss": loss * 1.1},
        "keras",
    )


def _nan_boxes(g: Generator) -> Log:
    """A detector with mixed precision: all losses NaN after some epochs, precision and recall 0."""
    n = size(g, 30, 200)
    at = int(n * g.uniform(0.1, 0.7))
    c: dict[str, Array] = {}
    for name, top in (("train/box_loss", 3.1), ("train/cls_loss", 4.2), ("train/dfl_loss", 3.9)):
        c[name] = decline(g, n, top, top / 3) * batches(g, n, 0.01)
    for name, best in (("metrics/precision(B)", 0.7), ("metrics/recall(B)", 0.6), ("metrics/mAP50(B)", 0.62)):
        c[name] = best * (1 - decline(g, n, 0.98, 0.0))
        c[name][at:] = 0.0
    for name in [k for k in c if k.startswith("train/")]:
        c[name][at:] = np.nan
        c[name.replace("train", "val")] = c[name] * 1.1
    return log({**c, "lr/pg0": np.linspace(0.01, 1e-4, n)}, "ultralytics")


def _nan_here_and_there(g: Generator) -> Log:
    n = size(g, 60, 1500)
    c = learns(g, n)
    bad = g.random(n) < g.uniform(0.15, 0.45)
    c["loss"][bad], c["grad_norm"][bad] = np.nan, np.nan
    return log(c, "state", "hf", "wandb", "jsonl", "csv")


def _norms_here_and_there(g: Generator) -> Log:
    """A third of the norms is NaN, the loss has no gap."""
    n = size(g, 60, 1500)
    c = learns(g, n, top=g.uniform(0.2, 3))
    c["grad_norm"][g.random(n) < g.uniform(0.2, 0.4)] = np.nan
    return log(c, "state", "hf", "wandb", "mmengine")


def _norms_nan(g: Generator) -> Log:
    n = size(g, 60, 2000)
    c = learns(g, n)
    c["grad_norm"][:] = np.nan
    return log(c, "mmengine", "state", "hf", "megatron", "wandb", "jsonl")


def _norms_infinite(g: Generator) -> Log:
    n = size(g, 60, 2000)
    c = learns(g, n)
    c["grad_norm"][:] = np.inf
    return log(c, "hf", "wandb", "jsonl", "megatron", "mmengine")


def _ends_in_error(g: Generator) -> Log:
    """A detector's console that ends with the words of its trainer."""
    n = size(g, 30, 400)
    loss, every = decline(g, n, g.uniform(3, 6), 1.4) * batches(g, n, 0.05), 20
    lines = ["[08/14 10:00:02 d2.engine.train_loop]: Starting training from iteration 0"]
    for row, value in enumerate(loss):
        lines.append(
            f"[08/14 10:{row // 60 % 60:02d}:{row % 60:02d} d2.utils.events]:  eta: 3:12:41  iter: {row * every + 19}"
            f"  total_loss: {value:.4g}  loss_cls: {0.4 * value:.4g}  loss_box_reg: {0.6 * value:.4g}"
            f"  time: 0.4127  last_time: 0.4020  data_time: 0.0041  last_data_time: 0.0038   lr: 0.0025  max_mem: 8123M"
        )
    lines += [
        "Traceback (most recent call last):",
        f"FloatingPointError: Loss became infinite or NaN at iteration={n * every + 7}!",
        "loss_dict = {'loss_cls': nan, 'loss_box_reg': nan}",
    ]
    return Log(text="\n".join(lines) + "\n")


def _overflow_fairseq(g: Generator) -> Log:
    """The scale is halved in words until the trainer gives up."""
    n = size(g, 100, 800)
    c = learns(g, n, top=pick(g, 11.9, 14.2))
    fall = int(g.integers(14, 24))
    words = "2023-08-14 10:00:00 | INFO | fairseq.trainer | NOTE: gradient overflow detected,"
    words += " ignoring gradient, setting loss scale to: {}"
    lines = {n - fall + k: words.format(128 * 0.5 ** (k + 1)) for k in range(fall)}
    c["loss_scale"] = np.concatenate([np.full(n - fall, 128.0), 128 * 0.5 ** (1 + np.arange(fall))])
    lines[n - 1] += (
        "\nFloatingPointError: Minimum loss scale reached (0.0001). Your loss is probably exploding. Try lowering the learning rate"
    )
    return log(c, "fairseq", lines=lines)


def _overflow_deepspeed(g: Generator) -> Log:
    n = size(g, 25, 300)
    c, scale, lines = learns(g, n, top=2.6), 2.0 ** int(g.integers(12, 17)), {}
    words = "[2024-03-02 09:11:12,345] [INFO] [loss_scaler.py:190:update_scale] [deepspeed] OVERFLOW!"
    words += " Rank 0 Skipping step. Attempted loss scale: {:.0f}, reducing to {:.0f}"
    row = int(n * g.uniform(0.1, 0.3))
    while scale > 1 and row < n - 1:
        lines[row] = words.format(scale, scale / 2)
        scale, row = scale / 2, row + 1
    lines[min(row, n - 1)] = (
        "Exception: Current loss scale already at minimum - cannot decrease scale anymore. Exiting run."
    )
    return log({k: v[: row + 1] for k, v in only(c, "loss", "lr").items()}, "hf", lines=lines)


def _scale_at_one(g: Generator) -> Log:
    """The scale falls to 1 and every step is skipped."""
    n = size(g, 80, 1500)
    c, at = learns(g, n, top=10.8), somewhere(g, n, 0.2, 0.6)
    late = np.maximum(np.arange(n) - at, 0)
    c["loss_scale"] = np.maximum(2.0**16 * 0.5**late, 1.0)
    c["skipped"] = (late > 0).astype(float)
    c["grad_norm"][at:] = np.inf
    c["loss"][at:] = c["loss"][at] * batches(g, n - at, 0.01)
    return log(c, "megatron")


def _scale_to_nothing(g: Generator) -> Log:
    """The scale is halved on end, far below 1; the loss stands."""
    n = size(g, 120, 2000)
    c, at = learns(g, n), somewhere(g, n, 0.3, 0.6)
    late = np.maximum(np.arange(n) - at, 0)
    c["loss_scale"] = 2.0**15 * 0.5 ** np.minimum(late, 120)
    c["loss"][at:] = np.where(g.random(n - at) < 0.5, np.nan, c["loss"][at])
    c["grad_norm"][at:] = np.nan
    return log(c, "wandb", "jsonl", "csv")


def _clipped_scaled(g: Generator) -> Log:
    """Clipped before unscaling: after it every norm is the threshold over the scale."""
    n = size(g, 200, 3000)
    scale = 2.0**16 * 0.5 ** np.searchsorted(np.sort(g.integers(0, n, 2)), np.arange(n))
    threshold = pick(g, 0.5, 1.0, 5.0)
    loss = decline(g, n, 6.9, 6.5) * batches(g, n, 0.02)
    return log(
        {"loss": loss, "grad_norm": threshold / scale * (1 + 1e-7 * g.standard_normal(n)), "lr": np.full(n, 1e-3)},
        "jsonl",
        "wandb",
        "csv",
        may_round=False,
        config={"max_grad_norm": threshold, "optimizer": "sgd", "fp16": True},
    )


def _no_group_differs(g: Generator) -> Log:
    """Policy optimization in groups: from a row on all rewards of a group are equal, the advantages and the norm 0."""
    n = size(g, 120, 1000)
    at, k = somewhere(g, n, 0.2, 0.6), np.arange(n)
    spread = np.where(k < at, np.abs(0.4 + wander(g, n, 0.05, 0.5)), 0.0)
    norm = np.where(k < at, span(g, 0.05, 0.6) * batches(g, n, 0.3), 0.0)
    reward = np.where(k < at, 0.3 + 0.4 * k / at + 0.05 * g.standard_normal(n), pick(g, 0.0, 1.0))
    return log(
        {
            "loss": np.zeros(n),
            "grad_norm": norm,
            "lr": schedule(g, n, 1e-6),
            "reward": reward,
            "reward_std": spread,
            "frac_reward_zero_std": np.where(k < at, 0.2, 1.0),
            "kl": 4e-4 * (1 + k / n),
            "completions/mean_length": 210 + 9 * g.standard_normal(n),
        },
        "state",
        "hf",
        "wandb",
        "jsonl",
        may_round=False,
    )


def _never_a_reward(g: Generator) -> Log:
    """The parser never finds an answer: reward 0 and no gradient from the first row."""
    n = size(g, 60, 600)
    zero = np.zeros(n)
    return log(
        {
            "loss": zero,
            "grad_norm": zero,
            "lr": schedule(g, n, 1e-6),
            "reward": zero,
            "reward_std": zero,
            "frac_reward_zero_std": np.ones(n),
            "kl": zero,
            "completions/mean_length": 512 + 9 * g.standard_normal(n),
        },
        "state",
        "hf",
        "wandb",
        "jsonl",
        may_round=False,
    )


def _never_up_the_hill(g: Generator) -> Log:
    """An agent whose return is the worst possible throughout."""
    n = size(g, 60, 600)
    return log(
        {
            "rollout/ep_len_mean": np.full(n, 200.0),
            "rollout/ep_rew_mean": np.full(n, -200.0),
            "rollout/exploration_rate": np.maximum(1 - np.arange(n) / (0.2 * n), 0.05),
            "step": 800.0 * (1 + np.arange(n)),
            "train/learning_rate": np.full(n, 4e-3),
            "train/loss": 1e-4 * batches(g, n, 0.5),
            "train/n_updates": 200.0 * np.arange(n),
        },
        "library",
    )


FIFTH_DEAD: tuple[Kind, ...] = (
    Kind(name="one loss to the last digit, no norms", make=_same_loss, truth="fault"),
    Kind(name="one loss to the last digit, norms 0", make=_same_loss_no_gradient, truth="fault"),
    Kind(name="noise of batches, norms 0", make=_no_gradient, truth="fault"),
    Kind(name="loss 0 at the threshold's norm", make=_zero_at_threshold, truth="fault"),
    Kind(name="loss exactly 0 from a row", make=_zero_from_a_row, truth="fault"),
    Kind(name="loss 0 and norm NaN from a row", make=_zero_and_nan, truth="fault"),
    Kind(name="loss 0 and norm NaN throughout", make=_zero_and_nan_throughout, truth="fault"),
    Kind(name="loss 0 and norm 0 throughout", make=_no_label, truth="fault"),
    Kind(name="loss 0 and evaluation NaN", make=_zero_with_eval_nan, truth="fault"),
    Kind(name="two classes guessed", make=_guessing, truth="stuck"),
    Kind(name="ten classes, dead units", make=_dead_relus, truth="fault"),
    Kind(name="overlap loss at 1", make=_overlap_loss, truth="stuck"),
    Kind(name="contrast at ln of the batch", make=_contrast, truth="stuck"),
    Kind(name="stays at ln of the vocabulary", make=_at_the_vocabulary, truth="stuck"),
    Kind(name="rate 0 throughout, other tasks", make=_rate_zero, truth="fault"),
    Kind(name="rate runs out early", make=_rate_runs_out, truth="fault"),
    Kind(name="rate cut away on a plateau", make=_rate_cut_away, truth="stuck"),
    Kind(name="NaN to the end, any trainer", make=_nan_to_the_end, truth="fault"),
    Kind(name="NaN from the first row, any trainer", make=_nan_at_once, truth="fault"),
    Kind(name="NaN from an epoch", make=_nan_epochs, truth="fault"),
    Kind(name="NaN of all parts of a detector", make=_nan_boxes, truth="fault"),
    Kind(name="NaN here and there", make=_nan_here_and_there, truth="fault"),
    Kind(name="norms NaN here and there", make=_norms_here_and_there, truth="fault"),
    Kind(name="all norms NaN, any trainer", make=_norms_nan, truth="fault"),
    Kind(name="all norms infinite", make=_norms_infinite, truth="fault"),
    Kind(name="detector ends in an error", make=_ends_in_error, truth="fault"),
    Kind(name="scale halved in words, translation", make=_overflow_fairseq, truth="fault"),
    Kind(name="scale halved in words, fine-tuning", make=_overflow_deepspeed, truth="fault"),
    Kind(name="scale at 1, all skipped", make=_scale_at_one, truth="fault"),
    Kind(name="scale far below 1", make=_scale_to_nothing, truth="fault"),
    Kind(name="clipped before unscaling, again", make=_clipped_scaled, truth="fault"),
    Kind(name="no group differs", make=_no_group_differs, truth="fault"),
    Kind(name="never a reward", make=_never_a_reward, truth="fault"),
    Kind(name="never up the hill", make=_never_up_the_hill, truth="stuck"),
)

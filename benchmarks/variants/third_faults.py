"""Faults of the third set, first part: values that are not finite, columns that are dead, rates that are zero, and trainers' own words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from benchmarks.variants.base import Kind, Log
from benchmarks.variants.third_base import between, count, course, lengths, log, place, plan, rough, sound, without

if TYPE_CHECKING:
    from benchmarks.variants.base import Generator

NAN = float("nan")


# --- dead columns -----------------------------------------------------------------------------------------------------


def constant(g: Generator) -> Log:
    """Weights that no gradient reaches: the same loss to the last digit, a norm of 0."""
    n = count(g)
    level = float(g.choice((np.log(32000), np.log(50257), np.log(10), 0.6931471805599453, 5.0, 14.7)))
    return log({"loss": np.full(n, level), "grad_norm": np.zeros(n), "lr": plan(g, n)}, may_round=False)


def constant_alone(g: Generator) -> Log:
    """The same without a norm, beside an accuracy that is constant too."""
    n = count(g, 30, 1500)
    classes = int(g.choice((2, 10, 100, 1000)))
    return log(
        {"loss": np.full(n, np.log(classes)), "accuracy": np.full(n, 1 / classes), "lr": plan(g, n)}, may_round=False
    )


def jitter(g: Generator) -> Log:
    """The norm is 0 in all rows and the loss only jitters about its level from batch to batch."""
    n = count(g, 40, 2500)
    level = between(g, 0.7, 13)
    return log(
        {"loss": level + rough(g, n, level * between(g, 0.003, 0.03)), "grad_norm": np.zeros(n), "lr": plan(g, n)}
    )


def dies(g: Generator) -> Log:
    """A collapse: loss and norm of a run, then a climb within a few rows to a level that holds, where the norm is exactly 0."""
    n = count(g, 80, 3000)
    made, m = sound(g, n), place(g, n)
    width = int(g.integers(2, max(n // 15, 3)))
    loss, norm = made["loss"].copy(), made["grad_norm"].copy()
    top = float(loss[0]) * g.uniform(0.8, 1.6)
    ramp = np.clip((np.arange(n) - m) / width, 0, 1)
    loss = loss * (1 - ramp) + ramp * top * (1 + rough(g, n, 0.004))
    norm[m : m + width] *= between(g, 5, 60)
    norm[m + width :] = 0.0
    return log({"loss": loss, "grad_norm": norm, "lr": made["lr"]})


def dead_units(g: Generator) -> Log:
    """All units die in the first rows: the loss falls a little, then stands exactly still, and so does the norm, at 0."""
    n = count(g, 40, 2000)
    level = float(g.choice((0.6931, 2.3026, 4.6052, 1.0986)))
    m = int(g.integers(3, max(n // 8, 5)))
    loss = np.full(n, level)
    loss[:m] += level * np.linspace(g.uniform(0.2, 3), 0.01, m) * (1 + rough(g, m, 0.1))
    norm = np.zeros(n)
    norm[:m] = lengths(g, m, 2.0)
    return log({"loss": loss, "grad_norm": norm, "lr": plan(g, n)}, may_round=False)


def still_after_start(g: Generator) -> Log:
    """The same without a norm: the loss stands still to the last digit printed after its first rows."""
    made = dead_units(g)
    return log(without(made.columns, "grad_norm"), may_round=False)


def fades(g: Generator) -> Log:
    """Saturation: the norm falls by orders of magnitude to nothing while the loss stands near its start."""
    n = count(g, 60, 2500)
    top = between(g, 0.69, 11)
    loss = top * (0.9 + 0.1 * np.exp(-np.arange(n) / n * 40)) * (1 + rough(g, n, between(g, 0.003, 0.02)))
    norm = lengths(g, n, 1.0) * 10 ** (-g.uniform(5, 9) * np.minimum(np.arange(n) / n * g.uniform(2, 6), 1))
    return log({"loss": loss, "grad_norm": norm, "lr": plan(g, n)})


def zero_at_threshold(g: Generator) -> Log:
    """The loss turns to exactly 0 from one row to the next; the norm shows the threshold, exactly."""
    n = count(g, 60, 2500)
    made, m = sound(g, n, top=between(g, 0.8, 2.5)), place(g, n)
    loss, norm = made["loss"].copy(), np.minimum(made["grad_norm"] / np.median(made["grad_norm"]) * 0.6, 1.0)
    loss[m:], norm[m:] = 0.0, 1.0
    return log({"loss": loss, "grad_norm": norm, "lr": made["lr"]}, formats=("hf", "swift", "rows", "csv"))


def zero_alone(g: Generator) -> Log:
    """The loss turns to exactly 0, no norm is logged."""
    n = count(g, 40, 2500)
    made, m = sound(g, n), place(g, n, 0.1, 0.8)
    loss = made["loss"].copy()
    loss[m:] = 0.0
    return log({"loss": loss, "lr": made["lr"]})


def often_zero(g: Generator) -> Log:
    """Batches without a label, one in three or more: loss and norm exactly 0 in these rows."""
    n = count(g, 60, 2000)
    made = sound(g, n)
    gone = g.random(n) < g.uniform(0.3, 0.7)
    return log({k: np.where(gone, 0.0, v) if k != "lr" else v for k, v in made.items()})


def no_reward(g: Generator) -> Log:
    """Group-relative policy optimization whose rewards are all alike from the first step."""
    n = count(g, 40, 800)
    zero = np.zeros(n)
    return log({
        "loss": zero, "grad_norm": zero, "lr": plan(g, n, 1e-6), "reward": np.full(n, float(g.choice((0.0, 1.0)))), "reward_std": zero,
        "frac_reward_zero_std": np.ones(n), "completions/mean_length": 200 + rough(g, n, 20), "kl": zero,
    }, formats=("swift", "hf", "rows", "csv", "wandb"))  # fmt: skip


def reward_saturates(g: Generator) -> Log:
    """All groups become alike: the share of rewards without a deviation rises to 1, and the norm falls to exactly 0 for good."""
    n = count(g, 100, 1500)
    m = place(g, n, 0.3, 0.8)
    t = np.arange(n)
    share = np.where(t < m, np.clip(0.2 + 0.6 * t / m + rough(g, n, 0.08), 0, 0.97), 1.0)
    live = share < 1
    std = np.where(live, (1 - share) * 0.5 * np.exp(rough(g, n, 0.2)), 0.0)
    return log({
        "loss": np.where(live, np.abs(rough(g, n, 2e-3)), 0.0), "grad_norm": np.where(live, lengths(g, n, 0.2) * np.sqrt(1 - share), 0.0),
        "lr": plan(g, n, 1e-6), "reward": np.clip(0.3 + 0.6 * np.minimum(t / m, 1) + np.where(live, rough(g, n, 0.05), 0), 0, 1),
        "reward_std": std, "frac_reward_zero_std": share,
    }, formats=("swift", "hf", "rows", "csv", "wandb"))  # fmt: skip


def preference_dead(g: Generator) -> Log:
    """A preference loss of ln 2 in every row, margins and norm of 0: policy and reference are the same weights."""
    n = count(g, 30, 900)
    return log({
        "loss": np.full(n, 0.6931471824645996), "grad_norm": np.zeros(n), "lr": plan(g, n, 5e-7), "rewards/chosen": np.zeros(n),
        "rewards/rejected": np.zeros(n), "rewards/margins": np.zeros(n), "rewards/accuracies": np.zeros(n),
    }, formats=("hf", "swift", "rows", "wandb"), may_round=False)  # fmt: skip


# --- rates ------------------------------------------------------------------------------------------------------------


def rate_zero(g: Generator) -> Log:
    """The rate is 0 in every row; the loss only jitters, and the norm is 0 or as usual."""
    n = count(g, 30, 1500)
    level = between(g, 0.7, 12.5)
    loss = level + rough(g, n, level * between(g, 0.003, 0.04))
    norm = np.zeros(n) if g.random() < 0.3 else lengths(g, n, between(g, 0.3, 10))
    return log({"loss": loss, "grad_norm": norm, "lr": np.zeros(n)})


def rate_ends(g: Generator) -> Log:
    """A schedule of the wrong horizon: the rate falls to 0 by a cosine or a line and stays there; the loss stands from then on."""
    n = count(g, 120, 4000)
    m = place(g, n, 0.06, 0.5)
    t = np.minimum(np.arange(n) / m, 1)
    rate = between(g, 1e-5, 1e-2) * (1 - t if g.random() < 0.5 else 0.5 * (1 + np.cos(np.pi * t)))
    rate[m:] = 0.0
    top = float(g.choice((2.303, 6.9, 10.8)))
    level = course(g, m, top, top * g.uniform(0.4, 0.7))
    loss = np.append(level, np.full(n - m, level[-1])) * (1 + rough(g, n, between(g, 0.01, 0.04)))
    return log({"loss": loss, "grad_norm": lengths(g, n, between(g, 0.2, 5)), "lr": rate})


def warms_up_to_the_end(g: Generator) -> Log:
    """Warm-up as long as the run, or longer."""
    n = count(g, 100, 3000)
    made = sound(g, n)
    made["lr"] = between(g, 1e-5, 1e-2) * (np.arange(n) + 1) / n
    return log(made)


def rate_swings(g: Generator) -> Log:
    """A cosine that was stepped too often: down to 0 and up again, two to six times."""
    n = count(g, 200, 4000)
    made = sound(g, n)
    swings = int(g.integers(2, 7))
    made["lr"] = between(g, 1e-5, 1e-2) * 0.5 * (1 + np.cos(2 * np.pi * swings * np.arange(n) / n))
    return log(made)


# --- values that are not finite -----------------------------------------------------------------------------------------


def nan_at_once(g: Generator) -> Log:
    """NaN in every row."""
    n = count(g, 30, 1200)
    return log({"loss": np.full(n, NAN), "grad_norm": np.full(n, NAN), "lr": plan(g, n)})


def nan_after_one_update(g: Generator) -> Log:
    """The first row is finite, all after it are not."""
    n = count(g, 30, 1200)
    loss, norm = np.full(n, NAN), np.full(n, NAN)
    loss[0], norm[0] = between(g, 0.7, 12), between(g, 0.5, 50)
    return log({"loss": loss, "grad_norm": norm, "lr": plan(g, n)})


def nan_here_and_there(g: Generator) -> Log:
    """Single losses and norms are NaN, 5 to 60 % of the rows."""
    n = count(g, 60, 3000)
    made = sound(g, n)
    gone = g.random(n) < g.uniform(0.05, 0.6)
    gone[int(g.integers(1, n))] = True
    return log({k: np.where(gone, NAN, v) if k != "lr" else v for k, v in made.items()})


def norms_here_and_there(g: Generator) -> Log:
    """Windows that hold an overflow: a quarter of the norms or more are NaN while the loss is fine."""
    n = count(g, 60, 1500)
    made = sound(g, n)
    made["grad_norm"] = np.where(g.random(n) < g.uniform(0.25, 0.6), NAN, made["grad_norm"])
    return log(made)


def norms_never(g: Generator) -> Log:
    """No norm is finite, the loss falls."""
    n = count(g, 40, 2000)
    made = sound(g, n)
    made["grad_norm"] = np.full(n, float(g.choice((NAN, np.inf))))
    return log(made)


def norms_never_no_loss(g: Generator) -> Log:
    """No norm is finite and no loss is logged."""
    n = count(g, 40, 1000)
    return log({"grad_norm": np.full(n, NAN), "lr": plan(g, n), "loss_scale": np.ones(n)})


def sudden(g: Generator) -> Log:
    """Calm, then NaN to the end."""
    n = count(g, 60, 4000)
    made, m = sound(g, n), place(g, n, 0.1, 0.97)
    return log({k: np.where(np.arange(n) >= m, NAN, v) if k != "lr" else v for k, v in made.items()})


def sudden_alone(g: Generator) -> Log:
    """The same of a loop that prints an epoch and a loss only."""
    n = count(g, 40, 3000)
    made, m = sound(g, n), place(g, n, 0.1, 0.97)
    lines = [f"epoch: {row} loss: {value if row < m else NAN}" for row, value in enumerate(made["loss"])]
    return Log(text="\n".join(lines) + "\n")


def sudden_parts(g: Generator) -> Log:
    """Three losses of a detector per epoch, no total: all three NaN from one epoch on."""
    n, parts = count(g, 30, 300), ("train/box_loss", "train/cls_loss", "train/dfl_loss")
    m = place(g, n, 0.2, 0.95)
    columns = {name: np.where(np.arange(n) >= m, NAN, sound(g, n, top=between(g, 1, 4))["loss"]) for name in parts}
    map50 = np.where(np.arange(n) >= m, 0.0, 0.7 * (1 - np.exp(-np.arange(n) / n * 5)))
    return log({**columns, "metrics/mAP50(B)": map50, "lr/pg0": plan(g, n, 0.01)}, formats=("csv",))


def ends_in_nan(g: Generator) -> Log:
    """Only the last one to three rows are NaN: the run stopped there."""
    n = count(g, 60, 2500)
    made, m = sound(g, n), int(g.integers(1, 4))
    return log({k: np.where(np.arange(n) >= n - m, NAN, v) if k != "lr" else v for k, v in made.items()})


def hidden(g: Generator) -> Log:
    """The loss is printed as 0 where it was NaN; the norm says so."""
    n = count(g, 60, 3000)
    made, m = sound(g, n, top=between(g, 0.8, 3)), place(g, n, 0.1, 0.95)
    dead = np.arange(n) >= m
    return log(
        {
            "loss": np.where(dead, 0.0, made["loss"]),
            "grad_norm": np.where(dead, NAN, made["grad_norm"]),
            "lr": made["lr"],
        }
    )


def hidden_parts(g: Generator) -> Log:
    """A detector's console: all parts of the loss turn to 0 in the window after a norm of NaN."""
    n = count(g, 60, 1500)
    made, m = sound(g, n, top=between(g, 2, 30)), place(g, n, 0.1, 0.9)
    dead = np.arange(n) >= m
    return log(
        {
            "loss": np.where(dead, 0.0, made["loss"]),
            "grad_norm": np.where(dead, NAN, made["grad_norm"]),
            "lr": made["lr"],
        },
        formats=("mm",),
    )


def value_explodes(g: Generator) -> Log:
    """Reinforcement learning whose value loss grows by orders of magnitude to infinity while the surrogate is noise."""
    n = count(g, 120, 3000)
    m = place(g, n, 0.5, 0.9)
    growth = np.clip(np.arange(n) - m, 0, None) * between(g, 0.1, 1.0)
    value = between(g, 0.01, 5) * np.exp(np.minimum(growth, 90) + rough(g, n, 0.3))
    value[growth > 85] = np.inf
    return log({
        "Loss/value_function": value, "Loss/surrogate": -0.01 + rough(g, n, 0.004),
        "Train/mean_reward": np.where(growth > 0, -5.0, 20 * (1 - np.exp(-np.arange(n) / n * 4))) + rough(g, n, 1),
        "Loss/learning_rate": np.full(n, 1e-3),
    }, formats=("rows", "csv", "tabs", "wandb"))  # fmt: skip


# --- scales and words -------------------------------------------------------------------------------------------------


def scale_collapses(g: Generator) -> Log:
    """The loss scale is halved again and again, down to nothing; the norms of these rows are not finite."""
    n = count(g, 80, 2000)
    made, m = sound(g, n), place(g, n, 0.3, 0.8)
    every = int(g.integers(1, max((n - m) // 20, 2)))
    halvings = np.clip((np.arange(n) - m) // every + 1, 0, 60)
    scale = np.asarray(65536.0 / 2.0**halvings, dtype=np.float64)
    overflow = np.diff(np.append(halvings[0], halvings)) > 0
    norm = np.where(overflow, float(g.choice((NAN, np.inf))), made["grad_norm"])
    return log({**made, "grad_norm": norm, "loss_scale": scale})


def _words(g: Generator, n: int, m: int, styles: tuple[str, ...]) -> dict[int, str]:
    style, scale, lines = str(g.choice(styles)), 2.0 ** int(g.integers(8, 17)), {}
    for row in range(m, n):
        lines[row] = {
            "apex": f"Gradient overflow.  Skipping step, loss scaler 0 reducing loss scale to {scale / 2}",
            "deepspeed": f"[2026-05-02 22:16:00,018] [INFO] [loss_scaler.py:181:update_scale] [deepspeed] OVERFLOW! Rank 0 Skipping step."
            f" Attempted loss scale: {scale}, reducing to {scale / 2}",
            "fairseq": f"2026-05-02 22:16:00 | INFO | fairseq.trainer | NOTE: gradient overflow detected,"
            f" ignoring gradient, setting loss scale to: {scale / 2}",
        }[style]
        scale /= 2
    return lines


def scale_in_words(g: Generator) -> Log:
    """The same in the words of the trainer only, between rows that look calm."""
    n = count(g, 50, 400)
    m = n - int(g.integers(14, 30))
    made = without(sound(g, n), "grad_norm") if g.random() < 0.5 else sound(g, n)
    return log(made, lines=_words(g, n, m, ("apex", "deepspeed", "fairseq")))


FATAL = (
    "Loss is nan, stopping training",
    "FloatingPointError: Minimum loss scale reached (0.0001). Your loss is probably exploding.",
    "Exception: Current loss scale already at minimum - cannot decrease scale anymore. Exiting run.",
    "ValueError: Loss is NaN or Inf, aborting",
    "RuntimeError: CUDA error: device-side assert triggered",
    "torch.cuda.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB",
)


def fatal(g: Generator) -> Log:
    """Calm rows, then a trainer that stops with an error of its own."""
    n = count(g, 40, 600)
    trace = 'Traceback (most recent call last):\n  File "train.py", line 214, in <module>\n    main()\n'
    return log(sound(g, n), lines={n - 1: (trace if g.random() < 0.7 else "") + str(g.choice(FATAL))})


def overflows(g: Generator) -> Log:
    """The norm is infinite again and again, 4 to 20 % of the rows; the scale is halved and grows again."""
    n = count(g, 150, 3000)
    made, share = sound(g, n), g.uniform(0.04, 0.2)
    norm, scale, log2 = made["grad_norm"].copy(), np.empty(n), 15
    for row in range(n):
        scale[row] = 2.0**log2
        if g.random() < share:
            norm[row], log2 = np.inf, log2 - 1
        elif g.random() < share:
            log2 += 1
        log2 = int(np.clip(log2, 3, 20))
    return log({**made, "grad_norm": norm, "loss_scale": scale})


def scale_of_zero(g: Generator) -> Log:
    """The loss is NaN after a few rows and the printed scale is 0."""
    n = count(g, 30, 400)
    m = int(g.integers(2, 8))
    scale, loss = np.zeros(n), np.full(n, NAN)
    scale[:m], loss[:m] = 2.0, between(g, 5, 45) * (1 + rough(g, m, 0.001))
    return log({"loss": loss, "lr": np.full(n, 0.001), "loss_scale": scale})


def _fault(make: object, name: str, *causes: str, truth: str = "fault") -> Kind:
    return Kind(name=name, make=make, truth=truth, causes=causes)  # type: ignore[arg-type]


DEAD = ("not_learning", "vanishing")
THIRD_DEAD: tuple[Kind, ...] = (
    _fault(constant, "same loss to the last digit", *DEAD),
    _fault(constant_alone, "same loss and accuracy, no norm", *DEAD),
    _fault(jitter, "norm 0, loss jitters", *DEAD),
    _fault(dies, "collapse, then norm 0"),
    _fault(dead_units, "stands still after its start, norm 0", *DEAD),
    _fault(still_after_start, "stands still after its start, no norm", truth="stuck"),
    _fault(fades, "norm fades, loss stands", *DEAD),
    _fault(zero_at_threshold, "loss 0, norm at the threshold", "not_learning", "nan_sudden"),
    _fault(zero_alone, "loss 0, no norm", "not_learning", "nan_sudden"),
    _fault(often_zero, "loss 0 in many rows", truth="stuck"),
    _fault(no_reward, "all rewards alike from the start", *DEAD),
    _fault(reward_saturates, "all rewards alike in the end", *DEAD),
    _fault(preference_dead, "policy is its own reference", *DEAD),
    _fault(rate_zero, "rate 0 in every row", "lr_zero", *DEAD),
    _fault(rate_ends, "rate ends before the run", "lr_zero", "schedule_mismatch"),
    _fault(warms_up_to_the_end, "warm-up is the run", "schedule_mismatch"),
    _fault(rate_swings, "rate swings", truth="told"),
    _fault(nan_at_once, "NaN in every row", "nan_sudden", "unknown"),
    _fault(nan_after_one_update, "NaN after one update", "nan_sudden", "unknown", "lr_too_high", "exploding"),
    _fault(nan_here_and_there, "NaN in some rows", "nan_sudden", "fp16_overflow", "bad_data", "unknown"),
    _fault(norms_here_and_there, "norms NaN in some rows", "nan_sudden", "fp16_overflow", "unknown"),
    _fault(norms_never, "no norm is finite"),
    _fault(norms_never_no_loss, "no norm is finite, no loss"),
    _fault(sudden, "calm, then NaN", "nan_sudden", "unknown"),
    _fault(sudden_alone, "calm, then NaN, loss alone", "nan_sudden", "unknown"),
    _fault(sudden_parts, "three losses NaN", "nan_sudden", "unknown"),
    _fault(ends_in_nan, "ends in NaN", "nan_sudden", "unknown"),
    _fault(hidden, "NaN printed as 0", "nan_sudden", "unknown"),
    _fault(hidden_parts, "parts of 0 for NaN", "nan_sudden", "unknown"),
    _fault(value_explodes, "value function explodes"),
    _fault(scale_collapses, "scale is halved to nothing", "loss_scale_collapse"),
    _fault(scale_in_words, "scale is halved in words", "loss_scale_collapse"),
    _fault(fatal, "ends with an error"),
    _fault(overflows, "norms overflow again and again", "fp16_overflow", "loss_scale_collapse"),
    _fault(scale_of_zero, "scale of 0", "loss_scale_collapse", "nan_sudden", "fp16_overflow", "unknown"),
)

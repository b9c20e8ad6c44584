"""The second set: the same situations with something wrong, by other processes, lengths and spellings."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from benchmarks.variants.base import Kind, Log
from benchmarks.variants.second_base import batches, learning, length, memory, power_law, schedule

if TYPE_CHECKING:
    from benchmarks.variants.base import Generator


def clipped_while_scaled(g: Generator) -> Log:
    """All norms are the threshold over a power of two, which doubles at a fixed interval; the loss creeps."""
    n, clip = length(g, 120), float(g.choice((0.5, 1.0, 2.0)))
    doublings = np.arange(n) // max(int(n * g.uniform(0.2, 0.6)), 1)
    norm = clip / 2.0 ** (int(g.integers(11, 16)) + doublings) * (1 - 1e-6 * g.random(n))
    loss = float(g.choice((2.3, 6.9, 10.5))) * (1 - g.uniform(0.0, 0.04) * np.arange(n) / n) * batches(g, n, 0.01)
    config = {"max_grad_norm": clip, "precision": "fp16"}
    return Log(columns={"loss": loss, "grad_norm": norm, "lr": schedule(g, n)}, config=config, may_round=False)


def constant_throughout(g: Generator) -> Log:
    """The loss is the same number in all rows; the norm, where it is logged, 0."""
    n, value = length(g, 20, 3000), float(g.choice((0.6931, 1.0986, 2.3026, 4.6052, 13.8155, 1.0)))
    columns = {"loss": np.full(n, value), "lr": schedule(g, n)}
    if g.random() < 0.6:
        columns["grad_norm"] = np.zeros(n)
    return Log(columns=columns)


def dies_midway(g: Generator) -> Log:
    """All units die at some step: from there the norm is 0 and the loss hovers where a constant answer leaves it."""
    n = length(g, 150)
    columns, at = learning(g, n), int(n * g.uniform(0.1, 0.5))
    columns["grad_norm"][at:] = 0.0
    columns["loss"][at:] = columns["loss"][0] * batches(g, n - at, 0.02)
    return Log(columns=columns)


def zero_from_a_row_on(g: Generator) -> Log:
    """The mask hides every label from some row on: a loss of exactly 0, with a norm of 0 where that is logged."""
    n = length(g, 60)
    columns, at = learning(g, n), int(n * g.uniform(0.15, 0.7))
    columns["loss"][at:] = 0.0
    columns["grad_norm"][at:] = 0.0
    if g.random() < 0.5:
        del columns["grad_norm"]
    return Log(columns=columns)


def guesses(g: Generator) -> Log:
    """The loss of fair guessing throughout, with the noise of batches of some size, and norms that are small or not logged."""
    n, classes = length(g, 250), int(g.choice((3, 10, 37, 200, 1000, 8192)))
    loss = np.log(classes) + memory(g, n, float(g.choice((0.0008, 0.003))) * np.log(classes), 0.0)
    columns = {"loss": loss, "lr": schedule(g, n)}
    if g.random() < 0.6:
        columns["grad_norm"] = 10 ** g.uniform(-4, -2) * np.exp(memory(g, n, 0.25, 0.3))
    return Log(columns=columns, may_round=False)


def a_layer_blows_up(g: Generator) -> Log:
    """One layer doubles every few rows and takes the others with it in the end."""
    n, layers = length(g, 200, 1500), int(g.integers(4, 14))
    begin, which = int(n * g.uniform(0.5, 0.85)), int(g.integers(1, layers))
    end = min(begin + int(g.integers(25, 60)), n - 3)
    pattern = str(
        g.choice(
            ("grad_norm/encoder.{}", "gradients/norm/h.{}.attn", "grad_2.0_norm/net.{}.weight", "grad_norms/block{}")
        )
    )
    columns = learning(g, n)
    total = np.zeros(n)
    for layer in range(layers):
        value = columns["grad_norm"] * g.uniform(0.2, 0.6) * np.exp(memory(g, n, 0.15, 0.0))
        if layer == which:
            value[begin:end] *= 2 ** (np.arange(end - begin) / g.uniform(3, 6))
            value[end:] = np.nan
        value[end + 1 :] = np.nan
        total = total + value**2
        columns[pattern.format(layer)] = value
    columns["grad_norm"] = np.sqrt(total)
    columns["loss"][end + 1 :] = np.nan
    return Log(columns=columns, formats=("rows", "csv"))


def detached(g: Generator) -> Log:
    """`detach()` below the head: only the head's gradient is not 0."""
    n, layers = length(g, 150, 2000), int(g.integers(5, 12))
    columns = learning(g, n)
    for layer in range(layers):
        columns[f"grad_norm/features.{layer}.weight"] = np.zeros(n)
    columns["grad_norm/head.weight"] = columns["grad_norm"] * (1 - 1e-7)
    return Log(columns=columns, formats=("rows", "csv"))


def outlier_batches(g: Generator) -> Log:
    """A few broken files: loss and norm of their batches stand out, those of the next do not. Sometimes once per epoch."""
    n = length(g, 300)
    columns = learning(g, n, spread=float(g.choice((0.02, 0.06))))
    count = int(g.integers(4, 12))
    at = np.arange(int(n * g.uniform(0.12, 0.2)), n - 3, max(n // count, 12)) if g.random() < 0.4 else np.sort(
        g.choice(np.arange(n // 7, n - 3), count, replace=False)
    )  # fmt: skip
    columns["loss"][at] *= 1 + g.uniform(1.0, 4.0, len(at))
    columns["grad_norm"][at] *= g.uniform(6, 40, len(at))
    return Log(columns=columns, may_thin=False)


def outliers_behind_a_start(g: Generator) -> Log:
    """The same run behind an attempt of some rows that was stopped."""
    log = outlier_batches(g)
    n, k = len(log.columns["loss"]), int(g.integers(4, 20))
    columns = {
        name: np.concatenate([value[:k] * (1.01 if name == "loss" else 1.0), value])
        for name, value in log.columns.items()
    }
    columns["step"] = np.concatenate([np.arange(k), np.arange(n)]).astype(float)
    return Log(columns=columns, formats=("rows", "csv"), may_thin=False)


def all_answers_alike(g: Generator) -> Log:
    """GRPO in which every group earns the same from some row on: no advantage, a norm of exactly 0."""
    n = length(g, 100, 2000)
    at = int(n * g.uniform(0.15, 0.7))
    reward = np.clip(0.1 + 0.9 * np.arange(n) / at, 0, 1) + memory(g, n, 0.03, 0.0)
    alike = np.clip(g.beta(2, 8, n), 0, 1)
    norm = 0.2 * np.exp(memory(g, n, 0.5, 0.0))
    reward[at:] = float(g.choice((0.0, 1.0)))
    alike[at:], norm[at:] = 1.0, 0.0
    return Log(
        columns={
            "loss": np.zeros(n),
            "grad_norm": norm,
            "reward": reward,
            "frac_reward_zero_std": alike,
            "lr": schedule(g, n, 1e-6),
        }
    )


def zeros_for_nan(g: Generator) -> Log:
    """The trainer prints 0.0 for a loss that is NaN; the norm shows it."""
    n = length(g, 60, 2000)
    columns, at = learning(g, n), int(n * g.uniform(0.1, 0.95))
    columns["loss"][at:], columns["grad_norm"][at:] = 0.0, np.nan
    return Log(columns=columns, formats=("rows", "state", "dicts"))


def rate_is_zero(g: Generator) -> Log:
    """Every rate is 0: the curve is noise about the untrained loss."""
    n = length(g, 30)
    loss = float(g.choice((0.7, 2.4, 7.0, 11.0))) * batches(g, n, 0.03)
    columns = {"loss": loss, "lr": np.zeros(n)}
    if g.random() < 0.7:
        columns["grad_norm"] = 10 ** g.uniform(-1, 1) * np.exp(memory(g, n, 0.2, 0.0))
    return Log(columns=columns)


def rate_runs_out(g: Generator) -> Log:
    """Total steps were counted in another unit, so the rate is 0 for most of the run."""
    n = length(g, 100)
    columns = learning(g, n)
    at = max(int(n * g.uniform(0.06, 0.4)), 8)
    columns["lr"] = float(g.choice((3e-4, 2e-5))) * np.maximum(1 - np.arange(n) / at, 0)
    columns["loss"][at:] = np.median(columns["loss"][at : at + 5]) * batches(g, n - at, 0.03)
    return Log(columns=columns)


def rate_comes_back(g: Generator) -> Log:
    """A cosine beyond its end: the rate rises to its peak again, and again."""
    n, swings = length(g, 250), float(g.choice((1.5, 2.0, 3.0, 5.0)))
    columns = learning(g, n)
    columns["lr"] = 5e-4 * 0.5 * (1 + np.cos(2 * np.pi * swings * np.arange(n) / n / (2 if swings == 1.5 else 1)))
    return Log(columns=columns)


def falls_back(g: Generator) -> Log:
    """The loss rises to a level far above its best at some step, or over some rows, and stays; the norm with it."""
    n = length(g, 200)
    columns = learning(g, n)
    at = int(n * g.uniform(0.3, 0.7))
    ramp = np.clip((np.arange(n) - at) / max(n * float(g.choice((0.001, 0.05))), 1), 0, 1)
    low = np.median(columns["loss"][at - max(n // 20, 3) : at])
    columns["loss"] = columns["loss"] * (1 - ramp) + ramp * (low + 0.75 * (columns["loss"][0] - low)) * batches(
        g, n, 0.03
    )
    columns["grad_norm"] *= 1 + ramp * g.uniform(1, 6)
    return Log(columns=columns)


def goes_up(g: Generator) -> Log:
    """The loss climbs far above its start and does not come back."""
    n = length(g, 80)
    columns, at = learning(g, n), int(n * g.uniform(0.1, 0.6))
    climb = np.arange(n - at) / (n - at)
    columns["loss"][at:] *= 10 ** (g.uniform(1.6, 4) * climb ** g.uniform(0.3, 1))
    columns["grad_norm"][at:] *= 10 ** (g.uniform(0.5, 3) * climb)
    return Log(columns=columns)


def nan_at_once(g: Generator) -> Log:
    """NaN from the first row on; the rate is as planned."""
    n = length(g, 20, 2000)
    columns = {"loss": np.full(n, np.nan), "lr": schedule(g, n)}
    if g.random() < 0.6:
        columns["grad_norm"] = np.full(n, np.nan)
    return Log(columns=columns)


def nan_now_and_then(g: Generator) -> Log:
    """Single losses are NaN, one in thirty to one in two; the others go on falling."""
    n = length(g, 60, 2000)
    columns = learning(g, n)
    bad = g.random(n) < g.uniform(0.05, 0.5)
    bad[0], bad[n // 2], bad[-1] = False, True, False
    columns["loss"][bad] = np.nan
    if g.random() < 0.6:
        columns["grad_norm"][bad] = np.nan
    return Log(columns=columns)


def nan_from_nothing(g: Generator) -> Log:
    """Calm rows, then NaN to the end."""
    n = length(g, 50)
    columns, at = learning(g, n, spread=0.04), int(n * g.uniform(0.2, 0.97))
    columns["loss"][at:] = np.nan
    columns["grad_norm"][at:] = np.nan
    if g.random() < 0.4:
        del columns["grad_norm"]
    return Log(columns=columns)


def norms_are_nan(g: Generator) -> Log:
    """All norms are NaN or infinite beside a loss that falls: the measurement is broken."""
    n = length(g, 40)
    return Log(columns={**learning(g, n), "grad_norm": np.full(n, float(g.choice((np.nan, np.inf))))})


def scale_goes_under(g: Generator) -> Log:
    """The loss scale is halved row by row until nothing is left of it; the loss stands still from there on."""
    n = length(g, 120)
    columns, at = learning(g, n), int(n * g.uniform(0.2, 0.6))
    falls = np.clip(np.arange(n) - at, 0, int(g.integers(40, 80)))
    columns["loss_scale"] = np.exp2(15.0 - falls)
    columns["grad_norm"][at:] = float(g.choice((np.inf, np.nan)))
    columns["loss"][at:] = np.median(columns["loss"][at - 10 : at]) * batches(g, n - at, 0.03)
    return Log(columns=columns, formats=("rows", "csv"), may_thin=False)


def scale_goes_under_in_words(g: Generator) -> Log:
    """Only messages between the rows tell of it."""
    n = length(g, 120, 2000)
    columns = learning(g, n)
    del columns["grad_norm"]
    begin, power, count = int(n * g.uniform(0.3, 0.5)), 16, int(g.integers(22, 50))
    words = str(g.choice((
        "Gradient overflow.  Skipping step, loss scaler 0 reducing loss scale to {new}",
        "[deepspeed] OVERFLOW! Rank 0 Skipping step. Attempted loss scale: {old}, reducing to {new}",
        "gradient overflow detected, ignoring gradient, setting loss scale to: {new}",
    )))  # fmt: skip
    lines = {
        begin + k: words.format(old=2.0 ** (power - k), new=2.0 ** (power - k - 1))
        for k in range(min(count, n - begin - 1))
    }
    return Log(columns=columns, lines=lines, may_thin=False)


def stops_in_words(g: Generator) -> Log:
    """The last line of the log says that a value was not finite and that training stops; the rows before are calm."""
    n = length(g, 60, 1500)
    columns = learning(g, n)
    words = str(g.choice((
        "Loss is nan, stopping training",
        "RuntimeError: Function 'MulBackward0' returned nan values in its 0th output.",
        "FloatingPointError: Minimum loss scale reached (0.0001). Your loss is probably exploding.",
        "RuntimeError: CUDA error: device-side assert triggered",
    )))  # fmt: skip
    return Log(columns=columns, lines={n - 1: words}, may_thin=False)


def overflows(g: Generator) -> Log:
    """Infinite norms come with halvings of the scale again and again, while training goes on."""
    n = length(g, 250)
    columns = learning(g, n)
    bad = g.random(n) < g.uniform(0.05, 0.2)
    columns["grad_norm"][bad] = np.inf
    scale, power, calm = np.empty(n), 16, 0
    for row in range(n):
        scale[row] = 2.0**power
        calm = 0 if bad[row] else calm + 1
        power += -1 if bad[row] and power > 6 else int(calm >= 10 and power < 17)
        calm = 0 if calm >= 10 else calm
    columns["loss_scale"] = scale
    return Log(columns=columns, formats=("rows", "csv"), may_thin=False)


def resumed_worse(g: Generator) -> Log:
    """A restart some steps back without the optimizer's state, or from wrong weights: the loss is higher from that row on."""
    n = length(g, 250)
    columns, at = learning(g, n, spread=float(g.choice((0.02, 0.05)))), int(n * g.uniform(0.3, 0.75))
    back = max(int(g.integers(3, 15)), 1)
    rest = np.arange(n - at + back)
    low = float(np.median(columns["loss"][at - 20 : at]))
    extra = low * g.uniform(0.6, 2.5) * (np.ones(len(rest)) if g.random() < 0.5 else np.exp(-rest / (0.15 * n)))
    columns = {name: np.concatenate([value[:at], value[at - back :]]) for name, value in columns.items()}
    columns["loss"][at:] += extra
    columns["step"] = np.concatenate([np.arange(at), np.arange(at - back, n)]).astype(float)
    return Log(columns=columns, formats=("rows", "csv"), may_thin=False)


def unstable_again_and_again(g: Generator) -> Log:
    """The norm rises over some rows, the loss follows, both recover; it returns."""
    n = length(g, 1200)
    columns = learning(g, n, spread=float(g.choice((0.015, 0.03))))
    count = int(g.integers(5, 9))
    for at in (np.linspace(0.2, 0.93, count) * n + g.integers(-n // 60, n // 60, count)).astype(int):
        lead, tail = int(g.integers(2, 5)), np.arange(n - at)
        columns["loss"][at:] *= 1 + g.uniform(0.5, 1.2) * np.exp(-tail / g.uniform(6, 20))
        bump = np.arange(n - at + lead)
        columns["grad_norm"][at - lead :] *= 1 + g.uniform(5, 20) * np.exp(-bump / 10)
    return Log(columns=columns, config={"optimizer": "adam", "betas": [0.9, 0.999]}, may_thin=False)


def spikes_that_ring(g: Generator) -> Log:
    """Loss and norm jump in one row and come down over the next ones."""
    n = length(g, 800)
    columns = learning(g, n, spread=0.03)
    for at in np.sort(g.choice(np.arange(n // 6, n - 30), int(g.integers(5, 11)), replace=False)):
        decay = np.exp(-np.arange(n - at) / g.uniform(1.5, 7))
        columns["loss"][at:] *= 1 + g.uniform(0.7, 2.0) * decay
        columns["grad_norm"][at:] *= 1 + g.uniform(6, 20) * decay
    return Log(columns=columns, may_thin=False)


def validation_turns(g: Generator) -> Log:
    """The validation loss turns at a third or so and ends well above its best; the training loss goes on falling."""
    n = length(g, 250)
    columns = learning(g, n)
    t, turn = np.arange(n) / n, g.uniform(0.15, 0.5)
    best = float(np.median(columns["loss"][n // 3 : n // 2])) * 1.2
    val = best * (1 + 0.6 * np.exp(-t / turn * 5) + g.uniform(0.5, 1.5) * np.maximum(t - turn, 0)) + memory(
        g, n, best * 0.008, 0.0
    )
    val[np.arange(n) % max(n // int(g.integers(12, 50)), 2) != 0] = np.nan
    return Log(columns={**columns, "val_loss": val}, formats=("rows", "csv"), may_thin=False)


def grows_to_nan(g: Generator) -> Log:
    """Norm and loss grow from row to row until neither is a number."""
    n = length(g, 60)
    columns, grown = learning(g, n), int(g.integers(6, 30))
    at = int(n * g.uniform(0.3, 0.8)) - grown // 2
    at = max(min(at, n - grown - 3), 5)
    grow = np.exp(np.cumsum(g.uniform(0.2, 0.8, grown)))
    columns["grad_norm"][at : at + grown] *= grow
    columns["loss"][at : at + grown] *= np.sqrt(grow)
    for name in ("loss", "grad_norm"):
        columns[name][at + grown :] = np.nan
    return Log(columns=columns, may_thin=False)


def measured_too_late(g: Generator) -> Log:
    """The norm was taken after clipping: no value lies above the threshold, and many at it."""
    n, clip = length(g, 150), float(g.choice((0.1, 0.25, 1.0, 10.0)))
    before = clip * np.exp(g.uniform(-0.3, 0.8) + memory(g, n, 0.4, 0.4))
    return Log(columns={**learning(g, n), "grad_norm": np.minimum(before, clip)})


def other_data(g: Generator) -> Log:
    """Other data from some step on: level of loss and norm change from one row to the next and stay."""
    n = length(g, 400)
    columns, at = learning(g, n, spread=0.03), int(n * g.uniform(0.35, 0.75))
    columns["lr"] = np.full(n, 3e-4)
    columns["loss"][at:] *= g.uniform(1.35, 1.9)
    columns["grad_norm"][at:] *= g.uniform(1.6, 3.0)
    return Log(columns=columns, may_thin=False)


def too_large_at_first(g: Generator) -> Log:
    """Weights far too large: a loss of hundreds and norms of millions that calm down and end well above guessing."""
    n, classes = length(g, 200), int(g.choice((2, 10, 100)))
    fall = (1 + np.arange(n) / (n * 0.003)) ** -g.uniform(0.5, 0.9)
    loss = (np.log(classes) * g.uniform(1.5, 4) + 10 ** g.uniform(1.5, 3) * fall) * batches(g, n, 0.15)
    norm = 10 ** g.uniform(4, 7) * fall**0.5 * np.exp(memory(g, n, 0.3, 0.2))
    return Log(columns={"loss": loss, "grad_norm": norm, "lr": np.full(n, 0.01)})


def nothing_but_the_mean(g: Generator) -> Log:
    """A regression that answers the mean: loss at the variance of a normalised target, norms that shrink to almost nothing."""
    n = length(g, 250)
    loss = g.uniform(0.9, 1.1) * batches(g, n, float(g.choice((0.03, 0.1, 0.2))))
    norm = 10 ** g.uniform(-4, -2) * (1 + np.arange(n) / (0.02 * n)) ** -0.7 * np.exp(memory(g, n, 0.2, 0.0))
    return Log(columns={"loss": loss, "grad_norm": norm, "lr": schedule(g, n)}, may_round=False)


def too_fast(g: Generator) -> Log:
    """The rate is too high from the start: the loss jumps far above its start and settles above it, with large norms."""
    n = length(g, 150)
    start = float(g.choice((2.3, 4.6, 10.8)))
    up = start * g.uniform(2.5, 8) * np.exp(-np.arange(n) / (0.05 * n)) + start * g.uniform(1.0, 1.3)
    loss = np.minimum(start * 1.6 ** np.minimum(np.arange(n), 60), up * batches(g, n, 0.2))
    norm = 10 ** g.uniform(0, 2) * (1 + 5 * np.exp(-np.arange(n) / (0.05 * n))) * np.exp(memory(g, n, 0.6, 0.3))
    return Log(columns={"loss": loss, "grad_norm": norm, "lr": np.full(n, float(g.choice((0.1, 0.3, 1.0))))})


def scale_left_in(g: Generator) -> Log:
    """A constant loss scale is left in the norms, and no column tells of it."""
    n = length(g, 250)
    columns = learning(g, n)
    columns["grad_norm"] = (
        g.uniform(0.2, 3) * columns["grad_norm"] / np.median(columns["grad_norm"]) * 2.0 ** int(g.integers(14, 18))
    )
    return Log(columns=columns, config={"precision": "fp16"} if g.random() < 0.3 else {})


def scale_left_in_and_moving(g: Generator) -> Log:
    """The same with a scale that doubles and, after an overflow, is halved."""
    n = length(g, 1200)
    columns = learning(g, n, spread=0.04)
    power = np.full(n, 15.0)
    power[int(n * 0.3) :] += 1
    power[int(n * 0.55) :] += 1
    power[int(n * 0.8) + 1 :] -= 1
    columns["grad_norm"] *= 2.0**power
    columns["grad_norm"][int(n * 0.8)] = np.inf
    return Log(columns=columns, may_thin=False)


def mean_so_far(g: Generator) -> Log:
    """The norm is the mean of all steps so far."""
    n = length(g, 300)
    columns = learning(g, n)
    columns["grad_norm"] = np.cumsum(columns["grad_norm"]) / np.arange(1, n + 1)
    return Log(columns=columns, may_round=False, may_thin=False, formats=("rows", "csv"))


def sways(g: Generator) -> Log:
    """The loss swings slowly, with a period that wanders a little."""
    n = length(g, 1200)
    columns = learning(g, n, spread=0.03)
    period = g.uniform(30, n / 10)
    phase = 2 * np.pi * np.cumsum(1 + memory(g, n, 0.1, 0.9)) / period
    columns["loss"] *= np.exp(g.uniform(0.25, 0.45) * np.sin(phase))
    return Log(columns=columns, may_thin=False)


def no_descent(g: Generator) -> Log:
    """A loss stuck well above a level that a plan could give, noise without any descent, and large norms."""
    n = length(g, 250)
    loss = g.uniform(3.1, 5.5) * batches(g, n, float(g.choice((0.05, 0.2))))
    norm = 10 ** g.uniform(0.5, 2) * np.exp(memory(g, n, 0.5, 0.3))
    return Log(columns={"loss": loss, "grad_norm": norm, "lr": np.full(n, 0.1)})


def grows_at_a_floor(g: Generator) -> Log:
    """After it was learned, the loss explodes out of nothing near the end and stays there."""
    n = length(g, 200)
    columns = learning(g, n)
    at = int(n * g.uniform(0.7, 0.95))
    columns["loss"][at:] = columns["loss"][0] * g.uniform(1.0, 3.0) * batches(g, n - at, 0.1)
    columns["grad_norm"][at:] *= 10 ** g.uniform(0.7, 2)
    return Log(columns=columns)


def power_of_mean(g: Generator) -> Log:
    """Guessing with confidence: the loss of two classes stuck a little above ln 2, its noise large, from batches of a few."""
    n = length(g, 500)
    loss = np.log(2) * (1.01 + 0.25 * power_law(g, n, start=1.0, floor=0.0)) * batches(g, n, 0.05)
    norm = 0.3 * np.exp(memory(g, n, 0.4, 0.0))
    return Log(columns={"loss": loss, "grad_norm": norm, "lr": schedule(g, n)}, may_round=False)


STEP = ("lr_too_high", "unknown", "exploding")
NAN = ("nan_sudden", "unknown")
NONE = ("not_learning", "unknown", "vanishing", "lr_too_high")
SECOND_FAULTS = (
    Kind(name="clipped while scaled", make=clipped_while_scaled, truth="fault", causes=("clip_before_unscale",)),
    Kind(name="constant throughout", make=constant_throughout, truth="fault", causes=("not_learning",)),
    Kind(name="dies midway", make=dies_midway, truth="fault", causes=("not_learning", "vanishing", "unknown", "lr_too_high")),
    Kind(name="zero from a row on", make=zero_from_a_row_on, truth="fault", causes=("not_learning", "nan_sudden")),
    Kind(name="guesses", make=guesses, truth="fault", causes=NONE),
    Kind(name="a layer blows up", make=a_layer_blows_up, truth="fault", causes=("exploding",)),
    Kind(name="detached", make=detached, truth="fault", causes=("vanishing", "not_learning")),
    Kind(name="outlier batches", make=outlier_batches, truth="fault", causes=("bad_data",)),
    Kind(name="outlier batches behind a start", make=outliers_behind_a_start, truth="fault", causes=("bad_data",)),
    Kind(name="all answers alike", make=all_answers_alike, truth="fault", causes=("not_learning",)),
    Kind(name="zeros for NaN", make=zeros_for_nan, truth="fault", causes=NAN),
    Kind(name="rate is zero", make=rate_is_zero, truth="fault", causes=("lr_zero",)),
    Kind(name="rate runs out", make=rate_runs_out, truth="fault", causes=("lr_zero", "schedule_mismatch")),
    Kind(name="rate comes back", make=rate_comes_back, truth="told", codes=("GL205", "GL203")),
    Kind(name="falls back", make=falls_back, truth="fault", causes=(*STEP, "data_shift", "bad_data")),
    Kind(name="goes up", make=goes_up, truth="fault", causes=(*STEP, "data_shift")),
    Kind(name="NaN at once", make=nan_at_once, truth="fault", causes=NAN),
    Kind(name="NaN now and then", make=nan_now_and_then, truth="fault", causes=(*NAN, "fp16_overflow", "bad_data")),
    Kind(name="NaN from nothing", make=nan_from_nothing, truth="fault", causes=NAN),
    Kind(name="norms are NaN", make=norms_are_nan, truth="fault", causes=("unknown", "fp16_overflow", "nan_sudden")),
    Kind(name="scale goes under", make=scale_goes_under, truth="fault", causes=("loss_scale_collapse",)),
    Kind(name="scale goes under in words", make=scale_goes_under_in_words, truth="fault", causes=("loss_scale_collapse",)),
    Kind(name="stops in words", make=stops_in_words, truth="fault", causes=()),
    Kind(name="overflows", make=overflows, truth="fault", causes=("fp16_overflow",)),
    Kind(name="resumed worse", make=resumed_worse, truth="fault", causes=("resume_artifact",)),
    Kind(name="unstable again and again", make=unstable_again_and_again, truth="fault", causes=("recurring_instability",)),
    Kind(name="spikes that ring", make=spikes_that_ring, truth="fault", causes=()),
    Kind(name="validation turns", make=validation_turns, truth="fault", causes=("overfitting",)),
    Kind(name="grows to NaN", make=grows_to_nan, truth="fault", causes=("exploding", "lr_too_high")),
    Kind(name="measured too late", make=measured_too_late, truth="fault", causes=("postclip_logged",)),
    Kind(name="other data", make=other_data, truth="fault", causes=("data_shift", "unknown", "lr_too_high", "bad_data")),
    Kind(name="too large at first", make=too_large_at_first, truth="fault", causes=NONE + STEP),
    Kind(name="nothing but the mean", make=nothing_but_the_mean, truth="stuck"),
    Kind(name="too fast", make=too_fast, truth="fault", causes=(*STEP, "no_warmup", "not_learning")),
    Kind(name="no descent", make=no_descent, truth="stuck"),
    Kind(name="explodes near the end", make=grows_at_a_floor, truth="fault", causes=(*STEP, "data_shift")),
    Kind(name="guesses with confidence", make=power_of_mean, truth="stuck"),
    Kind(name="scale left in", make=scale_left_in, truth="measurement", codes=("GL002", "GL004")),
    Kind(name="scale left in and moving", make=scale_left_in_and_moving, truth="measurement", codes=("GL002",)),
    Kind(name="mean so far", make=mean_so_far, truth="measurement", codes=("GL004",)),
    Kind(name="sways", make=sways, truth="measurement", codes=("GL504",)),
)  # fmt: skip

"""Situations in which something is wrong, one function per kind."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from benchmarks.variants.base import Kind, Log, descent, healthy, noise, norms, rate, rows

if TYPE_CHECKING:
    from benchmarks.variants.base import Generator


def unscaled_after_clipping(g: Generator) -> Log:
    """Clipped at C while the gradients carried a scale of 2^k: the norm is C / 2^k in each row, and the loss hardly moves."""
    n, clip = rows(g, 400), float(g.choice((0.5, 1.0, 5.0)))
    power = int(g.integers(12, 18))
    at = np.arange(n) >= n * g.uniform(0.3, 0.8)
    norm = clip * 2.0 ** -(power + at) * (1 + 1e-6 * np.abs(g.standard_normal(n)))
    loss = g.uniform(2, 9) * (1 - 0.05 * np.arange(n) / n) * np.exp(noise(g, n, 0.01))
    config = {} if clip == 1.0 else {"max_grad_norm": clip}
    return Log(columns={"loss": loss, "grad_norm": norm, "lr": rate(g, n)}, config=config, formats=("rows", "csv"))


def dead_from_the_start(g: Generator) -> Log:
    """The loss of uniform guessing in all rows, and a norm of exactly 0."""
    n = rows(g, 40, 900)
    classes = int(g.choice((10, 100, 1000, 32_000, 50_257)))
    return Log(columns={"loss": np.full(n, np.log(classes)), "grad_norm": np.zeros(n), "lr": rate(g, n)})


def loss_turns_zero(g: Generator) -> Log:
    """All labels are masked from some row on: the loss is exactly 0 from one row to the next."""
    n = rows(g, 120)
    loss = descent(g, n)
    loss[int(n * g.uniform(0.2, 0.8)) :] = 0.0
    return Log(columns={"loss": loss, "lr": rate(g, n)})


def stuck_at_chance(g: Generator) -> Log:
    """A loss at ln K throughout while gradients all but vanish."""
    n, classes = rows(g), int(g.choice((2, 10, 100, 1000)))
    loss = np.log(classes) * (1 + noise(g, n, 0.0015))
    norm = 10 ** g.uniform(-4, -3) * np.exp(noise(g, n, 0.2))
    return Log(columns={"loss": loss, "grad_norm": norm, "lr": rate(g, n)}, may_thin=False)


def layer_explodes(g: Generator) -> Log:
    """One layer grows by a constant factor per row until it is NaN; the others follow a row later."""
    n, layers = rows(g, 300, 1200), int(g.integers(6, 24))
    which, at = int(g.integers(1, layers)), int(n * g.uniform(0.5, 0.95))
    begin = at - int(g.integers(30, 80))
    columns = {"loss": descent(g, n), "lr": rate(g, n)}
    pattern = str(g.choice(("grad_norm/layers.{}.mlp.weight", "grad_norm/blocks.{}.attn.qkv.weight")))
    for layer in range(layers):
        value = norms(g, n)
        if layer == which:
            value[begin:] *= np.exp(np.arange(n - begin) / g.uniform(5, 9))
            value[at:] = np.nan
        value[at + 1 :] = np.nan
        columns[pattern.format(layer)] = value
    columns["loss"][at + 1 :] = np.nan
    return Log(columns=columns, formats=("rows", "csv"))


def only_the_last_layer(g: Generator) -> Log:
    """The graph is detached below the last layer: all other norms are exactly 0."""
    n, layers = rows(g), int(g.integers(6, 16))
    columns = {"loss": descent(g, n), "grad_norm": norms(g, n), "lr": rate(g, n)}
    for layer in range(layers):
        columns[f"grad_norm/layers.{layer}.weight"] = columns["grad_norm"] if layer == layers - 1 else np.zeros(n)
    return Log(columns=columns, formats=("rows", "csv"))


def bad_batches(g: Generator) -> Log:
    """Some batches hit loss and norm at the same row; the next row is as before."""
    n = rows(g, 400)
    columns = healthy(g, n)
    at = g.choice(np.arange(n // 8, n - 20), size=int(g.integers(4, 10)), replace=False)
    columns["loss"][at] *= g.uniform(1.8, 4, len(at))
    columns["grad_norm"][at] *= g.uniform(5, 30, len(at))
    return Log(columns=columns, may_thin=False)


def bad_batches_after_a_false_start(g: Generator) -> Log:
    """The same run behind an aborted start of a few rows."""
    log = bad_batches(g)
    n, k = len(log.columns["loss"]), int(g.integers(5, 15))
    columns = {name: np.concatenate([value[:k], value]) for name, value in log.columns.items()}
    columns["step"] = np.concatenate([np.arange(k), np.arange(n)]).astype(float)
    return Log(columns=columns, formats=("rows", "csv"), may_thin=False)


def no_signal(g: Generator) -> Log:
    """GRPO: all answers earn the same from some row on, so advantages and norm are exactly 0."""
    n = rows(g, 200)
    at = int(n * g.uniform(0.3, 0.8))
    t = np.arange(n) / n
    reward = 0.2 + 0.5 * t + noise(g, n, 0.05)
    spread, norm = 0.2 * np.exp(noise(g, n, 0.3)), norms(g, n, spread=0.5)
    reward[at:], spread[at:], norm[at:] = 1.0, 0.0, 0.0
    return Log(columns={"loss": np.round(0.001 * t, 4), "grad_norm": norm, "reward": reward, "reward_std": spread})


def hidden_nan(g: Generator) -> Log:
    """The trainer writes a NaN loss as 0; the norm beside it is NaN to the end."""
    n = rows(g, 200, 900)
    columns = healthy(g, n)
    at = int(n * g.uniform(0.3, 0.9))
    columns["loss"][at:], columns["grad_norm"][at:] = 0.0, np.nan
    return Log(columns=columns, formats=("rows", "state"))


def rate_zero_throughout(g: Generator) -> Log:
    """No update is made: the loss is that of the untrained model, with the noise of batches."""
    n = rows(g, 100)
    loss = g.uniform(2, 9) * np.exp(noise(g, n, 0.02))
    return Log(columns={"loss": loss, "grad_norm": norms(g, n), "lr": np.zeros(n)})


def rate_ends_early(g: Generator) -> Log:
    """The schedule was given an eighth to a half of the steps."""
    n = rows(g)
    at = int(n * g.uniform(0.12, 0.5))
    columns = healthy(g, n)
    peak = 10 ** g.uniform(-5, -3)
    columns["lr"] = np.where(np.arange(n) < at, peak * (1 - np.arange(n) / at), 0.0)
    columns["loss"][at:] = np.median(columns["loss"][at - 10 : at]) * np.exp(noise(g, n - at, 0.04))
    return Log(columns=columns)


def rate_wraps(g: Generator) -> Log:
    """A cosine that was given a fraction of the steps falls to 0 and rises again."""
    n, turns = rows(g, 400), int(g.integers(2, 7))
    columns = healthy(g, n)
    columns["lr"] = 10 ** g.uniform(-5, -3) * (0.5 + 0.5 * np.cos(np.pi * 2 * turns * np.arange(n) / n))
    return Log(columns=columns, may_thin=False)


def ends_higher(g: Generator) -> Log:
    """The loss rises to two and a half to four times its level within some rows, and stays there; so does the norm."""
    n = rows(g, 400)
    columns = healthy(g, n)
    at, width = int(n * g.uniform(0.25, 0.7)), int(g.integers(3, 30))
    up = 0.5 + 0.5 * np.tanh((np.arange(n) - at) / width * 2)
    columns["loss"] *= 1 + (g.uniform(2.5, 4) - 1) * up
    columns["grad_norm"] *= 1 + g.uniform(2, 5) * up
    return Log(columns=columns)


def diverges(g: Generator) -> Log:
    """The loss climbs above its start and stays there."""
    n = rows(g, 300)
    columns = healthy(g, n)
    at = int(n * g.uniform(0.2, 0.7))
    up = np.minimum(np.maximum(np.arange(n) - at, 0) / (0.05 * n), 1.0)
    columns["loss"] *= np.exp(up * np.log(g.uniform(5, 50) * columns["loss"][0] / np.median(columns["loss"][-20:])))
    columns["grad_norm"] *= np.exp(up * g.uniform(2, 5))
    return Log(columns=columns)


def nan_from_the_first_row(g: Generator) -> Log:
    """Weights, inputs or kernels are broken before any update."""
    n = rows(g, 30, 900)
    return Log(columns={"loss": np.full(n, np.nan), "grad_norm": np.full(n, np.nan), "lr": rate(g, n)})


def some_nan(g: Generator) -> Log:
    """A share of the batches has a loss and a norm of NaN; the trainer skips these steps."""
    n = rows(g, 150)
    columns = healthy(g, n)
    bad = g.random(n) < g.uniform(0.08, 0.5)
    bad[:5] = False
    columns["loss"][bad], columns["grad_norm"][bad] = np.nan, np.nan
    return Log(columns=columns, may_thin=False)


def sudden_nan(g: Generator) -> Log:
    """Calm rows, then NaN to the end."""
    n = rows(g, 200)
    columns = healthy(g, n)
    at = int(n * g.uniform(0.2, 0.95))
    columns["loss"][at:], columns["grad_norm"][at:] = np.nan, np.nan
    return Log(columns=columns)


def norms_never_finite(g: Generator) -> Log:
    """The norm is computed wrong; the loss falls as it should."""
    n = rows(g, 60)
    return Log(columns={**healthy(g, n), "grad_norm": np.full(n, np.nan if g.random() < 0.7 else np.inf)})


def scale_collapses(g: Generator) -> Log:
    """Each step overflows, and the scale is halved until nothing is left of the gradients."""
    n = rows(g, 200, 1500)
    columns = healthy(g, n)
    at = int(n * g.uniform(0.3, 0.8))
    fall = np.maximum(np.arange(n) - at, 0)
    columns["loss_scale"] = np.maximum(65536.0 * 2.0 ** -np.minimum(fall, 60.0), 2.0**-40)
    columns["grad_norm"][at:] = np.inf
    columns["loss"][at + 20 :] = np.nan
    return Log(columns=columns, formats=("rows", "csv"), may_thin=False)


def scale_collapses_in_words(g: Generator) -> Log:
    """The same, told only by the lines that the trainer prints."""
    n, halvings = int(g.integers(60, 300)), int(g.integers(16, 30))
    columns = {"loss": descent(g, n), "lr": rate(g, n)}
    power, begin = int(g.integers(8, 17)), n - halvings - int(g.integers(1, 8))
    words = str(g.choice((
        "[deepspeed] OVERFLOW! Rank 0 Skipping step. Attempted loss scale: {old:g}, reducing to {new:g}",
        "Gradient overflow.  Skipping step, loss scaler 0 reducing loss scale to {new:g}",
    )))  # fmt: skip
    lines = {begin + k: words.format(old=2.0 ** (power - k), new=2.0 ** (power - k - 1)) for k in range(halvings)}
    return Log(columns=columns, lines=lines, may_thin=False)


def fp16_overflows(g: Generator) -> Log:
    """Norms are infinite in some rows while the loss is ordinary; the scale is halved and training goes on."""
    n = rows(g, 300)
    columns = healthy(g, n)
    bad = g.random(n) < g.uniform(0.06, 0.15)
    columns["grad_norm"][bad] = np.inf
    scale, k = np.empty(n), 16
    for row in range(n):
        k += -1 if bad[row] and k > 8 else int(row % 12 == 0 and k < 16)
        scale[row] = 2.0**k
    columns["loss_scale"] = scale
    return Log(columns=columns, formats=("rows", "csv"), may_thin=False)


def resumed_with_damage(g: Generator) -> Log:
    """The log goes back some steps at a resume, and the loss stands higher from that very row on, for good or for a while."""
    n = rows(g, 400)
    columns = healthy(g, n)
    at, back = int(n * g.uniform(0.4, 0.8)), int(g.integers(5, 40))
    jump = g.uniform(0.5, 2.0) * np.median(columns["loss"][at - 20 : at])
    stays = np.full(n - at + back, 1.0) if g.random() < 0.5 else np.exp(-np.arange(n - at + back) / (0.1 * n))
    columns = {name: np.concatenate([value[:at], value[at - back :]]) for name, value in columns.items()}
    columns["loss"][at:] += jump * stays
    columns["step"] = np.concatenate([np.arange(at), np.arange(at - back, n)]).astype(float)
    return Log(columns=columns, formats=("rows", "csv"), may_thin=False)


def recurring_spikes(g: Generator) -> Log:
    """Spikes of dozens of rows that the norm leads by some rows and that recover."""
    n = rows(g, 1500, 5000)
    columns = healthy(g, n)
    count, lead = int(g.integers(4, 8)), int(g.integers(2, 6))
    for at in np.linspace(0.15 * n, 0.9 * n, count).astype(int) + g.integers(-20, 20, count):
        tail = np.arange(n - at)
        columns["loss"][at:] *= 1 + g.uniform(0.4, 0.8) * np.exp(-tail / g.uniform(8, 25))
        columns["grad_norm"][at - lead :] *= 1 + g.uniform(6, 15) * np.exp(-np.arange(n - at + lead) / 12)
    return Log(columns=columns, config={"optimizer": "adamw", "betas": [0.9, 0.999]}, may_thin=False)


def wide_spikes(g: Generator) -> Log:
    """Spikes of loss and norm in the same row that decay over several."""
    n = rows(g, 1200, 5000)
    columns = healthy(g, n)
    count = int(g.integers(5, 10))
    for at in np.linspace(0.12 * n, 0.92 * n, count).astype(int) + g.integers(-20, 20, count):
        decay = np.exp(-np.arange(n - at) / g.uniform(2, 6))
        columns["loss"][at:] *= 1 + g.uniform(0.6, 1.5) * decay
        columns["grad_norm"][at:] *= 1 + g.uniform(6, 12) * decay
    return Log(columns=columns, may_thin=False)


def swings(g: Generator) -> Log:
    """The loss swings with a period of some dozens to some hundreds of rows."""
    n = rows(g, 1500, 4000)
    columns = healthy(g, n)
    period = g.uniform(25, n / 12)
    columns["loss"] *= np.exp(g.uniform(0.3, 0.5) * np.sin(2 * np.pi * np.arange(n) / period))
    return Log(columns=columns, may_thin=False)


def value_loss_explodes(g: Generator) -> Log:
    """An agent's value loss grows from some row on by orders of magnitude until it is infinite."""
    n = rows(g, 200, 900)
    at = int(n * g.uniform(0.5, 0.9))
    value = 0.02 * np.exp(noise(g, n, 0.3))
    value[at:] *= np.exp(np.minimum(np.arange(n - at) * g.uniform(0.8, 3), 600))
    end = at + int(np.argmax(value[at:] > 1e30)) if (value[at:] > 1e30).any() else n
    value[end:] = np.inf
    lines = [
        f"Learning iteration {row}/{n}\n  Value function loss: {value[row]:.4f}\n  Surrogate loss: {-0.001:.4f}\n"
        f"  Mean total reward: {20 + g.standard_normal():.2f}\n"
        for row in range(n)
    ]
    return Log(text="\n".join(lines))


def overfits(g: Generator) -> Log:
    """The validation loss rises from its best in mid-run while the training loss falls."""
    n = rows(g, 400)
    columns = healthy(g, n)
    t = np.arange(n) / n
    best = g.uniform(0.2, 0.5)
    val = 1.2 * (0.5 + 0.5 * np.exp(-8 * t)) + np.maximum(t - best, 0) * g.uniform(0.6, 1.5) + noise(g, n, 0.005)
    val[np.arange(n) % (n // 40) != 0] = np.nan
    return Log(columns={**columns, "val_loss": val}, formats=("rows", "csv", "state"), may_thin=False)


def last_rows_grow(g: Generator) -> Log:
    """Norm and loss grow exponentially until they are not finite."""
    n = rows(g, 200)
    columns = healthy(g, n)
    length = int(g.integers(8, 40))
    grow = np.exp(np.arange(length) * g.uniform(0.25, 0.6))
    at = n - length - int(g.integers(5, n // 3))
    columns["grad_norm"][at : at + length] *= grow
    columns["loss"][at : at + length] *= np.minimum(grow, 30) ** 0.5
    columns["grad_norm"][at + length :] = np.nan
    columns["loss"][at + length :] = np.nan
    return Log(columns=columns, may_thin=False)


def norms_after_clipping(g: Generator) -> Log:
    """The logged norm is the one after clipping: most rows sit at the threshold and none above."""
    n, clip = rows(g, 200), float(g.choice((0.3, 0.5, 1.0, 5.0)))
    before = clip * np.exp(g.uniform(0.0, 0.5) + noise(g, n, 0.3))
    return Log(columns={**healthy(g, n), "grad_norm": np.minimum(before, clip)})


def running_mean(g: Generator) -> Log:
    """A meter that is never reset: the norm is the mean over all steps so far."""
    n = rows(g, 400)
    columns = healthy(g, n)
    columns["grad_norm"] = np.cumsum(columns["grad_norm"]) / np.arange(1, n + 1)
    return Log(columns=columns, may_round=False, may_thin=False, formats=("rows", "csv"))


def norms_still_scaled(g: Generator) -> Log:
    """The norm carries the loss scale, which is not logged: it doubles at times, and is halved after each infinite norm."""
    n = rows(g, 1500, 4000)
    columns = healthy(g, n)
    grows, halves = int(n * g.uniform(0.25, 0.5)), int(n * g.uniform(0.6, 0.85))
    power = np.full(n, 16.0)
    power[grows:] += 1
    power[halves + 1 :] -= 1
    columns["grad_norm"] = columns["grad_norm"] * 2.0**power
    columns["grad_norm"][halves] = np.inf
    return Log(columns={"loss": columns["loss"], "grad_norm": columns["grad_norm"]}, may_thin=False)


FAULTS = (
    Kind(name="clipped before unscaling", make=unscaled_after_clipping, truth="fault", causes=("clip_before_unscale",)),
    Kind(name="constant loss, norm 0", make=dead_from_the_start, truth="fault", causes=("not_learning",)),
    Kind(name="loss turns exactly 0", make=loss_turns_zero, truth="fault", causes=("not_learning", "nan_sudden")),
    Kind(name="stuck at ln K", make=stuck_at_chance, truth="fault", causes=("not_learning", "vanishing", "unknown", "lr_too_high")),
    Kind(name="one layer explodes", make=layer_explodes, truth="fault", causes=("exploding",), codes=("GL512",)),
    Kind(name="only the last layer has a gradient", make=only_the_last_layer, truth="fault", causes=("vanishing",)),
    Kind(name="bad batches", make=bad_batches, truth="fault", causes=("bad_data",)),
    Kind(name="bad batches after a false start", make=bad_batches_after_a_false_start, truth="fault", causes=("bad_data",)),
    Kind(name="GRPO without a signal", make=no_signal, truth="fault", causes=("not_learning",)),
    Kind(name="hidden NaN", make=hidden_nan, truth="fault", causes=("nan_sudden", "unknown")),
    Kind(name="rate 0 throughout", make=rate_zero_throughout, truth="fault", causes=("lr_zero",)),
    Kind(name="rate 0 from early on", make=rate_ends_early, truth="fault", causes=("lr_zero", "schedule_mismatch")),
    Kind(name="rate wraps round", make=rate_wraps, truth="fault", causes=("schedule_mismatch",)),
    Kind(name="ends far above its best", make=ends_higher, truth="fault", causes=("lr_too_high", "unknown", "data_shift", "exploding")),
    Kind(name="diverges", make=diverges, truth="fault", causes=("lr_too_high", "unknown", "exploding", "data_shift")),
    Kind(name="NaN from the first row", make=nan_from_the_first_row, truth="fault", causes=("nan_sudden", "unknown")),
    Kind(name="some losses NaN", make=some_nan, truth="fault", causes=("nan_sudden", "fp16_overflow", "unknown")),
    Kind(name="sudden NaN", make=sudden_nan, truth="fault", causes=("nan_sudden", "unknown")),
    Kind(name="norms never finite", make=norms_never_finite, truth="fault", causes=("unknown",)),
    Kind(name="loss scale collapses", make=scale_collapses, truth="fault", causes=("loss_scale_collapse",)),
    Kind(name="loss scale collapses in words", make=scale_collapses_in_words, truth="fault", causes=("loss_scale_collapse",)),
    Kind(name="fp16 overflows", make=fp16_overflows, truth="fault", causes=("fp16_overflow",)),
    Kind(name="resumed with damage", make=resumed_with_damage, truth="fault", causes=("resume_artifact",)),
    Kind(name="recurring spikes", make=recurring_spikes, truth="fault", causes=("recurring_instability",)),
    Kind(name="wide spikes", make=wide_spikes, truth="fault", causes=()),
    Kind(name="value loss explodes", make=value_loss_explodes, truth="fault", causes=()),
    Kind(name="overfits", make=overfits, truth="fault", causes=("overfitting",)),
    Kind(name="grows until NaN", make=last_rows_grow, truth="fault", causes=("exploding", "lr_too_high")),
    Kind(name="norms after clipping", make=norms_after_clipping, truth="fault", causes=("postclip_logged",)),
    Kind(name="slow swing", make=swings, truth="measurement", codes=("GL504",)),
    Kind(name="norm is a running mean", make=running_mean, truth="measurement", codes=("GL004",)),
    Kind(name="norms carry the loss scale", make=norms_still_scaled, truth="measurement", codes=("GL002",)),
)  # fmt: skip

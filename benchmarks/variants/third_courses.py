"""Faults of the third set, second part: courses of loss and norm that are wrong, and measurements that are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from benchmarks.variants.base import Kind, Log
from benchmarks.variants.third_base import (
    between,
    count,
    course,
    lengths,
    log,
    place,
    plan,
    rough,
    sound,
    trained,
    without,
)

if TYPE_CHECKING:
    from benchmarks.variants.base import Array, Generator


# --- loss that is lost again ------------------------------------------------------------------------------------------


def steps_up(g: Generator) -> Log:
    """The loss rises to two to six times its level within a few rows up to a tenth of the run, and stays; so does the norm."""
    n = count(g, 100, 4000)
    made, m = sound(g, n, depth=g.uniform(0.05, 0.3)), place(g, n, 0.2, 0.85)
    width = int(g.integers(1, max(n // 12, 3)))
    ramp = np.clip((np.arange(n) - m + 1) / width, 0, 1)
    loss = made["loss"] * (1 + (g.uniform(2, 6) - 1) * ramp)
    norm = made["grad_norm"] * (1 + (g.uniform(2, 8) - 1) * ramp)
    return log({"loss": loss, "grad_norm": norm, "lr": made["lr"]})


def steps_up_alone(g: Generator) -> Log:
    """The same without a norm or a rate."""
    return log({"loss": steps_up(g).columns["loss"]})


def creeps_up(g: Generator) -> Log:
    """After its best the loss rises without end, and half of what was learned or more is lost."""
    n = count(g, 80, 3000)
    made, m = sound(g, n), place(g, n, 0.25, 0.6)
    lost = g.uniform(0.5, 1.3) * (made["loss"][: max(n // 50, 2)].mean() - made["loss"][m - 5 : m].mean())
    return log({**made, "loss": made["loss"] + lost * np.clip((np.arange(n) - m) / (n - m), 0, 1)})


def unstable_from_the_start(g: Generator) -> Log:
    """Gradient descent beyond the limit of stability: it grows by a factor per step until numbers end, or the run does."""
    made = trained(g, count(g, 40, 400), rate=g.uniform(1.02, 1.6))
    return log({**made, "lr": np.full(len(made["loss"]), between(g, 0.01, 1))}, may_round=False)


def unstable_with_the_rate(g: Generator) -> Log:
    """The loss falls while the rate warms up, then climbs above its start and stays there, at three times the norm or more."""
    n = count(g, 120, 3000)
    m = place(g, n, 0.05, 0.3)
    t = np.arange(n)
    top = float(g.choice((2.3, 6.9, 10.8)))
    level = np.where(
        t < m, top * (1 - 0.35 * t / m), top * (0.65 + g.uniform(0.4, 0.9) * (1 - np.exp(-(t - m) / (0.05 * n))))
    )
    loss = level * (1 + rough(g, n, 0.02) + np.where(t >= m, rough(g, n, 0.04), 0))
    norm = lengths(g, n, 1.0) * np.where(t < m, 1.0, between(g, 3, 30))
    rate = between(g, 3e-4, 0.5) * np.minimum((t + 1) / m, 1)
    return log({"loss": loss, "grad_norm": norm, "lr": rate})


def to_chance(g: Generator) -> Log:
    """A run that learns until it blows up; from then on it answers with the uniform distribution and learns no more."""
    n = count(g, 100, 3000)
    made, m = sound(g, n, top=10.8, depth=g.uniform(0.25, 0.4)), place(g, n, 0.2, 0.8)
    loss, norm = made["loss"].copy(), made["grad_norm"].copy()
    loss[m:] = g.uniform(7.2, 10.9) * (1 + rough(g, n - m, 0.003))
    norm[m : m + 3] *= between(g, 10, 1000)
    norm[m + 3 :] *= between(g, 0.01, 0.3)
    return log({"loss": loss, "grad_norm": norm, "lr": made["lr"]})


def climbs_while_clipped(g: Generator) -> Log:
    """Divergence that clipping turns into a straight line: loss and norm before clipping grow evenly, far above the start."""
    n = count(g, 80, 2000)
    m = place(g, n, 0.05, 0.4)
    grown = np.clip(np.arange(n) - m, 0, None) / (n - m)
    loss = sound(g, n, top=2.3)["loss"] + 2.3 * g.uniform(3, 30) * grown * (1 + rough(g, n, 0.03))
    norm = lengths(g, n, 2.0) * (1 + between(g, 5, 50) * grown)
    return log({"loss": loss, "grad_norm": norm, "lr": plan(g, n)}, config={"optimizer": "SGD", "max_grad_norm": 1.0})


def shrinks_to_nothing(g: Generator) -> Log:
    """Weight decay wins: loss back up to its start, norm down by orders of magnitude."""
    n = count(g, 100, 2500)
    t, top = np.arange(n) / n, float(g.choice((2.303, 6.9, 4.6)))
    level = top * (1 - 0.6 * np.exp(-(((t - 0.15) / g.uniform(0.08, 0.2)) ** 2)))
    norm = lengths(g, n, 1.0) * 10 ** (-g.uniform(3, 6) * np.clip((t - 0.2) / 0.5, 0, 1))
    return log({"loss": level * (1 + rough(g, n, 0.01)), "grad_norm": norm, "lr": plan(g, n)})


def blows_up_at_the_end(g: Generator) -> Log:
    """The last hundredth to twentieth of the rows: loss and norm grow by decades."""
    n = count(g, 150, 3000)
    made, m = sound(g, n), n - max(int(n * g.uniform(0.01, 0.05)), 4)
    grown = np.exp(np.clip(np.arange(n) - m, 0, None) / (n - m) * g.uniform(3, 9))
    return log({"loss": made["loss"] * grown, "grad_norm": made["grad_norm"] * grown**1.5, "lr": made["lr"]})


def grows_to_nan(g: Generator) -> Log:
    """Norms grow for twenty rows or more, then everything is NaN."""
    n = count(g, 120, 3000)
    made, m = sound(g, n), place(g, n, 0.3, 0.9)
    width = min(int(g.integers(15, 80)), m - 10)
    grown = np.exp(np.clip(np.arange(n) - (m - width), 0, width) / width * g.uniform(5, 14))
    loss = np.where(np.arange(n) >= m, np.nan, made["loss"] * grown**0.2)
    return log(
        {"loss": loss, "grad_norm": np.where(np.arange(n) >= m, np.nan, made["grad_norm"] * grown), "lr": made["lr"]}
    )


def falls_without_end(g: Generator) -> Log:
    """A cross-entropy with the wrong sign: below 0, and down without a floor, faster and faster."""
    n = count(g, 60, 1500)
    t = np.arange(n) / n
    loss = 2.303 - np.expm1(t * g.uniform(5, 14)) * (1 + rough(g, n, 0.03))
    return log(
        {"cross_entropy": loss, "grad_norm": lengths(g, n, 1.0) * np.exp(4 * t), "lr": plan(g, n)},
        formats=("rows", "csv", "fmt", "wandb"),
    )


# --- nothing is learned ------------------------------------------------------------------------------------------------


def chance(g: Generator) -> Log:
    """Labels that have nothing to do with the input: the loss stands at the logarithm of the number of classes."""
    n = count(g, 40, 3000)
    classes = int(g.choice((2, 4, 10, 20, 100, 1000)))
    loss = np.log(classes) + np.abs(rough(g, n, 0.003)) * np.log(classes) + 0.15 * np.exp(-np.arange(n) / n * 60)
    return log({"loss": loss, "grad_norm": lengths(g, n, between(g, 0.05, 3)), "lr": plan(g, n)})


def chance_alone(g: Generator) -> Log:
    """The same without a norm, with an accuracy of chance beside it."""
    n = count(g, 30, 2000)
    classes = int(g.choice((2, 10, 100)))
    loss = np.log(classes) * (1 + np.abs(rough(g, n, 0.004)))
    right = g.binomial(256, 1 / classes, n) / 256
    return log({"loss": loss, "accuracy": right})


def frequencies_only(g: Generator) -> Log:
    """A language model that learns how frequent each token is, within a few rows, and nothing else: flat from then on."""
    n = count(g, 100, 3000)
    knee = max(n * g.uniform(0.01, 0.04), 2)
    loss = (7.4 + 3.4 * np.exp(-np.arange(n) / knee)) * (1 + rough(g, n, 0.006))
    return log({"loss": loss, "grad_norm": lengths(g, n, between(g, 0.1, 1)), "lr": plan(g, n)})


def preference_still(g: Generator) -> Log:
    """A preference loss that stays at ln 2 with margins about 0."""
    n = count(g, 60, 800)
    return log({
        "loss": 0.6931 + rough(g, n, 0.002), "grad_norm": lengths(g, n, between(g, 1, 30)), "lr": plan(g, n, 1e-7),
        "rewards/margins": rough(g, n, 0.003), "rewards/accuracies": np.clip(0.5 + rough(g, n, 0.08), 0, 1),
    }, formats=("hf", "swift", "rows", "wandb"))  # fmt: skip


def discriminator_wins(g: Generator) -> Log:
    """The discriminator is perfect: its loss falls to 0 and stays, the generator's rises."""
    n = count(g, 100, 3000)
    t = np.arange(n) / n
    return log({
        "d_loss": 1.3 * np.exp(-t * g.uniform(20, 80)) * np.exp(rough(g, n, 0.3)) * (t < 0.5),
        "g_loss": 0.8 + g.uniform(6, 30) * (1 - np.exp(-t * 15)) + rough(g, n, 0.4),
    }, formats=("rows", "csv", "tabs", "fmt"))  # fmt: skip


def reward_falls(g: Generator) -> Log:
    """A policy that forgets: reward rises to a third of the run, then falls to 0; the divergence from its reference explodes."""
    n = count(g, 120, 1500)
    t = np.arange(n) / n
    reward = np.where(t < 0.4, 0.8 * t / 0.4, 0.8 * np.exp(-(t - 0.4) * 25))
    return log({
        "loss": rough(g, n, 0.01) + 0.04 * np.exp(np.clip(t - 0.4, 0, None) * 9),
        "grad_norm": lengths(g, n, 0.3) * np.exp(np.clip(t - 0.4, 0, None) * 6),
        "lr": plan(g, n, 1e-6), "reward": np.clip(reward + rough(g, n, 0.04), 0, 1), "reward_std": np.abs(0.2 + rough(g, n, 0.03)),
        "kl": 0.01 * np.exp(np.clip(t - 0.4, 0, None) * 12) * np.exp(rough(g, n, 0.2)),
    }, formats=("hf", "swift", "rows", "csv", "wandb"))  # fmt: skip


def head_alone(g: Generator) -> Log:
    """Per layer: exactly 0 in all but the last; the loss hardly moves."""
    n, layers = count(g, 60, 1500), int(g.integers(4, 14))
    top = float(g.choice((2.303, 4.6, 6.9)))
    columns: dict[str, Array] = {
        "loss": top * (0.97 + 0.03 * np.exp(-np.arange(n) / n * 30)) * (1 + rough(g, n, 0.005))
    }
    for layer in range(layers):
        columns[f"grad_norm/encoder.block.{layer}.weight"] = np.zeros(n)
    columns["grad_norm/head.weight"] = lengths(g, n, 0.5)
    return log(columns, formats=("rows", "csv", "wandb"))


def by_depth(g: Generator) -> Log:
    """Per layer: norms fall by a factor per layer from the last to the first, and the loss hardly moves."""
    n, layers = count(g, 60, 1500), int(g.integers(8, 20))
    top = float(g.choice((0.693, 2.303, 4.6)))
    columns: dict[str, Array] = {"loss": top * (1 + np.abs(rough(g, n, 0.006)))}
    factor = g.uniform(4, 12)
    for layer in range(layers):
        columns[f"gradients/layers.{layer}.linear.weight"] = lengths(g, n, 0.3 * factor ** (layer - layers + 1))
    return log(columns, formats=("rows", "csv", "wandb"))


def layer_explodes(g: Generator) -> Log:
    """Per layer: one grows by a factor per row and is NaN one row before the rest."""
    n, layers = count(g, 150, 1500), int(g.integers(6, 24))
    bad, m = int(g.integers(layers)), place(g, n, 0.4, 0.9)
    t, width = np.arange(n), int(g.integers(20, 60))
    made = sound(g, n)
    columns: dict[str, Array] = {"loss": np.where(t > m, np.nan, made["loss"]), "lr": made["lr"]}
    for layer in range(layers):
        norm = lengths(g, n, between(g, 0.1, 1))
        if layer == bad:
            norm = norm * np.exp(np.clip(t - (m - width), 0, None) / g.uniform(3, 7))
        columns[f"grad_norm/transformer.h.{layer}.mlp.c_fc.weight"] = np.where(
            t > m if layer != bad else t >= m, np.nan, norm
        )
    return log(columns, formats=("rows", "csv", "wandb"))


# --- spikes -----------------------------------------------------------------------------------------------------------


def _struck(g: Generator, made: dict[str, Array], rows: Array, *, last: float = 0.0, lead: int = 0) -> dict[str, Array]:
    """Loss and norm struck at some rows; the damage decays over `last` rows, the norm leads by `lead`."""
    n = len(made["loss"])
    loss, norm, t = made["loss"].copy(), made["grad_norm"].copy(), np.arange(n)
    for row in rows.astype(int):
        shape = np.where(t < row, 0.0, np.exp(-np.abs(t - row) / last) if last else (t == row))
        loss += shape * made["loss"][max(row - 20, 0) : row + 1].mean() * g.uniform(0.4, 2)
        norm *= 1 + np.where(t < row - lead, 0.0, np.exp(-np.abs(t - row + lead) / (last + 0.3))) * between(g, 6, 40)
    return {**made, "loss": loss, "grad_norm": norm}


def _calm(g: Generator, low: int = 250, high: int = 4000) -> dict[str, Array]:
    """A run with little noise, so that what strikes it stands out by the eye."""
    n = count(g, low, high)
    top = float(g.choice((2.3, 6.9, 10.8)))
    loss = course(g, n, top, top * g.uniform(0.25, 0.6)) * (1 + rough(g, n, between(g, 0.005, 0.02)))
    return {"loss": loss, "grad_norm": lengths(g, n, between(g, 0.1, 5), spread=0.12), "lr": plan(g, n)}


def strikes(g: Generator) -> Log:
    made = _calm(g)
    n = len(made["loss"])
    return log(_struck(g, made, np.sort(g.choice(np.arange(n // 8, n - 5), int(g.integers(3, 10)), replace=False))))


def strikes_alone(g: Generator) -> Log:
    return log(without(strikes(g).columns, "grad_norm", "lr"))


def strikes_each_epoch(g: Generator) -> Log:
    made = _calm(g, 400)
    n = len(made["loss"])
    period = int(n / g.uniform(5, 14))
    return log(_struck(g, made, np.arange(period // 2 + n // 10, n - 2, period).astype(float)))


def strikes_in_a_row(g: Generator) -> Log:
    made = _calm(g, 300)
    n = len(made["loss"])
    m = place(g, n, 0.3, 0.8)
    return log(_struck(g, made, np.sort(g.choice(np.arange(m, m + 24), 10, replace=False))))


def strikes_behind_a_start(g: Generator) -> Log:
    """A start of a few rows that was given up, then the run from its first step again, with bad batches."""
    made = strikes(g).columns
    n, k = len(made["loss"]), int(g.integers(4, 16))
    columns = {name: np.append(column[:k] * 1.003, column) for name, column in made.items()}
    return log(
        {**columns, "step": np.append(np.arange(k), np.arange(n)).astype(float) * 20 + 19},
        formats=("rows", "csv", "fmt"),
    )


def wide_strikes(g: Generator) -> Log:
    made = _calm(g, 600)
    n = len(made["loss"])
    rows = np.linspace(n * 0.15, n * 0.92, int(g.integers(3, 9))) + g.uniform(-0.02, 0.02) * n
    return log(_struck(g, made, rows, last=g.uniform(3, max(n / 150, 5))))


def unstable_again(g: Generator) -> Log:
    """The norm leads by a few rows, the loss rises and needs dozens of rows to return; four to eight times."""
    made = _calm(g, 1200)
    n = len(made["loss"])
    rows = np.linspace(n * 0.12, n * 0.9, int(g.integers(4, 9))) + g.uniform(-0.02, 0.02) * n
    struck = _struck(g, made, rows, last=g.uniform(n / 100, n / 50), lead=int(g.integers(2, 6)))
    return log(struck, config={"optimizer": "adam", "betas": [0.9, 0.999], "max_grad_norm": 1.0})


# --- resumes, shifts, validation --------------------------------------------------------------------------------------


def _resumed(g: Generator, jump: float, last: float, *, back: bool = True) -> Log:
    made = _calm(g, 200)
    n = len(made["loss"])
    m = place(g, n, 0.4, 0.8)
    k = int(g.integers(2, max(m // 6, 3))) if back else 0
    t = np.arange(n - m + k)
    lift = jump * (made["loss"][0] - made["loss"][m - 10 : m].mean()) * (np.exp(-t / (last * n)) if last else 1.0)
    columns = {name: np.append(column[:m], column[m - k :]) for name, column in made.items()}
    columns["loss"] = np.append(made["loss"][:m], made["loss"][m - k :] + lift)
    step = np.append(np.arange(m), np.arange(m - k, n)).astype(float)
    return log({**columns, "step": step * int(g.choice((1, 10, 50)))}, formats=("rows", "csv", "fmt", "wandb"))


def resumed_without_state(g: Generator) -> Log:
    """Steps go back at a resume, and from that row the loss stands higher, for a tenth of the run."""
    return _resumed(g, g.uniform(0.25, 0.5), g.uniform(0.03, 0.1))


def resumed_from_nothing(g: Generator) -> Log:
    """Steps go back at a resume whose weights were not loaded: the loss is as high as at the start."""
    return _resumed(g, g.uniform(0.85, 1.05), 0.3)


def shifts(g: Generator) -> Log:
    """Another corpus from one row on: loss and norm at another level, the rate as before."""
    made = _calm(g, 250)
    n = len(made["loss"])
    m = place(g, n, 0.3, 0.7)
    after = np.arange(n) >= m
    return log({
        **made, "loss": made["loss"] * np.where(after, g.uniform(1.3, 1.8), 1.0),
        "grad_norm": made["grad_norm"] * np.where(after, g.uniform(1.4, 2.5), 1.0),
        "lr": np.full(n, between(g, 1e-5, 1e-3)),
    })  # fmt: skip


def overfits(g: Generator) -> Log:
    """The validation loss turns early and rises while the training loss falls on; per epoch, or every twentieth row."""
    if g.random() < 0.5:
        n, every = count(g, 25, 200), 1
    else:
        n, every = count(g, 300, 3000), 20
    t = np.arange(n) / n
    train = two_scales(g, n)
    best = g.uniform(0.12, 0.35)
    val = (
        train[0]
        * (0.45 + 0.5 * np.exp(-t / best * 4) + g.uniform(0.3, 0.9) * np.clip(t - best, 0, None))
        * (1 + rough(g, n, 0.008))
    )
    val[np.arange(n) % every != every - 1] = np.nan
    return log({"loss": train, "val_loss": val}, formats=("rows", "csv", "swift", "wandb", "lightning"))


def two_scales(g: Generator, n: int) -> Array:
    """float64[n]: a training loss that falls towards nothing."""
    return float(g.choice((0.69, 2.3, 4.0))) * np.exp(-g.uniform(2, 5) * np.arange(n) / n) * (1 + rough(g, n, 0.02))


# --- measurements ------------------------------------------------------------------------------------------------------


def clipped_scaled(g: Generator) -> Log:
    """Clipped at C before the scale was taken out: norms of C over 2 to the 14th to 18th, and a loss that hardly falls."""
    n = count(g, 100, 2500)
    t, top = np.arange(n) / n, between(g, 1, 11)
    limit = float(g.choice((0.5, 1.0, 1.0, 5.0)))
    power = int(g.integers(14, 17)) + np.floor(t * g.integers(1, 4))
    norm = limit / 2.0**power * np.minimum(1.0, np.exp(rough(g, n, 0.2) + 0.25))
    loss = top * (0.93 + 0.07 * np.exp(-2 * t)) * (1 + rough(g, n, 0.01))
    return log(
        {"loss": loss, "grad_norm": norm, "lr": plan(g, n)},
        config={"max_grad_norm": limit, "precision": "fp16"},
        may_round=False,
    )


def clipped_first(g: Generator) -> Log:
    """What was logged is the norm after clipping: exactly C in most rows, never above."""
    n = count(g, 100, 2500)
    made, limit = sound(g, n), float(g.choice((0.1, 0.5, 1.0, 5.0)))
    norm = np.minimum(made["grad_norm"] / np.quantile(made["grad_norm"], g.uniform(0.1, 0.6)), 1.0) * limit
    return log({**made, "grad_norm": norm}, may_round=False)


def mean_of_all(g: Generator) -> Log:
    """The norm is the mean over all rows so far."""
    n = count(g, 150, 3000)
    made = sound(g, n)
    return log({**made, "grad_norm": np.cumsum(made["grad_norm"]) / np.arange(1, n + 1)}, may_round=False)


def smoothed(g: Generator) -> Log:
    """The norm is an exponential mean of 0.98 or so."""
    n = count(g, 200, 3000)
    made, keep = sound(g, n), g.uniform(0.95, 0.99)
    norm = made["grad_norm"].copy()
    for row in range(1, n):
        norm[row] = keep * norm[row - 1] + (1 - keep) * norm[row]
    return log({**made, "grad_norm": norm}, may_round=False)


def still_scaled(g: Generator) -> Log:
    """Norms near 1e5 that double now and then and halve after each infinite one: the loss scale is still in them."""
    n = count(g, 400, 4000)
    made, scale, log2 = sound(g, n), np.empty(n), 16
    norm = made["grad_norm"] / np.median(made["grad_norm"]) * between(g, 0.3, 4)
    # At most a fifth of the noise of a doubling.
    norm = np.exp(np.log(norm) * 0.4)
    every, odds = int(n / g.uniform(3, 8)), 2.5 / n
    since = 0
    for row in range(n):
        scale[row] = 2.0**log2
        since += 1
        if g.random() < odds:
            norm[row], log2, since = np.inf, log2 - 1, 0
        elif since >= every:
            log2, since = log2 + 1, 0
    return log({**made, "grad_norm": norm * scale}, may_round=False)


def swings(g: Generator) -> Log:
    """The loss swings evenly, with a period of 40 to 400 rows and several times its noise."""
    n = count(g, 800, 4000)
    made = _calm(g, n, n + 1)
    size = len(made["loss"])
    period = between(g, 40, size / 8)
    wave = np.sin(2 * np.pi * np.arange(size) / period) * g.uniform(0.06, 0.2)
    return log({**made, "loss": made["loss"] * (1 + wave)}, may_round=False)


def two_cycle(g: Generator) -> Log:
    """At the edge of stability: the loss of every other row is higher, from a row on."""
    made = _calm(g, 300)
    n = len(made["loss"])
    m = place(g, n, 0.1, 0.5)
    flip = np.where(np.arange(n) >= m, np.where(np.arange(n) % 2, 1, -1) * g.uniform(0.06, 0.2), 0.0)
    return log({**made, "loss": made["loss"] * (1 + flip)}, may_round=False)


def _fault(make: object, name: str, *causes: str, truth: str = "fault", codes: tuple[str, ...] = ()) -> Kind:
    return Kind(name=name, make=make, truth=truth, causes=causes, codes=codes)  # type: ignore[arg-type]


BATCHES = ("bad_data", "recurring_instability", "unknown")
THIRD_COURSES: tuple[Kind, ...] = (
    _fault(steps_up, "steps up and stays"),
    _fault(steps_up_alone, "steps up and stays, loss alone"),
    _fault(creeps_up, "creeps up"),
    _fault(unstable_from_the_start, "unstable from the start", "lr_too_high", "exploding", "no_warmup"),
    _fault(unstable_with_the_rate, "unstable with the rate", "lr_too_high", "exploding", "unknown"),
    _fault(to_chance, "blows up to chance"),
    _fault(climbs_while_clipped, "climbs while clipped"),
    _fault(shrinks_to_nothing, "shrinks to nothing"),
    _fault(blows_up_at_the_end, "blows up at the end"),
    _fault(grows_to_nan, "grows until it is NaN", "exploding", "lr_too_high"),
    _fault(falls_without_end, "falls without end", truth="stuck"),
    _fault(chance, "stands at chance"),
    _fault(chance_alone, "stands at chance, accuracy too"),
    _fault(frequencies_only, "frequencies only", truth="stuck"),
    _fault(preference_still, "no preference", truth="stuck"),
    _fault(discriminator_wins, "discriminator wins", truth="stuck"),
    _fault(reward_falls, "reward falls", truth="stuck"),
    _fault(head_alone, "head alone has a gradient", "vanishing", "not_learning"),
    _fault(by_depth, "norms fall by depth", "vanishing", "not_learning"),
    _fault(layer_explodes, "one layer first", "exploding"),
    _fault(strikes, "struck by batches", *BATCHES),
    _fault(strikes_alone, "struck by batches, loss alone", *BATCHES),
    _fault(strikes_each_epoch, "struck once an epoch", *BATCHES),
    _fault(strikes_in_a_row, "struck in a row", *BATCHES),
    _fault(strikes_behind_a_start, "struck behind a start", *BATCHES),
    _fault(wide_strikes, "struck for some rows"),
    _fault(unstable_again, "unstable and recovers", "recurring_instability"),
    _fault(resumed_without_state, "resumed without state", "resume_artifact"),
    _fault(resumed_from_nothing, "resumed from nothing", "resume_artifact"),
    _fault(shifts, "another corpus", "data_shift"),
    _fault(overfits, "overfits early", "overfitting"),
    _fault(clipped_scaled, "clipped with its scale", "clip_before_unscale"),
    _fault(clipped_first, "logged after clipping", "postclip_logged"),
    _fault(mean_of_all, "norm is the mean of all", truth="measurement", codes=("GL004",)),
    _fault(smoothed, "norm is smoothed", truth="measurement", codes=("GL004",)),
    _fault(still_scaled, "scale is still in it", truth="told", codes=("GL002",)),
    _fault(swings, "swings evenly", truth="told", codes=("GL504",)),
    _fault(two_cycle, "every other row", truth="told", codes=("GL504",)),
)

"""Some more situations of the kinds of which the third set showed most misses, written after these were mended and fixed before any was
judged: spikes of a loss without norms, progress that is lost, losses of 0, norms that fade, frequencies and chance, rates, resumes."""

from __future__ import annotations

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
    place,
    plan,
    rough,
    sound,
    two_paces,
    without,
)

if TYPE_CHECKING:
    from benchmarks.variants.base import Array, Generator


# --- spikes of a loss alone -------------------------------------------------------------------------------------------


def _quiet(g: Generator, low: int, high: int) -> Array:
    n = count(g, low, high)
    top = float(g.choice((1.4, 2.3, 6.9, 95.0)))
    return np.asarray(
        course(g, n, top, top * g.uniform(0.02, 0.5)) * (1 + g.standard_normal(n) * between(g, 0.004, 0.02))
    )


def _hit(g: Generator, loss: Array, rows: Array, last: float = 0.0) -> Array:
    """The loss with rises to two to six times its level, which decay over `last` rows."""
    t, found = np.arange(len(loss)), loss.copy()
    for row in rows.astype(int):
        shape = np.where(t < row, 0.0, np.exp(-np.abs(t - row) / last) if last else t == row)
        found += shape * loss[max(row - 9, 0) : row + 1].mean() * g.uniform(1, 5)
    return found


def two_hits(g: Generator) -> Log:
    loss = _quiet(g, 150, 1500)
    n = len(loss)
    rows = np.sort(g.choice(np.arange(n // 3, n - 8), 2, replace=False))
    return log(
        {"step": np.arange(n, dtype=np.float64) * 20 + 19, "total_loss": _hit(g, loss, rows), "lr": plan(g, n)},
        formats=("rows", "csv", "fmt"),
    )


def hits_that_ring(g: Generator) -> Log:
    loss = _quiet(g, 400, 3000)
    n = len(loss)
    rows = np.linspace(n * 0.2, n * 0.9, int(g.integers(3, 8)))
    return log({"loss": _hit(g, loss, rows, g.uniform(2, 12))}, formats=("rows", "csv", "wandb", "tabs"))


def hits_each_epoch(g: Generator) -> Log:
    loss = _quiet(g, 300, 3000)
    n = len(loss)
    period = int(n / g.uniform(5, 15))
    return log(
        {"loss": _hit(g, loss, np.arange(period, n - 3, period).astype(float)), "lr": plan(g, n)},
        formats=("rows", "csv", "hf"),
    )


def single_examples(g: Generator) -> Log:
    """Batches of one example: losses of a heavy tail, down by a half on the whole."""
    n = count(g, 200, 3000)
    return log({"loss": course(g, n, 2.4, 1.0) * np.exp(0.5 * g.standard_normal(n)), "lr": plan(g, n)})


# --- progress that is lost ----------------------------------------------------------------------------------------------


def quarter_lost(g: Generator) -> Log:
    """From its lowest level, before two thirds of the run, the loss climbs by a third or more, and no norm is logged."""
    n = count(g, 120, 3000)
    t, top = np.arange(n) / n, float(g.choice((2.3, 6.9, 10.8)))
    low, at = top * g.uniform(0.3, 0.5), g.uniform(0.3, 0.6)
    level = low + (top - low) * np.exp(-t * 20) + g.uniform(0.35, 0.6) * low * np.clip((t - at) / (1 - at), 0, 1)
    return log({"loss": level * (1 + rough(g, n, 0.01)), "lr": plan(g, n)})


def falls_back_twice(g: Generator) -> Log:
    """Two jumps up, each of which stays: the loss ends at twice its lowest level."""
    n = count(g, 150, 3000)
    t, top = np.arange(n) / n, float(g.choice((2.3, 6.9)))
    level = (
        top * (0.25 + 0.75 * np.exp(-t * 15)) * (1 + 0.5 * (t > g.uniform(0.3, 0.5)) + 0.5 * (t > g.uniform(0.6, 0.75)))
    )
    norm = lengths(g, n, 1.0) * (1 + 2 * (t > 0.5))
    return log({"loss": level * (1 + rough(g, n, 0.02)), "grad_norm": norm, "lr": plan(g, n)})


def back_to_the_start(g: Generator) -> Log:
    n = count(g, 100, 2500)
    t, top = np.arange(n) / n, float(g.choice((0.69, 2.303, 4.6)))
    level = top * (1 - 0.55 * np.sin(np.pi * np.minimum(t / g.uniform(0.6, 0.9), 1)))
    return log({"loss": level * (1 + rough(g, n, 0.01))})


def harder_and_harder(g: Generator) -> Log:
    """A curriculum whose sequences grow: at each of three steps the loss rises by a twentieth, and falls on."""
    n = count(g, 300, 3000)
    t = np.arange(n) / n
    level = two_paces(g, n, 8.0, 2.5) * (
        1 + sum(0.05 * np.where(t > at, np.exp(-(t - at) * 15), 0) for at in (0.3, 0.5, 0.7))
    )
    return log({"loss": level * (1 + rough(g, n, 0.01)), "grad_norm": lengths(g, n, 0.6), "lr": plan(g, n)})


def saw_of_epochs(g: Generator) -> Log:
    """The order of the data is the same in each epoch, and the loss rises by a twentieth within each."""
    n = count(g, 300, 3000)
    period = int(between(g, 20, 80))
    saw = 0.05 * ((np.arange(n) % period) / period - 0.5)
    return log(
        {
            "loss": course(g, n, 4.6, 1.8) * (1 + saw + rough(g, n, 0.01)),
            "grad_norm": lengths(g, n, 0.6),
            "lr": plan(g, n),
        }
    )


# --- zeros, fading norms ------------------------------------------------------------------------------------------------


def one_in_eight(g: Generator) -> Log:
    """Every eighth batch or so has no label; no norm is logged."""
    made = sound(g, count(g, 80, 2000))
    gone = g.random(len(made["loss"])) < g.uniform(0.08, 0.2)
    gone[int(g.integers(3))] = gone[-1 - int(g.integers(3))] = True
    return log({"loss": np.where(gone, 0.0, made["loss"])})


def margin(g: Generator) -> Log:
    """A margin loss: ever more batches in which every example keeps it, and ever smaller losses in the others."""
    n = count(g, 150, 2000)
    t = np.arange(n) / n
    loss = 0.3 * np.exp(-3 * t) * g.gamma(2, 0.5, n)
    return log(
        {"triplet_loss": np.where(g.random(n) < 0.6 * t, 0.0, loss), "lr": plan(g, n)}, formats=("rows", "csv", "fmt")
    )


def fades_in_print(g: Generator) -> Log:
    """A norm printed with four decimals that fades to 0.0000, beside a loss that stands."""
    n = count(g, 80, 1500)
    top = float(g.choice((0.71, 2.4, 7.0)))
    loss = top * (0.92 + 0.08 * np.exp(-np.arange(n) / n * 30)) * (1 + rough(g, n, 0.01))
    norm = lengths(g, n, 1.0) * 10 ** (-np.minimum(np.arange(n) / n * 12, 6))
    lines = [f"[{row}/{n}] loss={loss[row]:.4f} gnorm={norm[row]:.4f} lr={1e-3:.1e}" for row in range(n)]
    return Log(text="\n".join(lines) + "\n")


def switches_off(g: Generator) -> Log:
    """From one row on the norm is a millionth of what it was, and the loss varies about the same level."""
    n = count(g, 80, 2000)
    m = place(g, n, 0.1, 0.4)
    after = np.arange(n) >= m
    norm = lengths(g, n, 1.5) * np.where(after, 1e-6, 1)
    level = np.where(after, 2.4, 2.4 + 1.2 * np.exp(-np.arange(n) / m * 3))
    return log(
        {
            "loss": level * (1 + rough(g, n, 0.015)),
            "grad_norm": norm,
            "lr": plan(g, n),
        },
        may_round=False,
    )


# --- frequencies and chance ---------------------------------------------------------------------------------------------


def letters(g: Generator) -> Log:
    """The frequencies of letters: from ln 65 to 3.3, and no further."""
    n = count(g, 250, 3000)
    loss = (3.31 + 0.86 * np.exp(-np.arange(n) / (n * g.uniform(0.005, 0.03)))) * (1 + rough(g, n, 0.012))
    return log({"loss": loss, "grad_norm": lengths(g, n, 0.3), "lr": plan(g, n)})


def from_above_to_chance(g: Generator) -> Log:
    """Steps that are too long at first: from many times the cost of guessing down to it, and no further."""
    n, classes = count(g, 100, 2000), int(g.choice((2, 10, 100)))
    loss = np.log(classes) * (1 + g.uniform(1, 6) * np.exp(-np.arange(n) / (n * 0.02)) + np.abs(rough(g, n, 0.0008)))
    return log({"loss": loss, "grad_norm": lengths(g, n, 0.4), "lr": plan(g, n)})


def one_class(g: Generator) -> Log:
    """Nine in ten examples are of one class, and that is the answer to all: base rate in loss and accuracy."""
    n = count(g, 100, 2000)
    loss = (0.325 + 0.37 * np.exp(-np.arange(n) / (n * 0.02))) * (1 + rough(g, n, 0.02))
    return log({"loss": loss, "accuracy": np.full(n, 0.9), "lr": plan(g, n)}, formats=("rows", "csv", "fmt", "wandb"))


def learns_a_quarter(g: Generator) -> Log:
    """Fine-tuning that goes on to learn: a third of the loss, over the whole of the run."""
    n = count(g, 420, 3000)
    loss = course(g, n, 1.5, 0.95) * (1 + rough(g, n, 0.03))
    return log(
        {"loss": loss, "grad_norm": lengths(g, n, 0.8), "lr": plan(g, n, 1e-5)},
        formats=("hf", "swift", "rows", "wandb"),
    )


def quick_density(g: Generator) -> Log:
    """A density that is below zero within a tenth of the run, with noise as large as what is left to gain."""
    n = count(g, 420, 3000)
    loss = (
        -0.3
        + 2.8 * np.exp(-np.arange(n) / (n * g.uniform(0.02, 0.08)))
        + 0.3 * g.standard_normal(n)
        - 0.4 * np.arange(n) / n
    )
    return log({"loss": loss, "grad_norm": lengths(g, n, 2.0), "lr": plan(g, n)})


def ranks(g: Generator) -> Log:
    """Pairs of items: from ln 2 to less than half of it."""
    n = count(g, 420, 3000)
    return log(
        {"bpr_loss": course(g, n, 0.693, 0.25) * (1 + rough(g, n, 0.03)), "lr": plan(g, n)},
        formats=("rows", "csv", "fmt"),
    )


# --- rates and resumes --------------------------------------------------------------------------------------------------


def rate_next_to_nothing(g: Generator) -> Log:
    """From a tenth to a third of the run on the rate is 1e-12 and less, and the loss stands where it was."""
    n = count(g, 150, 3000)
    m = place(g, n, 0.1, 0.33)
    rate = between(g, 1e-4, 1e-2) * np.where(np.arange(n) < m, 1.0, 1e-10)
    level = course(g, m, 6.9, 4.5)
    loss = np.append(level, np.full(n - m, level[-1])) * (1 + rough(g, n, 0.02))
    return log({"loss": loss, "grad_norm": lengths(g, n, 1.0), "lr": rate})


def rate_jumps(g: Generator) -> Log:
    """The rate rises a hundredfold from one row to the next, and the loss doubles there and stays."""
    n = count(g, 150, 3000)
    after = np.arange(n) >= place(g, n, 0.3, 0.7)
    made = sound(g, n, top=4.6, depth=0.3)
    return log(
        {
            "loss": made["loss"] * np.where(after, 2.2, 1),
            "grad_norm": made["grad_norm"] * np.where(after, 4, 1),
            "lr": np.where(after, 1e-2, 1e-4),
        }
    )


def weights_not_loaded(g: Generator) -> Log:
    """A resume that counts on where the last one stopped, from new weights: the loss begins again where it first began, in the middle."""
    n = count(g, 200, 2500)
    m = place(g, n, 0.3, 0.6)
    loss = np.append(two_paces(g, m, 7.0, 2.5), two_paces(g, n - m, 7.0, 2.4)) * (1 + rough(g, n, 0.02))
    norm = np.append(lengths(g, m, 1.0), lengths(g, n - m, 1.0))
    return log({"loss": loss, "grad_norm": norm, "lr": plan(g, n)})


# --- agents -------------------------------------------------------------------------------------------------------------


def mostly_alike(g: Generator) -> Log:
    """Nine in ten groups of answers earn the same; the reward stands."""
    n = count(g, 80, 600)
    live = g.random(n) < 0.1
    return log({
        "loss": np.where(live, rough(g, n, 1e-3), 0.0), "grad_norm": np.where(live, lengths(g, n, 0.1), 0.0), "lr": plan(g, n, 1e-6),
        "reward": np.full(n, 0.125), "reward_std": np.where(live, 0.05, 0.0), "frac_reward_zero_std": np.where(live, 0.875, 1.0),
    }, formats=("hf", "swift", "rows"))  # fmt: skip


def never_rewarded(g: Generator) -> Log:
    n = count(g, 80, 1500)
    return log({
        "rollout/ep_rew_mean": np.zeros(n), "train/entropy_loss": -1.3863 + np.abs(rough(g, n, 0.001)),
        "train/policy_gradient_loss": rough(g, n, 1e-3),
        "train/value_loss": np.abs(rough(g, n, 1e-4)), "train/loss": rough(g, n, 1e-3),
    }, formats=("rows", "csv", "wandb"))  # fmt: skip


def values_without_bound(g: Generator) -> Log:
    n = count(g, 100, 2000)
    grown = np.exp(np.clip(np.arange(n) / n - 0.5, 0, None) * g.uniform(25, 60))
    return log(
        {
            "td_loss": 0.5 * grown * np.exp(rough(g, n, 0.3)),
            "episode_return": 20 + rough(g, n, 4),
            "q_values": 3 * np.sqrt(grown),
        },
        formats=("rows", "csv", "fmt"),
    )


def dashboards(g: Generator) -> Log:
    """A run that learns, as a dashboard's download with three columns for each curve."""
    made = without(sound(g, count(g, 420, 2000), top=6.9), "lr")
    names = {"loss": "train/loss", "grad_norm": "train/grad_norm"}
    header = ['"Step"', *(f'"fresh-lake-7 - {names[k]}{bound}"' for k in made for bound in ("", "__MIN", "__MAX"))]
    rows = [
        ",".join([f'"{row}"', *(f'"{made[k][row]:.8g}"' for k in made for _ in range(3))])
        for row in range(len(made["loss"]))
    ]
    return Log(text="\n".join([",".join(header), *rows]) + "\n")


def objects_in_objects(g: Generator) -> Log:
    """A run that learns, as JSON lines whose numbers stand in objects of their own."""
    made = sound(g, count(g, 420, 2000), top=4.6)
    lines = [
        json.dumps(
            {
                "step": row,
                "train": {"loss": float(made["loss"][row]), "grad_norm": float(made["grad_norm"][row])},
                "optim": {"lr": float(made["lr"][row])},
            }
        )
        for row in range(len(made["loss"]))
    ]
    return Log(text="\n".join(lines) + "\n")


def _kind(make: object, name: str, truth: str, *causes: str) -> Kind:
    return Kind(name=name, make=make, truth=truth, causes=causes)  # type: ignore[arg-type]


BATCHES = ("bad_data", "recurring_instability", "unknown")
NONE = ("not_learning", "vanishing", "unknown")
FOURTH: tuple[Kind, ...] = (
    _kind(two_hits, "two batches, loss alone", "fault", *BATCHES),
    _kind(hits_that_ring, "spikes that decay, loss alone", "fault"),
    _kind(hits_each_epoch, "a batch of each epoch, loss alone", "fault", *BATCHES),
    _kind(single_examples, "batches of one example", "normal"),
    _kind(quarter_lost, "climbs by a third", "fault"),
    _kind(falls_back_twice, "falls back twice", "fault"),
    _kind(back_to_the_start, "comes back to its start", "fault"),
    _kind(harder_and_harder, "longer and longer sequences", "normal"),
    _kind(saw_of_epochs, "saw of epochs", "normal"),
    _kind(one_in_eight, "one batch in eight without a label", "stuck"),
    _kind(margin, "margin kept ever more often", "normal"),
    _kind(fades_in_print, "norm fades to 0.0000", "fault", *NONE),
    _kind(switches_off, "norm switches off", "fault", *NONE),
    _kind(letters, "frequencies of letters", "stuck"),
    _kind(from_above_to_chance, "from above to chance", "fault"),
    _kind(one_class, "one class for all", "stuck"),
    _kind(learns_a_quarter, "learns a third", "sound"),
    _kind(quick_density, "quick density", "sound"),
    _kind(ranks, "pairs of items", "sound"),
    _kind(rate_next_to_nothing, "rate next to nothing", "fault"),
    _kind(rate_jumps, "rate jumps a hundredfold", "fault"),
    _kind(weights_not_loaded, "weights not loaded", "fault"),
    _kind(mostly_alike, "nine groups in ten alike", "stuck"),
    _kind(never_rewarded, "never rewarded", "fault", "not_learning"),
    _kind(values_without_bound, "values without bound", "fault"),
    _kind(dashboards, "download of a dashboard", "sound"),
    _kind(objects_in_objects, "objects in objects", "sound"),
)

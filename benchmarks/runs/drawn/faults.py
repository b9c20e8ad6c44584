"""What is done to a recipe. Each function takes the healthy recipe, what its run measured, and dice, and returns changed fields.

Faults of the list have the name of their cause. Those that no cause of the list covers come under `unknown`, with the causes
that come near. A fault is drawn without regard to the family, but not where it can do nothing (a second moment that the
optimiser does not keep).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from benchmarks.runs.drawn.recipe import Recipe

Changes = dict[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class Twin:
    """What is known of the healthy run when something is done to its like: norms and the data's kind."""

    median_norm: float
    high_norm: float
    has_targets: bool
    has_floats: bool
    weight_norm: float


Fault = Callable[[Recipe, Twin, random.Random], Changes | None]
SECOND_MOMENT = ("adam", "adamw", "amsgrad", "rmsprop")


def _at(r: Recipe, dice: random.Random, low: float = 0.25, high: float = 0.75) -> int:
    return round(r.steps * dice.uniform(low, high))


def _digits(value: float) -> float:
    return float(f"{value:.2g}")


def lr_too_high(r: Recipe, t: Twin, dice: random.Random) -> Changes:
    """Three to a hundred times the rate; half of them without clipping."""
    return {"lr": _digits(r.lr * 10 ** dice.uniform(0.6, 2.2)), "clip": r.clip if dice.random() < 0.5 else None}


def no_warmup(r: Recipe, t: Twin, dice: random.Random) -> Changes | None:
    """A high rate at its peak from the first step on; the twin has the same rate and a warm-up."""
    return {"warmup": 0, "lr": _digits(r.lr * 10 ** dice.uniform(0.2, 1.1)), "pretrained": False}


def lr_zero(r: Recipe, t: Twin, dice: random.Random) -> Changes:
    """A rate of zero throughout, or from a step on."""
    return {"zero_from": 0 if dice.random() < 0.4 else _at(r, dice, 0.05, 0.7)}


def schedule_mismatch(r: Recipe, t: Twin, dice: random.Random) -> Changes:
    """A schedule that ends long before the run, wraps round, or warms up to the end."""
    kind = dice.choice(("short", "wraps", "warms"))
    if kind == "warms":
        return {"warmup": round(r.steps * dice.uniform(0.85, 1.6)), "schedule": r.schedule}
    schedule = r.schedule if r.schedule in {"cosine", "linear", "exponential"} and kind == "short" else "cosine"
    return {"schedule": schedule, "horizon": dice.uniform(0.12, 0.5) if kind == "short" else dice.uniform(0.35, 0.7),
            "wraps": kind == "wraps"}  # fmt: skip


def bad_data(r: Recipe, t: Twin, dice: random.Random) -> Changes:
    """One, few, bursts or a period of spoilt batches."""
    kinds = ["shuffle", "garbage"] if t.has_targets else ["garbage"]
    if t.has_floats:
        kinds += ["x30", "x5", "x30"]
    first, last = round(0.2 * r.steps), round(0.95 * r.steps)
    pattern = dice.choice(("one", "few", "few", "burst", "period"))
    if pattern == "one":
        steps = [dice.randrange(first, last)]
    elif pattern == "few":
        steps = sorted(dice.sample(range(first, last), dice.randint(2, 8)))
    elif pattern == "burst":
        begin = dice.randrange(first, round(0.8 * r.steps))
        steps = list(range(begin, begin + dice.randint(3, 12)))
    else:
        period = dice.randint(20, 80)
        steps = list(range(dice.randrange(period), r.steps, period))
    return {"bad_kind": dice.choice(kinds), "bad_steps": tuple(steps), "acted_steps": tuple(steps)}


def nan_sudden(r: Recipe, t: Twin, dice: random.Random) -> Changes:
    """A value that is not finite from one step to the next; to the end, or skipped by the trainer."""
    kind = dice.choice(("nan", "nan", "inf", "nan norm", "nan skip", "inf skip"))
    step = _at(r, dice, 0.02, 0.9)
    return {"precision": "fp32", "nan_at": (step, kind), "acted_steps": (step,)}


def fp16_overflow(r: Recipe, t: Twin, dice: random.Random) -> Changes:
    """A scale that comes up to the limit again and again."""
    if dice.random() < 0.6:
        scaler = {"init_scale": 2.0 ** dice.choice((14, 16, 18)), "growth_interval": float(dice.choice((4, 8, 15, 25)))}
    else:
        scaler = {"init_scale": 2.0**18, "growth_factor": 1.15, "backoff_factor": 0.87, "growth_interval": 4.0}
    return {"precision": "fp16", "scaler": scaler}


def loss_scale_collapse(r: Recipe, t: Twin, dice: random.Random) -> Changes | None:
    """Rows whose gradients no scale can hold: a burst, for ever, or drop by drop."""
    if not t.has_floats:
        return None
    begin = _at(r, dice, 0.2, 0.7)
    pattern = dice.choice(("burst", "forever", "drip"))
    steps = range(begin, begin + 40) if pattern == "burst" else range(begin, r.steps, 1 if pattern == "forever" else 10)
    return {"precision": "fp16", "scaler": {"init_scale": 65536.0}, "bad_kind": "overflow", "bad_steps": tuple(steps),
            "acted_steps": tuple(steps)}  # fmt: skip


def clip_too_tight(r: Recipe, t: Twin, dice: random.Random) -> Changes:
    """A threshold far below the median norm."""
    return {"clip": _digits(t.median_norm * 10 ** dice.uniform(-2.3, -0.4)), "precision": "fp32"}


def clip_too_loose(r: Recipe, t: Twin, dice: random.Random) -> Changes:
    """A threshold far above every norm, and spoilt batches that go through."""
    return bad_data(r, t, dice) | {"clip": _digits(t.median_norm * 10 ** dice.uniform(1.5, 3.0))}


def postclip_logged(r: Recipe, t: Twin, dice: random.Random) -> Changes:
    """A threshold among the norms, which are measured after it."""
    return {
        "clip": _digits(t.median_norm * dice.uniform(0.4, 1.3)),
        "postclip": True,
        "precision": "fp32",
        "decimals": None,
    }


def clip_before_unscale(r: Recipe, t: Twin, dice: random.Random) -> Changes:
    """A threshold on gradients that still carry the scale, and the norm that this clipping returns."""
    scaler = {"init_scale": 2.0 ** dice.choice((10, 13, 16)), "growth_interval": float(dice.choice((60, 150, 400)))}
    return {
        "precision": "fp16",
        "scaler": scaler,
        "clip_scaled": True,
        "clip": _digits(t.median_norm * dice.uniform(0.5, 3.0)),
    }


def exploding(r: Recipe, t: Twin, dice: random.Random) -> Changes:
    """Weights so large at the start that the signal grows from layer to layer; nothing clips."""
    return {"gain": dice.choice((3.0, 6.0, 12.0, 25.0)), "clip": None}


def vanishing(r: Recipe, t: Twin, dice: random.Random) -> Changes:
    """Weights so small at the start that the signal fades."""
    return {"gain": dice.choice((0.1, 0.03, 0.01, 0.001)), "log_layers": dice.random() < 0.4}


def not_learning(r: Recipe, t: Twin, dice: random.Random) -> Changes:
    """No gradient reaches the weights, or the loss is exactly zero, throughout or from a step on."""
    begin = 0 if dice.random() < 0.5 else _at(r, dice, 0.05, 0.7)
    return {"silent_from": begin, "bad_kind": dice.choice(("", "zero")), "precision": "fp32", "acted_steps": (begin,)}


def recurring_instability(r: Recipe, t: Twin, dice: random.Random) -> Changes | None:
    """A slow second moment at a rate near the edge, without clipping or decay of the rate."""
    if r.opt not in SECOND_MOMENT:
        return None
    return {"lr": _digits(r.lr * 10 ** dice.uniform(0.3, 1.3)), "beta2": dice.choice((0.99, 0.999)), "clip": None,
            "schedule": dice.choice(("const", "wsd", r.schedule))}  # fmt: skip


def l2_contamination(r: Recipe, t: Twin, dice: random.Random) -> Changes:
    """A coupled penalty as large as the gradient, or larger."""
    share = dice.choice((1.5, 3.0, 6.0, 15.0))
    return {"l2": _digits(share * t.median_norm / max(t.weight_norm, 1e-9)), "clip": None, "precision": "fp32"}


def adam_beta2_lag(r: Recipe, t: Twin, dice: random.Random) -> Changes | None:
    """A shock to a second moment that is slow to follow or to forget it; nothing clips."""
    if r.opt not in SECOND_MOMENT:
        return None
    step = _at(r, dice, 0.3, 0.6)
    changes: Changes = {"beta2": dice.choice((0.99, 0.999)), "clip": None, "lr": _digits(r.lr * dice.choice((1, 2, 4))),
                        "acted_steps": (step,)}  # fmt: skip
    if dice.random() < 0.5:
        return changes | {"phases": ((0, "easy"), (step, "main"))}
    return changes | {"bad_kind": "x30" if t.has_floats else "garbage", "bad_steps": (step,)}


def lr_restart(r: Recipe, t: Twin, dice: random.Random) -> Changes:
    """The schedule begins again, at its peak or above."""
    count = dice.choice((1, 1, 2))
    steps = tuple(sorted(_at(r, dice, 0.35, 0.85) for _ in range(count)))
    return {"restarts": steps, "restart_peak": dice.choice((1.0, 2.0, 4.0, 8.0)), "acted_steps": steps,
            "schedule": r.schedule if r.schedule not in {"const", "warm_restarts", "doubled_restarts"} else "cosine"}  # fmt: skip


def data_shift(r: Recipe, t: Twin, dice: random.Random) -> Changes:
    """Another phase of the data from a step on."""
    step = _at(r, dice, 0.3, 0.7)
    phases = dice.choice(((("main"), "shift"), ("main", "shift"), ("main", "soft"), ("easy", "main"), ("main", "easy")))
    return {"phases": ((0, phases[0]), (step, phases[1])), "acted_steps": (step,)}


def batch_size_change(r: Recipe, t: Twin, dice: random.Random) -> Changes:
    """Four to sixteen times fewer or more rows from a step on."""
    step = _at(r, dice, 0.3, 0.7)
    low, high = dice.choice(((1, 8), (1, 16), (2, 16), (2, 16), (4, 16)))
    before, after = (low, high) if dice.random() < 0.5 else (high, low)
    return {"batch": before, "batch_change": (step, after), "acted_steps": (step,), "rows": 2048, "order": "replace"}


def resume_artifact(r: Recipe, t: Twin, dice: random.Random) -> Changes:
    """Back to a checkpoint without the optimiser's state; steps go back, or count from 0 again."""
    crash = _at(r, dice, 0.35, 0.8)
    back = 1 if dice.random() < 0.3 else round(r.steps * dice.uniform(0.02, 0.12))
    return {"resume": (crash, max(crash - back, 1)), "renumber": dice.random() < 0.3, "acted_steps": (crash,)}


def overfitting(r: Recipe, t: Twin, dice: random.Random) -> Changes:
    """Few rows, seen again and again, with losses of held-out rows in the log."""
    return {"rows": dice.choice((12, 24, 48, 96)), "batch": 8, "order": "epoch", "log_val": True, "schedule": "const",
            "lr": _digits(r.lr * dice.choice((1, 2, 3))), "decay": 0.0, "l2": 0.0, "dropout": 0.0, "mislabelled":
            dice.choice((0.0, 0.0, 0.3)) if t.has_targets else 0.0}  # fmt: skip


# Faults outside the list, and the causes of the list that come near.
def label_noise(r: Recipe, t: Twin, dice: random.Random) -> Changes | None:
    """A third to all of the targets belong to other rows."""
    return {"mislabelled": dice.choice((0.4, 0.7, 1.0))} if t.has_targets else None


def last_layer(r: Recipe, t: Twin, dice: random.Random) -> Changes:
    """A squashing layer too many before the loss."""
    return {"squashed": True}


def frozen(r: Recipe, t: Twin, dice: random.Random) -> Changes:
    """Only the last layer trains, or all but it."""
    return {"frozen": dice.choice(("body", "head"))}


def dead_units(r: Recipe, t: Twin, dice: random.Random) -> Changes:
    """Offsets that switch the hidden units off at the start."""
    return {"dead": True}


def detached(r: Recipe, t: Twin, dice: random.Random) -> Changes:
    """The graph is cut below the last layer, throughout or from a step on."""
    step = 0 if dice.random() < 0.4 else _at(r, dice, 0.1, 0.6)
    return {"cut_from": step, "acted_steps": (step,)}


def wrong_mask(r: Recipe, t: Twin, dice: random.Random) -> Changes:
    """Most inputs are hidden while training and shown when judged."""
    return {"blind": dice.choice((0.5, 0.8))}


def data_order(r: Recipe, t: Twin, dice: random.Random) -> Changes:
    """Rows sorted by target and never shuffled."""
    return {"order": "sorted", "rows": dice.choice((256, 512, 2048))}


def dropout_left_on(r: Recipe, t: Twin, dice: random.Random) -> Changes | None:
    """Far too much dropout."""
    return {"dropout": dice.choice((0.7, 0.85, 0.93))} if t.has_floats else None


def scheduler(r: Recipe, t: Twin, dice: random.Random) -> Changes:
    """A rate that jumps at random, or one that is logged and never used."""
    return (
        {"jitter": dice.choice((0.7, 1.2))}
        if dice.random() < 0.5
        else {"stale_rate": True, "lr": _digits(4 * r.lr), "schedule": "cosine"}
    )


def wrong_sign(r: Recipe, t: Twin, dice: random.Random) -> Changes:
    """The loss is climbed."""
    return {"ascent": True}


def strong_decay(r: Recipe, t: Twin, dice: random.Random) -> Changes:
    """Decoupled decay that eats what is learned."""
    return (
        {"opt": "adamw", "decay": dice.choice((1.0, 3.0)) / max(r.lr * 30, 1e-6) ** 0.5}
        if r.opt in {"adam", "adamw"}
        else {"decay": min(0.3 / r.lr, 50.0) * 0.1}
    )


LISTED: Mapping[str, tuple[Fault, float]] = {
    "lr_too_high": (lr_too_high, 3.5),
    "no_warmup": (no_warmup, 1.6),
    "lr_zero": (lr_zero, 0.6),
    "schedule_mismatch": (schedule_mismatch, 1.0),
    "bad_data": (bad_data, 2.0),
    "nan_sudden": (nan_sudden, 0.8),
    "fp16_overflow": (fp16_overflow, 0.9),
    "loss_scale_collapse": (loss_scale_collapse, 0.7),
    "clip_too_tight": (clip_too_tight, 1.1),
    "clip_too_loose": (clip_too_loose, 0.8),
    "postclip_logged": (postclip_logged, 0.7),
    "clip_before_unscale": (clip_before_unscale, 0.8),
    "exploding": (exploding, 1.6),
    "vanishing": (vanishing, 1.6),
    "not_learning": (not_learning, 0.7),
    "recurring_instability": (recurring_instability, 1.6),
    "l2_contamination": (l2_contamination, 0.9),
    "adam_beta2_lag": (adam_beta2_lag, 1.2),
    "lr_restart": (lr_restart, 1.0),
    "data_shift": (data_shift, 1.3),
    "batch_size_change": (batch_size_change, 1.1),
    "resume_artifact": (resume_artifact, 0.7),
    "overfitting": (overfitting, 1.2),
}
UNLISTED: Mapping[str, tuple[Fault, tuple[str, ...]]] = {
    "label_noise": (label_noise, ("overfitting", "not_learning", "vanishing")),
    "last_layer": (last_layer, ("vanishing", "not_learning")),
    "frozen": (frozen, ("vanishing", "not_learning")),
    "dead_units": (dead_units, ("vanishing", "not_learning")),
    "detached": (detached, ("vanishing", "not_learning", "data_shift")),
    "wrong_mask": (wrong_mask, ("data_shift", "vanishing")),
    "data_order": (data_order, ("bad_data", "data_shift", "recurring_instability")),
    "dropout_left_on": (dropout_left_on, ("vanishing", "not_learning", "lr_too_high")),
    "scheduler": (scheduler, ("schedule_mismatch", "lr_restart", "lr_too_high")),
    "wrong_sign": (wrong_sign, ("lr_too_high", "exploding")),
    "strong_decay": (strong_decay, ("l2_contamination", "vanishing", "not_learning")),
}
#: Share of the faulty runs that have a fault outside the list, and that have two of the list.
UNLISTED_SHARE, TWO_SHARE = 0.17, 0.08
#: Fields that two faults must not both change.
CLASHING = frozenset({"bad_kind", "phases", "clip", "precision", "lr", "schedule", "gain", "rows", "acted_steps"})


@dataclass(frozen=True, kw_only=True, slots=True)
class Drawn:
    """What was done: the names of the faults, and the changed recipe."""

    faults: tuple[str, ...]
    changes: Changes


def draw(recipe: Recipe, twin: Twin, dice: random.Random) -> Drawn:
    """Draw what is done to a recipe."""
    while True:
        chance = dice.random()
        if chance < UNLISTED_SHARE:
            name = dice.choice(sorted(UNLISTED))
            changes = UNLISTED[name][0](recipe, twin, dice)
            if changes is not None:
                return Drawn(faults=(name,), changes=changes)
            continue
        names = dice.choices(list(LISTED), [weight for _, weight in LISTED.values()], k=2)
        one, two = (LISTED[name][0](recipe, twin, dice) for name in names)
        if one is None:
            continue
        if (
            chance > 1 - TWO_SHARE
            and two is not None
            and names[0] != names[1]
            and not (CLASHING & one.keys() & two.keys())
        ):
            return Drawn(faults=tuple(names), changes=two | one)
        return Drawn(faults=(names[0],), changes=one)

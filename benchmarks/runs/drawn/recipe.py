"""What a run is: every choice that went into training and logging it. Faults are changes of these fields."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from benchmarks.runs.schedule import SHAPES

HEALTHY = "healthy"
#: Copies of the training rows that batches can be taken from: spoilt ones, and other phases of the data.
POOLS = ("main", "shift", "soft", "easy", "x30", "x5", "shuffle", "garbage", "overflow")


@dataclass(frozen=True, kw_only=True, slots=True)
class Recipe:
    """One run. Steps count from 0; shares are of the run."""

    steps: int = 600
    seed: int = 0
    # Optimisation.
    opt: str = "adamw"
    lr: float = 1e-3
    schedule: str = "const"
    warmup: int = 0
    horizon: float = 1.0
    wraps: bool = False
    beta2: float = 0.999
    l2: float = 0.0
    decay: float = 0.0
    clip: float | None = None
    batch: int = 16
    gain: float = 1.0
    pretrained: bool = False
    # Data.
    rows: int = 4096
    order: str = "replace"
    phases: tuple[tuple[int, str], ...] = ((0, "main"),)
    bad_kind: str = ""
    bad_steps: tuple[int, ...] = ()
    batch_change: tuple[int, int] | None = None
    mislabelled: float = 0.0
    # Numerics.
    precision: str = "fp32"
    scaler: Mapping[str, float] = field(default_factory=dict)
    overflow_as: str = "inf"
    nan_at: tuple[int, str] | None = None
    # Faults of the set-up.
    zero_from: int | None = None
    restarts: tuple[int, ...] = ()
    restart_peak: float = 1.0
    resume: tuple[int, int] | None = None
    renumber: bool = False
    clip_scaled: bool = False
    frozen: str = ""
    cut_from: int | None = None
    silent_from: int | None = None
    squashed: bool = False
    blind: float = 0.0
    dropout: float = 0.0
    ascent: bool = False
    dead: bool = False
    jitter: float = 0.0
    stale_rate: bool = False
    # Logging.
    first_step: int = 0
    every: int = 1
    average: bool = False
    decimals: int | None = None
    smooth: float = 0.0
    log_val: bool = False
    log_layers: bool = False
    log_scale: bool = True
    postclip: bool = False
    acted_steps: tuple[int, ...] = ()


def true_steps(recipe: Recipe) -> np.ndarray:
    """int[steps]: the step that each update believes to be: a resume goes back to its checkpoint."""
    steps = np.arange(recipe.steps)
    if recipe.resume:
        crash, checkpoint = recipe.resume
        steps[crash:] -= crash - checkpoint
    return steps


def shown_steps(recipe: Recipe) -> np.ndarray:
    """int[steps]: the step that is logged; a resume may count from 0 again."""
    steps = true_steps(recipe)
    if recipe.resume and recipe.renumber:
        steps[recipe.resume[0] :] -= recipe.resume[1]
    return steps + recipe.first_step


def planned_rate(recipe: Recipe) -> np.ndarray:
    """float[steps]: the rate of every update, as it is logged."""
    planned = np.empty(recipe.steps)
    length = max(round(recipe.steps * recipe.horizon), 2)
    shape = SHAPES[recipe.schedule]
    for i, step in enumerate(true_steps(recipe).tolist()):
        begun = max((r for r in recipe.restarts if r <= step), default=None)
        if begun is None and step < recipe.warmup:
            planned[i] = recipe.lr * (step + 1) / recipe.warmup
            continue
        origin, peak = (recipe.warmup, recipe.lr) if begun is None else (begun, recipe.lr * recipe.restart_peak)
        done = (step - origin) / max(length - origin, 1)
        planned[i] = peak * shape(_folded(done) if recipe.wraps else min(done, 1.0))
    if recipe.zero_from is not None:
        planned[recipe.zero_from :] = 0.0
    if recipe.jitter:
        dice = np.random.default_rng(recipe.seed + 77)
        planned *= np.exp(recipe.jitter * dice.standard_normal(recipe.steps))
    return planned


def used_rate(recipe: Recipe, planned: np.ndarray) -> np.ndarray:
    """float[steps]: the rate of every update, as it is used: a scheduler of another optimiser moves nothing."""
    return np.full(recipe.steps, recipe.lr) if recipe.stale_rate else planned


def sizes(recipe: Recipe) -> np.ndarray:
    """int[steps]: rows of each batch."""
    size = np.full(recipe.steps, min(recipe.batch, recipe.rows))
    if recipe.batch_change:
        size[recipe.batch_change[0] :] = min(recipe.batch_change[1], recipe.rows)
    return size


def pools(recipe: Recipe) -> np.ndarray:
    """int[steps]: the place in `POOLS` that each batch is taken from."""
    pool = np.zeros(recipe.steps, dtype=np.int64)
    for begin, name in recipe.phases:
        pool[begin:] = POOLS.index(name)
    for step in recipe.bad_steps:
        if step < recipe.steps:
            pool[step] = POOLS.index(recipe.bad_kind)
    return pool


def stream(recipe: Recipe, keys: np.ndarray | None) -> np.ndarray:
    """int[sum of sizes]: the rows that the batches take one after the other; `keys` (rows,) sort a data set that is not shuffled."""
    dice = np.random.default_rng(10_000 + recipe.seed)
    total, n = int(sizes(recipe).sum()), recipe.rows
    if recipe.order == "replace":
        return dice.integers(n, size=total)
    rounds = math.ceil(total / n)
    if recipe.order == "sorted":
        one = np.arange(n) if keys is None else np.argsort(keys[:n], kind="stable")
        return np.tile(one, rounds)[:total]
    return np.concatenate([dice.permutation(n) for _ in range(rounds)])[:total]


def _folded(done: float) -> float:
    """Beyond its end a cosine comes back the way that it went."""
    done %= 2.0
    return 2.0 - done if done > 1 else done

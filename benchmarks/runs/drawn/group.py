"""One group from its dice to its runs: a sweep of rates, the healthy runs, then those that something is done to."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from benchmarks.runs.drawn.faults import Twin, draw
from benchmarks.runs.drawn.lanes import HELD_OUT, Group, Recorded, layout, train
from benchmarks.runs.drawn.nets import Net, Shape, initial
from benchmarks.runs.drawn.recipe import POOLS, Recipe
from benchmarks.runs.drawn.rules import Run, judged_run
from benchmarks.runs.drawn.space import (
    NETS,
    POOL_ROWS,
    SWEEP_STEPS,
    TASKS,
    Setting,
    Swept,
    healthy,
    rates,
)  # fmt: skip
from benchmarks.runs.drawn.tasks import Task

#: Healthy runs that a group must have before anything is done to their like.
MIN_HEALTHY = 2
OVERFLOW = 3e4


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Built:
    """A group with what its weights start from."""

    group: Group
    setting: Setting
    keys: np.ndarray | None

    @property
    def shape(self) -> Net:
        """The layout of all weights."""
        return Net(shapes=layout(self.group), forward=self.group.net.forward)

    def start(self, recipes: Sequence[Recipe], pretrained: Tensor | None) -> Tensor:
        """The weights that each recipe starts from."""
        rows = []
        for recipe in recipes:
            rng = torch.Generator().manual_seed(recipe.seed)
            theta = initial(self.shape, self.setting.init, recipe.gain, rng)
            if recipe.pretrained and pretrained is not None:
                theta = pretrained.clone() * recipe.gain
            if recipe.dead:
                begin = 0
                for name, shape in layout(self.group).items():
                    size = int(np.prod(shape))
                    if name[0] == "b" and name != "bout":
                        theta[begin : begin + size] = -6.0
                    begin += size
            rows.append(theta)
        return torch.stack(rows)


def _data(task: Task, seed: int) -> tuple[Tensor, Tensor]:
    """The rows of all pools, one after the other."""
    made = {
        name: task.make(POOL_ROWS, name, torch.Generator().manual_seed(seed + 1 + i))
        for i, name in enumerate(POOLS[:4])
    }
    x, y = made["main"]
    rng = torch.Generator().manual_seed(seed + 99)
    mixed = torch.randperm(POOL_ROWS, generator=rng)
    if x.is_floating_point():
        x30, x5, high = 30 * x, 5 * x, OVERFLOW * x
        garbage = (4 * torch.randn(x.shape, generator=rng), y[mixed])
    else:
        other = torch.randint(0, int(x.max()) + 1, x.shape, generator=rng)
        x30 = x5 = high = other
        garbage = (other, y[mixed])
    made |= {"x30": (x30, y), "x5": (x5, y), "shuffle": (x, y[mixed]), "garbage": garbage, "overflow": (high, y)}
    return torch.cat([made[name][0] for name in POOLS]), torch.cat([made[name][1] for name in POOLS])


def build(setting: Setting) -> Built:
    """Lay out data, net and held-out rows of a group."""
    task = TASKS[setting.family.task](setting.world)
    shape = Shape(
        kind=task.kind, d_in=task.d_in, out=task.out, length=task.length, per_token=task.per_token,
        width=setting.width, depth=setting.depth, act=setting.act, norm=setting.norm,
    )  # fmt: skip
    inputs, targets = _data(task, setting.seed)
    held_out = {
        phase: task.make(HELD_OUT, phase, torch.Generator().manual_seed(setting.seed + 50))
        for phase in ("main", "shift", "soft")
    }
    keys = targets[:POOL_ROWS].float() if task.labels is None else task.labels(targets[:POOL_ROWS]).float()
    keys = keys.flatten(1)[:, 0] if keys.dim() > 1 else keys
    group = Group(
        net=NETS[setting.family.net](shape), task=task, inputs=inputs, targets=targets, pool_size=POOL_ROWS,
        held_out=held_out, seed=setting.seed,
    )  # fmt: skip
    return Built(group=group, setting=setting, keys=keys.numpy())


def sweep(built: Built) -> dict[str, Swept]:
    """Try the rates of each optimiser of the group."""
    names = [(opt, rate) for opt in built.setting.optimisers for rate in rates(opt, built.group.task.scale)]
    recipes = [
        Recipe(steps=SWEEP_STEPS, seed=built.setting.seed, opt=opt, lr=rate, warmup=5, batch=16, rows=POOL_ROWS)
        for opt, rate in names
    ]
    runs = train(built.group, built.start(recipes, None), recipes, built.keys)
    found: dict[str, Swept] = {}
    for opt in built.setting.optimisers:
        tried = [
            (float(np.mean([v for _, v in run.evaluations[-3:]])), rate, run)
            for (o, rate), run in zip(names, runs, strict=True)
            if o == opt
        ]
        finite = [t for t in tried if np.isfinite(t[0])]
        if finite:
            _, rate, run = min(finite, key=lambda t: (t[0], t[1]))
            norm = run.columns["norm"][SWEEP_STEPS // 5 :]
            median, high, highest = np.quantile(norm[np.isfinite(norm)], (0.5, 0.9, 0.998)).tolist()
            found[opt] = Swept(rate=rate, median=median, high=high, highest=highest)
    return found


def _twin(run: Recorded, task: Task, inputs: Tensor) -> Twin:
    norm = run.columns["norm"][len(run.columns["norm"]) // 20 :]
    norm = norm[np.isfinite(norm)]
    return Twin(
        median_norm=float(np.median(norm)), high_norm=float(np.quantile(norm, 0.95)), has_floats=inputs.is_floating_point(),
        has_targets=bool(task.make(4, "main", torch.Generator().manual_seed(0))[1].float().abs().sum() > 0),
        weight_norm=float(np.median(run.columns["weight_norm"])),
    )  # fmt: skip


def make(setting: Setting) -> list[Run]:
    """All runs of a group, judged."""
    built = build(setting)
    swept = sweep(built)
    if not swept:
        return []
    recipes = [healthy(setting, i, swept) for i in range(setting.lanes[0])]
    pretrained = _pretrained(built, swept) if any(r.pretrained for r in recipes) else None
    well = [
        judged_run(setting, run, (), None)
        for run in train(built.group, built.start(recipes, pretrained), recipes, built.keys)
    ]
    able = [run for run in well if run.verdict.expected == "healthy"]
    if len(able) < MIN_HEALTHY:
        return well
    dice = random.Random(f"{setting.family.name} {setting.number} faults")
    changed: list[Recipe] = []
    faults: list[tuple[str, ...]] = []
    twins: list[Run | int] = []
    for _ in range(setting.lanes[1]):
        twin = dice.choice(able)
        drawn = draw(twin.recorded.recipe, _twin(twin.recorded, built.group.task, built.group.inputs), dice)
        recipe = replace(twin.recorded.recipe, **drawn.changes)
        own = _own_twin(recipe, drawn.faults)
        if own is not None:
            changed.append(own[0])
            faults.append(own[1])
            twins.append(twin)
        changed.append(recipe)
        faults.append(drawn.faults)
        twins.append(twin if own is None else len(changed) - 2)
    recorded = train(built.group, built.start(changed, pretrained), changed, built.keys)
    ill: list[Run] = []
    for run, against, names in zip(recorded, twins, faults, strict=True):
        ill.append(judged_run(setting, run, names, ill[against] if isinstance(against, int) else against))
    return well + ill


def _own_twin(recipe: Recipe, faults: tuple[str, ...]) -> tuple[Recipe, tuple[str, ...]] | None:
    """The run that a fault is measured against where that is not the healthy recipe itself, and what was done to it.

    Adam's lag is measured against the same shock under a second moment that is quick, a missing warm-up against the same rate
    with a warm-up.
    """
    if faults == ("adam_beta2_lag",):
        return replace(recipe, beta2=0.95), ("data_shift",) if recipe.phases != ((0, "main"),) else ("bad_data",)
    if faults == ("no_warmup",):
        return replace(recipe, warmup=max(round(recipe.steps / 10), 10)), ()
    return None


def _pretrained(built: Built, swept: dict[str, Swept]) -> Tensor:
    """Weights that know the task already."""
    from benchmarks.runs.drawn.lanes import _Training

    opt = min(swept, key=lambda name: (name not in {"adam", "adamw"}, name))
    recipe = Recipe(steps=250, seed=built.setting.seed, opt=opt, lr=swept[opt].rate * 0.7, schedule="cosine", batch=16)
    training = _Training(built.group, built.start([recipe], None), [recipe], built.keys)
    training.run()
    return training.theta[0]

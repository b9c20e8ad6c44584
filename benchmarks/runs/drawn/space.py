"""The space that families, groups and healthy recipes are drawn from, and the parts of it that are kept for first looks.

A family is a task with an architecture. Each is drawn in groups: a size, depth, activation, normalisation and initialisation,
a data set with its noise, a length. Each group holds recipes: optimiser, rate, schedule, warm-up, clipping, precision, batch,
rows, logging. What is done to a recipe is drawn apart from all this (`benchmarks.runs.drawn.faults`).
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, replace

from benchmarks.runs.drawn import eighth, later_nets, nets, ninth, seventh, tasks, tenth, wide_nets
from benchmarks.runs.drawn.later_tasks import LATER
from benchmarks.runs.drawn.recipe import Recipe
from benchmarks.runs.drawn.tasks import Task, World
from benchmarks.runs.drawn.wide_losses import WIDE_LOSSES
from benchmarks.runs.drawn.wide_signals import WIDE_SIGNALS
from benchmarks.runs.drawn.wide_tasks import WIDE_QUESTIONS

WIDE_NETS = wide_nets.WIDE_VECTOR | wide_nets.WIDE_CAUSAL | wide_nets.WIDE_WHOLE
WIDE_TASKS = WIDE_LOSSES | WIDE_QUESTIONS | WIDE_SIGNALS
#: What came with the looks of which nothing was learned yet when they were made.
LOOK_VECTOR = seventh.SEVENTH_VECTOR | eighth.EIGHTH_VECTOR | ninth.NINTH_VECTOR | tenth.TENTH_VECTOR
LOOK_CAUSAL = seventh.SEVENTH_CAUSAL | eighth.EIGHTH_CAUSAL | ninth.NINTH_CAUSAL | tenth.TENTH_CAUSAL
LOOK_TASKS = seventh.SEVENTH_TASKS | eighth.EIGHTH_TASKS | ninth.NINTH_TASKS | tenth.TENTH_TASKS
VECTOR = nets.VECTOR | later_nets.LATER_VECTOR | wide_nets.WIDE_VECTOR | LOOK_VECTOR
CAUSAL = nets.CAUSAL | later_nets.LATER_CAUSAL | wide_nets.WIDE_CAUSAL | LOOK_CAUSAL
WHOLE = nets.WHOLE | later_nets.LATER_WHOLE | wide_nets.WIDE_WHOLE
NETS = (
    nets.NETS | later_nets.LATER_VECTOR | later_nets.LATER_CAUSAL | later_nets.LATER_WHOLE | WIDE_NETS
    | LOOK_VECTOR | LOOK_CAUSAL
)  # fmt: skip
TASKS = tasks.TASKS | LATER | WIDE_TASKS | LOOK_TASKS

LEARN, FIRST, SECOND, THIRD, FOURTH, FIFTH, SIXTH = "learn", "first", "second", "third", "fourth", "fifth", "sixth"
SEVENTH, EIGHTH, NINTH, TENTH = "seventh", "eighth", "ninth", "tenth"
#: A part that is learned from, too: tasks and architectures that came after the first six looks, which no look has.
WIDE = "wide"
LOOKS = (FIRST, SECOND, THIRD, FOURTH, FIFTH, SIXTH, SEVENTH, EIGHTH, NINTH, TENTH)
PARTS = (LEARN, *LOOKS, WIDE)
#: Tasks and architectures that no run of another part has: a first look is at something new.
KEPT_TASKS = {
    FIRST: ("logcosh", "contrast", "proximal", "forecast", "vae"),
    SECOND: ("mixture", "siamese", "values", "readdigits", "ratings"),
    THIRD: ("survival", "triplet", "reinforce", "masked", "diffusion"),
    FOURTH: ("ordinal", "edges", "rotated", "growth", "clusters"),
    FIFTH: ("bound", "sliced", "sorted", "bits", "worst"),
    SIXTH: ("overlap", "focal", "waiting", "direction", "moments"),
    SEVENTH: tuple(seventh.SEVENTH_TASKS),
    EIGHTH: tuple(eighth.EIGHTH_TASKS),
    NINTH: tuple(ninth.NINTH_TASKS),
    TENTH: tuple(tenth.TENTH_TASKS),
}
KEPT_NETS = {
    FIRST: ("highway", "lstm"), SECOND: ("experts", "tcn"), THIRD: ("dense", "mixer"), FOURTH: ("spline", "gatedconv"),
    FIFTH: ("memory", "linearattention"), SIXTH: ("cross", "leaky"),
    SEVENTH: ("trees", "fastweights"), EIGHTH: ("hyper", "clockwork"), NINTH: ("chooser", "selective"),
    TENTH: ("capsules", "quasi"),
}  # fmt: skip
#: Looks whose architectures are in no other part yet.
UNPUBLISHED = (SEVENTH, EIGHTH, NINTH, TENTH)
FAMILIES_IN_A_LOOK = 20
#: Architectures that a task of the wide part comes with.
NETS_OF_A_TASK = 3
GROUPS = 2
#: Healthy runs and faults of a group: in the part that is learned from and in the looks, and where positions make a step dear.
LANES = {LEARN: (24, 64), WIDE: (14, 26)} | dict.fromkeys(LOOKS, (16, 30))
DEAR_LANES = LANES | {SECOND: (10, 20), THIRD: (10, 20)}
DEAR = frozenset(CAUSAL) | frozenset(WHOLE)
#: Learning rates that are tried for 120 steps before a group begins, each a factor of about three above the last.
SWEEP_STEPS = 120
SWEEP = {
    "sgd": (3e-3, 1e-2, 3e-2, 0.1, 0.3, 1.0, 3.0),
    "sgdm": (3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 0.1, 0.3),
    "nesterov": (3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 0.1, 0.3),
    "adam": (3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 0.1, 0.3),
    "adamw": (3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 0.1, 0.3),
    "amsgrad": (3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 0.1, 0.3),
    "rmsprop": (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 0.1),
    "adagrad": (1e-3, 3e-3, 1e-2, 3e-2, 0.1, 0.3, 1.0),
    "lion": (1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2),
}
#: Optimisers whose steps are as large as the gradient, and whose rates go down as the loss goes up.
PLAIN = frozenset({"sgd", "sgdm", "nesterov"})
SCHEDULES = (
    "const", "const", "cosine", "cosine", "cosine", "linear", "linear", "step", "wsd", "exponential", "inverse_sqrt",
    "stairs", "warm_restarts", "doubled_restarts",
)  # fmt: skip
POOL_ROWS = 2048


@dataclass(frozen=True, kw_only=True, slots=True)
class Family:
    """A task and an architecture, and the part of the space it belongs to."""

    part: str
    task: str
    net: str

    @property
    def name(self) -> str:
        """How runs and tables call it."""
        return f"{self.task}.{self.net}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Setting:
    """What all recipes of a group share."""

    family: Family
    number: int
    width: int
    depth: int
    act: str
    norm: str
    init: str
    world: World
    steps: int
    optimisers: tuple[str, ...]
    layers: bool

    @property
    def seed(self) -> int:
        """The seed of everything that is drawn for this group."""
        return self.world.seed

    @property
    def lanes(self) -> tuple[int, int]:
        """How many healthy runs and how many faults are drawn."""
        return (DEAR_LANES if self.family.net in DEAR else LANES)[self.family.part]


def fits(task: Task, net: str) -> bool:
    """Whether an architecture can do a task at all."""
    if task.causal is True:
        return net in CAUSAL
    if task.per_token:
        return net in WHOLE or net in VECTOR
    if task.kind == "vec":
        return net in VECTOR or task.d_in >= 6
    return task.length > 1 or net in VECTOR


def _choose(dice: random.Random, part: str, tasks: tuple[str, ...], nets: tuple[str, ...], each: int) -> list[Family]:
    found = []
    for name in tasks:
        task = TASKS[name](World(seed=0, noise=0.1, spread=0.0))
        able = [net for net in nets if fits(task, net)]
        dice.shuffle(able)
        found += [Family(part=part, task=name, net=net) for net in able[:each]]
    return found


def _mixed(found: list[Family]) -> list[Family]:
    """Families of all kinds first and dear ones last, should training end early."""
    random.Random("order").shuffle(found)
    return sorted(found, key=lambda family: family.net in DEAR)


def _wide(common_tasks: tuple[str, ...]) -> list[Family]:
    """New tasks with all architectures that were learned from or published, old ones with the new architectures.

    Each task has dice of its own, so that one more changes nothing of the others.
    """
    unseen = {net for part in UNPUBLISHED for net in KEPT_NETS[part]}
    able = tuple(net for net in NETS if net not in unseen)
    found = []
    for count, names, of in ((NETS_OF_A_TASK, able, tuple(WIDE_TASKS)), (1, tuple(WIDE_NETS), common_tasks)):
        for task in of:
            found += _choose(random.Random(f"families {WIDE} {task}"), WIDE, (task,), names, count)
    return _mixed(found)


def families(part: str) -> list[Family]:
    """All families of a part, always the same."""
    kept_nets = {net for nets in KEPT_NETS.values() for net in nets}
    kept_tasks = {task for tasks in KEPT_TASKS.values() for task in tasks}
    common_nets = tuple(net for net in NETS if net not in kept_nets and net not in WIDE_NETS)
    common_tasks = tuple(task for task in TASKS if task not in kept_tasks and task not in WIDE_TASKS)
    dice = random.Random(f"families {part}")
    if part == WIDE:
        return _wide(common_tasks)
    if part == LEARN:
        return _mixed(_choose(dice, part, common_tasks, common_nets, 3))
    new_tasks = _choose(dice, part, KEPT_TASKS[part], (*common_nets, *KEPT_NETS[part]), 3)
    old_tasks = list(common_tasks)
    dice.shuffle(old_tasks)
    pairs = [f for task in old_tasks for f in _choose(dice, part, (task,), KEPT_NETS[part], 1)]
    return (new_tasks + pairs)[:FAMILIES_IN_A_LOOK]


def _is_short(family: Family) -> bool:
    return family.part == WIDE or (family.part in {SECOND, THIRD} and family.net in DEAR)


def setting(family: Family, number: int) -> Setting:
    """Draw a group of a family."""
    dice = random.Random(f"{family.name} {number}")
    return Setting(
        family=family,
        number=number,
        width=dice.choice((8, 12, 16, 16, 24, 32)),
        depth=dice.choice((1, 2, 2, 3, 4)),
        act=dice.choice(("relu", "relu", "tanh", "gelu", "silu", "leaky", "softplus", "sine")),
        norm=dice.choice(("none", "none", "layer", "batch", "rms")),
        init=dice.choice(("he", "xavier", "lecun", "wide", "small", "zero_last")),
        world=World(
            seed=dice.randrange(1, 10_000),
            noise=dice.choice((0.0, 0.1, 0.3, 0.6, 1.0)),
            spread=dice.choice((0.0, 0.0, 0.5, 1.0)),
        ),
        steps=round((250 if _is_short(family) else 300) * 4 ** dice.random()),
        optimisers=tuple(sorted(dice.sample(sorted(SWEEP), 4))),
        layers=dice.random() < 0.3,
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Swept:
    """What the sweep of one optimiser found: the best rate, and quantiles of the norm there."""

    rate: float
    median: float
    high: float
    highest: float


def rates(opt: str, scale: float) -> tuple[float, ...]:
    """The rates that are tried where the loss has about this size."""
    return tuple(rate / scale for rate in SWEEP[opt]) if opt in PLAIN else SWEEP[opt]


def _threshold(dice: random.Random, found: Swept) -> float | None:
    chosen = dice.random()
    if chosen < 0.5:
        return None
    level = found.highest if chosen < 0.7 else found.high if chosen < 0.9 else 1.5 * found.median
    return float(f"{level:.2g}") or None


def _logging(dice: random.Random, recipe: Recipe) -> Recipe:
    every = dice.choice((1, 1, 1, 1, 2, 5, 10)) if recipe.steps >= 500 else dice.choice((1, 1, 1, 2))
    return replace(
        recipe,
        every=every,
        average=every > 1 and dice.random() < 0.5,
        decimals=dice.choice((None,) * 6 + (2, 3, 4)),
        smooth=dice.choice((0.0,) * 9 + (0.9,)),
        log_val=dice.random() < 0.35,
        first_step=dice.choice((0, 0, 0, 1, 1, 10_000)),
        overflow_as=dice.choice(("inf", "nan")),
        log_scale=dice.random() < 0.8,
    )


def healthy(group: Setting, number: int, swept: dict[str, Swept]) -> Recipe:
    """Draw a healthy recipe of a group: the rate lies somewhere below the best one of a short sweep."""
    dice = random.Random(f"{group.family.name} {group.number} recipe {number}")
    opt = dice.choice([name for name in group.optimisers if name in swept])
    found = swept[opt]
    steps = round(group.steps * dice.choice((0.5, 0.75, 1.0, 1.0)))
    rows = dice.choice((16, 64, 256, POOL_ROWS, POOL_ROWS, POOL_ROWS, POOL_ROWS))
    batch = dice.choice((1, 2, 4, 4, 8, 8, 16, 16))
    if rows == 16 and dice.random() < 0.5:
        batch = 16
    recipe = Recipe(
        steps=steps,
        seed=group.seed * 100 + number,
        opt=opt,
        lr=float(f"{found.rate * 10 ** dice.uniform(-0.9, -0.15) * min(1.0, (batch / 8) ** 0.5):.2g}"),
        schedule=dice.choice(SCHEDULES),
        warmup=0 if dice.random() < 0.4 else round(steps * dice.choice((0.02, 0.05, 0.1))),
        beta2=dice.choice((0.9, 0.95, 0.98, 0.99, 0.999, 0.999)),
        l2=dice.choice((0.0,) * 6 + (1e-4, 1e-3)),
        decay=dice.choice((0.0, 0.01, 0.1)) if opt in {"adamw", "lion"} else 0.0,
        clip=_threshold(dice, found),
        batch=batch,
        rows=rows,
        order="replace" if rows == POOL_ROWS and dice.random() < 0.5 else "epoch",
        pretrained=dice.random() < 0.12,
        precision="fp16" if dice.random() < 0.15 else "fp32",
        dropout=dice.choice((0.0,) * 8 + (0.1, 0.2)),
        log_layers=group.layers and dice.random() < 0.5,
    )
    if recipe.precision == "fp16":
        recipe = replace(recipe, scaler={"init_scale": 2.0 ** dice.choice((12, 16, 16, 18)), "growth_interval": 2000.0})
    if recipe.pretrained:
        recipe = replace(recipe, phases=((0, "soft"),), lr=recipe.lr * 0.3)
    recipe = _logging(dice, recipe)
    return _sized(recipe, TASKS[group.family.task](group.world).scale)


def _sized(recipe: Recipe, scale: float) -> Recipe:
    """A penalty and decimals that suit the size of the loss."""
    if scale == 1.0:
        return recipe
    decimals = None if recipe.decimals is None else max(recipe.decimals - round(math.log10(scale)), 0)
    return replace(recipe, l2=recipe.l2 * scale, decimals=decimals)

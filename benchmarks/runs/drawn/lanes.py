"""The training loop: many models of one shape, each with a recipe of its own, one real optimiser step after another.

All models of a group share architecture and task, so that their weights are rows of one matrix and a step of forty tiny
models costs little more than a step of one. Nothing passes between the rows: a model that ends in NaN ends alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.func import vmap

from benchmarks.runs.drawn.nets import Net, views
from benchmarks.runs.drawn.recipe import POOLS, Recipe, planned_rate, pools, shown_steps, sizes, stream, used_rate
from benchmarks.runs.drawn.tasks import Task
from benchmarks.runs.scaling import LossScale

#: Evaluations in a run, and two more near its end, so that one lucky batch order decides less.
EVALUATIONS = 20
LATE = (0.925, 0.975)
HELD_OUT = 96
#: Every tenth step the loss of the same batch is measured again after the update.
PROBE = 10
MAX_LAYERS = 6
COLUMNS = (
    "loss", "norm", "shown_norm", "data_norm", "weight_norm", "update_norm", "rms_ratio", "loss_after", "dot", "scale", "skipped",
)  # fmt: skip
ADAPTIVE = ("adam", "adamw", "amsgrad", "rmsprop", "adagrad")


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Group:
    """What all models of a batch share: `start` (models, weights), the data by pool, and the weights' layout."""

    net: Net
    task: Task
    inputs: Tensor
    targets: Tensor
    pool_size: int
    held_out: Mapping[str, tuple[Tensor, Tensor]]
    seed: int


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Recorded:
    """What one run wrote down: columns (steps,), evaluations as (step, value), norms of layers (steps, layers)."""

    recipe: Recipe
    columns: Mapping[str, np.ndarray]
    evaluations: Sequence[tuple[int, float]]
    layers: Mapping[str, np.ndarray]


def layout(group: Group) -> dict[str, tuple[int, ...]]:
    """Shapes of all parameters, the task's own after the net's."""
    return {**group.net.shapes, **group.task.extra}


def squash(out: Tensor) -> Tensor:
    """A last layer too many."""
    return torch.softmax(out, -1) if out.shape[-1] > 2 else torch.relu(out)


def loss_function(group: Group, rows: str = "rows") -> Callable[..., Tensor]:
    """The loss of one model on one batch, as a function of its weights."""
    whole = Net(shapes=layout(group), forward=group.net.forward)
    cost = group.task.rows if rows == "rows" else group.task.evaluate or group.task.rows

    def one(theta: Tensor, x: Tensor, y: Tensor, w: Tensor, z: Tensor, ref: Tensor, squashed: Tensor) -> Tensor:
        p, old = views(whole, theta), views(whole, ref)

        def f(v: Tensor) -> Tensor:
            out = group.net.forward(p, v, w)
            return torch.where(squashed > 0, squash(out), out)

        return (w * cost(f, x, y, w, z, lambda v: group.net.forward(old, v, w).detach(), p)).sum()

    batched: Callable[..., Tensor] = vmap(one)
    return batched


def evaluation_steps(steps: int) -> frozenset[int]:
    """Steps before which a run is evaluated."""
    return frozenset({round(steps * k / EVALUATIONS) for k in range(EVALUATIONS)} | {round(steps * s) for s in LATE})


class Optimisers:
    """The moments of all models and the steps they take; models are sorted by optimiser so that each is one block."""

    def __init__(self, recipes: Sequence[Recipe], size: int) -> None:
        """Start with empty moments."""
        k = len(recipes)
        self.blocks: list[tuple[str, slice]] = []
        for i, recipe in enumerate(recipes):
            if self.blocks and self.blocks[-1][0] == recipe.opt:
                self.blocks[-1] = (recipe.opt, slice(self.blocks[-1][1].start, i + 1))
            else:
                self.blocks.append((recipe.opt, slice(i, i + 1)))
        self.m, self.v, self.most = (torch.zeros(k, size) for _ in range(3))
        self.count = torch.zeros(k, 1)
        self.beta2 = torch.tensor([[r.beta2] for r in recipes])
        self.decay = torch.tensor([[r.decay] for r in recipes])

    def reset(self, i: int) -> None:
        """Forget everything of one model."""
        for moment in (self.m, self.v, self.most, self.count):
            moment[i] = 0

    def ratio(self, g: Tensor) -> Tensor:
        """RMS of g / sqrt(v) before the step, NaN where there is no second moment, (k,)."""
        found = torch.full((len(g),), math.nan)
        for name, block in self.blocks:
            if name in ADAPTIVE:
                v = self.v[block]
                if name in {"adam", "adamw", "amsgrad"}:
                    v = v / (1 - self.beta2[block] ** self.count[block]).clamp_min(1e-12)
                began = self.count[block][:, 0] > 0
                found[block] = torch.where(began, (g[block].square() / v.clamp_min(1e-16)).mean(1).sqrt(), math.nan)
        return found

    def step(self, theta: Tensor, g: Tensor, rate: Tensor, live: Tensor) -> Tensor:
        """The change of all weights; `live` (k, 1) says which models step at all."""
        change = torch.empty_like(g)
        self.count += live
        for name, block in self.blocks:
            x, m, v, on = g[block], self.m[block], self.v[block], live[block] > 0
            b2, t = self.beta2[block], self.count[block].clamp_min(1)
            if name == "sgd":
                move = x
            elif name in {"sgdm", "nesterov"}:
                new = 0.9 * m + x
                move = x + 0.9 * new if name == "nesterov" else new
                m.copy_(torch.where(on, new, m))
            elif name == "lion":
                move = torch.sign(0.9 * m + 0.1 * x)
                m.copy_(torch.where(on, 0.99 * m + 0.01 * x, m))
            else:
                new = v + x.square() if name == "adagrad" else b2 * v + (1 - b2) * x.square()
                v.copy_(torch.where(on, new, v))
                if name in {"rmsprop", "adagrad"}:
                    move = x / (v.sqrt() + 1e-8)
                else:
                    m.copy_(torch.where(on, 0.9 * m + 0.1 * x, m))
                    second = v
                    if name == "amsgrad":
                        self.most[block] = torch.maximum(self.most[block], v)
                        second = self.most[block]
                    move = m / (1 - 0.9**t) / ((second / (1 - b2**t)).sqrt() + 1e-8)
            change[block] = torch.where(on, -rate[block] * (move + self.decay[block] * theta[block]), 0.0)
        return change


def _mask(group: Group, recipe: Recipe, size: int) -> Tensor | None:
    """Which weights a frozen or cut model trains: the last layer only (`body`), or all but it (`head`)."""
    if not recipe.frozen:
        return None
    mask = torch.zeros(size)
    begin = 0
    for name, shape in layout(group).items():
        n = math.prod(shape)
        is_head = name in {"Wout", "bout"}
        mask[begin : begin + n] = float(is_head == (recipe.frozen == "body"))
        begin += n
    return mask


class Batches:
    """Indices (steps, models, rows) and weights of the rows of every batch."""

    def __init__(self, group: Group, recipes: Sequence[Recipe], keys: np.ndarray | None) -> None:
        """Lay out every batch of every model before training."""
        self.steps = max(r.steps for r in recipes)
        self.most = max(int(sizes(r).max()) for r in recipes)
        index = np.zeros((self.steps, len(recipes), self.most), dtype=np.int32)
        count = np.ones((self.steps, len(recipes)), dtype=np.int64)
        for k, recipe in enumerate(recipes):
            size, pool = sizes(recipe), pools(recipe)
            rows = stream(recipe, keys)
            here = np.arange(self.most)[None, :] < size[:, None]
            index[: recipe.steps, k][here] = rows
            if recipe.mislabelled:
                # Some rows always come with the target of another; batches that are spoilt as a whole stay as they are.
                spoilt = np.random.default_rng(recipe.seed + 5).random(group.pool_size) < recipe.mislabelled
                other = (POOLS.index("shuffle") * group.pool_size * spoilt)[index[: recipe.steps, k]]
                index[: recipe.steps, k] += other * (pool == 0)[:, None]
            index[: recipe.steps, k] += (pool * group.pool_size)[:, None].astype(np.int32)
            count[: recipe.steps, k] = size
        self.index = torch.from_numpy(index)
        self.count = torch.from_numpy(count)
        self.place = torch.arange(self.most)

    def at(self, step: int) -> tuple[Tensor, Tensor]:
        """Indices and weights of one step, each (models, rows)."""
        count = self.count[step][:, None]
        return self.index[step].long(), (self.place < count).float() / count


def train(group: Group, start: Tensor, recipes: Sequence[Recipe], keys: np.ndarray | None) -> list[Recorded]:
    """Train every recipe from its row of `start`; the runs come back in the order given."""
    order = sorted(range(len(recipes)), key=lambda i: recipes[i].opt)
    done = _Training(group, start[order].clone(), [recipes[i] for i in order], keys).run()
    place = {i: position for position, i in enumerate(order)}
    return [done[place[i]] for i in range(len(recipes))]


class _Training:
    """The loop with its state."""

    def __init__(self, group: Group, theta: Tensor, recipes: list[Recipe], keys: np.ndarray | None) -> None:
        self.group, self.theta, self.recipes = group, theta, recipes
        self.k, self.size = theta.shape
        self.batches = Batches(group, recipes, keys)
        self.optimisers = Optimisers(recipes, self.size)
        self.loss, self.judge = loss_function(group), loss_function(group, "evaluate")
        self.ref = theta.clone()
        self.rng = torch.Generator().manual_seed(group.seed + 31)
        steps = self.batches.steps
        rate, used = np.zeros((steps, self.k)), np.zeros((steps, self.k))
        for i, r in enumerate(recipes):
            rate[: r.steps, i] = planned_rate(r)
            used[: r.steps, i] = used_rate(r, rate[: r.steps, i])
        self.rate, self.used = rate, torch.tensor(used, dtype=torch.float32)
        self.scalers = [LossScale.of(r.scaler) if r.precision == "fp16" else None for r in recipes]
        self.half = torch.tensor([[s is not None] for s in self.scalers])
        self.l2 = torch.tensor([[r.l2] for r in recipes])
        self.clip = torch.tensor([math.inf if r.clip is None else r.clip for r in recipes])
        self.clip_scaled = torch.tensor([r.clip_scaled for r in recipes])
        self.squashed = torch.tensor([float(r.squashed) for r in recipes])
        self.sign = torch.tensor([[-1.0 if r.ascent else 1.0] for r in recipes])
        masks = [_mask(group, r, self.size) for r in recipes]
        self.mask = None
        if any(m is not None for m in masks):
            self.mask = torch.stack([torch.ones(self.size) if m is None else m for m in masks])
        self.wanted: dict[int, list[int]] = {}
        for i, r in enumerate(recipes):
            for step in evaluation_steps(r.steps) | {r.steps}:
                self.wanted.setdefault(step, []).append(i)
        self.evaluations: list[list[tuple[int, float]]] = [[] for _ in recipes]
        self.table = {name: np.full((steps, self.k), np.nan, dtype=np.float32) for name in COLUMNS}
        self.spans = self._layers() if any(r.log_layers for r in recipes) else {}
        self.layer = {name: np.full((steps, self.k), np.nan, dtype=np.float32) for name in self.spans}
        self.saved: dict[int, Tensor] = {}
        self.is_float = group.inputs.is_floating_point()
        self.blind = self._inputs_hidden() if self.is_float else None

    def _layers(self) -> dict[str, slice]:
        spans, begin = {}, 0
        for name, shape in layout(self.group).items():
            n = math.prod(shape)
            if name[0] in "WE" and n > 1:
                spans[name] = slice(begin, begin + n)
            begin += n
        names = list(spans)
        if len(names) > MAX_LAYERS:
            names = [names[round(i * (len(names) - 1) / (MAX_LAYERS - 1))] for i in range(MAX_LAYERS)]
        return {name: spans[name] for name in names}

    def _inputs_hidden(self) -> Tensor | None:
        """(models, width): 0 for inputs that a wrong mask hides while training."""
        if not any(r.blind for r in self.recipes):
            return None
        width = self.group.inputs.shape[-1]
        rng = torch.Generator().manual_seed(self.group.seed + 3)
        place = torch.rand(width, generator=rng)
        return torch.stack([(place >= r.blind).float() for r in self.recipes])

    def run(self) -> list[Recorded]:
        """Train to the end of the longest run."""
        for step in range(self.batches.steps):
            self._resume(step)
            self._evaluate(step)
            self._step(step)
        self._evaluate(self.batches.steps)
        return [self._recorded(i) for i in range(self.k)]

    def _resume(self, step: int) -> None:
        for i, r in enumerate(self.recipes):
            if r.resume and step == r.resume[1]:
                self.saved[i] = self.theta[i].clone()
            if r.resume and step == r.resume[0]:
                self.theta[i] = self.saved[i]
                self.optimisers.reset(i)

    def _evaluate(self, step: int) -> None:
        """Judge those whose turn it is on held-out rows of the phase that they end in."""
        for phase, (x, y) in self.group.held_out.items():
            mine = [i for i in self.wanted.get(step, ()) if _final_phase(self.recipes[i]) == phase]
            if not mine:
                continue
            n, pick = len(x), torch.tensor(mine)
            rng = torch.Generator().manual_seed(self.group.seed + 13)
            z = torch.randn(n, self.group.task.noise, generator=rng)
            with torch.no_grad():
                found = self.judge(
                    self.theta[pick], *(v.expand(len(mine), *v.shape) for v in (x, y, torch.full((n,), 1 / n), z)),
                    self.ref[pick], self.squashed[pick],
                )  # fmt: skip
            for i, value in zip(mine, found.tolist(), strict=True):
                self.evaluations[i].append((step, value))

    def _step(self, step: int) -> None:
        task, k = self.group.task, self.k
        if task.refresh and step % task.refresh == 0:
            self.ref = self.theta.clone()
        index, w = self.batches.at(step)
        x, y = self._spoil(self.group.inputs[index]), self.group.targets[index]
        z = torch.randn(k, self.batches.most, task.noise, generator=self.rng)
        theta = self.theta.clone().requires_grad_(True)
        loss = self.loss(theta, x, y, w, z, self.ref, self.squashed)
        (g,) = torch.autograd.grad(loss.sum(), theta)
        g, loss = self._break(step, g, loss.detach())
        scale = torch.tensor([1.0 if s is None else s.scale for s in self.scalers])
        if self.half.any():
            # What float16 gradients would hold: infinite above 65504, zero below 6e-8, 11 bits between.
            g = torch.where(self.half, (g * scale[:, None]).half().float() / scale[:, None], g)
        data_norm = g.norm(dim=1)
        overflow = self.half[:, 0] & ~torch.isfinite(data_norm)
        full = g + self.l2 * self.theta
        norm = full.norm(dim=1)
        shown = torch.where(self.clip_scaled, norm * scale, norm)
        coefficient = (self.clip / (shown + 1e-6)).clamp(max=1.0)
        ratio = self.optimisers.ratio(full)
        live = (~overflow).float()[:, None] * self._guard(norm)
        change = self.optimisers.step(
            self.theta, self.sign * full * coefficient[:, None], self.used[step][:, None], live
        )
        if self.mask is not None:
            change = change * self.mask
        weights = self.theta.norm(dim=1)
        self.theta = self.theta + change
        self._log(step, loss=loss, norm=norm, shown_norm=self._shown(shown, coefficient, overflow, loss), data_norm=data_norm,
                  weight_norm=weights, update_norm=change.norm(dim=1), rms_ratio=ratio, scale=scale,
                  skipped=1 - live[:, 0])  # fmt: skip
        for name, span in self.spans.items():
            self.layer[name][step] = full[:, span].norm(dim=1).numpy()
        if step % PROBE == 0:
            with torch.no_grad():
                after = self.loss(self.theta, x, y, w, z, self.ref, self.squashed)
            self._log(step, loss_after=after, dot=(g * change).sum(1))
        for i, scaler in enumerate(self.scalers):
            if scaler is not None:
                scaler.update(overflow=bool(overflow[i]))

    def _spoil(self, x: Tensor) -> Tensor:
        if not self.is_float:
            hidden = torch.tensor([r.blind for r in self.recipes])
            if bool((hidden > 0).any()) and x.shape[-1] > 1:
                place = torch.arange(x.shape[-1]) < (hidden * x.shape[-1]).round()[:, None, None]
                x = torch.where(place, 0, x)
            return x
        if self.blind is not None:
            x = x * self.blind.view(self.k, *([1] * (x.dim() - 2)), -1)
        left = torch.tensor([r.dropout for r in self.recipes])
        if bool((left > 0).any()):
            shape = (self.k, *([1] * (x.dim() - 1)))
            kept = torch.rand(x.shape, generator=self.rng) >= left.view(shape)
            x = x * kept / (1 - left).view(shape)
        if bool(self.half.any()):
            shape = (self.k, *([1] * (x.dim() - 1)))
            x = torch.where(self.half.view(shape), x.clamp(-65504, 65504).half().float(), x)
        return x

    def _break(self, step: int, g: Tensor, loss: Tensor) -> tuple[Tensor, Tensor]:
        """What wrong code does to a step: nothing reaches the weights, or a value is not finite."""
        for i, r in enumerate(self.recipes):
            if r.cut_from is not None and step >= r.cut_from:
                head = self._head()
                g[i, : head.start] = 0.0
            if r.silent_from is not None and step >= r.silent_from:
                g[i] = 0.0
                if r.bad_kind == "zero":
                    loss[i] = 0.0
            if r.nan_at and step == r.nan_at[0]:
                g[i] = math.inf if r.nan_at[1].startswith("inf") else math.nan
                loss[i] = loss[i] if r.nan_at[1].endswith("norm") else math.nan
        if self.mask is not None:
            g = g * self.mask
        return g, loss

    def _head(self) -> slice:
        begin = 0
        for name, shape in layout(self.group).items():
            if name == "Wout":
                return slice(begin, self.size)
            begin += math.prod(shape)
        return slice(0, self.size)

    def _guard(self, norm: Tensor) -> Tensor:
        """Trainers that skip a step whose norm is not finite: those whose sudden NaN is `...skip`."""
        live = torch.ones(self.k, 1)
        for i, r in enumerate(self.recipes):
            if r.nan_at and "skip" in r.nan_at[1] and not bool(torch.isfinite(norm[i])):
                live[i] = 0.0
        return live

    def _shown(self, norm: Tensor, coefficient: Tensor, overflow: Tensor, loss: Tensor) -> Tensor:
        post = torch.tensor([r.postclip for r in self.recipes])
        shown = torch.where(post, norm * coefficient, norm)
        as_nan = torch.tensor([r.overflow_as == "nan" for r in self.recipes]) | ~torch.isfinite(loss)
        return torch.where(overflow, torch.where(as_nan, math.nan, math.inf), shown)

    def _log(self, step: int, **values: Tensor) -> None:
        for name, value in values.items():
            self.table[name][step] = value.detach().numpy()

    def _recorded(self, i: int) -> Recorded:
        r = self.recipes[i]
        end = r.steps
        dead = np.flatnonzero(~np.isfinite(self.table["weight_norm"][:end, i]))
        if len(dead):
            # A run whose weights are lost is stopped 30 to 300 rows later, as its owner would.
            end = min(end, int(dead[0]) + 30 + 90 * (r.seed % 4))
        columns = {name: values[:end, i] for name, values in self.table.items()}
        columns |= {
            "step": shown_steps(r)[:end], "lr": self.rate[:end, i].astype(np.float32), "batch_size": sizes(r)[:end],
        }  # fmt: skip
        kept = [(at, value) for at, value in self.evaluations[i] if at <= end]
        layers = {name: values[:end, i] for name, values in self.layer.items()} if r.log_layers else {}
        return Recorded(recipe=r, columns=columns, evaluations=kept, layers=layers)


def _final_phase(recipe: Recipe) -> str:
    name = recipe.phases[-1][1]
    return name if name in {"shift", "soft"} else "main"

"""Tasks: where rows come from, and what is lost on them.

A task makes rows of a phase of the data (`main`; `shift`, another world; `soft`, the same a little moved; `easy`, quiet), and
says what each row costs: `rows(f, x, y, w, z, ref, p)` for one model, with `f` its net, `w` (B,) the weights of the rows, `z`
(B, noise) normal numbers, `ref` the net with older weights and `p` the parameters. Tasks differ in what they ask and in how
their loss runs: to zero, to a floor, below zero, late, up and down, or nowhere.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

Apply = Callable[[Tensor], Tensor]
Rows = Callable[[Apply, Tensor, Tensor, Tensor, Tensor, Apply, Mapping[str, Tensor]], Tensor]
Make = Callable[[int, str, torch.Generator], tuple[Tensor, Tensor]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Task:
    """What goes in and out, the rows, and how they are judged; `evaluate` is the loss where none is given.

    `scale` is about the size of the loss: rates of optimisers that do not divide by it, and decimals of a log, go by it.
    """

    kind: str
    d_in: int
    out: int
    make: Make
    rows: Rows
    length: int = 1
    per_token: bool = False
    causal: bool | None = None
    noise: int = 0
    evaluate: Rows | None = None
    extra: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    refresh: int = 0
    labels: Callable[[Tensor], Tensor] | None = None
    scale: float = 1.0


@dataclass(frozen=True, kw_only=True, slots=True)
class World:
    """What is drawn about the data of one group: a seed, noise of the targets, spread of the scales of the inputs."""

    seed: int
    noise: float
    spread: float

    def rng(self, phase: str) -> torch.Generator:
        """The dice that made the world of a phase."""
        return torch.Generator().manual_seed(self.seed * 10 + (phase == "shift"))


def teacher(world: World, phase: str, d: int, out: int, hidden: int = 12) -> Apply:
    """A fixed random function: two layers, with outputs of spread one."""
    rng = world.rng(phase)
    a = torch.randn(d, hidden, generator=rng) / math.sqrt(d)
    c = torch.randn(hidden, out, generator=rng) / math.sqrt(hidden)
    return lambda x: 2.0 * torch.tanh(1.5 * x @ a) @ c


def inputs(world: World, d: int, n: int, phase: str, rng: torch.Generator) -> Tensor:
    """Normal rows whose coordinates have unlike scales; moved in another phase."""
    scale = torch.logspace(0, -world.spread, d)
    x = torch.randn(n, d, generator=rng) * scale
    moved = {"shift": (1.6, 0.7), "soft": (1.3, 0.2), "easy": (0.1, 0.0)}.get(phase, (1.0, 0.0))
    return x * moved[0] + moved[1]


def _pairs(world: World, d: int, out: int, target: Callable[[Tensor, torch.Generator], Tensor]) -> Make:
    def make(n: int, phase: str, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        x = inputs(world, d, n, phase, rng)
        return x, target(teacher(world, phase, d, out)(x), rng)

    return make


def _noisy(world: World) -> Callable[[Tensor, torch.Generator], Tensor]:
    return lambda y, rng: y + world.noise * torch.randn(y.shape, generator=rng)


def _regression(loss: Callable[[Tensor, Tensor], Tensor], out: int = 2, target: Any = None) -> Callable[[World], Task]:
    def build(world: World) -> Task:
        d = 6 + 2 * (world.seed % 4)
        return Task(
            kind="vec", d_in=d, out=out, make=_pairs(world, d, out, target or _noisy(world)),
            rows=lambda f, x, y, w, z, ref, p: loss(f(x), y),
        )  # fmt: skip

    return build


def mean_square(a: Tensor, b: Tensor) -> Tensor:
    """Squared error a row."""
    return (a - b).square().flatten(1).mean(1)


def _gauss(a: Tensor, y: Tensor) -> Tensor:
    middle, spread = a.chunk(2, -1)
    spread = spread.clamp(-6, 6)
    return (0.5 * (middle - y[..., :1]).square() * torch.exp(-2 * spread) + spread)[..., 0]


def _quantiles(a: Tensor, y: Tensor) -> Tensor:
    share = torch.tensor([0.1, 0.5, 0.9])
    off = y[..., :1] - a
    return torch.maximum(share * off, (share - 1) * off).sum(-1)


def _mixture(a: Tensor, y: Tensor) -> Tensor:
    weight, middle, spread = a.chunk(3, -1)
    spread = spread.clamp(-4, 4)
    each = torch.log_softmax(weight, -1) - 0.5 * (y[..., :1] - middle).square() * torch.exp(-2 * spread) - spread
    return -torch.logsumexp(each, -1)


def _poisson(a: Tensor, y: Tensor) -> Tensor:
    rate = a.clamp(-8, 8)
    return (rate.exp() - y * rate).mean(-1)


def _counts(y: Tensor, rng: torch.Generator) -> Tensor:
    return torch.poisson(torch.exp(0.7 * y).clamp(max=30), generator=rng)


def _heavy(y: Tensor, rng: torch.Generator) -> Tensor:
    noise = torch.randn(y.shape, generator=rng) / torch.randn(y.shape, generator=rng).abs().clamp_min(0.15)
    return y + 0.4 * noise


def chosen(logits: Tensor, y: Tensor) -> Tensor:
    """Cross entropy of integer targets, for any leading axes, averaged a row."""
    picked = torch.log_softmax(logits, -1).gather(-1, y.long().unsqueeze(-1)).squeeze(-1)
    return -picked if picked.dim() == 1 else -picked.flatten(1).mean(1)


def _classes(loss: Callable[[Tensor, Tensor], Tensor], k: int = 5, skew: float = 0.0) -> Callable[[World], Task]:
    def build(world: World) -> Task:
        d = 6 + 2 * (world.seed % 4)
        bias = skew * torch.linspace(1, 0, k)

        def target(y: Tensor, rng: torch.Generator) -> Tensor:
            c = (1.5 * y + bias).argmax(-1)
            flip = torch.rand(len(c), generator=rng) < 0.3 * min(world.noise, 1.0)
            return torch.where(flip, torch.randint(0, k, (len(c),), generator=rng), c)

        return Task(kind="vec", d_in=d, out=k, make=_pairs(world, d, k, target), labels=lambda y: y,
                    rows=lambda f, x, y, w, z, ref, p: loss(f(x), y))  # fmt: skip

    return build


def _smooth(a: Tensor, y: Tensor) -> Tensor:
    return 0.9 * chosen(a, y) - 0.1 * torch.log_softmax(a, -1).mean(-1)


def _focal(a: Tensor, y: Tensor) -> Tensor:
    cost = chosen(a, y)
    return (1 - torch.exp(-cost)).square() * cost


def _hinge(a: Tensor, y: Tensor) -> Tensor:
    own = a.gather(-1, y.long().unsqueeze(-1))
    other = functional.one_hot(y.long(), a.shape[-1])
    return ((1 + a - own).clamp_min(0) * (1 - other)).sum(-1)


def _soft(world: World) -> Task:
    d, k = 10, 6
    return Task(kind="vec", d_in=d, out=k,
                make=_pairs(world, d, k, lambda y, rng: torch.softmax(2 * y, -1)),
                rows=lambda f, x, y, w, z, ref, p: (y * (y.clamp_min(1e-9).log() - torch.log_softmax(f(x), -1))).sum(-1))  # fmt: skip


def _many_labels(world: World) -> Task:
    d, k = 8, 4
    return Task(kind="vec", d_in=d, out=k, make=_pairs(world, d, k, lambda y, rng: (y > 0).float()),
                rows=lambda f, x, y, w, z, ref, p:
                functional.binary_cross_entropy_with_logits(f(x), y, reduction="none").mean(-1))  # fmt: skip


def _parity(world: World) -> Task:
    d = 6 + world.seed % 3
    bits = 2 + world.seed % 2

    def make(n: int, phase: str, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        x = torch.randint(0, 2, (n, d), generator=rng).float() * 2 - 1
        begin = 2 if phase == "shift" else 0
        return x * (0.3 if phase == "easy" else 1.0), (x[:, begin : begin + bits].prod(1) + 1) / 2

    return Task(kind="vec", d_in=d, out=1, make=make, labels=lambda y: y,
                rows=lambda f, x, y, w, z, ref, p:
                functional.binary_cross_entropy_with_logits(f(x)[..., 0], y, reduction="none"))  # fmt: skip


def _spirals(world: World) -> Task:
    def make(n: int, phase: str, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        c = torch.randint(0, 2, (n,), generator=rng)
        t = torch.rand(n, generator=rng) * 5 + 0.5
        turn = t + math.pi * c + (2.0 if phase == "shift" else 0.0)
        x = torch.stack([t * turn.cos(), t * turn.sin()], 1) / 3 + 0.05 * torch.randn(n, 2, generator=rng)
        return x * (0.1 if phase == "easy" else 1.3 if phase == "soft" else 1.0), c

    return Task(kind="vec", d_in=2, out=2, make=make, labels=lambda y: y,
                rows=lambda f, x, y, w, z, ref, p: chosen(f(x), y))  # fmt: skip


def _wave(world: World) -> Task:
    def make(n: int, phase: str, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        x = torch.rand(n, 1, generator=rng) * 2 - 1
        fast = 9 if phase == "shift" else 6
        y = torch.sin(fast * x) + 0.5 * torch.cos(2.3 * fast * x)
        return x * (0.1 if phase == "easy" else 1.0), y + 0.3 * world.noise * torch.randn(y.shape, generator=rng)

    return Task(kind="vec", d_in=1, out=1, make=make, rows=lambda f, x, y, w, z, ref, p: mean_square(f(x), y))


def _several(world: World) -> Task:
    """Three losses of very different size at once."""
    d = 8

    def cost(f: Apply, x: Tensor, y: Tensor, *_: Any) -> Tensor:
        a = f(x)
        sign = functional.binary_cross_entropy_with_logits(a[:, 1], (y[:, 1] > 0).float(), reduction="none")
        return 100 * (a[:, 0] - y[:, 0]).square() + sign + 0.01 * (a[:, 2] - y[:, 2]).abs()

    return Task(kind="vec", d_in=d, out=3, make=_pairs(world, d, 3, _noisy(world)), rows=cost)


def _cosine(world: World) -> Task:
    d = 8
    return Task(kind="vec", d_in=d, out=4, make=_pairs(world, d, 4, _noisy(world)),
                rows=lambda f, x, y, w, z, ref, p: 1 - functional.cosine_similarity(f(x), y, dim=-1))  # fmt: skip


def _survival(world: World) -> Task:
    """Cox's partial likelihood over a batch."""
    d = 8

    def cost(f: Apply, x: Tensor, y: Tensor, w: Tensor, *_: Any) -> Tensor:
        risk = f(x)[:, 0].clamp(-10, 10)
        at_risk = (y[None, :, 0] >= y[:, None, 0]) & (w[None, :] > 0)
        return torch.logsumexp(torch.where(at_risk, risk[None, :], torch.tensor(-1e4)), 1) - risk

    return Task(kind="vec", d_in=d, out=1, rows=cost,
                make=_pairs(world, d, 1, lambda y, rng: torch.exp(-y) * torch.rand(y.shape, generator=rng).log().neg()))  # fmt: skip


# Without targets: what a row costs comes from the row itself.
def rows_only(world: World, d: int) -> Make:
    def make(n: int, phase: str, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        hidden = torch.randn(n, 4, generator=rng)
        mix = torch.randn(4, d, generator=world.rng(phase))
        x = torch.tanh(hidden @ mix) + (0.05 + 0.2 * world.noise) * torch.randn(n, d, generator=rng)
        return x * {"shift": 1.5, "soft": 1.2, "easy": 0.05}.get(phase, 1.0), torch.zeros(n, 1)

    return make


def _autoencode(world: World) -> Task:
    d = 12
    return Task(kind="vec", d_in=d, out=d, make=rows_only(world, d),
                rows=lambda f, x, y, w, z, ref, p: mean_square(f(x), x))  # fmt: skip


def _denoise(world: World) -> Task:
    d = 12
    return Task(kind="vec", d_in=d, out=d, make=rows_only(world, d), noise=d,
                rows=lambda f, x, y, w, z, ref, p: mean_square(f(x + 0.7 * z), x))  # fmt: skip


def _sparse_code(world: World) -> Task:
    d, k = 10, 16

    def cost(f: Apply, x: Tensor, y: Tensor, w: Tensor, z: Tensor, ref: Apply, p: Mapping[str, Tensor]) -> Tensor:
        code = functional.relu(f(x))
        return mean_square(code @ p["Wdict"], x) + 0.02 * code.mean(-1)

    return Task(kind="vec", d_in=d, out=k, make=rows_only(world, d), rows=cost, extra={"Wdict": (k, d)})


def _diffusion(world: World) -> Task:
    d = 8

    def cost(f: Apply, x: Tensor, y: Tensor, w: Tensor, z: Tensor, ref: Apply, p: Mapping[str, Tensor]) -> Tensor:
        level = torch.sigmoid(1.5 * z[:, :1])
        seen = (1 - level.square()).sqrt() * x[:, : d - 1] + level * z[:, 1:]
        return mean_square(f(torch.cat([seen, level], -1)), z[:, 1:])

    return Task(kind="vec", d_in=d, out=d - 1, make=rows_only(world, d), noise=d, rows=cost)


def _vae(world: World) -> Task:
    d, k = 12, 3

    def cost(f: Apply, x: Tensor, y: Tensor, w: Tensor, z: Tensor, ref: Apply, p: Mapping[str, Tensor]) -> Tensor:
        middle, spread = f(x).chunk(2, -1)
        spread = spread.clamp(-6, 6)
        code = middle + torch.exp(spread) * z
        drawn = torch.tanh(code @ p["Wd1"] + p["bd1"]) @ p["Wd2"]
        divergence = 0.5 * (middle.square() + torch.exp(2 * spread) - 2 * spread - 1).sum(-1)
        return 4 * (drawn - x).square().sum(-1) + divergence

    return Task(kind="vec", d_in=d, out=2 * k, make=rows_only(world, d), noise=k, rows=cost,
                extra={"Wd1": (k, 16), "bd1": (16,), "Wd2": (16, d)})  # fmt: skip


def _flow(world: World) -> Task:
    """One affine coupling on data of small scale: a likelihood that goes below zero."""
    d = 12

    def cost(f: Apply, x: Tensor, y: Tensor, w: Tensor, z: Tensor, ref: Apply, p: Mapping[str, Tensor]) -> Tensor:
        half = d // 2
        scale, move = f(x[:, :half]).chunk(2, -1)
        scale = 2 * torch.tanh(scale) + p["bs"]
        z = (x[:, half:] - move) * torch.exp(scale)
        return (0.5 * z.square() - scale).mean(-1)

    return Task(kind="vec", d_in=d // 2, out=d, make=rows_only(world, d), rows=cost, extra={"bs": (d // 2,)})


def _views(x: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
    a, b = z.chunk(2, -1)
    return x + 0.3 * a, x + 0.3 * b


def _unit(x: Tensor) -> Tensor:
    return x * torch.rsqrt(x.square().sum(-1, keepdim=True) + 1e-6)


def _contrast(world: World) -> Task:
    d = 12

    def cost(f: Apply, x: Tensor, y: Tensor, w: Tensor, z: Tensor, ref: Apply, p: Mapping[str, Tensor]) -> Tensor:
        one, two = (_unit(f(v)) for v in _views(x, z))
        alike = one @ two.T / 0.2
        rest = torch.logsumexp(torch.where(w[None, :] > 0, alike, torch.tensor(-1e4)), 1)
        return rest - (one * two).sum(-1) / 0.2

    return Task(kind="vec", d_in=d, out=6, make=rows_only(world, d), noise=2 * d, rows=cost)


def _decorrelate(world: World) -> Task:
    """Variance, invariance, covariance (Bardes et al., 2022), in small."""
    d = 10

    def cost(f: Apply, x: Tensor, y: Tensor, w: Tensor, z: Tensor, ref: Apply, p: Mapping[str, Tensor]) -> Tensor:
        share = (w / w.sum().clamp_min(1e-9))[:, None]
        found = torch.zeros(())
        answers = [f(v) for v in _views(x, z)]
        for a in answers:
            away = a - (share * a).sum(0)
            cov = (share * away).T @ away
            spread = torch.diagonal(cov)
            found = found + (1 - (spread + 1e-4).sqrt()).clamp_min(0).mean()
            found = found + 0.1 * (cov.square().sum() - spread.square().sum()) / 6
        return mean_square(answers[0], answers[1]) + found

    return Task(kind="vec", d_in=d, out=6, make=rows_only(world, d), noise=2 * d, rows=cost)


def _siamese(world: World) -> Task:
    """Two views and a predictor, without negatives (Chen and He, 2021)."""
    d = 10

    def cost(f: Apply, x: Tensor, y: Tensor, w: Tensor, z: Tensor, ref: Apply, p: Mapping[str, Tensor]) -> Tensor:
        one, two = (f(v) for v in _views(x, z))
        return -functional.cosine_similarity(one @ p["Wp"], two.detach(), dim=-1)

    return Task(kind="vec", d_in=d, out=6, make=rows_only(world, d), noise=2 * d, rows=cost, extra={"Wp": (6, 6)})


def _triplet(world: World) -> Task:
    d, k = 10, 5

    def make(n: int, phase: str, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        centre = torch.randn(k, d, generator=world.rng(phase))
        c = torch.randint(0, k, (n,), generator=rng)
        other = (c + torch.randint(1, k, (n,), generator=rng)) % k
        spread = 0.5 + world.noise
        rows = [centre[i] + spread * torch.randn(n, d, generator=rng) for i in (c, c, other)]
        return torch.cat(rows, 1) * (0.05 if phase == "easy" else 1.0), torch.zeros(n, 1)

    def cost(f: Apply, x: Tensor, *_: Any) -> Tensor:
        a, b, c = (f(v) for v in x.chunk(3, -1))
        return ((a - b).square().sum(-1) - (a - c).square().sum(-1) + 1).clamp_min(0)

    return Task(kind="vec", d_in=d, out=4, make=make, rows=cost)


def _pairwise(world: World) -> Task:
    d = 8

    def make(n: int, phase: str, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        x, other = (inputs(world, d, n, phase, rng) for _ in range(2))
        judge = teacher(world, phase, d, 1)
        better = judge(x) + 0.3 * world.noise * torch.randn(n, 1, generator=rng) > judge(other)
        return torch.cat([torch.where(better, x, other), torch.where(better, other, x)], 1), torch.zeros(n, 1)

    def cost(f: Apply, x: Tensor, *_: Any) -> Tensor:
        good, bad = (f(v)[:, 0] for v in x.chunk(2, -1))
        return -functional.logsigmoid(good - bad)

    return Task(kind="vec", d_in=d, out=1, make=make, rows=cost)


def _noise_contrast(world: World) -> Task:
    """Data against noise: the loss hovers near its chance level."""
    d = 6

    def cost(f: Apply, x: Tensor, y: Tensor, w: Tensor, z: Tensor, ref: Apply, p: Mapping[str, Tensor]) -> Tensor:
        return -functional.logsigmoid(f(x)[:, 0]) - functional.logsigmoid(-f(1.2 * z)[:, 0])

    return Task(kind="vec", d_in=d, out=1, make=rows_only(world, d), noise=d, rows=cost)


def _match(world: World) -> Task:
    """A generator whose sample should have the moments and distances of the data."""
    d = 4

    def distance(a: Tensor, b: Tensor, w: Tensor) -> Tensor:
        share = w / w.sum().clamp_min(1e-9)
        far = ((a[:, None] - b[None]).square().sum(-1) + 1e-4).sqrt()
        return share @ far @ share

    def cost(f: Apply, x: Tensor, y: Tensor, w: Tensor, z: Tensor, ref: Apply, p: Mapping[str, Tensor]) -> Tensor:
        made = f(z)
        return 2 * distance(made, x, w) - distance(made, made, w) - distance(x, x, w) + 0.0 * x[:, 0]

    return Task(kind="vec", d_in=d, out=d, make=rows_only(world, d), noise=d, rows=cost)


def _gan(world: World) -> Task:
    """Two players in one loss: each sees the other as fixed. Judged by the distance of made from true moments."""
    d = 4
    match = _match(world)

    def judge(p: Mapping[str, Tensor], x: Tensor, *, fixed: bool) -> Tensor:
        q = {k: v.detach() if fixed else v for k, v in p.items() if k in {"Wj1", "bj1", "Wj2"}}
        return (functional.leaky_relu(x @ q["Wj1"] + q["bj1"], 0.2) @ q["Wj2"])[:, 0]

    def cost(f: Apply, x: Tensor, y: Tensor, w: Tensor, z: Tensor, ref: Apply, p: Mapping[str, Tensor]) -> Tensor:
        made = f(z)
        fool = -functional.logsigmoid(judge(p, made, fixed=True))
        caught = -functional.logsigmoid(-judge(p, made.detach(), fixed=False))
        return fool + caught - functional.logsigmoid(judge(p, x, fixed=False))

    return Task(kind="vec", d_in=d, out=d, make=rows_only(world, d), noise=d, rows=cost, evaluate=match.rows,
                extra={"Wj1": (d, 16), "bj1": (16,), "Wj2": (16, 1)})  # fmt: skip


def _equation(world: World) -> Task:
    """u' = -k u with u(0) = 1, by its residual; judged by the distance from the solution."""
    decay = 1.0 + world.seed % 3

    def make(n: int, phase: str, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        t = 2 * torch.rand(n, 1, generator=rng)
        k = decay * (2.0 if phase == "shift" else 1.0)
        return t * (0.1 if phase == "easy" else 1.0), torch.cat([torch.exp(-k * t), torch.full_like(t, k)], 1)

    def cost(f: Apply, x: Tensor, y: Tensor, *_: Any) -> Tensor:
        slope = (f(x + 0.05) - f(x - 0.05)) / 0.1
        return (slope + y[:, 1:] * f(x)).square()[:, 0] + 5 * (f(0 * x) - 1).square()[:, 0]

    return Task(kind="vec", d_in=1, out=1, make=make, rows=cost,
                evaluate=lambda f, x, y, w, z, ref, p: (f(x) - y[:, :1]).square()[:, 0])  # fmt: skip


# Learning from reward: the loss says nothing of success, so these are judged by what the policy or the values are worth.
ACTIONS = 4


def rewards(world: World, d: int) -> Make:
    return _pairs(world, d, ACTIONS, lambda y, rng: y + world.noise * torch.randn(y.shape, generator=rng))


def acted(logits: Tensor, z: Tensor) -> Tensor:
    """One-hot actions drawn from a policy with normal numbers."""
    share = (0.5 * torch.erfc(-z / math.sqrt(2.0))).clamp(1e-6, 1 - 1e-6)
    score = logits.detach() - torch.log(-torch.log(share))
    return (score >= score.max(-1, keepdim=True).values).float()


def expected(f: Apply, x: Tensor, y: Tensor, *_: Any) -> Tensor:
    return 3.0 - (torch.softmax(f(x)[:, :ACTIONS], -1) * y).sum(-1)


def _reinforce(world: World) -> Task:
    d = 8

    def cost(f: Apply, x: Tensor, y: Tensor, w: Tensor, z: Tensor, ref: Apply, p: Mapping[str, Tensor]) -> Tensor:
        logits = f(x)
        action = acted(logits, z)
        reward = (action * y).sum(-1)
        better = reward - (w * reward).sum() / w.sum().clamp_min(1e-9)
        return -(action * torch.log_softmax(logits, -1)).sum(-1) * better

    return Task(kind="vec", d_in=d, out=ACTIONS, make=rewards(world, d), noise=ACTIONS, rows=cost, evaluate=expected)


def _actor_critic(world: World) -> Task:
    d = 8

    def cost(f: Apply, x: Tensor, y: Tensor, w: Tensor, z: Tensor, ref: Apply, p: Mapping[str, Tensor]) -> Tensor:
        both = f(x)
        logits, value = both[:, :ACTIONS], both[:, ACTIONS]
        action = acted(logits, z)
        better = (action * y).sum(-1) - value
        log = torch.log_softmax(logits, -1)
        return -(action * log).sum(-1) * better.detach() + 0.5 * better.square() + 0.01 * (log.exp() * log).sum(-1)

    return Task(
        kind="vec", d_in=d, out=ACTIONS + 1, make=rewards(world, d), noise=ACTIONS, rows=cost, evaluate=expected
    )


def _proximal(world: World) -> Task:
    """The clipped ratio to a policy that is a few steps old."""
    d = 8

    def cost(f: Apply, x: Tensor, y: Tensor, w: Tensor, z: Tensor, ref: Apply, p: Mapping[str, Tensor]) -> Tensor:
        old = ref(x)
        action = acted(old, z)
        reward = (action * y).sum(-1)
        better = reward - (w * reward).sum() / w.sum().clamp_min(1e-9)
        change = (action * (torch.log_softmax(f(x), -1) - torch.log_softmax(old, -1))).sum(-1)
        ratio = torch.exp(change.clamp(-5, 5))
        return -torch.minimum(ratio * better, ratio.clamp(0.8, 1.2) * better)

    return Task(kind="vec", d_in=d, out=ACTIONS, make=rewards(world, d), noise=ACTIONS, rows=cost, evaluate=expected,
                refresh=8)  # fmt: skip


def _prefer(world: World) -> Task:
    """Preferences against the policy at the start (Rafailov et al., 2023)."""
    d, k = 8, 8

    def make(n: int, phase: str, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        x = inputs(world, d, n, phase, rng)
        worth = teacher(world, phase, d, k)(x)
        pick = torch.randint(0, k, (n, 2), generator=rng)
        pick[:, 1] = torch.where(pick[:, 0] == pick[:, 1], (pick[:, 1] + 1) % k, pick[:, 1])
        first = worth.gather(1, pick)
        swap = (first[:, :1] < first[:, 1:]).long()
        return x, torch.cat([pick.gather(1, swap), pick.gather(1, 1 - swap)], 1)

    def cost(f: Apply, x: Tensor, y: Tensor, w: Tensor, z: Tensor, ref: Apply, p: Mapping[str, Tensor]) -> Tensor:
        moved = (torch.log_softmax(f(x), -1) - torch.log_softmax(ref(x), -1)).gather(1, y.long())
        return -functional.logsigmoid(0.5 * (moved[:, 0] - moved[:, 1]))

    return Task(kind="vec", d_in=d, out=k, make=make, rows=cost)


GAMMA = 0.8


@cache
def chain(seed: int, phase_shift: int, d: int = 6, states: int = 24) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """A small random decision process: features, rewards, next states, exact values of actions."""
    rng = torch.Generator().manual_seed(seed * 10 + 5 + phase_shift)
    features = torch.randn(states, d, generator=rng)
    reward = torch.randn(states, ACTIONS, generator=rng)
    after = torch.randint(0, states, (states, ACTIONS), generator=rng)
    q = torch.zeros(states, ACTIONS)
    for _ in range(100):
        q = reward + GAMMA * q.max(1).values[after]
    return features, reward, after, q


def _fitted_q(world: World, refresh: int = 20) -> Task:
    d = 6

    def make(n: int, phase: str, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        features, reward, after, q = chain(world.seed, int(phase == "shift"))
        s = torch.randint(0, len(features), (n,), generator=rng)
        a = torch.randint(0, ACTIONS, (n,), generator=rng)
        r = reward[s, a] + world.noise * torch.randn(n, generator=rng)
        y = torch.cat([functional.one_hot(a, ACTIONS).float(), r[:, None], features[after[s, a]], q[s]], 1)
        return features[s] * {"easy": 0.1, "soft": 1.2}.get(phase, 1.0), y

    def cost(f: Apply, x: Tensor, y: Tensor, w: Tensor, z: Tensor, ref: Apply, p: Mapping[str, Tensor]) -> Tensor:
        a, r, follow = y[:, :ACTIONS], y[:, ACTIONS], y[:, ACTIONS + 1 : ACTIONS + 1 + d]
        goal = r + GAMMA * ref(follow).max(-1).values
        return functional.smooth_l1_loss((a * f(x)).sum(-1), goal.detach(), reduction="none")

    return Task(kind="vec", d_in=d, out=ACTIONS, make=make, rows=cost, refresh=refresh,
                evaluate=lambda f, x, y, w, z, ref, p: mean_square(f(x), y[:, -ACTIONS:]))  # fmt: skip


def _values(world: World) -> Task:
    """Values of a policy by temporal differences; the old weights are always the last ones."""
    return _fitted_q(world, refresh=1)


# Sequences and tokens.
def _chain_text(world: World, phase: str, n: int, length: int, v: int, rng: torch.Generator) -> Tensor:
    odds = torch.softmax((2.5 - world.noise) * torch.randn(v, v, generator=world.rng(phase)), -1)
    if phase == "easy":
        odds = torch.eye(v)
    text = torch.randint(0, v, (n, length), generator=rng)
    for t in range(1, length):
        text[:, t] = torch.multinomial(odds[text[:, t - 1]], 1, generator=rng)[:, 0]
    return text


def _language(world: World) -> Task:
    v, t = 12 + 4 * (world.seed % 3), 8

    def make(n: int, phase: str, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        text = _chain_text(world, phase, n, t + 1, v, rng)
        return text[:, :-1], text[:, 1:]

    return Task(kind="tok", d_in=v, out=v, length=t, per_token=True, causal=True, make=make, labels=lambda y: y[:, 0],
                rows=lambda f, x, y, w, z, ref, p: chosen(f(x), y))  # fmt: skip


def _masked(world: World) -> Task:
    v, t = 14, 8

    def make(n: int, phase: str, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        text = _chain_text(world, phase, n, t, v - 1, rng)
        hidden = torch.rand(text.shape, generator=rng) < 0.25
        return torch.where(hidden, torch.tensor(v - 1), text), torch.cat([text, hidden.long()], 1)

    def cost(f: Apply, x: Tensor, y: Tensor, *_: Any) -> Tensor:
        text, hidden = y[:, :t].long(), y[:, t:].float()
        each = -torch.log_softmax(f(x), -1).gather(-1, text.unsqueeze(-1)).squeeze(-1)
        return (each * hidden).sum(-1) / (0.25 * t)

    return Task(kind="tok", d_in=v, out=v, length=t, per_token=True, causal=False, make=make, rows=cost)


def _reverse(world: World) -> Task:
    v, t = 8, 6

    def make(n: int, phase: str, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        text = torch.randint(0, 2 if phase == "easy" else v, (n, t), generator=rng)
        return text, (text + 3) % v if phase == "shift" else text.flip(1)

    return Task(kind="tok", d_in=v, out=v, length=t, per_token=True, causal=False, make=make,
                labels=lambda y: y[:, 0], rows=lambda f, x, y, w, z, ref, p: chosen(f(x), y))  # fmt: skip


def _delay(world: World) -> Task:
    """Say what came three positions ago."""
    v, t = 8, 9

    def make(n: int, phase: str, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        text = torch.randint(0, 2 if phase == "easy" else v, (n, t), generator=rng)
        return text, text.roll(2 if phase == "shift" else 3, 1)

    def cost(f: Apply, x: Tensor, y: Tensor, *_: Any) -> Tensor:
        return chosen(f(x)[:, 3:], y[:, 3:])

    return Task(kind="tok", d_in=v, out=v, length=t, per_token=True, causal=True, make=make, rows=cost,
                labels=lambda y: y[:, -1])  # fmt: skip


def _count(world: World) -> Task:
    v, t = 6, 8

    def make(n: int, phase: str, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        text = torch.randint(0, v, (n, t), generator=rng)
        return text, (text == (1 if phase == "shift" else 0)).sum(1).clamp(max=4)

    return Task(kind="tok", d_in=v, out=5, length=t, make=make, labels=lambda y: y,
                rows=lambda f, x, y, w, z, ref, p: chosen(f(x), y))  # fmt: skip


def _modular(world: World) -> Task:
    """Sums modulo a prime: learned late."""
    v = 7 + 4 * (world.seed % 2)

    def make(n: int, phase: str, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        x = torch.randint(0, v, (n, 2), generator=rng)
        return x, (x[:, 0] + x[:, 1] * (2 if phase == "shift" else 1)) % v

    return Task(kind="tok", d_in=v, out=v, length=2, make=make, labels=lambda y: y,
                rows=lambda f, x, y, w, z, ref, p: chosen(f(x), y))  # fmt: skip


def _ratings(world: World) -> Task:
    """Users and items: the last sixty tokens of one table of names."""
    v = 60

    def make(n: int, phase: str, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        taste = torch.randn(v, 3, generator=world.rng(phase))
        x = torch.stack(
            [torch.randint(0, v // 2, (n,), generator=rng), torch.randint(v // 2, v, (n,), generator=rng)], 1
        )
        y = (taste[x[:, 0]] * taste[x[:, 1]]).sum(1, keepdim=True)
        return x, y + world.noise * torch.randn(y.shape, generator=rng)

    return Task(kind="tok", d_in=v, out=1, length=2, make=make, rows=lambda f, x, y, w, z, ref, p: mean_square(f(x), y))


def _neighbours(world: World) -> Task:
    """A word and its neighbour against three others."""
    v, k = 24, 8

    def make(n: int, phase: str, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        text = _chain_text(world, phase, n, 2, v, rng)
        return text[:, :1], torch.cat([text[:, 1:], torch.randint(0, v, (n, 3), generator=rng)], 1)

    def cost(f: Apply, x: Tensor, y: Tensor, w: Tensor, z: Tensor, ref: Apply, p: Mapping[str, Tensor]) -> Tensor:
        score = (p["Eother"][y.long()] * f(x)[:, None]).sum(-1)
        return -functional.logsigmoid(score[:, 0]) - functional.logsigmoid(-score[:, 1:]).sum(-1)

    return Task(kind="tok", d_in=v, out=k, length=1, make=make, rows=cost, extra={"Eother": (v, k)})


def _adding(world: World) -> Task:
    t = 8

    def make(n: int, phase: str, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        value = torch.rand(n, t, generator=rng) * (0.1 if phase == "easy" else 1.0)
        mark = torch.zeros(n, t).scatter(1, torch.rand(n, t, generator=rng).argsort(1)[:, :2], 1.0)
        y = (value * mark).sum(1, keepdim=True)
        return torch.stack([value, mark], -1), 2 - y if phase == "shift" else y

    return Task(kind="seq", d_in=2, out=1, length=t, make=make, rows=lambda f, x, y, w, z, ref, p: mean_square(f(x), y))


def _forecast(world: World) -> Task:
    t = 10

    def make(n: int, phase: str, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        begin, fast = torch.rand(n, 1, generator=rng) * 6.3, 0.3 + torch.rand(n, 1, generator=rng)
        series = torch.sin(begin + fast * (2.0 if phase == "shift" else 1.0) * torch.arange(t + 1))
        series = (series + 0.2 * world.noise * torch.randn(series.shape, generator=rng)) * (
            0.1 if phase == "easy" else 1.0
        )
        return series[:, :-1, None], series[:, 1:, None]

    return Task(kind="seq", d_in=1, out=1, length=t, per_token=True, causal=True, make=make,
                rows=lambda f, x, y, w, z, ref, p: mean_square(f(x), y))  # fmt: skip


def _listwise(world: World) -> Task:
    """Which of six items is the best."""
    d, t = 5, 6

    def make(n: int, phase: str, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        x = inputs(world, d, n * t, phase, rng).view(n, t, d)
        worth = teacher(world, phase, d, 1)(x)[..., 0]
        return x, torch.softmax(3 * (worth + world.noise * torch.randn(worth.shape, generator=rng)), -1)

    return Task(kind="seq", d_in=d, out=1, length=t, per_token=True, causal=False, make=make,
                rows=lambda f, x, y, w, z, ref, p: -(y * torch.log_softmax(f(x)[..., 0], -1)).sum(-1))  # fmt: skip


@cache
def _digits() -> tuple[Tensor, Tensor]:
    from sklearn.datasets import load_digits  # type: ignore[import-untyped]

    found = load_digits()
    return torch.tensor(found.images / 16.0, dtype=torch.float32), torch.tensor(found.target)


def drawn_digits(n: int, phase: str, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    images, digits = _digits()
    pick = torch.randint(0, len(images), (n,), generator=rng)
    x = images[pick] + 0.1 * torch.randn(n, 8, 8, generator=rng)
    x = 1 - x if phase == "shift" else x * {"soft": 0.7, "easy": 0.05}.get(phase, 1.0)
    return x, digits[pick]


def _read_digits(world: World) -> Task:
    return Task(kind="seq", d_in=8, out=10, length=8, make=drawn_digits, labels=lambda y: y,
                rows=lambda f, x, y, w, z, ref, p: chosen(f(x), y))  # fmt: skip


def _draw_digits(world: World) -> Task:
    return Task(kind="seq", d_in=8, out=8, length=8, per_token=True, causal=False, make=drawn_digits,
                rows=lambda f, x, y, w, z, ref, p: mean_square(f(x), x))  # fmt: skip


def _inpaint(world: World) -> Task:
    hidden = torch.ones(8, 8)
    hidden[:, 3:6] = 0
    return Task(kind="seq", d_in=8, out=8, length=8, per_token=True, causal=False, make=drawn_digits,
                rows=lambda f, x, y, w, z, ref, p: (f(x * hidden) - x).abs().flatten(1).mean(1))  # fmt: skip


def _segment(world: World) -> Task:
    """Which pixels are ink: an overlap that is counted a batch."""

    def cost(f: Apply, x: Tensor, y: Tensor, w: Tensor, z: Tensor, ref: Apply, p: Mapping[str, Tensor]) -> Tensor:
        ink = (x > 0.5).float()
        said = torch.sigmoid(f(x + 0.4 * z.view(-1, 8, 8)))
        both = (said * ink).flatten(1).sum(1)
        return 1 - (2 * both + 1) / (said.flatten(1).sum(1) + ink.flatten(1).sum(1) + 1)

    return Task(
        kind="seq", d_in=8, out=8, length=8, per_token=True, causal=False, make=drawn_digits, noise=64, rows=cost
    )


TASKS: dict[str, Callable[[World], Task]] = {
    "square": _regression(mean_square),
    "absolute": _regression(lambda a, y: (a - y).abs().mean(-1)),
    "huber": _regression(lambda a, y: functional.smooth_l1_loss(a, y, reduction="none").mean(-1)),
    "logcosh": _regression(lambda a, y: (a - y).cosh().clamp(max=1e9).log().mean(-1)),
    "gauss": _regression(_gauss),
    "quantiles": _regression(_quantiles, out=3),
    "mixture": _regression(_mixture, out=9),
    "poisson": _regression(_poisson, target=_counts),
    "heavy": _regression(mean_square, target=_heavy),
    "classes": _classes(chosen),
    "smoothed": _classes(_smooth),
    "rare": _classes(_focal, skew=4.0),
    "margin": _classes(_hinge),
    "manyclasses": _classes(chosen, k=16),
    "soft": _soft,
    "labels": _many_labels,
    "parity": _parity,
    "spirals": _spirals,
    "wave": _wave,
    "several": _several,
    "cosine": _cosine,
    "survival": _survival,
    "autoencode": _autoencode,
    "denoise": _denoise,
    "sparsecode": _sparse_code,
    "diffusion": _diffusion,
    "vae": _vae,
    "flow": _flow,
    "contrast": _contrast,
    "decorrelate": _decorrelate,
    "siamese": _siamese,
    "triplet": _triplet,
    "pairwise": _pairwise,
    "noisecontrast": _noise_contrast,
    "match": _match,
    "gan": _gan,
    "equation": _equation,
    "reinforce": _reinforce,
    "actorcritic": _actor_critic,
    "proximal": _proximal,
    "prefer": _prefer,
    "fittedq": _fitted_q,
    "values": _values,
    "language": _language,
    "masked": _masked,
    "reverse": _reverse,
    "delay": _delay,
    "count": _count,
    "modular": _modular,
    "ratings": _ratings,
    "neighbours": _neighbours,
    "adding": _adding,
    "forecast": _forecast,
    "listwise": _listwise,
    "readdigits": _read_digits,
    "drawdigits": _draw_digits,
    "inpaint": _inpaint,
    "segment": _segment,
}

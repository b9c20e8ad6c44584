"""Tasks whose signal is made while they learn: two views, a teacher that follows, hidden parts, rewards, a system that is steered.

Losses of such tasks move with their targets, hover, start from a known chance level, or say little of success, in which case the
task is judged by what its policy is worth. These are learned from, beside the tasks of `tasks.py`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from torch.nn import functional

from benchmarks.runs.drawn.tasks import (
    ACTIONS,
    GAMMA,
    Apply,
    Make,
    Task,
    World,
    acted,
    chain,
    chosen,
    drawn_digits,
    expected,
    inputs,
    mean_square,
    rewards,
    rows_only,
    teacher,
)

NEVER = -1e4


def _unit(x: Tensor) -> Tensor:
    return x * torch.rsqrt(x.square().sum(-1, keepdim=True) + 1e-6)


def _present(alike: Tensor, w: Tensor) -> Tensor:
    """Rows that are only padding are nobody's neighbours."""
    return torch.where(w[None, :] > 0, alike, NEVER)


def _towers(world: World) -> Task:
    """Two descriptions of the same thing through two towers, each row against its batch, both ways (Radford et al., 2021)."""
    d, k = 8, 6

    def make(n: int, phase: str, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        thing = torch.randn(n, 4, generator=rng) * {"shift": 1.5, "soft": 1.2, "easy": 0.1}.get(phase, 1.0)
        dice = world.rng(phase)
        one, two = (torch.tanh(thing @ torch.randn(4, d, generator=dice)) for _ in range(2))
        blur = 0.3 * world.noise * torch.randn(n, 2 * d, generator=rng)
        return one + blur[:, :d], two + blur[:, d:]

    def cost(f: Apply, x: Tensor, y: Tensor, w: Tensor, z: Tensor, ref: Apply, p: Mapping[str, Tensor]) -> Tensor:
        one, two = _unit(f(x)), _unit(torch.tanh(y @ p["Wt1"] + p["bt1"]) @ p["Wt2"])
        alike = one @ two.T * torch.exp(1.5 + p["bheat"].clamp(-2, 2))
        return 0.5 * sum(torch.logsumexp(_present(v, w), 1) - torch.diagonal(v) for v in (alike, alike.T))

    return Task(kind="vec", d_in=d, out=k, make=make, rows=cost,
                extra={"Wt1": (d, 16), "bt1": (16,), "Wt2": (16, k), "bheat": (1,)})  # fmt: skip


def _angles(world: World) -> Task:
    """Faces by angle, with a margin that has to be kept and a large scale (Deng et al., 2019): far above chance at first."""
    d, k, classes = 9, 4, 6

    def make(n: int, phase: str, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        x = inputs(world, d, n, phase, rng)
        worth = 1.5 * teacher(world, phase, d, classes)(x) + 0.5 * world.noise * torch.randn(n, classes, generator=rng)
        return x, worth.argmax(-1)

    def cost(f: Apply, x: Tensor, y: Tensor, w: Tensor, z: Tensor, ref: Apply, p: Mapping[str, Tensor]) -> Tensor:
        near = (_unit(f(x)) @ _unit(p["Eface"]).T).clamp(-0.999, 0.999)
        kept = near * math.cos(0.3) - (1 - near.square()).sqrt() * math.sin(0.3)
        return chosen(16 * torch.where(functional.one_hot(y.long(), classes) > 0, kept, near), y)

    return Task(
        kind="vec", d_in=d, out=k, make=make, rows=cost, extra={"Eface": (classes, k)}, labels=lambda y: y, scale=4.0
    )


def _gains(world: World) -> Task:
    """Eight documents of a query: one minus the discounted gain at softened ranks (Qin et al., 2010)."""
    d, t = 6, 8

    def make(n: int, phase: str, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        x = inputs(world, d, n * t, phase, rng).view(n, t, d)
        worth = teacher(world, phase, d, 1)(x)[..., 0] + 0.5 * world.noise * torch.randn(n, t, generator=rng)
        return x, 2.0 ** (1.5 + 1.2 * worth).round().clamp(0, 4) - 1

    def cost(f: Apply, x: Tensor, y: Tensor, w: Tensor, z: Tensor, ref: Apply, p: Mapping[str, Tensor]) -> Tensor:
        score = f(x)[..., 0]
        rank = 0.5 + torch.sigmoid((score[:, None, :] - score[:, :, None]) / 0.3).sum(-1)
        best = (y.sort(1, descending=True).values / torch.log2(torch.arange(2.0, t + 2))).sum(1)
        return 1 - (y / torch.log2(1 + rank)).sum(1) / (best + 1e-3)

    return Task(kind="seq", d_in=d, out=1, length=t, per_token=True, causal=False, make=make, rows=cost)


def _bootstrap(world: World) -> Task:
    """A view predicts what older weights say of the other (Grill et al., 2020): the target moves every ten steps."""
    d, k = 10, 6

    def cost(f: Apply, x: Tensor, y: Tensor, w: Tensor, z: Tensor, ref: Apply, p: Mapping[str, Tensor]) -> Tensor:
        one, two = (x + 0.4 * v for v in z.chunk(2, -1))
        told = torch.relu(f(one) @ p["Wq1"] + p["bq1"]) @ p["Wq2"]
        return 2 - 2 * functional.cosine_similarity(told, ref(two), dim=-1)

    return Task(kind="vec", d_in=d, out=k, make=rows_only(world, d), noise=2 * d, rows=cost, refresh=10,
                extra={"Wq1": (k, 12), "bq1": (12,), "Wq2": (12, k)})  # fmt: skip


def _patches(world: World) -> Task:
    """Pictures of which most patches are hidden, by what is hidden, each picture with spread one (He et al., 2022)."""

    def cost(f: Apply, x: Tensor, y: Tensor, w: Tensor, z: Tensor, ref: Apply, p: Mapping[str, Tensor]) -> Tensor:
        hidden = (z > -0.25).float().unflatten(-1, (4, 4)).repeat_interleave(2, 1).repeat_interleave(2, 2)
        middle = x.mean((1, 2), keepdim=True)
        goal = (x - middle) / ((x - middle).square().mean((1, 2), keepdim=True) + 1e-3).sqrt()
        off = (f(x * (1 - hidden)) - goal).square() * hidden
        return off.flatten(1).sum(1) / (hidden.flatten(1).sum(1) + 1)

    return Task(
        kind="seq", d_in=8, out=8, length=8, per_token=True, causal=False, make=drawn_digits, noise=16, rows=cost
    )


def _levels(world: World) -> Task:
    """The clean row at noise of all levels, weighed by the level (Karras et al., 2022): quiet rows make large losses."""
    d = 8

    def cost(f: Apply, x: Tensor, y: Tensor, w: Tensor, z: Tensor, ref: Apply, p: Mapping[str, Tensor]) -> Tensor:
        level = torch.exp(1.2 * z[:, :1] - 1.2).clamp(0.02, 20)
        seen = x[:, : d - 1] + level * z[:, 1:]
        keep, into = 0.25 / (level.square() + 0.25), 1 / (level.square() + 0.25).sqrt()
        found = keep * seen + 0.5 * level * into * f(torch.cat([into * seen, level.log() / 4], -1))
        return ((found - x[:, : d - 1]) / level).square().sum(-1)

    return Task(kind="vec", d_in=d, out=d - 1, make=rows_only(world, d), noise=d, rows=cost, scale=5.0)


def _codebook(world: World) -> Task:
    """Rows through the nearest of eight codes; codes go to rows and rows commit to codes (van den Oord et al., 2017)."""
    d, k, codes = 12, 4, 8

    def cost(f: Apply, x: Tensor, y: Tensor, w: Tensor, z: Tensor, ref: Apply, p: Mapping[str, Tensor]) -> Tensor:
        said = f(x)
        far = (said[:, None].detach() - p["Ecode"].detach()).square().sum(-1)
        code = functional.one_hot(far.argmin(-1), codes).float() @ p["Ecode"]
        through = said + (code - said).detach()
        back = torch.relu(through @ p["Wv1"] + p["bv1"]) @ p["Wv2"]
        return mean_square(back, x) + mean_square(code, said.detach()) + 0.25 * mean_square(said, code.detach())

    return Task(kind="vec", d_in=d, out=k, make=rows_only(world, d), rows=cost,
                extra={"Ecode": (codes, k), "Wv1": (k, 16), "bv1": (16,), "Wv2": (16, d)})  # fmt: skip


def _entropic(world: World) -> Task:
    """Values of actions, and a policy that follows them and is paid for its entropy (Haarnoja et al., 2018)."""
    d = 8

    def cost(f: Apply, x: Tensor, y: Tensor, w: Tensor, z: Tensor, ref: Apply, p: Mapping[str, Tensor]) -> Tensor:
        logits, value = f(x).chunk(2, -1)
        action, log = acted(logits, z), torch.log_softmax(logits, -1)
        critic = (action * (value - y)).square().sum(-1)
        return critic + (log.exp() * (0.2 * log - value.detach())).sum(-1)

    return Task(
        kind="vec", d_in=d, out=2 * ACTIONS, make=rewards(world, d), noise=ACTIONS, rows=cost, evaluate=expected
    )


def _grouped(world: World) -> Task:
    """Four answers to a question, each against its group, by a clipped ratio to weights of five steps ago (Shao et al., 2024)."""
    d, group = 8, 4

    def cost(f: Apply, x: Tensor, y: Tensor, w: Tensor, z: Tensor, ref: Apply, p: Mapping[str, Tensor]) -> Tensor:
        old, log = ref(x), torch.log_softmax(f(x), -1)
        before = torch.log_softmax(old, -1)
        action = torch.stack([acted(old, v) for v in z.chunk(group, -1)])
        reward = (action * y).sum(-1)
        better = reward - reward.mean(0)
        better = better / (better.square().mean(0).sqrt() + 0.1)
        ratio = torch.exp((action * (log - before)).sum(-1).clamp(-5, 5))
        gain = torch.minimum(ratio * better, ratio.clamp(0.8, 1.2) * better).mean(0)
        return -gain + 0.02 * (log.exp() * log).sum(-1)

    return Task(kind="vec", d_in=d, out=ACTIONS, make=rewards(world, d), noise=group * ACTIONS, rows=cost, evaluate=expected,
                refresh=5)  # fmt: skip


def _spread_values(world: World) -> Task:
    """Five quantiles of the value of each action, towards those of older weights (Dabney et al., 2018)."""
    d, k = 6, 5
    middle = (torch.arange(k) + 0.5) / k

    def make(n: int, phase: str, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        features, reward, after, q = chain(world.seed, int(phase == "shift"))
        s = torch.randint(0, len(features), (n,), generator=rng)
        a = torch.randint(0, ACTIONS, (n,), generator=rng)
        r = reward[s, a] + world.noise * torch.randn(n, generator=rng)
        y = torch.cat([functional.one_hot(a, ACTIONS).float(), r[:, None], features[after[s, a]], q[s]], 1)
        return features[s] * {"easy": 0.1, "soft": 1.2}.get(phase, 1.0), y

    def cost(f: Apply, x: Tensor, y: Tensor, w: Tensor, z: Tensor, ref: Apply, p: Mapping[str, Tensor]) -> Tensor:
        a, r, follow = y[:, :ACTIONS, None], y[:, ACTIONS : ACTIONS + 1], y[:, ACTIONS + 1 : ACTIONS + 1 + d]
        later = ref(follow).unflatten(-1, (ACTIONS, k))
        best = functional.one_hot(later.mean(-1).argmax(-1), ACTIONS).float()[..., None]
        off = (r + GAMMA * (best * later).sum(1))[:, None, :] - (a * f(x).unflatten(-1, (ACTIONS, k))).sum(1)[
            :, :, None
        ]
        huber = torch.where(off.abs() < 1, 0.5 * off.square(), off.abs() - 0.5)
        return ((middle[:, None] - (off.detach() < 0).float()).abs() * huber).sum(1).mean(-1)

    def judge(f: Apply, x: Tensor, y: Tensor, w: Tensor, z: Tensor, ref: Apply, p: Mapping[str, Tensor]) -> Tensor:
        return mean_square(f(x).unflatten(-1, (ACTIONS, k)).mean(-1), y[:, -ACTIONS:])

    return Task(kind="vec", d_in=d, out=ACTIONS * k, make=make, rows=cost, refresh=25, evaluate=judge)


def _wishes(world: World) -> Task:
    """Preferences by a square around a fixed gain over the start (Azar et al., 2024)."""
    d, k = 8, 6

    def make(n: int, phase: str, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        x = inputs(world, d, n, phase, rng)
        worth = teacher(world, phase, d, k)(x) + 0.5 * world.noise * torch.randn(n, k, generator=rng)
        first = torch.randint(0, k, (n, 1), generator=rng)
        pick = torch.cat([first, (first + torch.randint(1, k, (n, 1), generator=rng)) % k], 1)
        order = worth.gather(1, pick).argsort(1, descending=True)
        return x, pick.gather(1, order)

    def cost(f: Apply, x: Tensor, y: Tensor, w: Tensor, z: Tensor, ref: Apply, p: Mapping[str, Tensor]) -> Tensor:
        moved = (torch.log_softmax(f(x), -1) - torch.log_softmax(ref(x), -1)).gather(1, y.long())
        return (moved[:, 0] - moved[:, 1] - 2.5).square()

    return Task(kind="vec", d_in=d, out=k, make=make, rows=cost, scale=4.0)


def _masses(world: World, *, steps: int) -> Make:
    """Where a cart is and how fast, and what becomes of it when nobody pushes: (rows, steps, 2)."""
    drag, pull = 0.1 + 0.1 * (world.seed % 3), 0.5 + world.seed % 2

    def make(n: int, phase: str, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        x = torch.randn(n, 2, generator=rng) * {"shift": 1.8, "soft": 1.2, "easy": 0.1}.get(phase, 1.0)
        place, speed = x.unbind(1)
        seen = []
        for _ in range(steps):
            force = -pull * (1.6 if phase == "shift" else 1.0) * torch.sin(2 * place) - drag * speed
            speed = speed + 0.5 * force
            place = place + 0.5 * speed
            seen.append(torch.stack([place, speed], 1))
        y = torch.stack(seen, 1)
        return x, y + 0.1 * world.noise * torch.randn(y.shape, generator=rng)

    return make


def _steer(world: World) -> Task:
    """A cart is pushed to the middle for six steps, by gradients through its motion; the costs of all steps are summed."""

    def cost(f: Apply, x: Tensor, y: Tensor, w: Tensor, z: Tensor, ref: Apply, p: Mapping[str, Tensor]) -> Tensor:
        place, speed = (2 * x).unbind(1)
        total = torch.zeros_like(place)
        for i in range(6):
            push = 2 * torch.tanh(f(torch.stack([place, speed], 1))[:, 0])
            speed = speed + 0.5 * (push + 0.5 * place) + 0.3 * world.noise * z[:, i]
            place = place + 0.5 * speed
            total = total + place.square() + 0.2 * speed.square() + 0.05 * push.square()
        return total

    return Task(kind="vec", d_in=2, out=1, make=_masses(world, steps=1), noise=6, rows=cost, scale=30.0)


def _rollout(world: World) -> Task:
    """Where a pendulum is after each of five steps, from the net's own earlier answers."""

    def cost(f: Apply, x: Tensor, y: Tensor, w: Tensor, z: Tensor, ref: Apply, p: Mapping[str, Tensor]) -> Tensor:
        seen = []
        state = x
        for _ in range(5):
            state = state + 0.5 * f(state)
            seen.append(state)
        return (torch.stack(seen, 1) - y).square().flatten(1).mean(1)

    return Task(kind="vec", d_in=2, out=2, make=_masses(world, steps=5), rows=cost)


WIDE_SIGNALS: dict[str, Callable[[World], Task]] = {
    "towers": _towers,
    "angles": _angles,
    "gains": _gains,
    "bootstrap": _bootstrap,
    "patches": _patches,
    "levels": _levels,
    "codebook": _codebook,
    "entropic": _entropic,
    "grouped": _grouped,
    "spreadvalues": _spread_values,
    "wishes": _wishes,
    "steer": _steer,
    "rollout": _rollout,
}

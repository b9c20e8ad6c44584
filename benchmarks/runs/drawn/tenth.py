"""Tasks and architectures of the tenth first look: nothing was learned from them before their look.

What else people train: what a treatment does, where an answer begins and ends, how something is turned, which shift brings two
signals together, and what is out of the ordinary; capsules that agree on what they see, and a memory that is a weighted mean.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from torch.nn import functional

from benchmarks.runs.drawn.nets import Maker, Net, Params, Shape
from benchmarks.runs.drawn.tasks import Apply, Task, World, chosen, inputs, teacher

#: Places of `register`, and how far a signal is moved at most; rounds in which `capsules` agree, and numbers of one.
PLACES, FAR, ROUNDS, POSE = 12, 2.5, 2, 4


def _treatments(world: World) -> Task:
    """What comes of a treatment or of none, each seen for those who got it, who differ (Shalit et al., 2017).

    A price on features whose means differ between the two; judged by both outcomes' answers to what was seen.
    """
    d, k = 8, 8

    def make(n: int, phase: str, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        x = inputs(world, d, n, phase, rng)
        outcome = teacher(world, phase, d, 2)(x)
        treated = (torch.rand(n, generator=rng) < torch.sigmoid(1.5 * x[:, 0] - x[:, 1])).float()
        seen = torch.where(treated > 0, outcome[:, 1] + 1, outcome[:, 0])
        return x, torch.stack([seen + world.noise * torch.randn(n, generator=rng), treated], 1)

    def told(found: Tensor, y: Tensor, p: Mapping[str, Tensor]) -> Tensor:
        both = torch.relu(found) @ p["Wboth"] + p["bboth"]
        return (torch.where(y[:, 1] > 0, both[:, 1], both[:, 0]) - y[:, 0]).square()

    def cost(f: Apply, x: Tensor, y: Tensor, w: Tensor, z: Tensor, ref: Apply, p: Mapping[str, Tensor]) -> Tensor:
        found = f(x)
        sides = [w * y[:, 1], w * (1 - y[:, 1])]
        means = [(side[:, None] * found).sum(0) / side.sum().clamp_min(1e-3) for side in sides]
        return told(found, y, p) + 0.3 * (means[0] - means[1]).square().mean().clamp(max=100)

    return Task(kind="vec", d_in=d, out=k, make=make, rows=cost, extra={"Wboth": (k, 2), "bboth": (2,)},
                evaluate=lambda f, x, y, w, z, ref, p: told(f(x), y, p))  # fmt: skip


def _spans(world: World) -> Task:
    """Where an answer begins and ends among the positions: two choices of a place (Seo et al., 2017)."""
    d, t = 5, 10

    def make(n: int, phase: str, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        mark = torch.randn(2, d, generator=world.rng(phase))
        begin = torch.randint(0, t - 1, (n,), generator=rng)
        end = begin + 1 + (torch.rand(n, generator=rng) * (t - 1 - begin)).long().clamp(max=3)
        place = torch.stack([begin, end.clamp(max=t - 1)], 1)
        x = (0.3 + 0.5 * world.noise) * torch.randn(n, t, d, generator=rng)
        x = x + functional.one_hot(place, t).float().transpose(1, 2) @ mark
        return x * {"soft": 1.2, "easy": 0.2}.get(phase, 1.0), place

    def cost(f: Apply, x: Tensor, y: Tensor, w: Tensor, z: Tensor, ref: Apply, p: Mapping[str, Tensor]) -> Tensor:
        return chosen(f(x).transpose(1, 2), y)

    return Task(kind="seq", d_in=d, out=2, length=t, per_token=True, causal=False, make=make, rows=cost,
                labels=lambda y: y[:, 0])  # fmt: skip


def _pose(world: World) -> Task:
    """How something is turned, from two of its points: two columns made orthogonal, and the distance of rotations (Zhou et al., 2019)."""

    def make(n: int, phase: str, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        turned, upper = torch.linalg.qr(torch.randn(n, 3, 3, generator=rng))
        turned = turned * torch.sign(torch.diagonal(upper, dim1=1, dim2=2))[:, None]
        turned = turned * torch.sign(torch.linalg.det(turned))[:, None, None]
        point = torch.randn(3, 4, generator=world.rng(phase))
        x = (turned @ point).flatten(1) + 0.3 * world.noise * torch.randn(n, 12, generator=rng)
        return x * {"soft": 1.2, "easy": 0.1}.get(phase, 1.0), turned

    def cost(f: Apply, x: Tensor, y: Tensor, w: Tensor, z: Tensor, ref: Apply, p: Mapping[str, Tensor]) -> Tensor:
        first, second = f(x).chunk(2, -1)
        one = functional.normalize(first, dim=-1, eps=1e-4)
        two = functional.normalize(second - (one * second).sum(-1, keepdim=True) * one, dim=-1, eps=1e-4)
        found = torch.stack([one, two, torch.linalg.cross(one, two)], -1)
        return (found - y).square().flatten(1).sum(1)

    return Task(kind="vec", d_in=12, out=6, make=make, rows=cost, scale=4.0)


def _register(world: World) -> Task:
    """How far each place moved between two signals, by how well one explains the other, and smoothly (Balakrishnan et al., 2019)."""
    place = torch.arange(PLACES).float()

    def signal(at: Tensor, wave: Tensor) -> Tensor:
        return (torch.sin(at[..., None] * wave[:, None, :3] + wave[:, None, 3:])).sum(-1)

    def make(n: int, phase: str, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        slow = 0.3 + 0.4 * torch.rand(n, 3, generator=rng) * (1.6 if phase == "shift" else 1.0)
        wave = torch.cat([slow, 6.3 * torch.rand(n, 3, generator=rng)], 1)
        moved = FAR * (2 * torch.rand(n, 1, generator=rng) - 1) * torch.sin(math.pi * (place + 0.5) / PLACES)
        seen = torch.stack([signal(place.expand(n, -1), wave), signal(place + moved, wave)], -1)
        seen = seen + 0.3 * world.noise * torch.randn(seen.shape, generator=rng)
        return seen * {"soft": 1.2, "easy": 0.1}.get(phase, 1.0), moved

    def cost(f: Apply, x: Tensor, y: Tensor, w: Tensor, z: Tensor, ref: Apply, p: Mapping[str, Tensor]) -> Tensor:
        flow = f(x)[..., 0]
        near = torch.relu(1 - ((place + flow)[:, :, None].clamp(0, PLACES - 1) - place).abs())
        again = (near @ x[:, :, :1])[..., 0]
        return (again - x[..., 1]).square().mean(1) + 0.1 * flow.diff(dim=1).square().mean(1)

    return Task(kind="seq", d_in=2, out=1, length=PLACES, per_token=True, causal=False, make=make, rows=cost)


def _outliers(world: World) -> Task:
    """Ordinary rows near one point and the few known odd ones far from it (Ruff et al., 2020): the inverse of their distance."""
    d, k = 10, 4

    def make(n: int, phase: str, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        hidden = torch.randn(n, 3, generator=rng)
        mix = torch.randn(3, d, generator=world.rng(phase))
        odd = torch.rand(n, generator=rng) < 0.1
        plain = torch.tanh(hidden @ mix)
        strange = 1.2 * torch.randn(n, d, generator=rng)
        x = torch.where(odd[:, None], strange, plain) + (0.05 + 0.2 * world.noise) * torch.randn(n, d, generator=rng)
        return x * {"shift": 1.5, "soft": 1.2, "easy": 0.1}.get(phase, 1.0), odd.float()[:, None]

    def cost(f: Apply, x: Tensor, y: Tensor, w: Tensor, z: Tensor, ref: Apply, p: Mapping[str, Tensor]) -> Tensor:
        far = (f(x) - torch.ones(k)).square().sum(1)
        return torch.where(y[:, 0] > 0, 3 / (far + 0.1), far)

    return Task(kind="vec", d_in=d, out=k, make=make, rows=cost, scale=2.0)


TENTH_TASKS: dict[str, Callable[[World], Task]] = {
    "treatments": _treatments,
    "spans": _spans,
    "pose": _pose,
    "register": _register,
    "outliers": _outliers,
}


def capsules(s: Shape) -> Net:
    """Groups of numbers whose length says whether, sent where their predictions agree (Sabour et al., 2017)."""
    m = Maker(s)
    count = max(s.width // POSE, 2)
    m.lin("in", m.flat(s.width), count * POSE)
    m.norm("n", count * POSE)
    m.shapes["Wvote"] = (POSE, count * count * POSE)
    m.vector_head(count * POSE)

    def squashed(v: Tensor) -> Tensor:
        size = v.square().sum(-1, keepdim=True)
        return v * size.add(1e-6).sqrt() / (1 + size)

    def forward(p: Params, x: Tensor, w: Tensor) -> Tensor:
        h = m.act(m.normed(p, "n", m.apply(p, "in", m.flattened(p, x)), w)).unflatten(-1, (count, POSE))
        vote = torch.einsum("bip,piq->biq", h, p["Wvote"].unflatten(-1, (count, -1))).unflatten(-1, (count, POSE))
        agree = torch.zeros_like(vote[..., 0])
        seen = vote.mean(1)
        for _ in range(ROUNDS):
            seen = squashed((torch.softmax(agree, -1)[..., None] * vote).sum(1))
            agree = agree + (vote * seen[:, None]).sum(-1)
        return m.vector_answer(p, seen.flatten(1))

    return m.net(forward)


def quasi(s: Shape) -> Net:
    """Gates from a convolution over two positions, and a state that is a running mean they steer (Bradbury et al., 2017)."""
    m = Maker(s)
    blocks = min(s.depth, 3)
    m.embed(s.width)
    for i in range(blocks):
        m.norm("n" + str(i), s.width)
        m.lin(f"{i}now", s.width, 3 * s.width)
        m.lin(f"{i}before", s.width, 3 * s.width)
    m.head(s.width)

    def forward(p: Params, x: Tensor, w: Tensor) -> Tensor:
        h = m.embedded(p, x)
        for i in range(blocks):
            u = m.normed(p, "n" + str(i), h, w)
            gates = m.apply(p, f"{i}now", u) + m.apply(p, f"{i}before", functional.pad(u, (0, 0, 1, 0))[:, :-1])
            new, forget, out = gates.chunk(3, -1)
            new, forget = torch.tanh(new), torch.sigmoid(forget)
            state, states = 0 * new[:, 0], []
            for t in range(m.positions):
                state = forget[:, t] * state + (1 - forget[:, t]) * new[:, t]
                states.append(state)
            h = h + torch.sigmoid(out) * torch.stack(states, 1)
        return m.answer(p, h, last=True)

    return m.net(forward)


TENTH_VECTOR: dict[str, Callable[[Shape], Net]] = {"capsules": capsules}
TENTH_CAUSAL: dict[str, Callable[[Shape], Net]] = {"quasi": quasi}

"""Tasks and architectures of the ninth first look: nothing was learned from them before their look.

What else people train: forecasts of several days at once with how sure they are, pieces put in order by a softened permutation, a
label that should hold where nobody labelled, a graph cut without a teacher, speech frame by frame; layers that choose which inputs
they look at, and a state whose input decides what it forgets.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from torch.nn import functional

from benchmarks.runs.drawn.nets import Maker, Net, Params, Shape
from benchmarks.runs.drawn.tasks import Apply, Task, World, chosen, drawn_digits, inputs, teacher

#: Days that `horizons` looks ahead, pieces of `jigsaw`, rounds that soften its permutation, nodes of `cut`, sounds of `frames`.
AHEAD, PIECES, ROUNDS, NODES, SOUNDS = 3, 4, 6, 8, 5
#: How much an input that was looked at counts for later steps of `chooser`; speeds of `selective`, and cells of a channel.
LOOK_AGAIN, HEADS, CELLS = 1.3, 2, 8


def _horizons(world: World) -> Task:
    """The next three days by normal densities, of a series whose noise comes and goes (Salinas et al., 2020): below zero."""
    t = 8

    def make(n: int, phase: str, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        week = (2.2 if phase == "shift" else 1.4) + 0.2 * (world.seed % 3)
        day = torch.arange(t + AHEAD)
        begin, level = 6.3 * torch.rand(n, 1, generator=rng), 0.5 * torch.randn(n, 1, generator=rng)
        wild = torch.sin(0.8 * day + 6.3 * torch.rand(n, 1, generator=rng))
        size = (0.05 + 0.15 * world.noise) * torch.exp(1.2 * wild)
        series = 0.5 * torch.sin(week * day + begin) + level + size * torch.randn(n, t + AHEAD, generator=rng)
        series = series * {"soft": 1.2, "easy": 0.1}.get(phase, 1.0)
        return series[:, :t, None], series[:, 1:].unfold(1, AHEAD, 1)

    def cost(f: Apply, x: Tensor, y: Tensor, w: Tensor, z: Tensor, ref: Apply, p: Mapping[str, Tensor]) -> Tensor:
        middle, spread = f(x).chunk(2, -1)
        spread = functional.softplus(spread) + 0.02
        surprise = 0.5 * ((y - middle) / spread).square() + spread.log() + 0.5 * math.log(2 * math.pi)
        return surprise.sum(-1).mean(1)

    return Task(
        kind="seq", d_in=1, out=2 * AHEAD, length=t, per_token=True, causal=True, make=make, rows=cost, scale=3.0
    )


def _jigsaw(world: World) -> Task:
    """Four strips of a shaded picture in their order, by a softened permutation (Mena et al., 2018): the error of the picture."""

    def make(n: int, phase: str, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        picture, _ = drawn_digits(n, phase, rng)
        light = torch.linspace(-0.8, 0.8, 8) * {"shift": -1.0, "easy": 0.1}.get(phase, 1.0)
        strips = (picture + light[:, None]).view(n, PIECES, -1)
        strips = strips + 0.3 * world.noise * torch.randn(n, PIECES, 16, generator=rng)
        order = torch.rand(n, PIECES, generator=rng).argsort(1)
        return strips.gather(1, order[..., None].expand_as(strips)), strips

    def cost(f: Apply, x: Tensor, y: Tensor, w: Tensor, z: Tensor, ref: Apply, p: Mapping[str, Tensor]) -> Tensor:
        place = 2 * f(x)
        for _ in range(ROUNDS):
            place = torch.log_softmax(torch.log_softmax(place, 1), 2)
        return (place.exp().transpose(1, 2) @ x - y).square().flatten(1).sum(1)

    return Task(kind="seq", d_in=16, out=PIECES, length=PIECES, per_token=True, causal=False, make=make, rows=cost,
                scale=16.0)  # fmt: skip


def _domains(world: World) -> Task:
    """Classes where half of the rows have no label and lie elsewhere; the features should not tell which half (Ganin et al., 2016).

    The gradient of the judge of halves is turned around before it reaches the net. Judged by the classes of all rows.
    """
    d, k, classes = 8, 6, 3

    def make(n: int, phase: str, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        x = inputs(world, d, n, phase, rng)
        worth = teacher(world, phase, d, classes, hidden=6)(x) + 0.3 * world.noise * torch.randn(
            n, classes, generator=rng
        )
        away = functional.normalize(torch.randn(d, generator=world.rng(phase)), dim=0)
        half = (torch.rand(n, generator=rng) < 0.5).float()
        return x + 0.8 * half[:, None] * away, torch.stack([worth.argmax(1).float(), half], 1)

    def classed(f: Tensor, y: Tensor, p: Mapping[str, Tensor]) -> Tensor:
        return chosen(torch.relu(f) @ p["Wclass"] + p["bclass"], y[:, 0])

    def cost(f: Apply, x: Tensor, y: Tensor, w: Tensor, z: Tensor, ref: Apply, p: Mapping[str, Tensor]) -> Tensor:
        found, half = f(x), y[:, 1]
        turned = 1.3 * found.detach() - 0.3 * found
        told = (torch.tanh(turned @ p["Whalf1"] + p["bhalf1"]) @ p["Whalf2"])[:, 0]
        judge = functional.binary_cross_entropy_with_logits(told, half, reduction="none")
        return 2 * (1 - half) * classed(found, y, p) + judge

    return Task(
        kind="vec", d_in=d, out=k, make=make, rows=cost, evaluate=lambda f, x, y, w, z, ref, p: classed(f(x), y, p),
        extra={"Wclass": (k, classes), "bclass": (classes,), "Whalf1": (k, 12), "bhalf1": (12,), "Whalf2": (12, 1)},
        labels=lambda y: y[:, 0],
    )  # fmt: skip


def _cut(world: World) -> Task:
    """Nodes of a weighted graph on two sides, by the expected weight between them (Karalias and Loukas, 2020): below zero."""
    edge = torch.triu_indices(NODES, NODES, 1)

    def make(n: int, phase: str, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        side = torch.sign(torch.randn(n, NODES, generator=rng))
        apart = side[:, edge[0]] * side[:, edge[1]] * (1.0 if phase == "shift" else -1.0)
        weight = 0.6 + apart + (0.2 + world.noise) * torch.randn(n, edge.shape[1], generator=rng)
        return weight * {"soft": 1.2, "easy": 0.1}.get(phase, 1.0), torch.zeros(n, 1)

    def cost(f: Apply, x: Tensor, *_: object) -> Tensor:
        one = torch.sigmoid(f(x))
        a, b = one[:, edge[0]], one[:, edge[1]]
        return -(x * (a + b - 2 * a * b)).sum(1)

    return Task(kind="vec", d_in=edge.shape[1], out=NODES, make=make, rows=cost, scale=10.0)


def _frames(world: World) -> Task:
    """Which sound each frame is of, where sounds run into each other, and a price on jumps of the answer (Farha and Gall, 2019)."""
    d, t = 6, 10

    def make(n: int, phase: str, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        shape = 1.2 * torch.randn(SOUNDS, d, generator=world.rng(phase))
        drawn, goes_on = torch.randint(0, SOUNDS, (n, t + 2), generator=rng), torch.rand(n, t + 2, generator=rng) < 0.65
        for i in range(1, t + 2):
            drawn[:, i] = torch.where(goes_on[:, i], drawn[:, i - 1], drawn[:, i])
        heard = shape[drawn]
        heard = 0.25 * heard[:, :-2] + 0.5 * heard[:, 1:-1] + 0.25 * heard[:, 2:]
        x = heard + (0.2 + 0.5 * world.noise) * torch.randn(n, t, d, generator=rng)
        return x * {"soft": 1.2, "easy": 0.1}.get(phase, 1.0), drawn[:, 1:-1]

    def cost(f: Apply, x: Tensor, y: Tensor, w: Tensor, z: Tensor, ref: Apply, p: Mapping[str, Tensor]) -> Tensor:
        told = f(x)
        log = torch.log_softmax(told, -1)
        jump = (log[:, 1:] - log[:, :-1].detach()).square().clamp(max=16)
        return chosen(told, y) + 0.15 * jump.flatten(1).mean(1)

    return Task(kind="seq", d_in=d, out=SOUNDS, length=t, per_token=True, causal=False, make=make, rows=cost,
                labels=lambda y: y[:, 0])  # fmt: skip


NINTH_TASKS: dict[str, Callable[[World], Task]] = {
    "horizons": _horizons,
    "jigsaw": _jigsaw,
    "domains": _domains,
    "cut": _cut,
    "frames": _frames,
}


def chooser(s: Shape) -> Net:
    """Each step looks at inputs of its choice, rather not at those of earlier steps; what they say is summed (Arik and Pfister, 2021)."""
    m = Maker(s)
    into = m.flat(s.width)
    m.lin("in", into, s.width)
    m.lin("see", into, 2 * s.width)
    for i in range(s.depth):
        m.lin(f"{i}mask", s.width, into)
        # The last step says nothing to a next one.
        m.lin(f"{i}u", s.width, s.width if i == s.depth - 1 else 2 * s.width)
        m.norm("n" + str(i), s.width if i == s.depth - 1 else 2 * s.width)
    m.vector_head(s.width)

    def forward(p: Params, x: Tensor, w: Tensor) -> Tensor:
        h = m.flattened(p, x)
        about = m.act(m.apply(p, "in", h))
        left, total = torch.ones_like(h), torch.zeros_like(about)
        for i in range(s.depth):
            mask = torch.softmax(left * m.apply(p, f"{i}mask", about), -1)
            left = left * (LOOK_AGAIN - mask)
            seen, gate = m.apply(p, "see", into * mask * h).chunk(2, -1)
            told = m.act(m.normed(p, "n" + str(i), m.apply(p, f"{i}u", seen * torch.sigmoid(gate)), w))
            total, about = total + told[..., : s.width], told[..., s.width :]
        return m.vector_answer(p, total)

    return m.net(forward)


def selective(s: Shape) -> Net:
    """A state whose speed, way in and way out each position decides, behind a gate, as one sum over the past (Dao and Gu, 2024)."""
    m = Maker(s)
    blocks = min(s.depth, 2)
    m.embed(s.width)
    for i in range(blocks):
        m.norm("n" + str(i), s.width)
        m.lin(f"{i}in", s.width, 2 * s.width)
        m.shapes[f"c{i}near"] = (3, s.width)
        m.lin(f"{i}speed", s.width, HEADS)
        m.lin(f"{i}ways", s.width, 2 * CELLS)
        m.shapes[f"c{i}fade"], m.shapes[f"c{i}past"] = (HEADS,), (s.width,)
        m.lin(f"{i}o", s.width, s.width)
    m.head(s.width)

    def block(p: Params, i: int, h: Tensor) -> Tensor:
        u, gate = m.apply(p, f"{i}in", h).chunk(2, -1)
        back = functional.pad(u, (0, 0, 2, 0))
        near = torch.stack([back[:, k : k + m.positions] for k in range(3)], -2)
        u = functional.silu((near * p[f"c{i}near"]).sum(-2))
        speed = functional.softplus(m.apply(p, f"{i}speed", u))
        into, out = m.apply(p, f"{i}ways", u).chunk(2, -1)
        gone = (speed * functional.softplus(p[f"c{i}fade"])).cumsum(1).transpose(1, 2)
        kept = torch.exp((gone[..., None, :] - gone[..., None]).clamp(max=0)).tril()
        alike = (out @ into.transpose(1, 2))[:, None] * kept
        new = (speed[..., None] * u.unflatten(-1, (HEADS, -1))).transpose(1, 2)
        told = (alike @ new).transpose(1, 2).flatten(2)
        return m.apply(p, f"{i}o", (told + p[f"c{i}past"] * u) * functional.silu(gate))

    def forward(p: Params, x: Tensor, w: Tensor) -> Tensor:
        h = m.embedded(p, x)
        for i in range(blocks):
            h = h + block(p, i, m.normed(p, "n" + str(i), h, w))
        return m.answer(p, h, last=True)

    return m.net(forward)


NINTH_VECTOR: dict[str, Callable[[Shape], Net]] = {"chooser": chooser}
NINTH_CAUSAL: dict[str, Callable[[Shape], Net]] = {"selective": selective}

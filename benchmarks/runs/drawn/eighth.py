"""Tasks and architectures of the eighth first look: nothing was learned from them before their look.

More that an outsider might bring: the interval in which something ends, places on a disc that stand for a tree, grey levels by a
mixture, a net that may decline to answer, a code that costs bits; layers whose weights another layer makes, and a memory in which
some cells are slow.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from torch.nn import functional

from benchmarks.runs.drawn.nets import Maker, Net, Params, Shape
from benchmarks.runs.drawn.tasks import Apply, Task, World, inputs, rows_only, teacher

#: Intervals of `hazard`, grey levels of `pixels`, and the share of rows that `abstain` should answer.
INTERVALS, GREYS, COVERED = 6, 16, 0.7
#: Weight vectors that `hyper` mixes.
MIXED = 4


def _hazard(world: World) -> Task:
    """In which interval something ends, or that it had not yet when it was last seen (Gensheimer and Narasimhan, 2019)."""
    d = 8

    def make(n: int, phase: str, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        x = inputs(world, d, n, phase, rng)
        risk = torch.sigmoid(2 * teacher(world, phase, d, INTERVALS)(x) - 1.5)
        ends = (torch.rand(n, INTERVALS, generator=rng) < risk).float()
        until = (ends.cumsum(1) - ends == 0).float()
        last = torch.randint(1, INTERVALS + 1, (n, 1), generator=rng)
        seen = until * (torch.arange(INTERVALS)[None] < last) * (1 - 0.3 * min(world.noise, 1.0) * ends)
        return x, torch.cat([seen, ends], 1)

    def cost(f: Apply, x: Tensor, y: Tensor, w: Tensor, z: Tensor, ref: Apply, p: Mapping[str, Tensor]) -> Tensor:
        seen, ends = y.chunk(2, -1)
        return (functional.binary_cross_entropy_with_logits(f(x), ends, reduction="none") * seen).sum(1)

    return Task(kind="vec", d_in=d, out=INTERVALS, make=make, rows=cost, scale=2.0)


def _disc(world: World) -> Task:
    """Parents and children of a tree near each other on the hyperbolic disc, others far (Nickel and Kiela, 2017)."""
    d, nodes, others = 8, 31, 4

    def make(n: int, phase: str, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        looks = torch.randn(nodes, d, generator=world.rng(phase))
        child = torch.randint(1, nodes, (n, 1), generator=rng)
        who = torch.cat([child, (child - 1) // 2, torch.randint(0, nodes, (n, others), generator=rng)], 1)
        shown = looks[who] + 0.3 * world.noise * torch.randn(n, 2 + others, d, generator=rng)
        return shown.flatten(1) * {"soft": 1.2, "easy": 0.05}.get(phase, 1.0), torch.zeros(n, 1)

    def cost(f: Apply, x: Tensor, *_: object) -> Tensor:
        told = (f(part) for part in x.chunk(2 + others, -1))
        place = [0.97 * v / (1 + v.square().sum(-1, keepdim=True)).sqrt() for v in told]
        room = [1 - v.square().sum(-1) for v in place]
        far = torch.stack([
            torch.acosh(1 + 1e-4 + 2 * (place[0] - place[i]).square().sum(-1) / (room[0] * room[i]))
            for i in range(1, 2 + others)
        ], 1)  # fmt: skip
        return far[:, 0] + torch.logsumexp(-far, 1)

    return Task(kind="vec", d_in=d, out=3, make=make, rows=cost)


def _pixels(world: World) -> Task:
    """The next grey level, by a mixture of two logistic distributions cut into levels, in bits (Salimans et al., 2017)."""
    t = 8

    def make(n: int, phase: str, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        dice = world.rng(phase)
        slow, turn = 0.6 + 0.3 * torch.rand(1, generator=dice), 3 * torch.rand(1, generator=dice)
        start = torch.randn(n, 1, generator=rng)
        wave = torch.sin(turn * torch.arange(t + 1) * slow + start) + 0.5 * start
        level = wave + (0.1 + 0.3 * world.noise) * torch.randn(n, t + 1, generator=rng)
        grey = ((level * {"soft": 1.2, "easy": 0.2}.get(phase, 1.0) + 2) * GREYS / 4).floor().clamp(0, GREYS - 1)
        grey = 2 * grey / (GREYS - 1) - 1
        return grey[:, :-1, None], grey[:, 1:]

    def cost(f: Apply, x: Tensor, y: Tensor, w: Tensor, z: Tensor, ref: Apply, p: Mapping[str, Tensor]) -> Tensor:
        weight, middle, narrow = f(x).chunk(3, -1)
        sharp, half = torch.exp(narrow.clamp(-4, 4) + 1), 1 / (GREYS - 1)
        above, below = (sharp * (y[..., None] + s * half - middle) for s in (1, -1))
        top, bottom = y[..., None] > 1 - half, y[..., None] < half - 1
        share = torch.where(top, 1.0, torch.sigmoid(above)) - torch.where(bottom, 0.0, torch.sigmoid(below))
        told = torch.logsumexp(torch.log_softmax(weight, -1) + share.clamp_min(1e-7).log(), -1)
        return -told.mean(1) / math.log(2)

    return Task(kind="seq", d_in=1, out=6, length=t, per_token=True, causal=True, make=make, rows=cost, scale=4.0)


def _abstain(world: World) -> Task:
    """Classes, of which some rows cannot be told: an error over what is answered, and a price on answering too little.

    As in SelectiveNet (Geifman and El-Yaniv, 2019), with the head that must answer everything.
    """
    d, classes = 8, 4

    def make(n: int, phase: str, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        x = inputs(world, d, n, phase, rng)
        right = teacher(world, phase, d, classes)(x).argmax(1)
        lost = (x[:, 0] > 0.8) & (torch.rand(n, generator=rng) < min(0.3 + world.noise, 1.0))
        label = torch.where(lost, torch.randint(0, classes, (n,), generator=rng), right)
        return x, functional.one_hot(label, classes).float()

    def cost(f: Apply, x: Tensor, y: Tensor, w: Tensor, z: Tensor, ref: Apply, p: Mapping[str, Tensor]) -> Tensor:
        told = f(x)
        answers, all_of_them, chosen = told[:, :classes], told[:, classes:-1], torch.sigmoid(told[:, -1])
        wrong, plain = (-(torch.log_softmax(v, -1) * y).sum(1) for v in (answers, all_of_them))
        covered = (w * chosen).sum() / w.sum().clamp_min(1e-9)
        return (
            0.5 * (wrong * chosen / covered.clamp_min(1e-3) + 8 * (COVERED - covered).clamp_min(0) ** 2) + 0.5 * plain
        )

    return Task(kind="vec", d_in=d, out=2 * classes + 1, make=make, rows=cost)


def _compress(world: World) -> Task:
    """Rows through a noisy code: the bits of the code, and ten times the error after it (Balle et al., 2017)."""
    d, k = 10, 4

    def cost(f: Apply, x: Tensor, y: Tensor, w: Tensor, z: Tensor, ref: Apply, p: Mapping[str, Tensor]) -> Tensor:
        code = f(x) + torch.erf(z / math.sqrt(2)) / 2
        wide = torch.exp(p["bwide"].clamp(-4, 4))
        share = torch.sigmoid((code + 0.5) / wide) - torch.sigmoid((code - 0.5) / wide)
        bits = -share.clamp_min(1e-7).log2().sum(1)
        again = torch.tanh(code @ p["Wback1"] + p["bback1"]) @ p["Wback2"]
        return bits + 10 * (again - x).square().sum(1)

    return Task(kind="vec", d_in=d, out=k, make=rows_only(world, d), noise=k, rows=cost, scale=40.0,
                extra={"bwide": (k,), "Wback1": (k, 16), "bback1": (16,), "Wback2": (16, d)})  # fmt: skip


EIGHTH_TASKS: dict[str, Callable[[World], Task]] = {
    "hazard": _hazard,
    "disc": _disc,
    "pixels": _pixels,
    "abstain": _abstain,
    "compress": _compress,
}


def hyper(s: Shape) -> Net:
    """Each layer's matrix is mixed for the row by a small net that sees the input (Ha et al., 2017)."""
    m = Maker(s)
    width = m.flat(s.width)
    m.lin("mix", width, s.depth * MIXED)
    for i in range(s.depth):
        for j in range(MIXED):
            m.lin(f"{i}_{j}", width if i == 0 else s.width, s.width)
        m.norm("n" + str(i), s.width)
    m.vector_head(s.width)

    def forward(p: Params, x: Tensor, w: Tensor) -> Tensor:
        h = m.flattened(p, x)
        mix = torch.tanh(m.apply(p, "mix", h)).unflatten(-1, (s.depth, MIXED))
        for i in range(s.depth):
            each = [mix[..., i, j : j + 1] * m.apply(p, f"{i}_{j}", h) for j in range(MIXED)]
            h = m.act(m.normed(p, "n" + str(i), torch.stack(each).sum(0), w))
        return m.vector_answer(p, h)

    return m.net(forward)


def clockwork(s: Shape) -> Net:
    """A recurrent net of which one half moves at every position and the other at every second (Koutnik et al., 2014)."""
    m = Maker(s)
    half = s.width // 2
    m.embed(s.width)
    m.lin("fast", s.width + half, half)
    m.lin("slow", half, half)
    m.lin("seen", s.width, half)
    m.norm("n", s.width)
    m.head(s.width)

    def forward(p: Params, x: Tensor, w: Tensor) -> Tensor:
        h = m.embedded(p, x)
        fast = slow = 0 * h[:, 0, :half]
        states = []
        for t in range(m.positions):
            if t % 2 == 0:
                slow = torch.tanh(m.apply(p, "slow", slow) + m.apply(p, "seen", h[:, t]))
            fast = torch.tanh(
                m.apply(p, "fast", torch.cat([h[:, t] + functional.pad(slow, (0, s.width - half)), fast], -1))
            )
            states.append(torch.cat([fast, slow], -1))
        return m.answer(p, m.normed(p, "n", torch.stack(states, 1), w), last=True)

    return m.net(forward)


EIGHTH_VECTOR: dict[str, Callable[[Shape], Net]] = {"hyper": hyper}
EIGHTH_CAUSAL: dict[str, Callable[[Shape], Net]] = {"clockwork": clockwork}

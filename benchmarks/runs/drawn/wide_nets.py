"""Architectures of the part that widens what is learned from, built like those of `nets.py`, each of another structure."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from benchmarks.runs.drawn.nets import Maker, Net, Params, Shape

ROUNDS = 5
QUERIES = 3
DENSITY = 0.35


def equilibrium(s: Shape) -> Net:
    """One layer applied again and again, near its fixed point (Bai et al., 2019): all depth shares its weights."""
    m = Maker(s)
    m.lin("in", m.flat(s.width), s.width)
    m.shapes["Wagain"] = (s.width, s.width)
    m.norm("n", s.width)
    m.vector_head(s.width)

    def forward(p: Params, x: Tensor, w: Tensor) -> Tensor:
        given = m.apply(p, "in", m.flattened(p, x))
        h = torch.tanh(given)
        for _ in range(ROUNDS):
            h = 0.5 * h + 0.5 * torch.tanh(0.7 * h @ p["Wagain"] + given)
        return m.vector_answer(p, m.normed(p, "n", h, w))

    return m.net(forward)


def rezero(s: Shape) -> Net:
    """Residual branches behind learned scales that start at zero (Bachlechner et al., 2020): at first a linear map."""
    m = Maker(s)
    m.lin("in", m.flat(s.width), s.width)
    for i in range(s.depth + 1):
        m.lin(f"{i}a", s.width, s.width)
        m.lin(f"{i}c", s.width, s.width)
        m.shapes[f"b{i}scale"] = (1,)
    m.vector_head(s.width)

    def forward(p: Params, x: Tensor, w: Tensor) -> Tensor:
        h = m.apply(p, "in", m.flattened(p, x))
        for i in range(s.depth + 1):
            h = h + p[f"b{i}scale"] * m.apply(p, f"{i}c", m.act(m.apply(p, f"{i}a", h)))
        return m.vector_answer(p, h)

    return m.net(forward)


def sparse(s: Shape) -> Net:
    """Two wide layers of which a third of the connections exist, drawn once."""
    m = Maker(s)
    into, wide = m.flat(s.width), 2 * s.width
    rng = torch.Generator().manual_seed(11)
    first = (torch.rand(into, wide, generator=rng) < max(DENSITY, 2 / into)).float()
    second = (torch.rand(wide, wide, generator=rng) < DENSITY).float()
    m.lin("0", into, wide)
    m.lin("1", wide, wide)
    m.norm("n", wide)
    m.vector_head(wide)

    def forward(p: Params, x: Tensor, w: Tensor) -> Tensor:
        h = m.act(m.flattened(p, x) @ (p["W0"] * first) + p["b0"])
        h = m.act(m.normed(p, "n", h @ (p["W1"] * second * DENSITY**-0.5) + p["b1"], w))
        return m.vector_answer(p, h)

    return m.net(forward)


def mgu(s: Shape) -> Net:
    """A recurrence with one gate, normalised before it is used (Zhou et al., 2016; Ba et al., 2016)."""
    m = Maker(s)
    m.embed(s.width)
    m.lin("f", 2 * s.width, s.width)
    m.lin("h", 2 * s.width, s.width)
    m.shapes["gstate"] = (s.width,)
    m.head(s.width)

    def forward(p: Params, x: Tensor, w: Tensor) -> Tensor:
        e = m.embedded(p, x)
        h = torch.zeros_like(e[:, 0])
        states = []
        for t in range(m.positions):
            known = functional.layer_norm(h, h.shape[-1:]) * p["gstate"]
            gate = torch.sigmoid(m.apply(p, "f", torch.cat([e[:, t], known], -1)))
            new = torch.tanh(m.apply(p, "h", torch.cat([e[:, t], gate * known], -1)))
            h = (1 - gate) * h + gate * new
            states.append(h)
        return m.answer(p, torch.stack(states, 1), last=True)

    return m.net(forward)


def squeeze(s: Shape) -> Net:
    """Windows of three positions, and channels weighed by what the whole input holds (Hu et al., 2018)."""
    m = Maker(s)
    m.embed(s.width)
    small = max(2, s.width // 4)
    for i in range(2):
        m.lin(str(i), 3 * s.width, s.width)
        m.norm("n" + str(i), s.width)
        m.lin(f"{i}s", s.width, small)
        m.lin(f"{i}e", small, s.width)
    m.head(s.width)

    def forward(p: Params, x: Tensor, w: Tensor) -> Tensor:
        h = m.embedded(p, x)
        for i in range(2):
            padded = functional.pad(h, (0, 0, 1, 1))
            window = torch.cat([padded[:, :-2], h, padded[:, 2:]], -1)
            new = m.act(m.normed(p, "n" + str(i), m.apply(p, str(i), window), w))
            weight = torch.sigmoid(m.apply(p, f"{i}e", torch.relu(m.apply(p, f"{i}s", new.mean(1)))))
            h = h + new * weight[:, None]
        return m.answer(p, h)

    return m.net(forward)


def pooled(s: Shape) -> Net:
    """Learned questions look at all positions, and each position at their answers (in the way of Jaegle et al., 2021)."""
    m = Maker(s)
    m.embed(s.width)
    m.shapes["EP"], m.shapes["EQ"] = (m.positions, s.width), (QUERIES, s.width)
    m.lin("kv", s.width, 2 * s.width)
    m.lin("mix", s.width, s.width)
    m.norm("n", s.width)
    m.lin("u", 2 * s.width, s.width)
    m.head(s.width)

    def forward(p: Params, x: Tensor, w: Tensor) -> Tensor:
        h = m.embedded(p, x) + p["EP"]
        k, v = m.apply(p, "kv", h).chunk(2, -1)
        asked = m.act(m.apply(p, "mix", torch.softmax(p["EQ"] @ k.transpose(1, 2) / math.sqrt(s.width), -1) @ v))
        back = torch.softmax(h @ asked.transpose(1, 2) / math.sqrt(s.width), -1) @ asked
        h = m.act(m.apply(p, "u", torch.cat([m.normed(p, "n", h, w), back], -1)))
        return m.answer(p, h)

    return m.net(forward)


WIDE_VECTOR: dict[str, Callable[[Shape], Net]] = {"equilibrium": equilibrium, "rezero": rezero, "sparse": sparse}
WIDE_CAUSAL: dict[str, Callable[[Shape], Net]] = {"mgu": mgu}
WIDE_WHOLE: dict[str, Callable[[Shape], Net]] = {"squeeze": squeeze, "pooled": pooled}

"""Architectures of the later first looks, built like those of `nets.py`."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from benchmarks.runs.drawn.nets import Maker, Net, Params, Shape

KNOTS = 7
SLOTS = 12


def spline(s: Shape) -> Net:
    """Each input bent by a line with learned corners, twice (in the way of Liu et al., 2024)."""
    m = Maker(s)
    width = m.flat(s.width)
    corners = torch.linspace(-2.5, 2.5, KNOTS)
    m.lin("0", width * KNOTS, s.width)
    m.lin("1", s.width * KNOTS, s.width)
    m.vector_head(s.width)

    def bent(v: Tensor) -> Tensor:
        return (1 - (v[..., None] - corners).abs() * (KNOTS - 1) / 5).clamp_min(0).flatten(-2)

    def forward(p: Params, x: Tensor, w: Tensor) -> Tensor:
        h = m.apply(p, "0", bent(m.flattened(p, x)))
        return m.vector_answer(p, h + m.apply(p, "1", bent(h)))

    return m.net(forward)


def memory(s: Shape) -> Net:
    """What the input asks for is read from learned slots."""
    m = Maker(s)
    m.lin("in", m.flat(s.width), s.width)
    m.shapes["EK"], m.shapes["EM"] = (SLOTS, s.width), (SLOTS, s.width)
    m.norm("n", s.width)
    m.lin("u", s.width, s.width)
    m.vector_head(s.width)

    def forward(p: Params, x: Tensor, w: Tensor) -> Tensor:
        h = m.act(m.apply(p, "in", m.flattened(p, x)))
        read = torch.softmax(h @ p["EK"].T, -1) @ p["EM"]
        return m.vector_answer(p, h + m.act(m.apply(p, "u", m.normed(p, "n", h + read, w))))

    return m.net(forward)


def gatedconv(s: Shape) -> Net:
    """Windows of five positions with gates; sees both sides."""
    m = Maker(s)
    m.embed(s.width)
    for i in range(2):
        m.lin(str(i), 5 * s.width, 2 * s.width)
        m.norm("n" + str(i), s.width)
    m.head(s.width)

    def forward(p: Params, x: Tensor, w: Tensor) -> Tensor:
        h = m.embedded(p, x)
        for i in range(2):
            padded = functional.pad(m.normed(p, "n" + str(i), h, w), (0, 0, 2, 2))
            window = torch.cat([padded[:, k : k + h.shape[1]] for k in range(5)], -1)
            a, b = m.apply(p, str(i), window).chunk(2, -1)
            h = h + a * torch.sigmoid(b)
        return m.answer(p, h)

    return m.net(forward)


def linearattention(s: Shape) -> Net:
    """Attention without a softmax, as sums over the past (Katharopoulos et al., 2020)."""
    m = Maker(s)
    m.embed(s.width)
    m.shapes["EP"] = (m.positions, s.width)
    m.lin("qkv", s.width, 3 * s.width)
    m.norm("n", s.width)
    m.lin("u", s.width, s.width)
    m.head(s.width)

    def forward(p: Params, x: Tensor, w: Tensor) -> Tensor:
        h = m.embedded(p, x) + p["EP"]
        q, k, v = m.apply(p, "qkv", m.normed(p, "n", h, w)).chunk(3, -1)
        q, k = functional.elu(q) + 1, functional.elu(k) + 1
        alike = torch.tril(q @ k.transpose(1, 2))
        h = h + alike @ v / (alike.sum(-1, keepdim=True) + 1e-3)
        return m.answer(p, h + m.act(m.apply(p, "u", h)), last=True)

    return m.net(forward)


def cross(s: Shape) -> Net:
    """The input times a number that each layer learns from what came before (Wang et al., 2017), beside a plain layer."""
    m = Maker(s)
    m.lin("in", m.flat(s.width), s.width)
    for i in range(3):
        m.lin(str(i), s.width, s.width)
    m.norm("n", s.width)
    m.vector_head(s.width)

    def forward(p: Params, x: Tensor, w: Tensor) -> Tensor:
        first = h = m.act(m.apply(p, "in", m.flattened(p, x)))
        for i in range(3):
            h = h + first * torch.tanh(m.apply(p, str(i), h))
        return m.vector_answer(p, m.normed(p, "n", h, w))

    return m.net(forward)


def leaky(s: Shape) -> Net:
    """A state that leaks at a learned speed into which gated input flows; it looks only back."""
    m = Maker(s)
    m.embed(s.width)
    m.lin("g", s.width, 2 * s.width)
    m.shapes["bleak"] = (s.width,)
    m.head(s.width)

    def forward(p: Params, x: Tensor, w: Tensor) -> Tensor:
        flow, gate = m.apply(p, "g", m.embedded(p, x)).chunk(2, -1)
        keep = torch.sigmoid(p["bleak"] + 1.0)
        h = torch.zeros_like(flow[:, 0])
        states = []
        for t in range(m.positions):
            h = keep * h + (1 - keep) * torch.tanh(flow[:, t]) * torch.sigmoid(gate[:, t])
            states.append(h)
        return m.answer(p, torch.stack(states, 1), last=True)

    return m.net(forward)


LATER_VECTOR: dict[str, Callable[[Shape], Net]] = {"spline": spline, "memory": memory, "cross": cross}
LATER_CAUSAL: dict[str, Callable[[Shape], Net]] = {"linearattention": linearattention, "leaky": leaky}
LATER_WHOLE: dict[str, Callable[[Shape], Net]] = {"gatedconv": gatedconv}

"""Architectures as plain functions of named parameters, so that one call trains many models of one shape at once.

A net is a table of parameter shapes and a function `forward(p, x, w)` of one model: `p` maps names to tensors, `x` is a batch
of vectors (B, d), of sequences (B, T, d) or of tokens (B, T), `w` (B,) are the weights of the rows (zero for rows that are only
padding). It gives (B, out), or (B, T, out) where the task wants an answer a position.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional

Params = Mapping[str, Tensor]
Forward = Callable[[Params, Tensor, Tensor], Tensor]


@dataclass(frozen=True, kw_only=True, slots=True)
class Shape:
    """What a net is built from: sizes, activation, normalisation, and what goes in and comes out."""

    kind: str  # vec, seq, tok
    d_in: int  # width of a row, or of a position; number of tokens
    out: int
    length: int = 1
    per_token: bool = False
    width: int = 16
    depth: int = 2
    act: str = "relu"
    norm: str = "none"


@dataclass(frozen=True, kw_only=True, slots=True)
class Net:
    """Shapes by name (W matrices, E embeddings, b offsets, g gains, c constants of 1) and the function."""

    shapes: Mapping[str, tuple[int, ...]]
    forward: Forward


ACTS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "relu": torch.relu,
    "tanh": torch.tanh,
    "gelu": functional.gelu,
    "silu": functional.silu,
    "leaky": functional.leaky_relu,
    "sigmoid": torch.sigmoid,
    "softplus": functional.softplus,
    "sine": torch.sin,
}


class Maker:
    """Collects the shapes of a net while it is put together, and holds what its function needs."""

    def __init__(self, shape: Shape) -> None:
        """Start with no parameters."""
        self.s = shape
        self.shapes: dict[str, tuple[int, ...]] = {}
        self.act = ACTS[shape.act]

    def lin(self, name: str, a: int, b: int) -> None:
        """A matrix with an offset."""
        self.shapes["W" + name] = (a, b)
        self.shapes["b" + name] = (b,)

    def apply(self, p: Params, name: str, x: Tensor) -> Tensor:
        """The affine map of that name."""
        return x @ p["W" + name] + p["b" + name]

    def norm(self, name: str, width: int) -> None:
        """The gain and offset of a normalisation, if there is one."""
        if self.s.norm != "none":
            self.shapes["g" + name] = (width,)
            self.shapes["b" + name] = (width,)

    def normed(self, p: Params, name: str, x: Tensor, w: Tensor) -> Tensor:
        """Normalise the last axis over itself (layer, rms) or over the rows (batch)."""
        if self.s.norm == "none":
            return x
        if self.s.norm == "rms":
            y = x * torch.rsqrt(x.square().mean(-1, keepdim=True) + 1e-5)
        elif self.s.norm == "layer":
            y = functional.layer_norm(x, x.shape[-1:])
        else:
            share = (w / w.sum().clamp_min(1e-9)).view(-1, *([1] * (x.dim() - 1)))
            middle = (x * share).sum(0, keepdim=True)
            if x.dim() == 3:
                middle = middle.mean(1, keepdim=True)
            y = x - middle
            spread = (y.square() * share).sum(0, keepdim=True)
            if x.dim() == 3:
                spread = spread.mean(1, keepdim=True)
            y = y * torch.rsqrt(spread + 1e-4)
        return y * p["g" + name] + p["b" + name]

    def embed(self, width: int) -> None:
        """What turns the input into (B, T, width)."""
        if self.s.kind == "tok":
            self.shapes["E"] = (self.s.d_in, width)
        else:
            self.lin("in", self.seq_width, width)

    @property
    def seq_width(self) -> int:
        """Numbers a position: vectors are cut into positions of four."""
        return 4 if self.s.kind == "vec" else self.s.d_in

    @property
    def positions(self) -> int:
        """Positions of a sequence."""
        return -(-self.s.d_in // 4) if self.s.kind == "vec" else self.s.length

    def embedded(self, p: Params, x: Tensor) -> Tensor:
        """The input as (B, T, width)."""
        if self.s.kind == "tok":
            return p["E"][x]
        if self.s.kind == "vec":
            x = functional.pad(x, (0, -self.s.d_in % 4)).unflatten(-1, (-1, 4))
        return self.apply(p, "in", x)

    def flat(self, width: int) -> int:
        """Width of the input as one vector."""
        if self.s.kind == "tok":
            self.shapes["E"] = (self.s.d_in, width)
            return width * self.s.length
        return self.s.d_in * (self.s.length if self.s.kind == "seq" else 1)

    def flattened(self, p: Params, x: Tensor) -> Tensor:
        """The input as one vector a row."""
        if self.s.kind == "tok":
            x = p["E"][x]
        return x.flatten(1) if x.dim() == 3 else x

    def head(self, width: int) -> None:
        """The last layer."""
        self.lin("out", width, self.s.out)

    def vector_head(self, width: int) -> None:
        """The last layer of a net that sees the input as one vector."""
        self.lin("out", width, self.s.out * (self.s.length if self.s.per_token else 1))

    def vector_answer(self, p: Params, h: Tensor) -> Tensor:
        """The answer from one vector a row."""
        y = self.apply(p, "out", h)
        return y.unflatten(-1, (self.s.length, self.s.out)) if self.s.per_token else y

    def answer(self, p: Params, h: Tensor, *, last: bool = False) -> Tensor:
        """The answer from (B, T, width)."""
        if not self.s.per_token:
            h = h[:, -1] if last else h.mean(1)
        return self.apply(p, "out", h)

    def net(self, forward: Forward) -> Net:
        """The net."""
        return Net(shapes=dict(self.shapes), forward=forward)


def linear(s: Shape) -> Net:
    """One affine map."""
    m = Maker(s)
    m.vector_head(m.flat(s.width))
    return m.net(lambda p, x, w: m.vector_answer(p, m.flattened(p, x)))


def mlp(s: Shape) -> Net:
    """A plain stack."""
    m = Maker(s)
    widths = [m.flat(s.width), *([s.width] * s.depth)]
    for i in range(s.depth):
        m.lin(str(i), widths[i], widths[i + 1])
        m.norm("n" + str(i), s.width)
    m.vector_head(s.width)

    def forward(p: Params, x: Tensor, w: Tensor) -> Tensor:
        h = m.flattened(p, x)
        for i in range(s.depth):
            h = m.act(m.normed(p, "n" + str(i), m.apply(p, str(i), h), w))
        return m.vector_answer(p, h)

    return m.net(forward)


def deep(s: Shape) -> Net:
    """A narrow plain stack of many layers."""
    return mlp(replace(s, depth=s.depth + 5, width=max(8, s.width // 2)))


def resmlp(s: Shape) -> Net:
    """Residual blocks."""
    m = Maker(s)
    m.lin("in", m.flat(s.width), s.width)
    for i in range(s.depth):
        m.norm("n" + str(i), s.width)
        m.lin(f"{i}a", s.width, s.width)
        m.lin(f"{i}b", s.width, s.width)
    m.vector_head(s.width)

    def forward(p: Params, x: Tensor, w: Tensor) -> Tensor:
        h = m.apply(p, "in", m.flattened(p, x))
        for i in range(s.depth):
            h = h + m.apply(p, f"{i}b", m.act(m.apply(p, f"{i}a", m.normed(p, "n" + str(i), h, w))))
        return m.vector_answer(p, h)

    return m.net(forward)


def highway(s: Shape) -> Net:
    """Layers that a learned gate lets through or passes by."""
    m = Maker(s)
    m.lin("in", m.flat(s.width), s.width)
    for i in range(s.depth):
        m.lin(f"{i}t", s.width, s.width)
        m.lin(f"{i}h", s.width, s.width)
    m.vector_head(s.width)

    def forward(p: Params, x: Tensor, w: Tensor) -> Tensor:
        h = torch.tanh(m.apply(p, "in", m.flattened(p, x)))
        for i in range(s.depth):
            gate = torch.sigmoid(m.apply(p, f"{i}t", h) - 1)
            h = gate * m.act(m.apply(p, f"{i}h", h)) + (1 - gate) * h
        return m.vector_answer(p, h)

    return m.net(forward)


def dense(s: Shape) -> Net:
    """Each layer sees all before it."""
    m = Maker(s)
    width, grow = m.flat(s.width), max(4, s.width // 2)
    for i in range(s.depth):
        m.lin(str(i), width + i * grow, grow)
    m.vector_head(width + s.depth * grow)

    def forward(p: Params, x: Tensor, w: Tensor) -> Tensor:
        h = m.flattened(p, x)
        for i in range(s.depth):
            h = torch.cat([h, m.act(m.apply(p, str(i), h))], -1)
        return m.vector_answer(p, h)

    return m.net(forward)


def glu(s: Shape) -> Net:
    """Gated linear units."""
    m = Maker(s)
    width = m.flat(s.width)
    for i in range(s.depth):
        m.lin(f"{i}a", width if i == 0 else s.width, s.width)
        m.lin(f"{i}b", width if i == 0 else s.width, s.width)
        m.norm("n" + str(i), s.width)
    m.vector_head(s.width)

    def forward(p: Params, x: Tensor, w: Tensor) -> Tensor:
        h = m.flattened(p, x)
        for i in range(s.depth):
            h = m.normed(p, "n" + str(i), m.apply(p, f"{i}a", h) * torch.sigmoid(m.apply(p, f"{i}b", h)), w)
        return m.vector_answer(p, h)

    return m.net(forward)


def factors(s: Shape) -> Net:
    """A factorisation machine: products of pairs of inputs."""
    m = Maker(s)
    width = m.flat(s.width)
    m.shapes["WV"] = (width, s.width)
    m.lin("lin", width, s.width)
    m.vector_head(s.width)

    def forward(p: Params, x: Tensor, w: Tensor) -> Tensor:
        h = m.flattened(p, x)
        pairs = (h @ p["WV"]).square() - h.square() @ p["WV"].square()
        return m.vector_answer(p, 0.5 * pairs + m.apply(p, "lin", h))

    return m.net(forward)


def rbf(s: Shape) -> Net:
    """Radial basis functions with learned centres."""
    m = Maker(s)
    width, centres = m.flat(s.width), 2 * s.width
    m.shapes["EC"] = (centres, width)
    m.shapes["cG"] = (centres,)
    m.vector_head(centres)

    def forward(p: Params, x: Tensor, w: Tensor) -> Tensor:
        h = m.flattened(p, x)
        far = h.square().sum(-1, keepdim=True) - 2 * h @ p["EC"].T + p["EC"].square().sum(-1)
        return m.vector_answer(p, torch.exp(-far * p["cG"].square() / (2 * width)))

    return m.net(forward)


def fourier(s: Shape) -> Net:
    """Learned frequencies, then a stack."""
    m = Maker(s)
    width = m.flat(s.width)
    m.shapes["WF"] = (width, s.width)
    m.lin("0", 2 * s.width, s.width)
    m.vector_head(s.width)

    def forward(p: Params, x: Tensor, w: Tensor) -> Tensor:
        turned = 2 * m.flattened(p, x) @ p["WF"]
        return m.vector_answer(p, m.act(m.apply(p, "0", torch.cat([turned.sin(), turned.cos()], -1))))

    return m.net(forward)


def experts(s: Shape) -> Net:
    """Three experts mixed by a gate."""
    m = Maker(s)
    width = m.flat(s.width)
    m.lin("gate", width, 3)
    for i in range(3):
        m.lin(str(i), width, s.width)
    m.vector_head(s.width)

    def forward(p: Params, x: Tensor, w: Tensor) -> Tensor:
        h = m.flattened(p, x)
        gate = torch.softmax(m.apply(p, "gate", h), -1)
        return m.vector_answer(p, sum(gate[..., i : i + 1] * m.act(m.apply(p, str(i), h)) for i in range(3)))

    return m.net(forward)


def maxout(s: Shape) -> Net:
    """The larger of two affine maps a unit."""
    m = Maker(s)
    width = m.flat(s.width)
    for i in range(s.depth):
        m.lin(f"{i}a", width if i == 0 else s.width, s.width)
        m.lin(f"{i}b", width if i == 0 else s.width, s.width)
    m.vector_head(s.width)

    def forward(p: Params, x: Tensor, w: Tensor) -> Tensor:
        h = m.flattened(p, x)
        for i in range(s.depth):
            h = torch.maximum(m.apply(p, f"{i}a", h), m.apply(p, f"{i}b", h))
        return m.vector_answer(p, h)

    return m.net(forward)


def rnn(s: Shape) -> Net:
    """Plain recurrence."""
    m = Maker(s)
    m.embed(s.width)
    m.lin("r", s.width, s.width)
    m.head(s.width)

    def forward(p: Params, x: Tensor, w: Tensor) -> Tensor:
        e = m.embedded(p, x)
        h = torch.zeros_like(e[:, 0])
        states = []
        for t in range(m.positions):
            h = torch.tanh(e[:, t] + m.apply(p, "r", h))
            states.append(h)
        return m.answer(p, torch.stack(states, 1), last=True)

    return m.net(forward)


def gru(s: Shape) -> Net:
    """Gated recurrence."""
    m = Maker(s)
    m.embed(s.width)
    m.lin("x", s.width, 3 * s.width)
    m.lin("h", s.width, 3 * s.width)
    m.head(s.width)

    def forward(p: Params, x: Tensor, w: Tensor) -> Tensor:
        e = m.apply(p, "x", m.embedded(p, x))
        h = torch.zeros_like(e[:, 0, : s.width])
        states = []
        for t in range(m.positions):
            (a, b, c), (d, f, g) = e[:, t].chunk(3, -1), m.apply(p, "h", h).chunk(3, -1)
            keep = torch.sigmoid(a + d)
            h = keep * h + (1 - keep) * torch.tanh(c + torch.sigmoid(b + f) * g)
            states.append(h)
        return m.answer(p, torch.stack(states, 1), last=True)

    return m.net(forward)


def lstm(s: Shape) -> Net:
    """Long short-term memory."""
    m = Maker(s)
    m.embed(s.width)
    m.lin("x", s.width, 4 * s.width)
    m.lin("h", s.width, 4 * s.width)
    m.head(s.width)

    def forward(p: Params, x: Tensor, w: Tensor) -> Tensor:
        e = m.apply(p, "x", m.embedded(p, x))
        h = torch.zeros_like(e[:, 0, : s.width])
        cell = h
        states = []
        for t in range(m.positions):
            i, f, o, g = (e[:, t] + m.apply(p, "h", h)).chunk(4, -1)
            cell = torch.sigmoid(f + 1) * cell + torch.sigmoid(i) * torch.tanh(g)
            h = torch.sigmoid(o) * torch.tanh(cell)
            states.append(h)
        return m.answer(p, torch.stack(states, 1), last=True)

    return m.net(forward)


def ssm(s: Shape) -> Net:
    """A linear recurrence with learned decays, as one sum over the past."""
    m = Maker(s)
    m.embed(s.width)
    m.shapes["cD"] = (s.width,)
    m.norm("n", s.width)
    m.lin("mix", s.width, s.width)
    m.head(s.width)

    def forward(p: Params, x: Tensor, w: Tensor) -> Tensor:
        e = m.embedded(p, x)
        steps = torch.arange(m.positions)
        lag = (steps[:, None] - steps[None, :]).float()
        kernel = torch.exp(-lag.clamp_min(0)[..., None] * functional.softplus(p["cD"])) * (lag >= 0).float()[..., None]
        h = torch.einsum("bsd,tsd->btd", e, kernel)
        h = e + m.apply(p, "mix", m.act(m.normed(p, "n", h, w)))
        return m.answer(p, h, last=True)

    return m.net(forward)


def tcn(s: Shape) -> Net:
    """Dilated causal convolutions."""
    m = Maker(s)
    m.embed(s.width)
    for i in range(s.depth):
        m.lin(f"{i}", 2 * s.width, s.width)
        m.norm("n" + str(i), s.width)
    m.head(s.width)

    def forward(p: Params, x: Tensor, w: Tensor) -> Tensor:
        h = m.embedded(p, x)
        for i in range(s.depth):
            back = functional.pad(h, (0, 0, 2**i, 0))[:, : h.shape[1]]
            h = h + m.act(m.normed(p, "n" + str(i), m.apply(p, str(i), torch.cat([h, back], -1)), w))
        return m.answer(p, h, last=True)

    return m.net(forward)


def attention(s: Shape, *, post: bool = False) -> Net:
    """A causal transformer, normalised before each block or after it."""
    s = s if s.norm in {"layer", "rms"} else replace(s, norm="layer")
    m = Maker(s)
    m.embed(s.width)
    m.shapes["EP"] = (m.positions, s.width)
    blocks = max(1, min(s.depth, 2))
    for i in range(blocks):
        m.lin(f"{i}qkv", s.width, 3 * s.width)
        m.lin(f"{i}o", s.width, s.width)
        m.lin(f"{i}u", s.width, 2 * s.width)
        m.lin(f"{i}d", 2 * s.width, s.width)
        m.norm(f"n{i}a", s.width)
        m.norm(f"n{i}b", s.width)
    m.head(s.width)

    def forward(p: Params, x: Tensor, w: Tensor) -> Tensor:
        h = m.embedded(p, x) + p["EP"]
        hidden = torch.full((m.positions, m.positions), -1e4).triu(1)
        for i in range(blocks):
            a = h if post else m.normed(p, f"n{i}a", h, w)
            q, k, v = m.apply(p, f"{i}qkv", a).chunk(3, -1)
            looked = torch.softmax(q @ k.transpose(1, 2) / math.sqrt(s.width) + hidden, -1) @ v
            h = h + m.apply(p, f"{i}o", looked)
            h = m.normed(p, f"n{i}a", h, w) if post else h
            b = h if post else m.normed(p, f"n{i}b", h, w)
            h = h + m.apply(p, f"{i}d", m.act(m.apply(p, f"{i}u", b)))
            h = m.normed(p, f"n{i}b", h, w) if post else h
        return m.answer(p, h, last=True)

    return m.net(forward)


def postnorm(s: Shape) -> Net:
    """A transformer that normalises after each block."""
    return attention(s, post=True)


def mixer(s: Shape) -> Net:
    """Mixes positions, then channels; sees the whole sequence."""
    m = Maker(s)
    m.embed(s.width)
    m.lin("t", m.positions, m.positions)
    m.norm("n", s.width)
    m.lin("u", s.width, s.width)
    m.lin("d", s.width, s.width)
    m.head(s.width)

    def forward(p: Params, x: Tensor, w: Tensor) -> Tensor:
        h = m.embedded(p, x)
        h = h + m.apply(p, "t", m.normed(p, "n", h, w).transpose(1, 2)).transpose(1, 2)
        return m.answer(p, h + m.apply(p, "d", m.act(m.apply(p, "u", h))))

    return m.net(forward)


def bag(s: Shape) -> Net:
    """A set: each position by itself, then the mean, which each sees again."""
    m = Maker(s)
    m.embed(s.width)
    m.lin("u", s.width, s.width)
    m.lin("d", 2 * s.width, s.width)
    m.head(s.width)

    def forward(p: Params, x: Tensor, w: Tensor) -> Tensor:
        h = m.act(m.apply(p, "u", m.embedded(p, x)))
        middle = h.mean(1, keepdim=True).expand_as(h)
        return m.answer(p, m.act(m.apply(p, "d", torch.cat([h, middle], -1))))

    return m.net(forward)


def conv(s: Shape) -> Net:
    """Windows of three positions, twice, then the mean."""
    m = Maker(s)
    m.embed(s.width)
    for i in range(2):
        m.lin(str(i), 3 * s.width, s.width)
        m.norm("n" + str(i), s.width)
    m.head(s.width)

    def forward(p: Params, x: Tensor, w: Tensor) -> Tensor:
        h = m.embedded(p, x)
        for i in range(2):
            padded = functional.pad(h, (0, 0, 1, 1))
            window = torch.cat([padded[:, :-2], h, padded[:, 2:]], -1)
            h = m.act(m.normed(p, "n" + str(i), m.apply(p, str(i), window), w))
        return m.answer(p, h)

    return m.net(forward)


VECTOR: dict[str, Callable[[Shape], Net]] = {
    "linear": linear, "mlp": mlp, "deep": deep, "resmlp": resmlp, "highway": highway, "dense": dense, "glu": glu,
    "factors": factors, "rbf": rbf, "fourier": fourier, "experts": experts, "maxout": maxout,
}  # fmt: skip
#: Nets that see a sequence in order and nothing of what comes later.
CAUSAL: dict[str, Callable[[Shape], Net]] = {
    "rnn": rnn, "gru": gru, "lstm": lstm, "ssm": ssm, "tcn": tcn, "attention": attention, "postnorm": postnorm,
}  # fmt: skip
WHOLE: dict[str, Callable[[Shape], Net]] = {"mixer": mixer, "bag": bag, "conv": conv}
NETS = VECTOR | CAUSAL | WHOLE

#: Standard deviations by name of the initialisation, times sqrt(1 / inputs); what "small" and "flat last" mean is below.
INITS = {"he": math.sqrt(2.0), "xavier": 1.0, "lecun": 1.0, "wide": 1.6, "small": 0.4, "zero_last": 1.0}


def initial(net: Net, init: str, gain: float, rng: torch.Generator) -> Tensor:
    """Draw the weights of one model as one vector, in the order of the shapes."""
    parts = []
    for name, shape in net.shapes.items():
        if name[0] == "b":
            parts.append(torch.zeros(shape))
        elif name[0] in "gc":
            parts.append(torch.ones(shape))
        elif name[0] == "E":
            parts.append(0.5 * torch.randn(shape, generator=rng))
        else:
            scale = 0.0 if init == "zero_last" and name == "Wout" else INITS[init] * gain
            parts.append(torch.randn(shape, generator=rng) * scale / math.sqrt(shape[0]))
    return torch.cat([part.reshape(-1) for part in parts])


def views(net: Net, vector: Tensor) -> dict[str, Tensor]:
    """The named parameters as views into one vector."""
    found, begin = {}, 0
    for name, shape in net.shapes.items():
        size = math.prod(shape)
        found[name] = vector[begin : begin + size].view(shape)
        begin += size
    return found

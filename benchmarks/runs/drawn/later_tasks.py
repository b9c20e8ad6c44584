"""Tasks of the later first looks, kept apart from those that came before: nothing was learned from them before their look.

They are built like those of `tasks.py`, and again differ in what they ask and in how their loss runs: ordered classes, edges of
a graph, which way up a picture is, the growth of a portfolio, clusters, a bound on information, a generator, sorting, bits,
worst cases, overlap, hard examples, waiting times, directions, moments.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from torch.nn import functional

from benchmarks.runs.drawn.tasks import Apply, Task, World, chosen, drawn_digits, inputs, mean_square, teacher

FAR = torch.tensor(-1e4)


def _ordinal(world: World) -> Task:
    """Which of five ordered classes: a score between cut points that are learned too (McCullagh, 1980)."""
    d, cuts = 8, torch.tensor([-1.2, -0.4, 0.4, 1.2])

    def make(n: int, phase: str, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        x = inputs(world, d, n, phase, rng)
        worth = teacher(world, phase, d, 1)(x) + 0.5 * world.noise * torch.randn(n, 1, generator=rng)
        return x, (worth > cuts).sum(1)

    def cost(f: Apply, x: Tensor, y: Tensor, w: Tensor, z: Tensor, ref: Apply, p: Mapping[str, Tensor]) -> Tensor:
        edges = torch.cumsum(functional.softplus(p["bgap"]), 0) - 2.0
        above = f(x)[:, :1] - edges
        return functional.binary_cross_entropy_with_logits(
            above, (y[:, None] > torch.arange(4)).float(), reduction="none"
        ).mean(-1)

    return Task(kind="vec", d_in=d, out=1, make=make, rows=cost, extra={"bgap": (4,)}, labels=lambda y: y)


def _edges(world: World) -> Task:
    """Whether two of forty nodes are joined; the graph has hidden groups."""
    v = 40

    def make(n: int, phase: str, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        place = torch.randn(v, 2, generator=world.rng(phase))
        x = torch.randint(0, v, (n, 2), generator=rng)
        near = (place[x[:, 0]] - place[x[:, 1]]).square().sum(1)
        odds = torch.sigmoid(3.0 - 2.0 * near + world.noise * torch.randn(n, generator=rng))
        return x, (torch.rand(n, generator=rng) < odds).float()

    return Task(kind="tok", d_in=v, out=1, length=2, make=make, labels=lambda y: y,
                rows=lambda f, x, y, w, z, ref, p:
                functional.binary_cross_entropy_with_logits(f(x)[..., 0], y, reduction="none"))  # fmt: skip


def _rotated(world: World) -> Task:
    """Which way up a picture is: the label is made from the picture (Gidaris et al., 2018)."""

    def make(n: int, phase: str, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        x, _ = drawn_digits(n, phase, rng)
        turn = torch.randint(0, 4, (n,), generator=rng)
        turned = torch.stack([torch.rot90(x, k, (1, 2)) for k in range(4)], 1)
        return turned[torch.arange(n), turn], turn

    return Task(kind="seq", d_in=8, out=4, length=8, make=make, labels=lambda y: y,
                rows=lambda f, x, y, w, z, ref, p: chosen(f(x), y))  # fmt: skip


def _growth(world: World) -> Task:
    """The growth of a portfolio: a loss that is noise around a small number below zero."""
    d, k = 8, 5

    def make(n: int, phase: str, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        x = inputs(world, d, n, phase, rng)
        gain = 0.3 * teacher(world, phase, d, k)(x) + (0.1 + 0.3 * world.noise) * torch.randn(n, k, generator=rng)
        return x, gain.clamp(-0.8, 2.0)

    return Task(kind="vec", d_in=d, out=k, make=make,
                rows=lambda f, x, y, w, z, ref, p: -torch.log1p((torch.softmax(f(x), -1) * y).sum(-1)))  # fmt: skip


def _clusters(world: World) -> Task:
    """Soft distances to centres that move with the code, and a pull against empty clusters."""
    d, k = 10, 4

    def make(n: int, phase: str, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        centre = 1.5 * torch.randn(6, d, generator=world.rng(phase))
        x = centre[torch.randint(0, 6, (n,), generator=rng)] + (0.4 + world.noise) * torch.randn(n, d, generator=rng)
        return x * {"shift": 1.4, "soft": 1.2, "easy": 0.1}.get(phase, 1.0), torch.zeros(n, 1)

    def cost(f: Apply, x: Tensor, y: Tensor, w: Tensor, z: Tensor, ref: Apply, p: Mapping[str, Tensor]) -> Tensor:
        code = f(x)
        far = (code[:, None] - p["Ecentre"]).square().sum(-1)
        own = torch.softmax(-far, -1)
        used = (w[:, None] * own).sum(0) / w.sum().clamp_min(1e-9)
        back = code @ p["Wback"]
        return mean_square(back, x) + 0.3 * (own * far).sum(-1) + 0.3 * (used * (used + 1e-6).log()).sum()

    return Task(kind="vec", d_in=d, out=k, make=make, rows=cost, extra={"Ecentre": (6, k), "Wback": (k, d)})


def _bound(world: World) -> Task:
    """A lower bound on what two halves know of each other (Belghazi et al., 2018): a loss that falls below zero."""
    d = 8

    def make(n: int, phase: str, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        one = torch.randn(n, d // 2, generator=rng)
        mix = torch.randn(d // 2, d // 2, generator=world.rng(phase))
        two = torch.tanh(one @ mix) + (0.3 + world.noise) * torch.randn(n, d // 2, generator=rng)
        return torch.cat([one, two], 1) * {"soft": 1.2, "easy": 0.1}.get(phase, 1.0), torch.zeros(n, 1)

    def cost(f: Apply, x: Tensor, y: Tensor, w: Tensor, z: Tensor, ref: Apply, p: Mapping[str, Tensor]) -> Tensor:
        one, two = x.chunk(2, -1)
        joint = 5 * torch.tanh(f(x)[:, 0] / 5)
        apart = 5 * torch.tanh(f(torch.cat([one, 1.1 * z], -1))[:, 0] / 5)
        share = (w / w.sum().clamp_min(1e-9)).clamp_min(1e-12).log()
        return torch.logsumexp(torch.where(w > 0, apart + share, FAR), 0) - joint

    return Task(kind="vec", d_in=d, out=1, make=make, noise=d // 2, rows=cost)


def _sliced(world: World) -> Task:
    """A generator whose sample should have the sorted projections of the data, each batch against its own rows."""
    d = 4
    way = functional.normalize(torch.randn(d, 8, generator=torch.Generator().manual_seed(5)), dim=0)

    def make(n: int, phase: str, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        turn = 6.3 * torch.rand(n, 1, generator=rng)
        mix = torch.randn(2, d, generator=world.rng(phase))
        x = torch.cat([turn.cos(), turn.sin()], 1) @ mix + (0.05 + 0.2 * world.noise) * torch.randn(n, d, generator=rng)
        return x * {"shift": 1.5, "soft": 1.2, "easy": 0.1}.get(phase, 1.0), torch.zeros(n, 1)

    def cost(f: Apply, x: Tensor, y: Tensor, w: Tensor, z: Tensor, ref: Apply, p: Mapping[str, Tensor]) -> Tensor:
        # Rows that are only padding lie at the same far end of both samples.
        away = torch.where(w[:, None] > 0, 0.0, 1e3)
        made, true = ((v @ way + away).sort(0).values for v in (f(z), x))
        off = torch.where(true < 500, made - true, 0.0)
        return off.square().mean(-1) * 1.0

    return Task(kind="vec", d_in=d, out=d, make=make, noise=d, rows=cost)


def _sorted(world: World) -> Task:
    """Tokens in rising order."""
    v, t = 9, 6

    def make(n: int, phase: str, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        text = torch.randint(0, 2 if phase == "easy" else v, (n, t), generator=rng)
        return text, text.sort(1, descending=phase == "shift").values

    return Task(kind="tok", d_in=v, out=v, length=t, per_token=True, causal=False, make=make, labels=lambda y: y[:, 0],
                rows=lambda f, x, y, w, z, ref, p: chosen(f(x), y))  # fmt: skip


def _bits(world: World) -> Task:
    """A picture through sixteen bits: rounding that passes the gradient straight through (Bengio et al., 2013)."""
    k = 16

    def cost(f: Apply, x: Tensor, y: Tensor, w: Tensor, z: Tensor, ref: Apply, p: Mapping[str, Tensor]) -> Tensor:
        soft = torch.tanh(f(x))
        code = soft + (torch.sign(soft) - soft).detach()
        back = torch.relu(code @ p["Wd1"] + p["bd1"]) @ p["Wd2"]
        return mean_square(back.view(-1, 8, 8), x)

    return Task(kind="seq", d_in=8, out=k, length=8, make=drawn_digits, labels=lambda y: y, rows=cost,
                extra={"Wd1": (k, 24), "bd1": (24,), "Wd2": (24, 64)})  # fmt: skip


def _worst(world: World) -> Task:
    """The worse of two disturbed copies counts."""
    d, k = 8, 4

    def make(n: int, phase: str, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        x = inputs(world, d, n, phase, rng)
        return x, (1.5 * teacher(world, phase, d, k)(x)).argmax(-1)

    def cost(f: Apply, x: Tensor, y: Tensor, w: Tensor, z: Tensor, ref: Apply, p: Mapping[str, Tensor]) -> Tensor:
        move = 0.3 * torch.sign(z)
        return torch.maximum(chosen(f(x + move), y), chosen(f(x - move), y))

    return Task(kind="vec", d_in=d, out=k, make=make, noise=d, labels=lambda y: y, rows=cost,
                evaluate=lambda f, x, y, w, z, ref, p: chosen(f(x), y))  # fmt: skip


def _overlap(world: World) -> Task:
    """Which pixels of a noisy picture are ink, by one minus twice the overlap (Milletari et al., 2016): a loss between 0 and 1."""

    def make(n: int, phase: str, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        clean, _ = drawn_digits(n, phase, rng)
        ink = (clean > 0.5 * clean.amax((1, 2), keepdim=True)).float()
        return clean + (0.3 + world.noise) * torch.randn(n, 8, 8, generator=rng), ink

    def cost(f: Apply, x: Tensor, y: Tensor, w: Tensor, z: Tensor, ref: Apply, p: Mapping[str, Tensor]) -> Tensor:
        guess = torch.sigmoid(f(x))
        both = (guess * y).flatten(1).sum(1)
        return 1 - (2 * both + 1) / (guess.flatten(1).sum(1) + y.flatten(1).sum(1) + 1)

    return Task(kind="seq", d_in=8, out=8, length=8, per_token=True, causal=False, make=make, rows=cost)


def _focal(world: World) -> Task:
    """Classes, where what is easy hardly counts (Lin et al., 2017)."""
    d, k = 9, 5

    def make(n: int, phase: str, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        x = inputs(world, d, n, phase, rng)
        worth = 1.5 * teacher(world, phase, d, k)(x) + world.noise * torch.randn(n, k, generator=rng)
        return x, (worth + 1.5 * torch.linspace(1, 0, k)).argmax(-1)

    def cost(f: Apply, x: Tensor, y: Tensor, w: Tensor, z: Tensor, ref: Apply, p: Mapping[str, Tensor]) -> Tensor:
        surprise = chosen(f(x), y)
        return (1 - torch.exp(-surprise)).square() * surprise

    return Task(kind="vec", d_in=d, out=k, make=make, labels=lambda y: y, rows=cost)


def _waiting(world: World) -> Task:
    """Times until something happens, by the deviance of the gamma distribution (McCullagh and Nelder, 1989) without its constant."""
    d = 8

    def make(n: int, phase: str, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        x = inputs(world, d, n, phase, rng)
        rate = torch.exp(0.8 * teacher(world, phase, d, 1)(x))
        drawn = -torch.rand(n, 3, generator=rng).clamp_min(1e-6).log()
        return x, rate * (drawn.mean(1, keepdim=True) * min(1.0, 0.3 + world.noise) + 0.05)

    def cost(f: Apply, x: Tensor, y: Tensor, w: Tensor, z: Tensor, ref: Apply, p: Mapping[str, Tensor]) -> Tensor:
        size = f(x)[:, :1].clamp(-12, 12)
        return (size + y * torch.exp(-size))[:, 0]

    return Task(kind="vec", d_in=d, out=1, make=make, rows=cost)


def _direction(world: World) -> Task:
    """The direction in which something points: one minus the cosine, weighed by how sure the answer is (von Mises, up to a constant)."""
    d = 8

    def make(n: int, phase: str, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        x = inputs(world, d, n, phase, rng)
        turn = 2.0 * teacher(world, phase, d, 1)(x) + 0.5 * world.noise * torch.randn(n, 1, generator=rng)
        return x, torch.cat([turn.cos(), turn.sin()], 1)

    def cost(f: Apply, x: Tensor, y: Tensor, w: Tensor, z: Tensor, ref: Apply, p: Mapping[str, Tensor]) -> Tensor:
        answer = f(x)
        way = functional.normalize(answer[:, :2] + 1e-4, dim=-1)
        sure = functional.softplus(answer[:, 2]) + 0.1
        return sure * (1 - (way * y).sum(-1)) + 0.5 * torch.log1p(1 / sure)

    return Task(kind="vec", d_in=d, out=3, make=make, rows=cost)


def _moments(world: World) -> Task:
    """A generator whose sample should be like the data to a kernel (Gretton et al., 2012), each batch against itself."""
    d = 4

    def make(n: int, phase: str, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        mix = torch.randn(2, d, generator=world.rng(phase))
        side = torch.sign(torch.randn(n, 2, generator=rng)) + (0.1 + 0.3 * world.noise) * torch.randn(
            n, 2, generator=rng
        )
        return side @ mix * {"shift": 1.5, "soft": 1.2, "easy": 0.1}.get(phase, 1.0), torch.zeros(n, 1)

    def cost(f: Apply, x: Tensor, y: Tensor, w: Tensor, z: Tensor, ref: Apply, p: Mapping[str, Tensor]) -> Tensor:
        share = w / w.sum().clamp_min(1e-9)
        made = f(z)

        def like(a: Tensor, b: Tensor) -> Tensor:
            far = (a[:, None] - b[None]).square().sum(-1)
            return (1 / (1 + far) + 1 / (1 + far / 10)) @ share

        return like(made, made) - 2 * like(made, x) + like(x, x)

    return Task(kind="vec", d_in=d, out=d, make=make, noise=d, rows=cost)


LATER: dict[str, Callable[[World], Task]] = {
    "ordinal": _ordinal,
    "edges": _edges,
    "rotated": _rotated,
    "growth": _growth,
    "clusters": _clusters,
    "bound": _bound,
    "sliced": _sliced,
    "sorted": _sorted,
    "bits": _bits,
    "worst": _worst,
    "overlap": _overlap,
    "focal": _focal,
    "waiting": _waiting,
    "direction": _direction,
    "moments": _moments,
}

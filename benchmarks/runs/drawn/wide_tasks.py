"""Tasks that ask something else than those of `tasks.py`: pictures, sequences, sets and signals, by losses of their own.

Boxes, sorted errors, rare finds, labels without times, memory, stairs, spectra, an equation with its borders. These are learned
from, beside the tasks there.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import cache

import torch
from torch import Tensor
from torch.nn import functional

from benchmarks.runs.drawn.tasks import Apply, Task, World, chosen, inputs, teacher

QUIET = {"soft": 1.2, "easy": 0.1}
NEVER = -1e4


def blocks(world: World, n: int, phase: str, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """Noisy pictures of one bright rectangle, and its left, top, right and lower edge as shares of the picture."""
    size = torch.randint(2, 6, (n, 2), generator=rng)
    begin = (torch.rand(n, 2, generator=rng) * (9 - size)).floor()
    end = begin + size
    place = torch.arange(8)
    across = ((place >= begin[:, :1]) & (place < end[:, :1])).float()
    down = ((place >= begin[:, 1:]) & (place < end[:, 1:])).float()
    x = down[:, :, None] * across[:, None, :] + (0.1 + 0.5 * world.noise) * torch.randn(n, 8, 8, generator=rng)
    x = 1 - x if phase == "shift" else x * QUIET.get(phase, 1.0)
    return x, torch.cat([begin, end], 1) / 8


def _boxes(world: World) -> Task:
    """Where the rectangle is: the edges' errors and one minus the generalised overlap (Rezatofighi et al., 2019)."""

    def cost(f: Apply, x: Tensor, y: Tensor, w: Tensor, z: Tensor, ref: Apply, p: Mapping[str, Tensor]) -> Tensor:
        middle, size = torch.sigmoid(f(x)).chunk(2, -1)
        low, high = middle - size / 2, middle + size / 2
        both = (torch.minimum(high, y[:, 2:]) - torch.maximum(low, y[:, :2])).clamp_min(0).prod(1)
        around = (torch.maximum(high, y[:, 2:]) - torch.minimum(low, y[:, :2])).prod(1)
        either = size.prod(1) + (y[:, 2:] - y[:, :2]).prod(1) - both
        overlap = both / (either + 1e-6) - (around - either) / (around + 1e-6)
        return 5 * (torch.cat([low, high], 1) - y).abs().mean(1) + 2 * (1 - overlap)

    return Task(kind="seq", d_in=8, out=4, length=8, rows=cost, make=lambda n, phase, rng: blocks(world, n, phase, rng))


def _lovasz(world: World) -> Task:
    """The pixels of the rectangle, by the Lovasz extension of the overlap (Berman et al., 2018): errors sorted in each picture."""

    def make(n: int, phase: str, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        x, edge = blocks(world, n, phase, rng)
        place = (torch.arange(8) + 0.5) / 8
        across = (place > edge[:, :1]) & (place < edge[:, 2:3])
        down = (place > edge[:, 1:2]) & (place < edge[:, 3:])
        return x, (down[:, :, None] & across[:, None, :]).float()

    def cost(f: Apply, x: Tensor, y: Tensor, w: Tensor, z: Tensor, ref: Apply, p: Mapping[str, Tensor]) -> Tensor:
        true = y.flatten(1)
        off, order = (1 - f(x).flatten(1) * (2 * true - 1)).sort(1, descending=True)
        true = true.gather(1, order)
        total = true.sum(1, keepdim=True)
        lost = 1 - (total - true.cumsum(1)) / (total + (1 - true).cumsum(1))
        return (torch.relu(off) * torch.diff(lost, dim=1, prepend=0 * total)).sum(1)

    return Task(kind="seq", d_in=8, out=8, length=8, per_token=True, causal=False, make=make, rows=cost)


def _finds(world: World) -> Task:
    """Rare things along a line: is there one (focal), which (cross entropy), and how large, the latter where there is one."""
    d, t, k = 6, 8, 3

    def make(n: int, phase: str, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        shape = torch.randn(k, d, generator=world.rng(phase))
        there = (torch.rand(n, t, generator=rng) < 0.12).float()
        which, size = torch.randint(0, k, (n, t), generator=rng), 1 + torch.rand(n, t, generator=rng)
        x = (there * size)[..., None] * shape[which] + (0.2 + 0.3 * world.noise) * torch.randn(n, t, d, generator=rng)
        return x * QUIET.get(phase, 1.0), torch.stack([there, which.float(), size], -1)

    def cost(f: Apply, x: Tensor, y: Tensor, w: Tensor, z: Tensor, ref: Apply, p: Mapping[str, Tensor]) -> Tensor:
        a, there = f(x), y[..., 0]
        surprise = functional.binary_cross_entropy_with_logits(a[..., 0], there, reduction="none")
        found = 4 * (1 - torch.exp(-surprise)).square() * surprise
        which = -torch.log_softmax(a[..., 1:4], -1).gather(-1, y[..., 1:2].long())[..., 0]
        return (found + there * (which + 5 * (a[..., 4] - y[..., 2]).abs())).sum(1)

    return Task(kind="seq", d_in=d, out=5, length=t, per_token=True, causal=False, make=make, rows=cost)


def _alignment(world: World) -> Task:
    """Two labels somewhere in eight frames, by the sum over all alignments (Graves et al., 2006): blanks first, labels late."""
    d, t, k = 6, 8, 4

    def make(n: int, phase: str, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        shape = torch.cat([torch.zeros(1, d), 1.5 * torch.randn(k, d, generator=world.rng(phase))])
        first = torch.randint(1, k + 1, (n, 1), generator=rng)
        second = (first + torch.randint(0, k - 1, (n, 1), generator=rng)) % k + 1
        begin = torch.randint(0, 3, (n, 1), generator=rng)
        then = begin + torch.randint(2, 4, (n, 1), generator=rng)
        place = torch.arange(t)
        heard = torch.where((place >= begin) & (place < then - 1), first, 0)
        heard = torch.where((place >= then) & (place < then + 2), second, heard)
        x = shape[heard] + (0.1 + 0.4 * world.noise) * torch.randn(n, t, d, generator=rng)
        return x * QUIET.get(phase, 1.0), torch.cat([first, second], 1)

    def cost(f: Apply, x: Tensor, y: Tensor, w: Tensor, z: Tensor, ref: Apply, p: Mapping[str, Tensor]) -> Tensor:
        blank = torch.zeros_like(y[:, :1])
        way = torch.cat([blank, y[:, :1], blank, y[:, 1:], blank], 1).long()
        log = torch.log_softmax(f(x), -1).gather(2, way[:, None].expand(-1, t, -1))
        state = torch.where(torch.arange(5) < 2, log[:, 0], NEVER)
        for i in range(1, t):
            one = functional.pad(state[:, :-1], (1, 0), value=NEVER)
            # Two at once only from the first label to the second, which differs from it.
            two = functional.pad(state[:, :-2], (2, 0), value=NEVER) + torch.tensor([NEVER, NEVER, NEVER, 0, NEVER])
            state = torch.logsumexp(torch.stack([state, one, two]), 0) + log[:, i]
        return -torch.logaddexp(state[:, 3], state[:, 4])

    return Task(kind="seq", d_in=d, out=k + 1, length=t, per_token=True, causal=False, make=make, rows=cost,
                labels=lambda y: y[:, 0])  # fmt: skip


def _recall(world: World) -> Task:
    """Three symbols, a pause, then the same three: chance until the memory works (Hochreiter and Schmidhuber, 1997)."""
    v, t = 6, 8

    def make(n: int, phase: str, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        said = torch.randint(0, 2 if phase == "easy" else v, (n, 3), generator=rng)
        blank = torch.full((n, 2), v)
        asked = torch.full((n, 3), v + 1)
        return torch.cat([said, blank, asked], 1), said.flip(1) if phase == "shift" else said

    return Task(kind="tok", d_in=v + 2, out=v, length=t, per_token=True, causal=True, make=make, labels=lambda y: y[:, 0],
                rows=lambda f, x, y, w, z, ref, p: chosen(f(x)[:, 5:], y))  # fmt: skip


def _automaton(world: World) -> Task:
    """What twelve cells become by one of three rules (Wolfram, 1983): summed over the cells."""
    t, rule = 12, (30, 110, 150)[world.seed % 3]

    def make(n: int, phase: str, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        cell = torch.randint(0, 2, (n, t), generator=rng)
        seen = 4 * cell.roll(1, 1) + 2 * cell + cell.roll(-1, 1)
        after = (54 if phase == "shift" else rule) >> seen & 1
        return (2.0 * cell[..., None] - 1) * (0.3 if phase == "easy" else 1.0), after.float()

    def cost(f: Apply, x: Tensor, y: Tensor, w: Tensor, z: Tensor, ref: Apply, p: Mapping[str, Tensor]) -> Tensor:
        return functional.binary_cross_entropy_with_logits(f(x)[..., 0], y, reduction="none").sum(1)

    return Task(kind="seq", d_in=1, out=1, length=t, per_token=True, causal=False, make=make, rows=cost, scale=6.0)


def _stairs(world: World) -> Task:
    """Signs multiplied one more at a time (Abbe et al., 2021): each step of the stairs is found after the last."""
    d = 8

    def make(n: int, phase: str, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        x = torch.randint(0, 2, (n, d), generator=rng).float() * 2 - 1
        y = x.roll(-2, 1)[:, :4].cumprod(1) if phase == "shift" else x[:, :4].cumprod(1)
        y = y.sum(1, keepdim=True) / 2 + 0.2 * world.noise * torch.randn(n, 1, generator=rng)
        return x * (0.3 if phase == "easy" else 1.0), y

    return Task(kind="vec", d_in=d, out=1, make=make,
                rows=lambda f, x, y, w, z, ref, p: (f(x) - y).square()[:, 0])  # fmt: skip


def _points(world: World) -> Task:
    """Five points on a circle, in any order: each to its nearest, both ways (Fan et al., 2017)."""
    d, k = 8, 5

    def make(n: int, phase: str, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        x = inputs(world, d, n, phase, rng)
        told = teacher(world, phase, d, 3)(x)
        turn = 6.3 * (torch.rand(n, 1, generator=rng) + torch.arange(k) / k)
        ring = torch.stack([turn.cos(), turn.sin()], -1) * torch.sigmoid(told[:, 2])[:, None, None]
        return x, told[:, None, :2] + ring + 0.1 * world.noise * torch.randn(n, k, 2, generator=rng)

    def cost(f: Apply, x: Tensor, y: Tensor, w: Tensor, z: Tensor, ref: Apply, p: Mapping[str, Tensor]) -> Tensor:
        far = (f(x).unflatten(-1, (k, 2))[:, :, None] - y[:, None]).square().sum(-1)
        return far.amin(1).mean(1) + far.amin(2).mean(1)

    return Task(kind="vec", d_in=d, out=2 * k, make=make, rows=cost)


def _spectra(world: World) -> Task:
    """Sixteen samples without their noise, by amplitudes of two resolutions and their logarithms (Yamamoto et al., 2020)."""
    t = 16

    def make(n: int, phase: str, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        fast = torch.rand(n, 2, 1, generator=rng) * (2.5 if phase == "shift" else 1.5) + 0.2
        size, begin = torch.rand(n, 2, 1, generator=rng) + 0.2, 6.3 * torch.rand(n, 2, 1, generator=rng)
        clean = (size * torch.sin(fast * torch.arange(t) + begin)).sum(1) * QUIET.get(phase, 1.0)
        return clean + (0.1 + 0.4 * world.noise) * torch.randn(n, t, generator=rng), clean

    def cost(f: Apply, x: Tensor, y: Tensor, w: Tensor, z: Tensor, ref: Apply, p: Mapping[str, Tensor]) -> Tensor:
        found, guess = torch.zeros(()), f(x)
        for width in (8, 16):
            a, b = ((torch.fft.rfft(v.unflatten(-1, (-1, width))).abs().square() + 1e-4).sqrt() for v in (guess, y))
            off = (a - b).square().flatten(1).sum(1) / b.square().flatten(1).sum(1)
            found = found + (off + 1e-8).sqrt() + (a.log() - b.log()).abs().flatten(1).mean(1)
        return found + (guess - y).abs().mean(1)

    return Task(kind="vec", d_in=t, out=t, make=make, rows=cost)


def _border(world: World) -> Task:
    """u'' = f with u = 0 at both ends (Raissi et al., 2019): a residual of second differences, and the ends, which weigh more."""
    k = 1.0 + world.seed % 2

    def make(n: int, phase: str, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        x = 2 * torch.rand(n, 1, generator=rng) - 1
        fast = math.pi * k * (1.5 if phase == "shift" else 1.0)
        return x * (0.1 if phase == "easy" else 1.0), fast**2 * torch.sin(fast * x)

    def cost(f: Apply, x: Tensor, y: Tensor, w: Tensor, z: Tensor, ref: Apply, p: Mapping[str, Tensor]) -> Tensor:
        bend = (f(x + 0.2) - 2 * f(x) + f(x - 0.2)) / 0.04
        ends = f(torch.ones_like(x)).square() + f(-torch.ones_like(x)).square()
        return (bend + y).square()[:, 0] + 100 * ends[:, 0]

    return Task(kind="vec", d_in=1, out=1, make=make, rows=cost, scale=100.0)


@cache
def _next_words(seed: int, phase_shift: int, v: int) -> Tensor:
    return torch.randperm(v, generator=torch.Generator().manual_seed(seed * 10 + 7 + phase_shift))


def _zipf(world: World) -> Task:
    """Words of very unlike frequency, half of them told by the word before; smoothed, and summed over the positions."""
    v, t = 48, 8

    def make(n: int, phase: str, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        after = _next_words(world.seed, int(phase == "shift"), v)
        often = 1 / torch.arange(1.0, v + 1)
        text = torch.multinomial(often, n * (t + 1), replacement=True, generator=rng).view(n, t + 1)
        told = torch.rand(n, t, generator=rng) < (1.0 if phase == "easy" else 0.8 - 0.3 * world.noise)
        for i in range(t):
            text[:, i + 1] = torch.where(told[:, i], after[text[:, i]], text[:, i + 1])
        return text[:, :-1], text[:, 1:]

    def cost(f: Apply, x: Tensor, y: Tensor, w: Tensor, z: Tensor, ref: Apply, p: Mapping[str, Tensor]) -> Tensor:
        log = torch.log_softmax(f(x), -1)
        return -(0.9 * log.gather(-1, y.unsqueeze(-1))[..., 0] + 0.1 * log.mean(-1)).sum(1)

    return Task(kind="tok", d_in=v, out=v, length=t, per_token=True, causal=True, make=make, labels=lambda y: y[:, 0],
                rows=cost, scale=t)  # fmt: skip


def _context(world: World) -> Task:
    """A line through the origin, to be found from the points so far (Garg et al., 2022): nothing, then a rule for all lines."""
    t = 8

    def make(n: int, phase: str, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        slope = torch.sign(torch.randn(n, 1, generator=rng)) * (0.5 + torch.rand(n, 1, generator=rng))
        at = torch.sign(torch.randn(n, t, generator=rng)) * (0.5 + torch.rand(n, t, generator=rng))
        y = slope * at * (-1.5 if phase == "shift" else 1.0) + 0.2 * world.noise * torch.randn(n, t, generator=rng)
        x = torch.stack([at, *(functional.pad(v[:, :-1], (1, 0)) for v in (at, y))], -1)
        return x * QUIET.get(phase, 1.0), y

    return Task(kind="seq", d_in=3, out=1, length=t, per_token=True, causal=True, make=make,
                rows=lambda f, x, y, w, z, ref, p: (f(x)[..., 0] - y).square().mean(1))  # fmt: skip


WIDE_QUESTIONS: dict[str, Callable[[World], Task]] = {
    "boxes": _boxes,
    "lovasz": _lovasz,
    "finds": _finds,
    "alignment": _alignment,
    "recall": _recall,
    "automaton": _automaton,
    "stairs": _stairs,
    "points": _points,
    "spectra": _spectra,
    "border": _border,
    "zipf": _zipf,
    "context": _context,
}

"""An energy-based model: low where the data are, high where short noisy walks downhill end; the loss hovers at zero."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from benchmarks.runs.families.base import Batch, Task

if TYPE_CHECKING:
    from benchmarks.runs.spec import Spec

WIDTH, KEPT, WALK = 48, 512, 6
PACE = 0.15


class Landscape(Task):
    """Points on two bent bands; `calm` weighs the squared energies, which keeps them from drifting away."""

    eval_size = 500

    def __init__(self, spec: Spec) -> None:
        """Build the network and let the walkers begin anywhere."""
        super().__init__(spec)
        self.module = nn.Sequential(
            nn.Linear(2, WIDTH), nn.SiLU(), self.deep_stack(WIDTH), nn.Linear(WIDTH, WIDTH), nn.SiLU(), nn.Linear(WIDTH, 1)
        )  # fmt: skip
        self.calm = float(spec.arch.get("calm", 0.05))
        self.turn = torch.linalg.qr(torch.randn(2, 2, generator=self.world))[0]
        self.dice = torch.Generator().manual_seed(91 + spec.seed)
        self.walkers = 4 * torch.rand(KEPT, 2, generator=self.dice) - 2
        axis = torch.linspace(-4, 4, 81)
        self.grid = torch.cartesian_prod(axis, axis)
        self.cell = float(axis[1] - axis[0]) ** 2

    def batch(self, rng: torch.Generator, size: int, phase: str) -> Batch:
        """Which walkers move on (a few restart), and points; `shift` has other bands, `easy` is one round cloud."""
        chosen = torch.randint(KEPT, (size,), generator=rng).float()[:, None]
        along = 2 * torch.rand(size, generator=rng) - 1
        side = torch.randint(2, (size,), generator=rng) * 2.0 - 1
        points = torch.stack((along + 0.5 * side, side * (0.9 - along.square())), 1) @ self.turn
        noise = torch.randn(size, 2, generator=rng)
        match phase:
            case "shift":
                points = 0.8 * points.flip(1) + torch.tensor([1.2, 1.2]) + 0.1 * noise
            case "easy":
                points = 1.2 * noise
            case _:
                points = points + (0.3 if phase == "soft" else 0.12) * noise
        return points, chosen

    def walk(self, which: Tensor) -> Tensor:
        """Langevin moves of the chosen walkers from where they stood (Tieleman, 2008)."""
        x = self.walkers[which]
        again = torch.rand(len(x), 1, generator=self.dice) < 0.05
        x = torch.where(again, 4 * torch.rand(x.shape, generator=self.dice) - 2, x)
        with torch.enable_grad():
            for _ in range(WALK):
                x = x.detach().requires_grad_()
                (slope,) = torch.autograd.grad(self.module(x).sum(), x)
                kick = torch.randn(x.shape, generator=self.dice)
                x = (x - 0.5 * PACE * slope.clamp(-5, 5) + PACE**0.5 * 0.5 * kick).clamp(-4, 4)
        self.walkers[which] = x.detach()
        return x.detach()

    def loss(self, batch: Batch) -> Tensor:
        """Energy of the data minus that of the walkers, and a little of both squared (Du and Mordatch, 2019)."""
        points, chosen = batch
        low, high = self.module(points), self.module(self.walk(chosen[:, 0].long() % KEPT))
        total: Tensor = low.mean() - high.mean() + self.calm * (low.square().mean() + high.square().mean())
        return total

    def evaluate(self, phase: str) -> float:
        """Negative log-likelihood, normalised over a grid: the loss itself measures no success here."""
        points, _ = self.batch(torch.Generator().manual_seed(5), self.eval_size, phase)
        with torch.no_grad():
            # The walks are colder than Langevin's by this factor: half the kick, so a quarter of its variance.
            energy, everywhere = 4 * self.module(points), 4 * self.module(self.grid)
        return float(energy.mean() + torch.logsumexp(-everywhere, 0) + torch.tensor(self.cell).log())


build = Landscape

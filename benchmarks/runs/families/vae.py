"""A variational autoencoder of digits: a loss of tens of nats, summed over pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.runs.families.base import Batch, DigitsTask

if TYPE_CHECKING:
    from benchmarks.runs.spec import Spec


class Variational(DigitsTask):
    """64-64-6 encoder with a Gaussian code and its mirror image (Kingma and Welling, 2014)."""

    def __init__(self, spec: Spec) -> None:
        """Build encoder and decoder; the noise of the code has its own generator."""
        super().__init__(spec)
        self.noise = torch.Generator().manual_seed(31 + spec.seed)
        self.encoder = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), self.deep_stack(64), nn.Linear(64, 12))
        self.decoder = nn.Sequential(nn.Linear(6, 64), nn.ReLU(), nn.Dropout(spec.dropout), nn.Linear(64, 64))
        self.module = nn.ModuleList((self.encoder, self.decoder))

    def loss(self, batch: Batch) -> Tensor:
        """Negative evidence bound: binary cross-entropy of the pixels plus the code's divergence, a digit."""
        images = batch[0]
        mean, logvar = self.encoder(images).chunk(2, 1)
        logvar = logvar.clamp(-12, 12)
        code = mean + torch.exp(logvar / 2) * torch.randn(mean.shape, generator=self.noise)
        target = images.clamp(0, 1)
        pixels = functional.binary_cross_entropy_with_logits(self.decoder(code), target, reduction="sum")
        divergence = 0.5 * (mean**2 + logvar.exp() - logvar - 1).sum()
        bound: Tensor = (pixels + divergence) / len(images)
        return bound


build = Variational

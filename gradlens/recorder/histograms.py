"""How large the elements of the gradients are: counts by sign and power of two, which is what clipping by value acts on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from gradlens.recorder.parameters import Parameters

#: Exponents of the edges of the buckets; smaller elements count into the middle one, larger ones into the last.
LOWEST, HIGHEST = -40, 40


@dataclass(frozen=True, slots=True)
class Counts:
    """Elements by bucket: below -2**HIGHEST first, above 2**HIGHEST last, the middle one around 0."""

    counts: Tensor

    def record(self, step: int) -> dict[str, Any]:
        """The record for the log, without empty buckets at the ends. Of shards, those of the first rank."""
        counts = [int(c) for c in self.counts.tolist()]
        limits = edges()
        used = [place for place, count in enumerate(counts) if count]
        first, last = (used[0], used[-1]) if used else (0, 0)
        return {
            "histogram": {
                "name": "gradients", "step": step, "limits": limits[first : last + 2], "counts": counts[first : last + 1],
            }
        }  # fmt: skip


def edges() -> list[float]:
    """The limits of the buckets."""
    positive = [2.0**e for e in range(LOWEST, HIGHEST + 1)]
    return [-(2.0 ** (HIGHEST + 1)), *(-v for v in reversed(positive)), *positive, 2.0 ** (HIGHEST + 1)]


@torch.no_grad()
def count_elements(parameters: Parameters, scales: Mapping[int, Any]) -> Counts:
    """Count the finite elements of all gradients."""
    from gradlens.recorder.measuring import gradients_of

    n_buckets = len(edges()) - 1
    total: Tensor | None = None
    for watched, gradient in gradients_of(parameters):
        scale = scales.get(id(watched.optimizer))
        counts = _count(gradient if scale is None else gradient / scale, n_buckets)
        total = counts if total is None else total + counts.to(total.device)
    return Counts(torch.zeros(n_buckets, dtype=torch.int64) if total is None else total)


def _count(gradient: Tensor, n_buckets: int) -> Tensor:
    values = gradient.reshape(-1).float()
    # frexp gives v = m * 2**e with |m| in [.5, 1): the bucket from 2**(e-1) on.
    _, exponent = torch.frexp(values.abs())
    rank = (exponent - 1 - LOWEST + 1).clamp(0, HIGHEST - LOWEST + 1)
    rank = torch.where(values == 0, torch.zeros_like(rank), rank)
    middle = HIGHEST - LOWEST + 1
    bucket = torch.where(values < 0, middle - rank, middle + rank)
    weights = torch.isfinite(values).to(torch.float64)
    return torch.bincount(bucket.long(), weights=weights, minlength=n_buckets).long()

"""What a batch of any shape tells of itself: how many examples, how many tokens, and a number that is its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

_ID_BITS = 52


def tensors_in(batch: Any) -> Iterator[Tensor]:
    """The tensors of a batch, in order, through mappings and sequences."""
    if isinstance(batch, Tensor):
        yield batch
    elif isinstance(batch, Mapping):
        for value in batch.values():
            yield from tensors_in(value)
    elif isinstance(batch, (list, tuple)):
        for value in batch:
            yield from tensors_in(value)


def size_of(batch: Any) -> int | None:
    """The number of examples: the length of the first tensor that has one."""
    return next((int(t.shape[0]) for t in tensors_in(batch) if t.ndim), None)


def tokens_of(batch: Any) -> Any:
    """The number of tokens that count, by the attention mask or the input identifiers; None for other batches."""
    if not isinstance(batch, Mapping):
        return None
    mask = batch.get("attention_mask")
    if isinstance(mask, Tensor):
        return mask.sum()
    ids = batch.get("input_ids")
    return ids.numel() if isinstance(ids, Tensor) else None


@torch.no_grad()
def fingerprint(batch: Any) -> Tensor | None:
    """A whole number that the same batch gives again, computed where it lies and not fetched; None without a tensor.

    A sum of the bits of its elements times odd numbers of their places: it is no protection against malice.
    """
    total: Tensor | None = None
    for place, tensor in enumerate(tensors_in(batch)):
        flat = tensor.detach().contiguous().reshape(-1)
        if flat.is_floating_point():
            flat = flat.float().view(torch.int32)
        weights = torch.arange(flat.numel(), device=flat.device, dtype=torch.int64) * 2654435761 + 2 * place + 1
        own = (flat.to(torch.int64) * weights).sum()
        total = own if total is None else total * 31 + own.to(total.device)
    return None if total is None else total & ((1 << _ID_BITS) - 1)

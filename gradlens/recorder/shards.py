"""What several ranks hold together: whole tensors (DDP), shards of them (FSDP2, tensor parallel), parts of a batch.

Rows are added up when they are fetched: one reduction for many rows, of the same shape on every rank, whatever each of
them has measured. So no rank waits for one whose recorder has failed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from gradlens.recorder.rows import Fetched

MEANS = ("loss", "loss_before", "loss_after")
SUMS = ("batch_size", "tokens")
#: Quantities that add up as they are, where norms add up by their squares.
PRODUCTS = ("grad_dot_update", "rms_squares", "rms_count", "penalty_excess")
#: Norms of the whole model.
NORMS = ("grad_norm", "weight_norm", "update_norm", "seen_norm")


@dataclass(frozen=True, slots=True)
class ShardKey:
    """Over which dimensions of which mesh of devices a tensor is cut up."""

    mesh: Any
    dims: tuple[int, ...]


def is_distributed_tensor(tensor: Tensor) -> bool:
    """Whether a tensor is a `DTensor`, without importing what defines it."""
    return hasattr(tensor, "to_local") and hasattr(tensor, "placements")


def local_part(tensor: Any) -> Any:
    """The part of a tensor that this rank holds: the tensor itself unless it is distributed."""
    return tensor.to_local() if is_distributed_tensor(tensor) else tensor


def shard_key(tensor: Any) -> ShardKey | None:
    """How a tensor is cut up; None for one that every rank holds whole."""
    if not is_distributed_tensor(tensor):
        return None
    dims = tuple(dim for dim, placement in enumerate(tensor.placements) if placement.is_shard())
    return ShardKey(tensor.device_mesh, dims) if dims else None


class Ranks:
    """The ranks of a training, or one process alone.

    Parameters
    ----------
    group
        The process group whose ranks have different parts of a batch; None for all.
    """

    def __init__(self, group: Any = None) -> None:
        dist = torch.distributed
        self.are_many = dist.is_available() and dist.is_initialized() and dist.get_world_size(group) > 1
        self.group = group
        self.size = dist.get_world_size(group) if self.are_many else 1
        self.is_first = not self.are_many or dist.get_rank() == 0

    def add_up(
        self, rows: Sequence[Fetched], n_rows: int, keys: Sequence[ShardKey | None], names: Sequence[str]
    ) -> list[dict[str, float]]:
        """The columns of rows over all ranks.

        Parameters
        ----------
        rows
            At most `n_rows` of them; a rank that has fewer (its measuring failed) takes part all the same.
        keys
            The shard groups of the training's parameters, the same and in the same order on every rank.
        names
            Norms and products that rows may hold, likewise.
        """
        shared = self._shared(rows, n_rows) if self.are_many else None
        parts = {key: self._parts(rows, n_rows, key, names) for key in keys if key is not None}
        columns = []
        for place, row in enumerate(rows):
            found = dict(row.values)
            if shared is None:
                found |= row.means | row.sums
            else:
                for at, name in enumerate((*MEANS, *SUMS)):
                    total, count = shared[place][at]
                    if count:
                        found[name] = total / count if name in MEANS else total
                found |= {name: v for name, v in (row.means | row.sums).items() if name not in (*MEANS, *SUMS)}
            found |= _joined(row, parts, place, names)
            columns.append(found)
        return columns

    def _shared(self, rows: Sequence[Fetched], n_rows: int) -> list[list[tuple[float, float]]]:
        table = torch.zeros(n_rows, len(MEANS) + len(SUMS), 2, dtype=torch.float64)
        for place, row in enumerate(rows):
            for at, name in enumerate((*MEANS, *SUMS)):
                value = (row.means if name in MEANS else row.sums).get(name)
                if value is not None:
                    table[place, at, 0], table[place, at, 1] = value, 1.0
        self._reduce(table, self.group)
        return [[(cell[0], cell[1]) for cell in row] for row in table.tolist()]

    def _parts(
        self, rows: Sequence[Fetched], n_rows: int, key: ShardKey, names: Sequence[str]
    ) -> list[list[tuple[float, float]]]:
        """Sums of squares and of products over the ranks that hold shards, with the share of them that had any."""
        table = torch.zeros(n_rows, len(names), 2, dtype=torch.float64)
        for place, row in enumerate(rows):
            norms, products = row.norms.get(key, {}), row.products.get(key, {})
            for at, name in enumerate(names):
                if name in norms:
                    table[place, at, 0], table[place, at, 1] = norms[name] ** 2, 1.0
                elif name in products:
                    table[place, at, 0], table[place, at, 1] = products[name], 1.0
        size = 1
        for dim in key.dims:
            group = key.mesh.get_group(dim)
            self._reduce(table, group)
            size *= torch.distributed.get_world_size(group)
        return [[(total, count / size) for total, count in row] for row in table.tolist()]

    @staticmethod
    def _reduce(table: Tensor, group: Any) -> None:
        dist = torch.distributed
        on_device = table.to(torch.accelerator.current_accelerator()) if dist.get_backend(group) == "nccl" else table
        dist.all_reduce(on_device, group=group)
        table.copy_(on_device)


def _joined(row: Fetched, parts: dict[Any, Any], place: int, names: Sequence[str]) -> dict[str, float]:
    """Norms and products of one row, over all shard groups."""
    found: dict[str, float] = {}
    norms, products = row.norms.get(None, {}), row.products.get(None, {})
    for at, name in enumerate(names):
        shared = [table[place][at] for table in parts.values()]
        # A rank that could not measure its shard makes the whole unknown.
        if any(0 < share < 1 for _, share in shared):
            continue
        whole = products.get(name) if name in PRODUCTS else norms.get(name)
        if whole is None and not any(share for _, share in shared):
            continue
        rest = sum(total for total, _ in shared)
        if name in PRODUCTS:
            found[name] = (whole or 0.0) + rest
        else:
            # Alone, the norm as it is: squaring and rooting would cost its last digit.
            found[name] = whole if not parts and whole is not None else math.sqrt((whole or 0.0) ** 2 + rest)
    return found

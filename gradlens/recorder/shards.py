"""What several ranks hold together: whole tensors (DDP), shards of them (FSDP2, tensor parallel), parts of a batch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

MEANS = ("loss", "loss_before", "loss_after")
SUMS = ("batch_size", "tokens")
#: Quantities that add up as they are, where norms add up by their squares.
PRODUCTS = ("grad_dot_update", "rms_squares", "rms_count", "penalty_inner", "penalty_square")
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


def ranks_of(key: ShardKey) -> frozenset[int]:
    """The ranks that hold the shards of which this rank has one."""
    place = key.mesh.get_coordinate()
    index = tuple(slice(None) if dim in key.dims else place[dim] for dim in range(key.mesh.ndim))
    return frozenset(key.mesh.mesh[index].reshape(-1).tolist())

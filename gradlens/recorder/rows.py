"""Measured values between the moment they are taken and the moment they are written.

Values stay tensors where they are: reading one makes the host wait for the device. They are fetched in bulk, all values of
all rows of one device with one copy.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

#: Whole numbers up to this one are exact in float64.
MAX_EXACT = 2**53
#: A number, or a tensor of any shape that will be fetched later.
Value = Any


@dataclass(slots=True)
class Sum:
    """A sum that may be of tensors, and the count of its terms."""

    total: Value = 0.0
    count: int = 0

    def add(self, value: Value) -> None:
        """Add one term."""
        self.total = value if self.count == 0 else self.total + value
        self.count += 1


@dataclass(slots=True)
class Row:
    """One optimizer step.

    Attributes
    ----------
    step
        Its number, None until it is known.
    index
        Its place among all steps of this recorder, the same on every rank.
    values
        What every rank has alike: rates, scales, norms of whole gradients.
    means, sums
        Of what each rank has its own part of the batch in: the loss, and the size of the batch.
    norms
        By shard group: norms of the parts that this rank holds; their squares are added over ranks.
    products
        By shard group: inner products of such parts, added as they are.
    layers
        By shard group: the norms of single tensors and the layer that each belongs to.
    ids
        The identifiers of the batch as given.
    is_measured
        Whether its gradients were measured.
    is_due
        Whether this is one of the rows that hold more than loss and norm.
    """

    step: int | None = None
    index: int = 0
    is_measured: bool = False
    is_due: bool = False
    values: dict[str, Value] = field(default_factory=dict)
    means: dict[str, Sum] = field(default_factory=dict)
    sums: dict[str, Sum] = field(default_factory=dict)
    norms: dict[Any, dict[str, Value]] = field(default_factory=dict)
    products: dict[Any, dict[str, Value]] = field(default_factory=dict)
    layers: dict[Any, tuple[Value, Sequence[str]]] = field(default_factory=dict)
    ids: list[Value] = field(default_factory=list)

    def add_mean(self, name: str, value: Value) -> None:
        """One more micro-batch's value of a mean."""
        number = scalar(value)  # first: what is refused leaves no mean without terms
        self.means.setdefault(name, Sum()).add(number)

    def add_sum(self, name: str, value: Value) -> None:
        """One more micro-batch's value of a sum."""
        number = scalar(value)
        self.sums.setdefault(name, Sum()).add(number)


def held(value: Value) -> Value:
    """A value that later changes of the caller's tensor do not reach, without waiting for it."""
    return value.detach().clone() if isinstance(value, Tensor) else value


def held_ids(value: Any) -> Any:
    """Identifiers of a batch that later changes of the caller's list, array or tensor do not reach, and in a fixed order."""
    if isinstance(value, Tensor):
        return held(value)
    if isinstance(value, Mapping):
        value = [part for pair in value.items() for part in pair]
    if isinstance(value, (set, frozenset)):  # its order is another in every process where it holds text
        value = sorted(value, key=lambda one: (type(one).__name__, repr(one)))
    if isinstance(value, (list, tuple, range)):
        kinds = set(map(type, value))
        is_plain = kinds <= {str, float} or (kinds == {int} and min(value) >= -MAX_EXACT and max(value) <= MAX_EXACT)
        return list(value) if is_plain else [held_ids(one) for one in value]
    if hasattr(value, "tolist"):
        return held_ids(value.tolist())
    # Readers of logs have float64 for numbers: a larger one counts by its digits.
    return str(value) if isinstance(value, int) and abs(value) > MAX_EXACT else value


def scalar(value: Value) -> Value:
    """A tensor of one element, or a number.

    Raises
    ------
    TypeError, ValueError
        Neither.
    """
    if not isinstance(value, Tensor):
        return float(value.item() if hasattr(value, "item") else value)  # NumPy's arrays of one element as well
    if value.numel() != 1:
        raise ValueError(f"a tensor of shape {tuple(value.shape)} where one number belongs")
    return held(value).reshape(())


def whole(value: Any) -> int:
    """The number of a step, as a whole number of any kind or text of digits.

    Raises
    ------
    TypeError, ValueError
        None.
    """
    number = value.item() if hasattr(value, "item") else value
    if isinstance(number, bool) or (isinstance(number, float) and not number.is_integer()):
        raise ValueError("it is not a whole number")
    return int(number)


@dataclass(frozen=True, slots=True)
class Fetched:
    """A row with numbers in place of tensors; `values`, `means` and so on as in `Row`."""

    step: int
    index: int
    values: dict[str, float]
    means: dict[str, float]
    sums: dict[str, float]
    norms: dict[Any, dict[str, float]]
    products: dict[Any, dict[str, float]]
    ids: list[Any]


def fetch(rows: Sequence[Row]) -> list[Fetched]:
    """The numbers of rows, with one copy for each device that holds some."""
    tensors = [value for row in rows for value in _tensors(row)]
    number = dict(zip(map(id, tensors), _numbers(tensors), strict=True))
    names = [tensor for row in rows for one in row.ids for tensor in _tensors_in(one)]
    number |= dict(zip(map(id, names), _numbers(names, torch.int64), strict=True))

    def plain(ids: Any) -> Any:
        if isinstance(ids, Tensor):
            return held_ids(number[id(ids)])
        return [plain(one) for one in ids] if isinstance(ids, list) else ids

    def one(value: Value) -> float:
        return number[id(value)][0] if isinstance(value, Tensor) else float(value)

    def many(table: dict[str, Value]) -> dict[str, float]:
        return {name: one(value) for name, value in table.items()}

    fetched = []
    for row in rows:
        norms = {key: many(table) for key, table in row.norms.items()}
        for key, (stack, layers) in row.layers.items():
            squares: dict[str, float] = {}
            for layer, norm in zip(layers, number[id(stack)], strict=True):
                squares[layer] = squares.get(layer, 0.0) + norm * norm
            norms.setdefault(key, {}).update({f"grad_norm/{layer}": s**0.5 for layer, s in squares.items()})
        fetched.append(
            Fetched(
                step=row.step or 0,
                index=row.index,
                values=many(row.values),
                means={name: one(s.total) / s.count for name, s in row.means.items()},
                sums={name: one(s.total) for name, s in row.sums.items()},
                norms=norms,
                products={key: many(table) for key, table in row.products.items()},
                ids=[plain(one) for one in row.ids],
            )
        )
    return fetched


def _tensors(row: Row) -> Iterable[Tensor]:
    groups = (row.values, *row.norms.values(), *row.products.values())
    yield from (v for group in groups for v in group.values() if isinstance(v, Tensor))
    yield from (s.total for group in (row.means, row.sums) for s in group.values() if isinstance(s.total, Tensor))
    yield from (stack for stack, _ in row.layers.values())


def _tensors_in(ids: Any) -> Iterable[Tensor]:
    if isinstance(ids, Tensor):
        yield ids
    elif isinstance(ids, list):
        for one in ids:
            yield from _tensors_in(one)


def _numbers(tensors: Sequence[Tensor], whole: torch.dtype | None = None) -> list[list[Any]]:
    """The elements of tensors, in float64 or, of tensors of whole numbers, in `whole`."""
    kinds: dict[tuple[torch.device, torch.dtype], list[int]] = {}
    for place, tensor in enumerate(tensors):
        # Apple's devices have no float64.
        wide = torch.float32 if tensor.device.type == "mps" else torch.float64
        is_whole = whole is not None and not tensor.is_floating_point() and not tensor.is_complex()
        kinds.setdefault((tensor.device, whole if whole is not None and is_whole else wide), []).append(place)
    numbers: list[list[Any]] = [[] for _ in tensors]
    for (_, dtype), places in kinds.items():
        flat = torch.cat([tensors[place].detach().reshape(-1).to(dtype) for place in places]).tolist()
        at = 0
        for place in places:
            size = tensors[place].numel()
            numbers[place] = flat[at : at + size]
            at += size
    return numbers

"""The parameters that a recorder watches: each once, by shard group, with its name and its layer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from gradlens.recorder.shards import ShardKey, is_distributed_tensor, shard_key

#: What wrappers (DDP, FSDP, torch.compile, activation checkpoints) put in front of or into names.
_WRAPPERS = frozenset({"module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"})


@dataclass(frozen=True, slots=True, eq=False)
class Watched:
    """One parameter; `group` is the settings of its optimizer for it."""

    parameter: Any
    name: str
    layer: str
    group: dict[str, Any]
    optimizer: Any
    key: ShardKey | None


@dataclass(slots=True)
class Parameters:
    """The trained parameters of some optimizers.

    Parameters
    ----------
    model
        Gives the names; may be None.
    optimizers
        `torch.optim` optimizers. A parameter that several hold, or one several times, counts once.
    by
        "layer" for a norm of each module, "group" of each group of parameters, None for the whole alone.
    """

    model: Any
    optimizers: Sequence[Any]
    by: str | None
    watched: tuple[Watched, ...] = ()
    keys: tuple[ShardKey | None, ...] = ()
    layers: tuple[str, ...] = ()
    _count: int = field(default=-1)

    def refresh(self) -> None:
        """Look again if an optimizer was given further parameters."""
        count = sum(len(group["params"]) for optimizer in self.optimizers for group in optimizer.param_groups)
        if count == self._count:
            return
        self._count = count
        self.watched = tuple(self._find())
        self.keys = tuple(dict.fromkeys(w.key for w in self.watched))
        self.layers = tuple(dict.fromkeys(w.layer for w in self.watched)) if self.by else ()

    def _find(self) -> Iterable[Watched]:
        names = {} if self.model is None else {id(p): clean_name(n) for n, p in self.model.named_parameters()}
        seen: set[int] = set()
        for optimizer in self.optimizers:
            for number, group in enumerate(optimizer.param_groups):
                for parameter in group["params"]:
                    if id(parameter) in seen or not parameter.requires_grad:
                        continue
                    seen.add(id(parameter))
                    name = names.get(id(parameter), f"parameter{len(seen) - 1}")
                    of_group = str(group.get("name", f"group{number}"))
                    yield Watched(
                        parameter=parameter,
                        name=name,
                        layer=of_group if self.by == "group" else name.rpartition(".")[0] or name,
                        group=group,
                        optimizer=optimizer,
                        key=shard_key(parameter) if is_distributed_tensor(parameter) else None,
                    )


def clean_name(name: str) -> str:
    """The name of a parameter without what wrappers put into it."""
    return ".".join(part for part in name.split(".") if part not in _WRAPPERS)

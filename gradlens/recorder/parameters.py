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
    """One parameter; `place` is that of its group among all groups of all optimizers."""

    parameter: Any
    name: str
    layer: str
    place: int
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

    Attributes
    ----------
    watched
        What is trained now: what an optimizer holds and that wants a gradient, or still has one.
    keys, layers
        The shard groups and layers of all that was ever watched: rows that are not written yet may hold any of them.
    groups
        The settings of the optimizers, group by group.
    """

    model: Any
    optimizers: Sequence[Any]
    by: str | None
    watched: tuple[Watched, ...] = ()
    keys: tuple[ShardKey | None, ...] = ()
    layers: tuple[str, ...] = ()
    groups: tuple[dict[str, Any], ...] = ()
    _trained: list[int] = field(default_factory=list)

    def refresh(self) -> None:
        """Look again: parameters are frozen, unfrozen, added and exchanged in mid-run, and settings loaded."""
        # A resumed optimizer has new groups with the same parameters, an adapter may make its own at each look.
        self.groups = tuple(group for optimizer in self.optimizers for group in optimizer.param_groups)
        trained = [id(p) for group in self.groups for p in group["params"] if _is_trained(p)]
        if trained == self._trained:
            return
        self._trained = trained
        self.watched = tuple(self._find())
        self.keys = tuple(dict.fromkeys((*self.keys, *(w.key for w in self.watched))))
        if self.by:
            self.layers = tuple(dict.fromkeys((*self.layers, *(w.layer for w in self.watched))))

    def group_of(self, watched: Watched) -> dict[str, Any]:
        """The settings that its optimizer has for a parameter now."""
        return self.groups[watched.place]

    def _find(self) -> Iterable[Watched]:
        names = {} if self.model is None else {id(p): clean_name(n) for n, p in self.model.named_parameters()}
        seen: set[int] = set()
        place = -1
        for optimizer in self.optimizers:
            for number, group in enumerate(optimizer.param_groups):
                place += 1
                for parameter in group["params"]:
                    if id(parameter) in seen or not _is_trained(parameter):
                        continue
                    seen.add(id(parameter))
                    name = names.get(id(parameter), f"parameter{len(seen) - 1}")
                    of_group = str(group.get("name", f"group{number}"))
                    yield Watched(
                        parameter=parameter,
                        name=name,
                        layer=of_group if self.by == "group" else name.rpartition(".")[0] or name,
                        place=place,
                        optimizer=optimizer,
                        key=shard_key(parameter) if is_distributed_tensor(parameter) else None,
                    )


def _is_trained(parameter: Any) -> bool:
    """Whether an optimizer may change it: it does as long as there is a gradient, whatever the parameter wants."""
    return bool(parameter.requires_grad) or parameter.grad is not None


def clean_name(name: str) -> str:
    """The name of a parameter without what wrappers put into it."""
    return ".".join(part for part in name.split(".") if part not in _WRAPPERS)

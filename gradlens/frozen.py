"""Frozen dataclasses that cost little to define.

`dataclass(frozen=True, slots=True)` compiles six functions for every class each time the program starts: with more than a
hundred classes that was an eighth of the work of judging a small log. `frozen` compiles `__init__` alone; the other methods are
the same for all classes and are written once, here.
"""

from __future__ import annotations

from dataclasses import FrozenInstanceError, dataclass, field, fields
from typing import TYPE_CHECKING, Any, TypeVar, dataclass_transform, overload

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


@overload
def frozen(cls: type[T], /) -> type[T]: ...
@overload
def frozen(*, eq: bool = True) -> Callable[[type[T]], type[T]]: ...
@dataclass_transform(kw_only_default=True, frozen_default=True, field_specifiers=(field,))
def frozen(cls: type[T] | None = None, /, *, eq: bool = True) -> type[T] | Callable[[type[T]], type[T]]:
    """Make a frozen dataclass with slots whose fields are given by name.

    As `dataclass(frozen=True, kw_only=True, slots=True, eq=eq)`: `fields`, `replace` and `asdict` know it, an assignment
    raises `FrozenInstanceError`, two of the same class are equal if all fields are, and with `eq=False` if they are the same
    object, which is what classes that hold arrays need.
    """

    def make(cls: type[T]) -> type[T]:
        made: Any = dataclass(kw_only=True, slots=True, eq=False, repr=False)(cls)
        if "__repr__" not in vars(made):
            made.__repr__ = _shown
        if eq and "__eq__" not in vars(made):
            made.__eq__, made.__hash__ = _is_equal, _hashed
        made.__setattr__, made.__delattr__ = _set_once, _refuse
        return made  # type: ignore[no-any-return]

    return make if cls is None else make(cls)


def _values(self: Any) -> tuple[Any, ...]:
    return tuple([getattr(self, one.name) for one in fields(self) if one.compare])


def _shown(self: Any) -> str:
    told = ", ".join(f"{one.name}={getattr(self, one.name)!r}" for one in fields(self) if one.repr)
    return f"{type(self).__qualname__}({told})"


def _is_equal(self: Any, other: object) -> bool:
    return _values(self) == _values(other) if type(self) is type(other) else NotImplemented


def _hashed(self: Any) -> int:
    return hash(
        tuple([getattr(self, one.name) for one in fields(self) if (one.compare if one.hash is None else one.hash)])
    )


def _set_once(self: Any, name: str, value: object) -> None:
    # `__init__` gives each field its value; whatever comes after it finds one there.
    if hasattr(self, name):
        raise FrozenInstanceError(f"cannot assign to field {name!r}")
    object.__setattr__(self, name, value)


def _refuse(_self: object, name: str) -> None:
    raise FrozenInstanceError(f"cannot delete field {name!r}")

"""Hooks that do not keep a recorder alive: one that the loop has dropped ends with it."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any


def step_hook(recorder: Any, name: str, *, keep: bool) -> Callable[..., Any]:
    """A hook of an optimizer; it keeps the recorder alive only where the recorder has the clipping to do."""
    weak = weakref.ref(recorder)
    strong = recorder if keep else None

    def call(optimizer: Any, args: Any, kwargs: Any) -> Any:
        found = strong or weak()
        return None if found is None else getattr(found, name)(optimizer, args, kwargs)

    return call


def exit_hook(recorder: Any) -> Callable[[], None]:
    """What closes the recorder when the process ends."""
    weak = weakref.ref(recorder)

    def close() -> None:
        found = weak()
        if found is not None:
            found.close()

    return close


def weak_call(method: Callable[..., Any]) -> Callable[..., Any]:
    """A method of the recorder for what it holds itself, which would otherwise hold it; nothing once the recorder has gone."""
    weak = weakref.WeakMethod(method)

    def call(*args: Any, **options: Any) -> Any:
        found = weak()
        return None if found is None else found(*args, **options)

    return call

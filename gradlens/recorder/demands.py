"""What a recorder cannot do, said when it is made."""

from __future__ import annotations

import math
import numbers
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import torch

from gradlens.errors import UsageError

_BY = ("layer", "group", None)
T = TypeVar("T")


class Adapter:
    """Base of what makes another library's optimizer look like one of PyTorch's: `param_groups`, `state` and hooks."""


def unwrap_optimizers(optimizer: Any) -> tuple[Any, ...]:
    """The `torch.optim` optimizers in what was given: one, several, or wrapped (as accelerate does).

    Raises
    ------
    UsageError
        None, or something without the hooks of `torch.optim.Optimizer`.
    """
    given = list(optimizer.values()) if isinstance(optimizer, Mapping) else optimizer
    given = list(given) if isinstance(given, (list, tuple)) else [given]
    found = []
    for one in given:
        inner = one
        # What accelerate wraps an optimizer in is a subclass of PyTorch's, without its hooks.
        while hasattr(inner, "optimizer") and not isinstance(inner, Adapter):
            inner = inner.optimizer
        if not isinstance(inner, (torch.optim.Optimizer, Adapter)):
            kind = f"{type(one).__module__}.{type(one).__name__}"
            raise UsageError(
                f"the recorder hooks optimizers of torch.optim, and {kind} is none",
                hint="for Keras and optax see gradlens.recorder.integrations; DeepSpeed's engine cannot be recorded",
            )
        found.append(inner)
    if not found:
        raise UsageError("the recorder was given no optimizer", hint="pass the one that steps the model")
    return tuple(found)


def is_number(value: Any, *, at_least: float) -> bool:
    """Whether a value is a number of a size, and not NaN."""
    return type(value) is not bool and isinstance(value, numbers.Real) and float(value) >= at_least


def require_whole(name: str, value: Any, *, at_least: int, hint: str) -> None:
    """Refuse what is no whole number of that size.

    Raises
    ------
    UsageError
        With the remedy.
    """
    if not isinstance(value, numbers.Integral) or not is_number(value, at_least=at_least):
        raise UsageError(f"{name}={value!r} is not a count of steps", hint=hint)


def asked(name: str, value: Any, kind: type[T]) -> T | None:
    """What was asked for: an object of its kind, one with its defaults for True, None for nothing.

    Raises
    ------
    UsageError
        Something else.
    """
    if value is None or isinstance(value, kind):
        return value
    if isinstance(value, bool):
        return kind() if value else None
    raise UsageError(f"{name}={value!r:.60} is no {kind.__name__}", hint=f"{name}={kind.__name__}() or {name}=True")


def require_supported(
    model: Any, optimizers: Sequence[Any], *, by: str | None, clip: bool, max_norm: float | None, scaler: Any, skip: Any,
    counts: Mapping[str, Any], from_zero: Mapping[str, Any],
) -> None:  # fmt: skip
    """Refuse what would record nonsense or change the training.

    `counts` are at least 1, `from_zero` at least 0.

    Raises
    ------
    UsageError
        With what to do instead.
    """
    if by not in _BY:
        raise UsageError(f"by={by!r}: norms can be had by layer, by group, or for the whole alone", hint='by="layer"')
    for name, count in counts.items():
        require_whole(name, count, at_least=1, hint=f"{name}=1 is every step")
    for name, count in from_zero.items():
        require_whole(name, count, at_least=0, hint=f"{name}=0 or more")
    _require_kinds(model, max_norm=max_norm, scaler=scaler)
    if clip and (max_norm is None or not math.isfinite(max_norm) or max_norm <= 0):
        raise UsageError(f"clip=True with max_norm={max_norm}", hint="give the threshold: max_norm=1.0")
    for module in () if model is None else model.modules():
        if type(module).__name__ == "FullyShardedDataParallel":
            raise UsageError(
                "FSDP of the first kind flattens parameters and hides their gradients", hint="use fully_shard (FSDP2)"
            )
    names = {type(o).__name__ for o in optimizers}
    if "LBFGS" in names and (clip or skip is not None):
        raise UsageError("L-BFGS evaluates its closure many times a step: it cannot be clipped or skipped from outside")
    if scaler is not None and "LBFGS" in names:
        raise UsageError("a GradScaler cannot step L-BFGS", hint="train in float32 or bfloat16")
    _require_dense(model, clip=clip, skip=skip)
    fused = any(group.get("fused") for o in optimizers for group in o.param_groups)
    if fused and scaler is not None and scaler.is_enabled() and (clip or skip is not None):
        raise UsageError(
            "a fused optimizer under a GradScaler unscales within its kernel: too late for the recorder to clip or skip",
            hint="call scaler.unscale_ and clip in the loop, or fused=False",
        )


def _require_kinds(model: Any, *, max_norm: Any, scaler: Any) -> None:
    if max_norm is not None and not is_number(max_norm, at_least=0):
        raise UsageError(
            f"max_norm={max_norm!r} is no threshold", hint="a number: 1.0, or math.inf where nothing is clipped"
        )
    if model is not None and not isinstance(model, torch.nn.Module):
        raise UsageError(
            f"model={model!r:.60} is no torch.nn.Module", hint="pass the model, or None to go without its names"
        )
    if scaler is not None and not callable(getattr(scaler, "is_enabled", None)):
        raise UsageError(
            f"scaler={scaler!r:.60} is no torch.amp.GradScaler", hint="leave it out where nothing is scaled"
        )


def _require_dense(model: Any, *, clip: bool, skip: Any) -> None:
    sparse = [
        name for name, m in ([] if model is None else model.named_modules()) if getattr(m, "sparse", False) is True
    ]
    if sparse and (clip or skip is not None):
        raise UsageError(
            f"{sparse[0]} has sparse gradients, which PyTorch's clip_grad_norm_ does not take",
            hint="clip=False records them; or make the embedding dense",
        )

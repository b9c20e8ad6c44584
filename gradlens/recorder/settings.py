"""What a training's objects tell of its set-up, in the spellings of `gradlens.config`."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch

#: Optimizers by class name whose decay is taken from the weights directly, and those that add it to the gradient.
_DECOUPLED = ("AdamW", "Lion", "Muon", "Adafactor", "Sophia", "LAMB", "Lamb", "SGDW", "Lars")
_COUPLED = frozenset({"SGD", "Adam", "RMSprop", "Adagrad", "Adadelta", "Adamax", "NAdam", "RAdam", "Rprop", "ASGD"})


def is_decoupled(optimizer: Any, group: Mapping[str, Any]) -> bool | None:
    """Whether the weight decay of a group is decoupled from the gradient; None for an optimizer that is not known."""
    name = type(optimizer).__name__
    if isinstance(group.get("decoupled_weight_decay"), bool):
        return bool(group["decoupled_weight_decay"]) or name.startswith("AdamW")
    if name.startswith(_DECOUPLED):
        return True
    return False if name in _COUPLED else None


def coupled_decay(optimizer: Any, group: Mapping[str, Any]) -> float:
    """The weight decay that the optimizer adds to the gradients of a group, 0.0 where it adds none."""
    decay = group.get("weight_decay", 0.0)
    is_used = isinstance(decay, (int, float)) and decay > 0 and is_decoupled(optimizer, group) is False
    return float(decay) if is_used else 0.0


def settings_of(
    optimizers: Sequence[Any], *, scheduler: Any = None, scaler: Any = None, max_norm: float | None = None
) -> dict[str, Any]:
    """The settings that optimizer, schedule and scaler tell; what cannot be known is left out."""
    first, group = optimizers[0], optimizers[0].param_groups[0]
    settings: dict[str, Any] = {
        "optimizer": "+".join(dict.fromkeys(type(o).__name__ for o in optimizers)),
        "learning_rate": _number(group.get("initial_lr", group.get("lr"))),
        "betas": [_number(b) for b in group["betas"]] if isinstance(group.get("betas"), (tuple, list)) else None,
        "momentum": _number(group.get("momentum")),
        "weight_decay": _number(group.get("weight_decay")),
        "decoupled_weight_decay": is_decoupled(first, group),
        "max_grad_norm": max_norm if max_norm is None or math.isfinite(max_norm) else 0.0,
        "precision": _precision(optimizers, scaler),
        "world_size": _world_size(),
    }
    if settings["betas"] is None and isinstance(group.get("alpha"), float):
        settings["beta2"] = group["alpha"]  # RMSprop's name for it
    schedule = _one_schedule(scheduler)
    if schedule is not None:
        settings |= _schedule(schedule)
    return {name: value for name, value in settings.items() if value is not None}


def _number(value: Any) -> float | None:
    if isinstance(value, torch.Tensor):
        return float(value) if value.numel() == 1 else None
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def _precision(optimizers: Sequence[Any], scaler: Any) -> str | None:
    """What weights or scaler prove: float32 weights may still be trained under autocast."""
    if scaler is not None and scaler.is_enabled():
        return "fp16"
    dtypes = {p.dtype for o in optimizers for group in o.param_groups for p in group["params"]}
    names = {torch.bfloat16: "bf16", torch.float16: "fp16", torch.float64: "fp64"}
    return names.get(dtypes.pop()) if len(dtypes) == 1 else None


def _world_size() -> int:
    dist = torch.distributed
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def _one_schedule(given: Any) -> Any:
    """The schedule itself: of several the first, and without what Lightning's settings or accelerate wrap it in."""
    if isinstance(given, (list, tuple)):
        return _one_schedule(given[0]) if given else None
    return given.get("scheduler") if isinstance(given, Mapping) else getattr(given, "scheduler", given)


def _schedule(scheduler: Any) -> dict[str, Any]:
    """The name of a schedule and the steps of its warm-up, where its kind has one."""
    kind = type(scheduler).__name__
    found: dict[str, Any] = {"lr_schedule": kind}
    parts = getattr(scheduler, "_schedulers", None)
    if kind == "SequentialLR" and parts:
        found["lr_schedule"] = "+".join(type(part).__name__ for part in parts)
        if type(parts[0]).__name__ in {"LinearLR", "ConstantLR"}:
            found["warmup_steps"] = scheduler._milestones[0]  # noqa: SLF001 - no public name for it
    elif kind == "LambdaLR" and scheduler.lr_lambdas:
        given = scheduler.lr_lambdas[0]
        if isinstance(given, functools.partial):  # as transformers makes them
            found["lr_schedule"] = given.func.__name__.removeprefix("_get_").removesuffix("_lr_lambda")
            found["warmup_steps"] = _number(given.keywords.get("num_warmup_steps"))
    elif kind == "OneCycleLR":
        phases = getattr(scheduler, "_schedule_phases", [])
        found["warmup_steps"] = round(phases[0]["end_step"]) if phases else None
    base = getattr(scheduler, "base_lrs", None)
    if base and kind != "OneCycleLR":
        found["learning_rate"] = _number(base[0])
    elif kind == "OneCycleLR":
        found["learning_rate"] = _number(scheduler.optimizer.param_groups[0].get("max_lr"))
    return found

"""What a user says of a set-up, as the log can hold it: command lines hold paths, types and whole objects as well."""

from __future__ import annotations

import argparse
import dataclasses
import enum
import logging
import os
from collections.abc import Mapping
from typing import Any

from gradlens.errors import UsageError

_log = logging.getLogger("gradlens.recorder")
#: Settings within settings that are followed; deeper there is no set-up, but an object that holds itself.
_MAX_DEPTH = 10


def as_settings(config: Any) -> dict[str, Any]:
    """A mapping, an `argparse.Namespace` or a dataclass as settings of text, numbers, lists and mappings.

    What is none of these and has no short text (a function, a model) is left out, and named in one warning.

    Raises
    ------
    UsageError
        Not a mapping and nothing like one.
    """
    if config is None:
        return {}
    if isinstance(config, argparse.Namespace) or (dataclasses.is_dataclass(config) and not isinstance(config, type)):
        config = vars(config)
    if not isinstance(config, Mapping):
        raise UsageError(
            f"config: {type(config).__name__} is no mapping of settings", hint='config={"batch_size": 64} or vars(args)'
        )
    settings, left_out = {}, []
    for name, value in config.items():
        try:
            settings[str(name)] = plain(value)
        except (TypeError, ValueError):
            left_out.append(str(name))
    if left_out:
        _log.warning("config: left out of the log, as neither text nor numbers: %s", ", ".join(left_out))
    return settings


def plain(value: Any, depth: int = 0) -> Any:
    """A value as JSON knows it.

    Raises
    ------
    TypeError, ValueError
        There is no such.
    """
    if depth > _MAX_DEPTH:
        raise ValueError("nested too deeply")
    if value is None or isinstance(value, (str, bool, int, float)):
        return value
    if isinstance(value, Mapping):
        return {str(name): plain(inner, depth + 1) for name, inner in value.items()}
    if isinstance(value, (list, tuple, set, frozenset, range)):
        return [plain(inner, depth + 1) for inner in value]
    # By name: loops of JAX and Keras do without PyTorch.
    is_of_torch = type(value).__module__ == "torch" and type(value).__name__ in {"dtype", "device"}
    if is_of_torch or isinstance(value, os.PathLike):
        return str(value).removeprefix("torch.")
    return plain(_plainer(value), depth + 1)


def _plainer(value: Any) -> Any:
    if isinstance(value, argparse.Namespace):
        return vars(value)
    if isinstance(value, enum.Enum):
        return value.value
    if hasattr(value, "item"):
        return value.item()  # a number of NumPy, or a tensor of one element
    raise TypeError(f"{type(value).__name__} is neither text nor a number")

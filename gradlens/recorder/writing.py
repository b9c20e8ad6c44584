"""What is written: numbers with the digits they have, one number for a batch, and where a file is that was named."""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from gradlens.errors import UsageError

#: Digits that a float32 has.
DIGITS = 9
#: Identifiers are whole numbers that a float64 holds exactly.
_ID_BITS = 52


def place_of(path: Any) -> Path:
    """The absolute path of a file to write, with `~` as a shell takes it.

    Raises
    ------
    UsageError
        No path, or that of a folder.
    """
    remedy = "name the file: run.jsonl"
    if not isinstance(path, (str, os.PathLike)) or not os.fspath(path) or "\0" in os.fsdecode(path):
        raise UsageError(f"{path!r} is no path of a file", hint=remedy)
    place = Path(os.path.abspath(os.path.expanduser(path)))  # noqa: PTH100, PTH111 - Path's own fail for an unknown `~name`
    if os.path.isdir(place):  # noqa: PTH112 - Path's own fails for a folder that may not be looked into
        raise UsageError(f"{place} is a folder", hint=f"name a file in it: {place / 'run.jsonl'}")
    return place


def shorten(value: float) -> float | int:
    """A number with the digits that a float32 has; whole numbers stay whole."""
    if not math.isfinite(value):
        return value
    return int(value) if value == int(value) and abs(value) < 2**53 else float(f"{value:.{DIGITS}g}")


def batch_number(ids: Iterable[Any]) -> int | None:
    """One whole number for the identifiers of a batch: the number itself where it is one, else a digest of them in order.

    The same identifiers give the same number in every process and on every machine.
    """
    flat = list(_flat(ids))
    if not flat:
        return None
    if len(flat) == 1 and isinstance(flat[0], (int, float)) and float(flat[0]).is_integer():
        return int(flat[0])
    text = json.dumps(
        [int(x) if isinstance(x, float) and x.is_integer() else x for x in flat], default=str, skipkeys=True
    )
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest()) >> (64 - _ID_BITS)


def _flat(value: Any) -> Iterable[Any]:
    if isinstance(value, (list, tuple, set, frozenset, range)):
        for item in value:
            yield from _flat(item)
    elif hasattr(value, "tolist"):
        yield from _flat(value.tolist())
    elif value is not None:
        yield value

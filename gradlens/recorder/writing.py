"""The log of a recorder: JSON lines that any reader of such files reads, appended and never rewritten.

A record with one key is not a row: `{"config": {...}}` holds the settings of the training, `{"recorder": {...}}` what the
recorder did (started again, skipped a step, raised an alarm).
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

#: Digits that a float32 has.
DIGITS = 9
#: Identifiers are whole numbers that a float64 holds exactly.
_ID_BITS = 52
#: How much of the end of a log is looked at for its last row.
_TAIL_BYTES = 1 << 16


@dataclass(frozen=True, slots=True)
class Earlier:
    """What a log held before: the number of its last step, or None without rows; and whether its last line is cut off."""

    last_step: int | None
    is_cut: bool


class LogFile:
    """The file; opened at the first record, so that a recorder that fails to start leaves none."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._handle: Any = None

    def earlier(self) -> Earlier | None:
        """What an earlier process wrote, None for a new or empty file."""
        if not self.path.exists() or self.path.stat().st_size == 0:
            return None
        with self.path.open("rb") as handle:
            handle.seek(0, 2)
            size = handle.tell()
            handle.seek(max(0, size - _TAIL_BYTES))
            tail = handle.read()
        for line in reversed(tail.splitlines()):
            try:
                step = json.loads(line).get("step")
            except (ValueError, AttributeError):
                continue
            if isinstance(step, int):
                return Earlier(last_step=step, is_cut=not tail.endswith(b"\n"))
        return Earlier(last_step=None, is_cut=not tail.endswith(b"\n"))

    def write(self, records: Iterable[Mapping[str, Any]]) -> None:
        """Append records, one per line, and hand them to the operating system."""
        if self._handle is None:
            before = self.earlier()
            self.path.parent.mkdir(parents=True, exist_ok=True)
            # Without a buffer: what could not be written must not be tried again when the file is closed.
            self._handle = self.path.open("ab", buffering=0)
            if before is not None and before.is_cut:
                self._handle.write(b"\n")
        data = memoryview("".join(json.dumps(record) + "\n" for record in records).encode())
        while data:
            data = data[self._handle.write(data) :]

    def close(self) -> None:
        """Close the file; another record opens it again."""
        if self._handle is not None:
            self._handle.close()
            self._handle = None


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
    text = json.dumps([int(x) if isinstance(x, float) and x.is_integer() else x for x in flat], default=str)
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest()) >> (64 - _ID_BITS)


def _flat(value: Any) -> Iterable[Any]:
    if isinstance(value, (list, tuple, set, frozenset, range)):
        for item in value:
            yield from _flat(item)
    elif hasattr(value, "tolist"):
        yield from _flat(value.tolist())
    elif value is not None:
        yield value

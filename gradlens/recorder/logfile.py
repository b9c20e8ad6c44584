"""The log of a recorder: JSON lines that any reader of such files reads, appended and never rewritten.

A record with one key is not a row: `{"config": {...}}` holds the settings of the training, `{"recorder": {...}}` what the
recorder did (started again, skipped a step, raised an alarm).
"""

from __future__ import annotations

import json
import os
import stat
import weakref
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from gradlens.errors import UsageError
from gradlens.recorder.writing import place_of

#: How much of a log is looked at together, from its end backwards.
_BLOCK_BYTES = 1 << 16
#: The log files that are being written by this process.
_open: weakref.WeakSet[LogFile] = weakref.WeakSet()


@dataclass(frozen=True, slots=True)
class Earlier:
    """What a log held before: the number of its last step, or None without rows."""

    last_step: int | None


class LogFile:
    """The file. One recorder at a time writes it, for which it is claimed.

    Parameters
    ----------
    path
        Where it is; a later change of the folder of the process does not move it.

    Raises
    ------
    UsageError
        A folder, a file that holds something else, or no path at all.
    """

    def __init__(self, path: Any) -> None:
        self.path = place_of(path)
        self._process = os.getpid()
        self._handle: Any = None
        self._is_cut = False
        self._require_log()

    def _require_log(self) -> None:
        """Nothing is ever appended to a file of another kind."""
        if not _holds_something(self.path):
            return
        try:
            with self.path.open("rb") as handle:
                head = handle.read(_BLOCK_BYTES).lstrip()
        except OSError as error:
            raise _refused(self.path, error) from error
        # A first line that is longer than what was read, or was cut off when its process was killed, tells nothing.
        *full, _ = head.split(b"\n")
        is_log = not head or (head.startswith(b"{") and (not full or any(map(_is_record, full))))
        if not is_log:
            raise UsageError(
                f"{self.path} exists and does not hold JSON lines: nothing is appended to it",
                hint="give the log a path of its own, run.jsonl say",
            )

    def earlier(self) -> Earlier | None:
        """What an earlier process wrote, None for a new or empty file."""
        if not _holds_something(self.path):
            return None
        with self.path.open("rb") as handle:
            steps = (_step_in(line) for line in _lines_backwards(handle))
            return Earlier(last_step=next((step for step in steps if step is not None), None))

    def claim(self) -> None:
        """Open the file for writing, and keep every other recorder from it until it is closed or this process ends.

        Raises
        ------
        UsageError
            It cannot be written, or another recorder writes it.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            # Without a buffer: what could not be written must not be tried again when the file is closed.
            handle = self.path.open("ab", buffering=0)
        except OSError as error:
            raise _refused(self.path, error) from error
        if stat.S_ISREG(os.fstat(handle.fileno()).st_mode):
            owner = "another recorder of this process" if self._is_open_here(handle) else _other_owner(handle)
            if owner:
                handle.close()
                raise UsageError(
                    f"{self.path} is being written by {owner}",
                    hint="close that one first, or give each recorder a path of its own",
                )
        self._handle, self._is_cut = handle, _is_cut(self.path)
        _open.add(self)

    def _is_open_here(self, handle: Any) -> bool:
        mine = os.fstat(handle.fileno())
        held = [other._handle for other in _open if other._handle is not None]  # noqa: SLF001 - another of its own kind
        return any(os.path.samestat(mine, os.fstat(one.fileno())) for one in held)

    def write(self, records: Iterable[Mapping[str, Any]]) -> None:
        """Append records, one per line, and hand them to the operating system."""
        if os.getpid() != self._process:
            raise RuntimeError("a copy of the process that made the recorder cannot write its log")
        data = "".join(json.dumps(record) + "\n" for record in records).encode()
        if self._handle is None:
            self.claim()
        if self._is_cut and data:
            data, self._is_cut = b"\n" + data, False
        rest = memoryview(data)
        while rest:
            rest = rest[self._handle.write(rest) :]

    def close(self) -> None:
        """Close the file; another record opens it again."""
        if self._handle is not None:
            self._handle.close()
            self._handle = None
        _open.discard(self)


def _other_owner(handle: Any) -> str:
    """Who else has locked the file, or nothing: also where the file system knows of no locks."""
    try:
        import fcntl
    except ImportError:  # Windows: there only recorders of one process are told apart
        return ""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return "a recorder of another process"
    except OSError:
        return ""
    return ""


def _let_go_in_copy() -> None:
    """A lock lasts while any copy of the process holds the file open: workers of a killed training would keep it."""
    for file in list(_open):
        file.close()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_let_go_in_copy)


def _holds_something(path: Path) -> bool:
    try:
        found = path.stat()
    except OSError:
        return False
    return stat.S_ISREG(found.st_mode) and found.st_size > 0


def _is_cut(path: Path) -> bool:
    """Whether the last line has no end: its process was killed while it wrote."""
    if not _holds_something(path):
        return False
    with path.open("rb") as handle:
        handle.seek(-1, 2)
        return handle.read(1) != b"\n"


def _refused(path: Path, error: OSError) -> UsageError:
    return UsageError(
        f"the log {path} cannot be written: {error.strerror or error}",
        hint="give a path in a folder that can be written",
    )


def _is_record(line: bytes) -> bool:
    try:
        return line.startswith(b"{") and isinstance(json.loads(line), dict)
    except ValueError:
        return False


def _step_in(line: bytes) -> int | None:
    try:
        step = json.loads(line).get("step")
    except (ValueError, AttributeError):
        return None
    return step if isinstance(step, int) else None


def _lines_backwards(handle: BinaryIO) -> Iterator[bytes]:
    """The lines of a file from its last to its first, however long they are."""
    end = handle.seek(0, 2)
    pieces: list[bytes] = []  # of the line whose start is not found yet, the last one first
    while end > 0:
        start = max(0, end - _BLOCK_BYTES)
        handle.seek(start)
        first, *whole = handle.read(end - start).split(b"\n")
        if whole:
            *inner, last = whole
            yield last + b"".join(reversed(pieces))
            yield from reversed(inner)
            pieces = []
        pieces.append(first)
        end = start
    yield b"".join(reversed(pieces))

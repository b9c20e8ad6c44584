"""A progress bar for reading that takes over a second: on standard error, and only on a terminal.

Off unless the command line turns it on, since a library does not write to its caller's terminal.
"""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_stream: ContextVar[TextIO | None] = ContextVar("progress", default=None)
_DELAY_S, _EVERY_S, _WIDTH = 1.0, 0.1, 30


@contextmanager
def progress_bars(stream: TextIO | None = None) -> Iterator[None]:
    """Show progress on `stream` (standard error) while the block runs, if it is a terminal."""
    stream = stream or sys.stderr
    token = _stream.set(stream if stream.isatty() else None)
    try:
        yield
    finally:
        _stream.reset(token)


@contextmanager
def track(name: str, total: int | None) -> Iterator[Callable[[int], None]]:
    """A function to call with the bytes done so far; the bar goes away at the end."""
    stream = _stream.get()
    if stream is None or not total:
        yield lambda _done: None
        return
    bar = _Bar(stream, name, total)
    try:
        yield bar.update
    finally:
        bar.clear()


class _Bar:
    def __init__(self, stream: TextIO, name: str, total: int) -> None:
        self._stream, self._total = stream, total
        # Names come from the file system: control characters must not reach the terminal.
        self._name = "".join(c if c.isprintable() else "?" for c in name)[-40:]
        self._next = time.monotonic() + _DELAY_S
        self._is_shown = False

    def update(self, done: int) -> None:
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + _EVERY_S
        share = min(done / self._total, 1.0)
        filled = round(share * _WIDTH)
        bar = "#" * filled + "." * (_WIDTH - filled)
        self._stream.write(f"\r{self._name} [{bar}] {share:4.0%} of {self._total / 1e6:.0f} MB\x1b[K")
        self._stream.flush()
        self._is_shown = True

    def clear(self) -> None:
        if self._is_shown:
            self._stream.write("\r\x1b[K")
            self._stream.flush()

"""Text logs in blocks of whole lines, each with what a vectorised parser needs around it, worked on by two threads."""

from __future__ import annotations

import io
from collections import deque
from typing import TYPE_CHECKING, BinaryIO, NamedTuple, TypeVar

import numpy as np

from gradlens.readers.decimals import PADDING
from gradlens.readers.memory import keep_freed_memory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from gradlens.source import Source

_FIRST_BLOCK = 1 << 16
#: For numpy, which likes its arrays in the cache, and for pyarrow, which likes to be called rarely.
BLOCK, ARROW_BLOCK = 1 << 20, 2 << 20
_LARGEST_BLOCK = 16 << 20
#: A block holds so many lines if it can: the cost of a column in a block is paid once for all of them.
_LINES = 512
#: Smaller logs are read before a second thread would have started.
_WORTH_A_THREAD = 4 << 20
_NEWLINE = ord("\n")

T = TypeVar("T")


class Block(NamedTuple):
    """Whole lines of a log.

    `text` uint8[m] begins with `PADDING` spaces; `is_last` says that the file ends here, so that the last line may be
    cut off; `position` is the place in the file of the first byte after the padding.
    """

    text: NDArray[np.uint8]
    is_last: bool
    position: int


def blocks(handle: BinaryIO, usual: int) -> Iterator[Block]:
    """The blocks of a log, in order, of about `usual` bytes; a line longer than that makes its block longer."""
    rest = np.empty(0, np.uint8)
    # From the first block parsers learn what they have before them, which should not take long.
    size, position, is_last = min(_FIRST_BLOCK, usual), 0, False
    while not is_last:
        text = np.empty(PADDING + max(size, 2 * len(rest)), np.uint8)
        text[:PADDING] = ord(" ")
        filled = PADDING + len(rest)
        text[PADDING:filled] = rest
        while filled < len(text):
            got = handle.readinto(text.data[filled:])  # type: ignore[attr-defined]
            if not got:
                is_last = True
                break
            filled += got
        cut = filled if is_last else last_newline(text[:filled]) + 1
        if cut <= PADDING and not is_last:
            rest = text[PADDING:filled]
            continue
        rest = text[cut:filled]
        yield Block(text[:cut], is_last, position)
        if position == 0:
            lines = max(int(np.count_nonzero(text[:cut] == _NEWLINE)), 1)
            size = min(max(usual, _LINES * cut // lines), _LARGEST_BLOCK)
        position += cut - PADDING


def last_newline(text: NDArray[np.uint8]) -> int:
    """The place of the last line feed, or -1."""
    for size in (1 << 12, len(text)):
        at = text[-size:].tobytes().rfind(b"\n")
        if at >= 0:
            return max(len(text) - size, 0) + at
    return -1


def in_order(work: Callable[[Block], T], source: Iterator[Block], size: int | None) -> Iterator[T]:
    """`work` of each block, in order; by two threads where the log is large, with only a few blocks in memory."""
    keep_freed_memory()
    if size is not None and size < _WORTH_A_THREAD:
        yield from map(work, source)
        return
    from concurrent.futures import Future, ThreadPoolExecutor

    with ThreadPoolExecutor(2) as pool:
        waiting: deque[Future[T]] = deque()
        for block in source:
            waiting.append(pool.submit(work, block))
            if len(waiting) > 2:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def open_text(source: Source) -> BinaryIO:
    """The bytes of a text log as UTF-8 without a byte order mark."""
    start = source.head[:4]
    if start[:2] in {b"\xff\xfe", b"\xfe\xff"}:
        return io.BytesIO(source.read_bytes().decode("utf-16", errors="replace").encode())
    handle = source.open()
    if start.startswith(b"\xef\xbb\xbf"):
        handle.read(3)
    return handle

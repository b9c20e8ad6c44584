"""Text logs in blocks of whole lines, each with what a vectorised parser needs around it."""

from __future__ import annotations

import io
from collections import deque
from typing import TYPE_CHECKING, BinaryIO, NamedTuple, TypeVar

import numpy as np

from gradlens.errors import BeyondLimitError
from gradlens.readers.blocks.decimals import PADDING
from gradlens.readers.blocks.memory import keep_freed_memory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from gradlens.sources.files import Source

_FIRST_BLOCK = 1 << 16
#: For numpy, whose arrays should stay in the cache, and for pyarrow, which should be called rarely.
BLOCK, ARROW_BLOCK = 1 << 20, 2 << 20
_MAX_BLOCK = 16 << 20
#: A block holds this many lines if it can: the cost of a column in a block is paid once for all of them.
_LINES = 512
_NEWLINE = ord("\n")
#: The longest line that is read: a row of a million columns has some 20 MB.
MAX_LINE = 32 << 20

T = TypeVar("T")


class Block(NamedTuple):
    """Whole lines of a log.

    `text` uint8[m] begins with `PADDING` spaces; `is_last` says that the file ends here, so that the last line may be
    cut off; `position` is the place in the file of the first byte after the padding.
    """

    text: NDArray[np.uint8]
    is_last: bool
    position: int

    @property
    def end(self) -> int:
        """The place in the file behind the last byte."""
        return self.position + len(self.text) - PADDING


def blocks(handle: BinaryIO, usual: int | None = None, *, name: str = "<text>") -> Iterator[Block]:
    """The blocks of a log, in order, of about `usual` bytes; a line longer than that makes its block longer.

    Raises
    ------
    BeyondLimitError
        A line longer than any record; `name` is what the message calls the log.
    """
    usual = usual or BLOCK
    rest = np.empty(0, np.uint8)
    # Parsers learn the format from the first block, which should not take long.
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
            if len(rest) > MAX_LINE:
                raise too_long(name, position, MAX_LINE)
            continue
        rest = text[cut:filled]
        yield Block(text[:cut], is_last, position)
        if position == 0:
            lines = max(int(np.count_nonzero(text[:cut] == _NEWLINE)), 1)
            size = min(max(usual, _LINES * cut // lines), _MAX_BLOCK)
        position += cut - PADDING


def too_long(name: str, position: int, most: int) -> BeyondLimitError:
    """The error of a line that begins at byte `position` and is longer than `most` bytes."""
    return BeyondLimitError(
        f"{name}: a line of more than {most >> 20} MiB at byte {position}",
        hint="it is not a log, or the writer lost its line ends",
    )


def last_newline(text: NDArray[np.uint8]) -> int:
    """The place of the last line feed, or -1."""
    for size in (1 << 12, len(text)):
        at = text[-size:].tobytes().rfind(b"\n")
        if at >= 0:
            return max(len(text) - size, 0) + at
    return -1


class Lines(NamedTuple):
    """The lines of a block: line i has `n_marks[i]` separators, from `marks[first_mark[i]]` on, and then its end.

    `starts` and `ends` are the places of its bytes without the line feed; the last line may have none (`is_open`).
    """

    marks: NDArray[np.int64]
    first_mark: NDArray[np.int64]
    n_marks: NDArray[np.int64]
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]
    is_open: bool


def lines_of(text: NDArray[np.uint8], separator: int) -> Lines:
    """The lines of the text of a block, and where the separators in them are."""
    # Both in one search, which costs as much as one for either.
    marks = _places_of(text, separator, _NEWLINE)
    is_open = len(text) > PADDING and text[-1] != _NEWLINE
    if is_open:
        marks = np.append(marks, len(text))
    is_end = text.take(marks, mode="clip") == _NEWLINE
    is_end[-1:] = True
    edges = np.flatnonzero(is_end)
    ends = marks[edges]
    starts, first_mark = np.empty_like(ends), np.empty_like(edges)
    starts[:1], first_mark[:1] = PADDING, 0
    starts[1:], first_mark[1:] = ends[:-1] + 1, edges[:-1] + 1
    return Lines(marks, first_mark, edges - first_mark, starts, ends, is_open)


def _places_of(text: NDArray[np.uint8], one: int, other: int) -> NDArray[np.int64]:
    """Where either of two bytes stands."""
    is_one = text == one
    is_one |= text == other
    # Eight bytes at a time: most words hold none of them.
    n_words = len(is_one) // 8
    words = is_one[: 8 * n_words].view("<u8")
    at = np.flatnonzero(words != 0)
    found = words[at]
    places: list[NDArray[np.int64]] = []
    while len(at):
        # The lowest byte that is 1 is a power of 256, which the exponent of a double tells.
        lowest = found & (~found + np.uint64(1))
        places.append(8 * at + (((lowest.astype(np.float64).view(np.int64) >> 52) - 1023) >> 3))
        found ^= lowest
        has_more = found != 0
        at, found = at[has_more], found[has_more]
    rest = np.flatnonzero(is_one[8 * n_words :]) + 8 * n_words
    if len(places) == 1 and not len(rest):
        return places[0]
    together: NDArray[np.int64] = np.sort(np.concatenate((*places, rest)), kind="stable")
    return together


def in_order(
    work: Callable[[Block], T], source: Iterator[Block], *, in_threads: bool = False
) -> Iterator[tuple[int, T]]:
    """`work` of each block, in order, and up to where in the file that is.

    Threads are for work that runs outside of Python for milliseconds at a time. Array operations of microseconds, each of
    which must ask for the interpreter again, are slower by two threads than by one.
    """
    keep_freed_memory()
    if not in_threads:
        for block in source:
            yield block.end, work(block)
        return
    from concurrent.futures import Future, ThreadPoolExecutor

    with ThreadPoolExecutor(2) as pool:
        waiting: deque[tuple[int, Future[T]]] = deque()
        for block in source:
            waiting.append((block.end, pool.submit(work, block)))
            if len(waiting) > 2:
                end, future = waiting.popleft()
                yield end, future.result()
        for end, future in waiting:
            yield end, future.result()


def open_text(source: Source) -> BinaryIO:
    """The bytes of a text log as UTF-8 without a byte order mark."""
    start = source.head[:4]
    if start[:2] in {b"\xff\xfe", b"\xfe\xff"}:
        return io.BytesIO(source.read_bytes().decode("utf-16", errors="replace").encode())
    handle = source.open()
    if start.startswith(b"\xef\xbb\xbf"):
        handle.read(3)
    return handle


def share_of(done: int, source: Source) -> float:
    """Which share of a log its first `done` bytes are, as far as it is known."""
    return done / source.size if source.size and source.compression is None else 1.0

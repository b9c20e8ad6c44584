"""Where the numbers of an event record stand, so that many records of one layout are decoded at once.

Two records have one layout if they have the same length and the same bytes everywhere but in the wall time, the step
and the values; in a step the bits that say how many bytes it takes count as structure. `mask` has the bits that may
differ.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gradlens.frozen import frozen
from gradlens.readers.events.contents import Plugins, Scalar
from gradlens.readers.events.crc32c import words
from gradlens.readers.events.places import read_places

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: A record of more bytes is not a simple scalar; longer ones would only fill the cache.
_MAX_RECORD = 1 << 16
_CACHED = 1 << 17
#: Layouts tried for a record of the same length whose bytes are new.
_RECENT = 8
#: A 32-bit field of number 2 (`simple_value`) or a length of four comes before a value of four bytes.
_BEFORE_FOUR = (b"\x15", b"\x04")


@frozen(eq=False)
class Layout:
    """The layout of one kind of record.

    Attributes
    ----------
    kind
        Equal for layouts that differ only in the width of the step.
    scalars
        Tag, place and dtype of each value.
    mask
        uint8[length], the bits that may differ between records of this layout.
    is_plain
        Whether it can be decoded by place; records of other kinds are parsed one at a time, and may differ everywhere.
    """

    kind: tuple[int, tuple[str, ...]]
    scalars: tuple[Scalar, ...] = ()
    wall_offset: int = -1
    step_offset: int = -1
    step_width: int = 0
    mask: NDArray[np.uint8]
    is_plain: bool
    #: The bits that may not differ, and what they are, as one number: comparing these is fast for a single record.
    fixed: int = 0
    structure: int = 0

    def fits(self, record: bytes) -> bool:
        """Whether a record of the same length has this layout."""
        return int.from_bytes(record, "little") & self.fixed == self.structure


def value_width(record: bytes) -> int:
    """A guess how many bytes at the end of a record are a value: the byte before tells, a field's key or a length."""
    return 4 if record[-5:-4] in _BEFORE_FOUR else 8


class Layouts:
    """The layouts met so far in one run."""

    def __init__(self, plugins: Plugins) -> None:
        self._plugins = plugins
        self._known: dict[tuple[int, bytes], Layout] = {}
        self._recent: dict[int, list[Layout]] = {}

    def of(self, record: bytes) -> Layout:
        """The layout of a record, which fits it."""
        size = len(record)
        if size > _MAX_RECORD:
            return _other(size)
        start = 9
        if record[9:10] == b"\x10":
            start = 10
            while start < size and record[start] & 0x80:
                start += 1
            start += 1
        key = (size, record[start : -value_width(record)])
        layout = self._known.get(key)
        if layout is not None and layout.fits(record):
            return layout
        # Records of several values differ in the bytes between; there are few kinds of them.
        recent = self._recent.setdefault(size, [])
        for layout in recent:
            if layout.is_plain and layout.fits(record):
                return layout
        layout = _layout(record, self._plugins)
        del recent[:-_RECENT]
        recent.append(layout)
        if len(self._known) < _CACHED and layout.is_plain:
            self._known[key] = layout
        return layout


def _other(length: int) -> Layout:
    return Layout(kind=(length, ()), mask=np.full(length, 0xFF, np.uint8), is_plain=False)


def _layout(record: bytes, plugins: Plugins) -> Layout:
    try:
        event = read_places(record, plugins)
    except ValueError:
        return _other(len(record))
    if not event.is_plain:
        return _other(len(record))
    mask = np.zeros(len(record), np.uint8)
    rest = len(record)
    if event.wall_offset >= 0:
        mask[event.wall_offset : event.wall_offset + 8] = 0xFF
    if event.step_offset >= 0:
        mask[event.step_offset : event.step_offset + event.step_width] = 0x7F
        rest -= 1 + event.step_width
    for scalar in event.scalars:
        mask[scalar.offset : scalar.offset + np.dtype(scalar.dtype).itemsize] = 0xFF
    fixed = int.from_bytes((~mask).tobytes(), "little")
    return Layout(
        kind=(rest, tuple(scalar.tag for scalar in event.scalars)), scalars=tuple(event.scalars), mask=mask,
        wall_offset=event.wall_offset, step_offset=event.step_offset, step_width=event.step_width, is_plain=True,
        fixed=fixed, structure=int.from_bytes(record, "little") & fixed,
    )  # fmt: skip


def decode_steps(block: NDArray[np.uint8], start: int, layout: Layout) -> NDArray[np.int64]:
    """The steps of rows whose record data begins at `start`: int64[m]."""
    if layout.step_offset < 0:
        return np.zeros(len(block), np.int64)
    first = start + layout.step_offset
    if layout.step_width <= 4 and first + 4 <= block.shape[1]:
        # Four bytes at once; in 32 bits, since this is most of the decoding time of a record.
        raw = words(block, first, "<u4").astype(np.uint32)
        total = raw & np.uint32(0x7F)
        for place in range(1, layout.step_width):
            raw >>= np.uint32(1)
            total |= raw & np.uint32(0x7F << 7 * place)
        return total.astype(np.int64)
    step = np.zeros(len(block), np.uint64)
    for place in range(layout.step_width):
        byte = words(block, first + place, "u1").astype(np.uint64)
        step |= (byte & np.uint64(0x7F)) << np.uint64(7 * place)
    return step.view(np.int64)


def decode_walls(block: NDArray[np.uint8], start: int, layout: Layout) -> NDArray[np.float64]:
    """The wall times of such rows: float64[m]."""
    if layout.wall_offset < 0:
        return np.zeros(len(block))
    return words(block, start + layout.wall_offset, "<f8").astype(np.float64)


def decode_values(block: NDArray[np.uint8], start: int, scalar: Scalar) -> NDArray[np.float64]:
    """The values of one scalar of such rows: float64[m]."""
    values: NDArray[Any] = words(block, start + scalar.offset, scalar.dtype)
    return values.astype(np.float64)

"""CRC-32C (Castagnoli) as record files use it, for single records and for whole blocks of them at once.

A record file masks its checksums, ``((crc >> 15) | (crc << 17)) + 0xa282ead8`` modulo 2**32 (TensorFlow,
``tensorflow/core/lib/hash/crc32c.h``).

Checking a million small records one call at a time costs more than reading them. A CRC is linear over GF(2), so that
with the plain register (start at zero, no final complement) a message followed by its own checksum leaves the register
at zero, and so does any number of such messages in a row. `seal` therefore rewrites the stored checksum of each record
into the one that the plain register would need; a block of sealed records is intact exactly when one pass over all its
bytes ends at zero. A block that does not is halved until the damaged rows are found.
"""

from __future__ import annotations

import struct
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from google_crc32c import extend, value

if TYPE_CHECKING:
    from numpy.typing import NDArray

_DELTA = 0xA282EAD8
_ALL = 0xFFFFFFFF
#: Bytes before the data of a record (length and its checksum) and after it (checksum of the data).
HEADER, FOOTER = 12, 4


def masked(data: bytes) -> int:
    """The checksum of `data` as a record file stores it."""
    crc: int = value(data)
    return (((crc >> 15) | (crc << 17)) + _DELTA) & _ALL


def header_of(length: int) -> bytes:
    """The twelve bytes before a record of `length` bytes."""
    size = struct.pack("<Q", length)
    return size + struct.pack("<I", masked(size))


@cache
def _correction(length: int) -> int:
    """What turns the checksum of the data into the last four bytes that bring header and data to zero."""
    zeros = bytes(length)
    # With Z(n) the checksum of n zeros, the plain register of a message is its checksum xor Z(its length).
    header = value(header_of(length) + zeros) ^ value(bytes(HEADER) + zeros)
    correction: int = value(zeros) ^ header
    return correction


def words(block: NDArray[np.uint8], offset: int, dtype: str) -> NDArray[np.generic]:
    """The numbers at `offset` of every row of `block` uint8[m, size], as a view (not aligned)."""
    return np.ndarray((len(block),), dtype, block, offset, (block.strides[0],))


def seal(block: NDArray[np.uint8], starts: tuple[int, ...], lengths: tuple[int, ...]) -> list[NDArray[np.uint32]]:
    """Rewrite the checksums of the records in each row in place, and return the stored ones for `unseal`.

    Parameters
    ----------
    block
        uint8[m, size], rows of whole records with valid headers; the rows must follow each other in memory.
    starts, lengths
        Where in a row each record's header begins, and the length of its data.
    """
    stored = []
    for start, length in zip(starts, lengths, strict=True):
        field = words(block, start + HEADER + length, "<u4")
        crc = field.astype(np.uint32)
        stored.append(crc)
        crc = crc - np.uint32(_DELTA)
        turned = crc >> np.uint32(17)
        crc <<= np.uint32(15)
        crc |= turned
        crc ^= np.uint32(_correction(length))
        field[...] = crc
    return stored


def unseal(
    block: NDArray[np.uint8], starts: tuple[int, ...], lengths: tuple[int, ...], stored: list[NDArray[np.uint32]]
) -> None:
    """Put the stored checksums back."""
    for start, length, crc in zip(starts, lengths, stored, strict=True):
        words(block, start + HEADER + length, "<u4")[...] = crc


def damaged_rows(block: NDArray[np.uint8]) -> list[int]:
    """The rows of a sealed block whose checksums do not match, ascending."""
    bad: list[int] = []
    todo = [(0, len(block))]
    while todo:
        first, last = todo.pop()
        # The complement before and after is what `extend` adds to the plain register.
        if first == last or extend(_ALL, block[first:last].reshape(-1)) == _ALL:
            continue
        if last - first == 1:
            bad.append(first)
        else:
            middle = (first + last) // 2
            todo += [(middle, last), (first, middle)]
    return bad

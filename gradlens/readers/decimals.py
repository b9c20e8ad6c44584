"""Decimal numbers in text to float64, many at a time and exactly as `float` reads them.

Each number is taken as the 24 bytes before its end, in three words of eight, and everything is done in words: digits
are told from other bytes, the decimal point is taken out, and eight digits at a time become a number by three
multiplications (after D. Lemire, "Quickly parsing eight digits", lemire.me, 2018). The mantissa M, below 10**19, is
then divided by the power of ten p in double-double arithmetic: with a + b = M exactly, q0 = a/p, r the exact remainder
of that division (T. J. Dekker, "A floating-point technique for extending the available precision", Numer. Math. 18,
1971, doi:10.1007/BF01397083) and q1 = (r + b)/p, the sum q0 + q1 is off by less than 2**-100 of itself. It is rounded
to nearest once, and where the error bound does not settle the rounding, the number is left to the caller. So are
exponents, NaN, and whatever else is no plain decimal.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Bytes that must lie before the first number in the buffer.
PADDING = 24
#: Numbers handled at once: their words stay in the cache.
_AT_ONCE = 1 << 13
_POINT, _MINUS, _ZERO = ord("."), ord("-"), ord("0")
_ASCII_ZEROS = np.uint64(0x3030303030303030)
_LOW_BITS, _HIGH_BITS, _ABOVE_NINE = (np.uint64(c * 0x0101010101010101) for c in (0x7F, 0x80, 0x76))
#: Where the marks of the three words go when they are put into one, and the codes that then stand for a place.
_MARK_SHIFTS = tuple(np.uint64(n) for n in (5, 4, 3))
_CODES, _NO_POINT = 64, 0


class Parsed(NamedTuple):
    """`value` float64[n], meaningful where `is_plain` bool[n]."""

    value: NDArray[np.float64]
    is_plain: NDArray[np.bool_]


def _byte_masks(kept: list[range]) -> NDArray[np.uint64]:
    """Words with all bits of the given bytes (of 24) set: uint64[3, len(kept)]."""
    table = np.zeros((len(kept), 24), np.uint8)
    for row, places in enumerate(kept):
        table[row, places.start : places.stop] = 0xFF
    return np.ascontiguousarray(table.view("<u8").T.astype(np.uint64))


def _digits_after() -> list[int]:
    """By code of the point's place: how many digits follow it, -1 for codes that do not occur and for no point."""
    table = [-1] * _CODES
    for lane in range(3):
        for byte in range(8):
            # The mark of a byte is its highest bit; the exponent of a double counts from 1023, which is 63 modulo 64.
            table[(8 * byte + 7 - int(_MARK_SHIFTS[lane]) + 1023) % _CODES] = 23 - 8 * lane - byte
    return table


_DIGITS_AFTER = _digits_after()
#: By length: the bytes of the number itself.
_WITHIN = _byte_masks([range(24 - n, 24) for n in range(25)])
#: By code: the digits after the point, and those before it.
_AFTER = _byte_masks([range(24 - n, 24) if n >= 0 else range(24) for n in _DIGITS_AFTER])
_BEFORE = _byte_masks([range(23 - n) if n >= 0 else range(0) for n in _DIGITS_AFTER])
#: By code: the point and what follows, in bytes; too many where no digit follows or the power of ten is no double.
_FROM_POINT = np.array([n + 1 if 0 < n <= 22 else 0 if n < 0 else 99 for n in _DIGITS_AFTER], np.int64)
_POWERS = np.array([10.0 ** max(n, 0) if n <= 22 else np.nan for n in _DIGITS_AFTER])
_SPLIT = 134217729.0  # 2**27 + 1
_POWERS_HIGH = _POWERS * _SPLIT - (_POWERS * _SPLIT - _POWERS)
_POWERS_LOW = _POWERS - _POWERS_HIGH


def parse_decimals(text: NDArray[np.uint8], starts: NDArray[np.int64], ends: NDArray[np.int64]) -> Parsed:
    """The numbers in `text[starts[i]:ends[i]]`.

    Parameters
    ----------
    text
        uint8[m]; every end is at least `PADDING`.
    starts, ends
        int64[n].

    Returns
    -------
    Parsed
        `is_plain` where the text is a JSON number without exponent, of which `value` is the double nearest; the rest
        may be anything.
    """
    value, is_plain = np.empty(len(starts)), np.empty(len(starts), np.bool_)
    # As opaque items of 24 bytes, which numpy gathers faster than rows of bytes.
    windows = np.ndarray((len(text) - PADDING + 1,), f"V{PADDING}", text, 0, (1,))
    for first in range(0, len(starts), _AT_ONCE):
        part = slice(first, first + _AT_ONCE)
        value[part], is_plain[part] = _parse(text, windows, starts[part], ends[part])
    return Parsed(value, is_plain)


def _parse(
    text: NDArray[np.uint8], windows: NDArray[np.void], starts: NDArray[np.int64], ends: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    # An empty text at the very end starts behind the last byte.
    first = text.take(starts, mode="clip")
    negative = first == _MINUS
    length = ends - starts
    has_negative = bool(negative.any())
    if has_negative:
        length -= negative
    is_plain = (length > 0) & (length <= 24)
    if not is_plain.all():
        length = np.where(is_plain, length, 1)
    words = windows[ends - PADDING].view("<u8").reshape(-1, 3)
    lanes = [(words[:, n] ^ _ASCII_ZEROS) & _WITHIN[n].take(length) for n in range(3)]
    # The only byte that is no digit must be the point. One bit a byte says which are none; the 24 bits fit one word,
    # and if it is a power of two, the exponent of its double is a code for the place.
    marks = np.zeros(len(starts), np.uint64)
    for lane, shift in zip(lanes, _MARK_SHIFTS, strict=True):
        marks |= ((((lane & _LOW_BITS) + _ABOVE_NINE) | lane) & _HIGH_BITS) >> shift
    is_plain &= (marks & (marks - np.uint64(1))) == 0
    code = (marks.astype(np.float64).view(np.int64) >> 52) & (_CODES - 1)
    from_point = _FROM_POINT.take(code)
    # The digits before the point move one byte on.
    after = [lane & _AFTER[n].take(code) for n, lane in enumerate(lanes)]
    before = [lane & _BEFORE[n].take(code) for n, lane in enumerate(lanes)]
    eight, top = np.uint64(8), np.uint64(56)
    digits = [
        after[0] | (before[0] << eight),
        after[1] | (before[1] << eight) | (before[0] >> top),
        after[2] | (before[2] << eight) | (before[1] >> top),
    ]
    is_point = code != _NO_POINT
    is_plain &= ~is_point | (text[ends - np.minimum(np.maximum(from_point, 1), length)] == _POINT)
    whole = length - from_point
    is_plain &= whole >= 1
    leading = text.take(starts + negative, mode="clip") if has_negative else first
    is_plain &= (whole == 1) | (leading != _ZERO)
    high = _eight_digits(digits[0])
    is_plain &= high < np.uint64(1000)
    mantissa = (high * np.uint64(10**8) + _eight_digits(digits[1])) * np.uint64(10**8) + _eight_digits(digits[2])
    # What is no number may have overflowed: it must not reach the casts.
    mantissa *= is_plain
    value, is_settled = _divide(mantissa, code)
    is_plain &= is_settled
    if has_negative:
        np.negative(value, out=value, where=negative)
        # JSON's -0 is an integer, which has no negative zero.
        is_plain &= ~(negative & ~is_point & (mantissa == 0))
    return value, is_plain


def _eight_digits(word: NDArray[np.uint64]) -> NDArray[np.uint64]:
    word = word * np.uint64(2561) >> np.uint64(8)
    word = (word & np.uint64(0x00FF00FF00FF00FF)) * np.uint64(6553601) >> np.uint64(16)
    return (word & np.uint64(0x0000FFFF0000FFFF)) * np.uint64(42949672960001) >> np.uint64(32)


def _divide(mantissa: NDArray[np.uint64], code: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """The mantissa divided by the power of ten of `code`, to the nearest double, and where that rounding is certain."""
    a = mantissa.astype(np.float64)
    b = (mantissa - a.astype(np.uint64)).view(np.int64).astype(np.float64)
    p = _POWERS.take(code)
    q0 = a / p
    split = q0 * _SPLIT
    high = split - (split - q0)
    low = q0 - high
    p_high, p_low = _POWERS_HIGH.take(code), _POWERS_LOW.take(code)
    product = q0 * p
    error = ((high * p_high - product) + high * p_low + low * p_high) + low * p_low
    q1 = (((a - product) - error) + b) / p
    value = q0 + q1
    rest = q1 - (value - q0)
    return value, value + rest * (1 + 2.0**-40) == value

"""Decimal numbers in text to float64, many at a time and exactly as `float` reads them.

Each number is taken as the 24 bytes before its end, in three words of eight, and everything is done in words: digits
are told from other bytes, the decimal point is taken out, and eight digits at a time become a number by three
multiplications (after D. Lemire, "Quickly parsing eight digits", lemire.me, 2018). The mantissa M, below 10**19, is
then divided by the power of ten p in double-double arithmetic: with a + b = M exactly, q0 = a/p, r the exact remainder
of that division (T. J. Dekker, "A floating-point technique for extending the available precision", Numer. Math. 18,
1971, doi:10.1007/BF01397083) and q1 = (r + b)/p, the sum q0 + q1 is off by less than 2**-100 of itself. It is rounded
to nearest once, and where the error bound does not settle the rounding, the number is left to the caller. Exponents are
taken off first and change p, of which above 10**22 a second double holds the rest; what is beyond 10**45, NaN, and
whatever else is not a decimal number is left to the caller as well.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Bytes that must lie before the first number in the buffer.
PADDING = 24
#: Numbers handled at once: their words stay in the cache.
_AT_ONCE = 1 << 15
_POINT, _MINUS, _PLUS, _ZERO, _E = (ord(c) for c in ".-+0e")
#: The bit that makes a letter small.
_LOWER = np.uint8(0x20)
_ASCII_ZEROS = np.uint64(0x3030303030303030)
_LOW_BITS, _HIGH_BITS, _ABOVE_NINE = (np.uint64(c * 0x0101010101010101) for c in (0x7F, 0x80, 0x76))
#: Where the marks of the three words go when they are put into one, and the codes that then stand for a place.
_MARK_SHIFTS = tuple(np.uint64(n) for n in (5, 4, 3))
_CODES, _NO_POINT = 64, 0


class Parsed(NamedTuple):
    """`value` float64[n], meaningful where `is_plain` bool[n]."""

    value: NDArray[np.float64]
    is_plain: NDArray[np.bool_]


def _byte_masks(first: NDArray[np.int64], after: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Words with all bits of the bytes (of 24) from `first[i]` to before `after[i]` set: uint64[3, n]."""
    byte = np.arange(24)
    is_kept = (byte >= first.reshape(-1, 1)) & (byte < after.reshape(-1, 1))
    return np.ascontiguousarray((is_kept * np.uint8(0xFF)).view("<u8").T.astype(np.uint64))


def _place_of_mark(byte: int) -> int:
    """The bit that marks a byte, of 24: its highest, in a word that holds those of all three."""
    return 8 * (byte % 8) + 7 - int(_MARK_SHIFTS[byte // 8])


def _digits_after() -> NDArray[np.int64]:
    """By code of the point's place: how many digits follow it, -1 for codes that do not occur and for no point."""
    table = np.full(_CODES, -1)
    for byte in range(24):
        # The exponent of a double counts from 1023, which is 63 modulo 64.
        table[(_place_of_mark(byte) + 1023) % _CODES] = 23 - byte
    return table


_DIGITS_AFTER = _digits_after()
_HAS_POINT = _DIGITS_AFTER >= 0
#: By length: the marks of the number's own bytes.
_MARKS_WITHIN = np.array([sum(1 << _place_of_mark(byte) for byte in range(24 - n, 24)) for n in range(25)], np.uint64)
_LENGTHS = np.arange(25)[:, None]
#: By length and code: the digits after the point (all where there is none), and those before it.
_AFTER = _byte_masks(24 - np.where(_HAS_POINT, _DIGITS_AFTER, _LENGTHS), np.full((25, _CODES), 24))
_BEFORE = _byte_masks(24 - _LENGTHS + 0 * _DIGITS_AFTER, np.where(_HAS_POINT, 23 - _DIGITS_AFTER, 0 * _LENGTHS))
#: By code: the point and what follows, in bytes; all where no digit follows or the power of ten is not a double.
_FROM_POINT = np.where(_HAS_POINT, np.where((_DIGITS_AFTER > 0) & (_DIGITS_AFTER <= 22), _DIGITS_AFTER + 1, 24), 0)
_AFTER_POINT = np.maximum(_DIGITS_AFTER, 0)
#: By length and code: how many digits stand before the point, 0 for none.
_BEFORE_POINT = np.maximum(_LENGTHS - _FROM_POINT, 0).astype(np.uint8)
_SPLIT = 134217729.0  # 2**27 + 1
#: Whole numbers below are doubles.
_EXACT = np.uint64(1 << 53)


class _Powers(NamedTuple):
    """Powers of ten: to the nearest double, the two halves of its digits, and what the power has beyond (None: 0)."""

    whole: NDArray[np.float64]
    high: NDArray[np.float64]
    low: NDArray[np.float64]
    rest: NDArray[np.float64] | None


def _powers(exponents: list[int], *, are_doubles: bool) -> _Powers:
    exact = [10**n for n in exponents]
    whole = np.array([float(power) for power in exact])
    high = whole * _SPLIT - (whole * _SPLIT - whole)
    rest = None if are_doubles else np.array([float(power - int(float(power))) for power in exact])
    return _Powers(whole, high, whole - high, rest)


#: By code; what has more digits after the point than 22 is not used.
_BY_CODE = _powers([n if n <= 22 else 0 for n in _AFTER_POINT.tolist()], are_doubles=True)
#: By exponent, as far as two doubles make up the power.
_BY_POWER = _powers(list(range(46)), are_doubles=False)


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
        `is_plain` where the text is a JSON number, of which `value` is the double nearest; the rest
        may be anything.
    """
    value, is_plain = np.empty(len(starts)), np.empty(len(starts), np.bool_)
    # As opaque items of 24 bytes, which numpy gathers faster than rows of bytes.
    windows = np.ndarray((len(text) - PADDING + 1,), f"V{PADDING}", text, 0, (1,))
    for first in range(0, len(starts), _AT_ONCE):
        part = slice(first, first + _AT_ONCE)
        digits = _digits(text, windows, starts[part], ends[part])
        value[part], is_plain[part] = _divide(digits.mantissa, digits.code, _BY_CODE)
        is_plain[part] &= digits.is_plain
        # JSON's -0 is an integer, which has no negative zero.
        np.negative(value[part], out=value[part], where=digits.is_negative)
        is_plain[part] &= ~(digits.is_negative & (digits.code == _NO_POINT) & (digits.mantissa == 0))
    rest = np.flatnonzero(~is_plain & (ends > starts))
    if len(rest):
        for size in range(2, 6):
            _parse_exponents(text, windows, starts, ends, size, rest, value, is_plain)
    return Parsed(value, is_plain)


class _Digits(NamedTuple):
    """The digits of numbers without the point, as a whole number below 10**19, and the code of the point's place."""

    mantissa: NDArray[np.uint64]
    code: NDArray[np.int64]
    is_negative: NDArray[np.bool_]
    is_plain: NDArray[np.bool_]


def _digits(
    text: NDArray[np.uint8], windows: NDArray[np.void], starts: NDArray[np.int64], ends: NDArray[np.int64]
) -> _Digits:
    """The digits of numbers without an exponent.

    Most operations are in place: arrays that are allocated again for each leave the cache.
    """
    # An empty text at the very end starts behind the last byte.
    first = text.take(starts, mode="clip")
    negative = first == _MINUS
    length = ends - starts
    has_negative = bool(negative.any())
    if has_negative:
        length -= negative
    is_plain = length > 0
    is_plain &= length <= 24
    if not is_plain.all():
        length = np.where(is_plain, length, 1)
    words = windows[ends - PADDING].view("<u8").reshape(-1, 3)
    lanes = [words[:, n] ^ _ASCII_ZEROS for n in range(3)]
    marks = _marks(lanes)
    marks &= _MARKS_WITHIN.take(length)
    is_plain &= (marks & (marks - np.uint64(1))) == 0
    code = marks.astype(np.float64).view(np.int64)
    code >>= 52
    code &= _CODES - 1
    kind = length * _CODES
    kind += code
    digits = _without_point(lanes, kind)
    is_good = text.take(ends - _FROM_POINT.take(code), mode="clip") == _POINT
    is_good |= code == _NO_POINT
    is_plain &= is_good
    before_point = _BEFORE_POINT.take(kind)
    is_plain &= before_point >= 1
    leading = text.take(starts + negative, mode="clip") if has_negative else first
    np.not_equal(leading, _ZERO, out=is_good)
    is_good |= before_point == 1
    is_plain &= is_good
    mantissa = _eight_digits(digits[1])
    mantissa *= np.uint64(10**8)
    mantissa += _eight_digits(digits[2])
    if digits[0].any():
        high = _eight_digits(digits[0])
        is_plain &= high < np.uint64(1000)
        high *= np.uint64(10**16)
        mantissa += high
    # What is not a number may have overflowed: it must not reach the casts.
    mantissa *= is_plain
    return _Digits(mantissa, code, negative, is_plain)


def _marks(lanes: list[NDArray[np.uint64]]) -> NDArray[np.uint64]:
    """Which bytes of three words are not digits (less their ASCII zeros), one bit per byte.

    The only such byte of a number must be the point. The 24 bits fit one word, and if it is a power of two, the exponent
    of its double is a code for the place.
    """
    marks = np.zeros_like(lanes[0])
    for lane, shift in zip(lanes, _MARK_SHIFTS, strict=True):
        mark = lane & _LOW_BITS
        mark += _ABOVE_NINE
        mark |= lane
        mark &= _HIGH_BITS
        mark >>= shift
        marks |= mark
    return marks


def _without_point(lanes: list[NDArray[np.uint64]], kind: NDArray[np.int64]) -> list[NDArray[np.uint64]]:
    """The words of a number by its kind (length and code), the digits before the point moved one byte on, onto it."""
    digits = []
    carry: NDArray[np.uint64] | None = None
    for lane, after_table, before_table in zip(lanes, _AFTER, _BEFORE, strict=True):
        word, before = after_table.take(kind), before_table.take(kind)
        word &= lane
        before &= lane
        if carry is not None:
            word |= carry
        carry = before >> np.uint64(56)
        before <<= np.uint64(8)
        word |= before
        digits.append(word)
    return digits


def _parse_exponents(
    text: NDArray[np.uint8],
    windows: NDArray[np.void],
    starts: NDArray[np.int64],
    ends: NDArray[np.int64],
    size: int,
    rest: NDArray[np.int64],
    value: NDArray[np.float64],
    is_plain: NDArray[np.bool_],
) -> None:
    """Those of the numbers `rest` whose exponent takes `size` bytes, its `e` included, into `value` and `is_plain`."""
    at = ends[rest] - size
    found = ((text[at] | _LOWER) == _E) & (at > starts[rest])
    rest, at = rest[found], at[found]
    if not len(rest):
        return
    tail = text[at[:, None] + np.arange(1, size)]
    is_signed = (tail[:, 0] == _MINUS) | (tail[:, 0] == _PLUS)
    figures = (tail - np.uint8(_ZERO)).astype(np.int64)
    is_good = (figures[:, 1:] <= 9).all(axis=1) & (is_signed & (size > 2) | (figures[:, 0] <= 9))
    figures[is_signed, 0] = 0
    exponent = figures @ 10 ** np.arange(size - 2, -1, -1)
    exponent[tail[:, 0] == _MINUS] *= -1
    digits = _digits(text, windows, starts[rest], at)
    power = _AFTER_POINT.take(digits.code) - exponent
    is_good &= digits.is_plain & (power >= -22) & (power < len(_BY_POWER.whole))
    quotient, is_settled = _divide(digits.mantissa, np.clip(power, 0, len(_BY_POWER.whole) - 1), _BY_POWER)
    # The other way round: two doubles without an error, whose product is rounded once.
    product = digits.mantissa.astype(np.float64) * _BY_POWER.whole.take(np.clip(-power, 0, 22))
    number = np.where(power < 0, product, quotient)
    is_good &= np.where(power < 0, digits.mantissa < _EXACT, is_settled)
    np.negative(number, out=number, where=digits.is_negative)
    value[rest[is_good]], is_plain[rest[is_good]] = number[is_good], True


def _eight_digits(word: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The number that eight digits make, in place."""
    word *= np.uint64(2561)
    word >>= np.uint64(8)
    word &= np.uint64(0x00FF00FF00FF00FF)
    word *= np.uint64(6553601)
    word >>= np.uint64(16)
    word &= np.uint64(0x0000FFFF0000FFFF)
    word *= np.uint64(42949672960001)
    word >>= np.uint64(32)
    return word


def _divide(
    mantissa: NDArray[np.uint64], index: NDArray[np.int64], powers: _Powers
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """The mantissa divided by the power of ten at `index`, to the nearest double, and where that rounding is certain."""
    a = mantissa.astype(np.float64)
    p = powers.whole.take(index)
    q0 = a / p
    if powers.rest is None and mantissa.max(initial=0) < _EXACT:
        # Two doubles without an error, whose quotient is rounded once.
        return q0, np.ones(len(q0), np.bool_)
    b = (mantissa - a.astype(np.uint64)).view(np.int64).astype(np.float64)
    high = q0 * _SPLIT
    high -= high - q0
    low = q0 - high
    product = q0 * p
    p_high, p_low = powers.high.take(index), powers.low.take(index)
    error = high * p_high
    error -= product
    error += np.multiply(high, p_low, out=high)
    error += np.multiply(low, p_high, out=p_high)
    error += np.multiply(low, p_low, out=low)
    remainder = a
    remainder -= product
    remainder -= error
    remainder += b
    if powers.rest is not None:
        remainder -= q0 * powers.rest.take(index)
    q1 = np.divide(remainder, p, out=remainder)
    value = q0 + q1
    rest = q0
    rest -= value
    rest += q1
    rest *= 1 + 2.0**-40
    rest += value
    return value, rest == value

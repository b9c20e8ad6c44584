"""Texts among many, each different one once: `NaN`, `null`, `true` and `"train"` come by the thousand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

_WORD = 8
#: Fewer are not worth sorting.
_MANY = 64


def distinct(
    text: NDArray[np.uint8], starts: NDArray[np.int64], ends: NDArray[np.int64]
) -> Iterator[tuple[bytes, NDArray[np.int64]]]:
    """The different texts `text[starts[i]:ends[i]]`, and at which i they stand; long ones may come several times.

    Parameters
    ----------
    text
        uint8[m]; every end is at least 8.
    starts, ends
        int64[n].
    """
    single = np.arange(len(starts))
    if len(starts) >= _MANY:
        length = ends - starts
        # A text of eight bytes is a word; one that ends with a zero byte would look like a shorter one.
        is_word = (length <= _WORD) & (length > 0) & (text[ends - 1] != 0)
        which, single = np.flatnonzero(is_word), np.flatnonzero(~is_word)
        windows = np.ndarray((len(text) - _WORD + 1,), f"V{_WORD}", text, 0, (1,))
        words = windows[ends[which] - _WORD].view("<u8") >> (8 * (_WORD - length[which])).astype(np.uint64)
        order = np.argsort(words, kind="stable")
        edges = np.flatnonzero(np.diff(words[order])) + 1
        for group in np.split(which[order], edges) if len(which) else ():
            yield text[starts[group[0]] : ends[group[0]]].tobytes(), group
    for number in single.tolist():
        yield text[starts[number] : ends[number]].tobytes(), np.array([number])

"""A hint to the allocator for work in many short-lived arrays."""

from __future__ import annotations

from functools import cache

import numpy as np

_MAX_BYTES = 24 << 20


@cache
def keep_freed_memory() -> None:
    """Make glibc keep freed memory of up to twice 24 MiB instead of giving it back at once.

    By default it returns the top of the heap as soon as 128 KiB are free there, so that block after block the same
    pages are given back, asked for and zeroed again, which took a quarter of the time of reading. Freeing one large
    block makes it raise its thresholds (mallopt(3), M_MMAP_THRESHOLD and M_TRIM_THRESHOLD). The block is never
    touched, so it costs no memory; other allocators ignore it.
    """
    np.empty(_MAX_BYTES, np.uint8)

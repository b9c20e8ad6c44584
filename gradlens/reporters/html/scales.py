"""Axes of still pictures: from values to pixels, and round numbers to write beside them."""

from __future__ import annotations

import math

from gradlens.frozen import frozen


@frozen
class Scale:
    """Values from `low` to `high` on pixels from `start` to `end`."""

    low: float
    high: float
    start: float
    end: float
    log: bool

    def __call__(self, value: float) -> float:
        """The pixel of a value, to a tenth; what lies outside stays at the edge."""
        low, high, value = (self._measure(v) for v in (self.low, self.high, min(max(value, self.low), self.high)))
        share = (value - low) / ((high - low) or 1.0)
        return round(self.start + share * (self.end - self.start), 1)

    def _measure(self, value: float) -> float:
        # A quarter: the distance of any two floats stays finite.
        return math.log10(value) if self.log else value / 4

    def ticks(self, most: int) -> list[float]:
        """Round values within."""
        if self.log and math.log10(self.high / self.low) >= 1.5:
            first, last = math.ceil(math.log10(self.low) - 1e-9), math.floor(math.log10(self.high) + 1e-9)
            every = max(1, -(-(last - first + 1) // most))
            return [10.0**power for power in range(first, last + 1, every)]
        return round_values(self.low, self.high, most)


def round_values(low: float, high: float, most: int) -> list[float]:
    """At most `most` values within, a distance of 1, 2 or 5 times a power of ten apart."""
    if not high > low:
        return [low]
    power = 10.0 ** math.floor(math.log10((high / most - low / most) or 1e-300))
    for factor in (1, 2, 5, 10, 20):
        gap = factor * power
        first, last = math.ceil(low / gap - 1e-9), math.floor(high / gap + 1e-9)
        if last - first < most:
            # Rounded to what the gap resolves: 0.30000000000000004 is no round number.
            digits = max(0, 1 - math.floor(math.log10(gap)))
            return [round(i * gap, digits) + 0.0 for i in range(first, last + 1)]
    return [low]

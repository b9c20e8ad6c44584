"""What a lesson is: a text, numbers with defaults, and what follows from them."""

from __future__ import annotations

import dataclasses
import inspect
import math
import textwrap
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any

from gradlens.errors import UsageError
from gradlens.explain.prose import Section, sections_of, table

Vector = tuple[float, ...]
#: A vector of a network has millions of elements; more than this many are not read on a terminal.
MAX_SHOWN = 8
#: Degrees below which an angle is the rounding of its two vectors.
MIN_ANGLE = 1e-10
#: Columns that a command line takes before it goes on in the next.
MAX_COMMAND = 76


@dataclasses.dataclass(frozen=True, kw_only=True)
class Lesson(ABC):
    """A text, its docstring, whose example can be worked out for other numbers: the fields."""

    @abstractmethod
    def worked(self) -> Iterator[tuple[str, str]]:
        """What follows from the numbers: rows of a label and a figure."""

    @classmethod
    def options(cls) -> dict[str, Any]:
        """The numbers that the lesson takes, with their defaults."""
        return {field.name: field.default for field in dataclasses.fields(cls)}

    @classmethod
    def command(cls, name: str) -> str:
        """The command line that works out the example."""
        lines = [f"gradlens explain {name}"]
        for option, value in cls.options().items():
            word = f"--{option} {plain_number(value)}"
            if len(lines[-1]) + len(word) < MAX_COMMAND:
                lines[-1] += f" {word}"
            else:
                lines.append(f"    {word}")
        return " \\\n".join(lines)

    @classmethod
    def page(cls, name: str) -> Iterator[Section]:
        """The text, then the example."""
        yield Section("", f"Lesson {name}")
        yield from sections_of(inspect.getdoc(cls) or "")
        yield Section("Worked out", table(cls().worked()))
        yield Section("With your own numbers", textwrap.indent(cls.command(name), "  "))

    def answer(self, name: str) -> Iterator[Section]:
        """The example alone, for numbers that somebody gave."""
        yield Section("", f"Lesson {name}, worked out")
        yield Section("", table(self.worked()))


def plain_number(value: float | Sequence[float]) -> str:
    """A number or a vector as it is given to an option."""
    if isinstance(value, Sequence):
        return ",".join(f"{part:g}" for part in value)
    return f"{value:g}"


def shown(value: float) -> str:
    """Four significant digits."""
    return f"{value:.4g}"


def vector_text(vector: Sequence[float]) -> str:
    """`(0.6, 0.8)`; of a long vector the first elements."""
    parts = [shown(value) for value in vector[:MAX_SHOWN]]
    if len(vector) > MAX_SHOWN:
        parts.append(f"… {len(vector) - MAX_SHOWN:,} more")
    return f"({', '.join(parts)})"


def norm_of(vector: Sequence[float]) -> float:
    """The root of the sum of squares; NaN or infinite where an element is."""
    return math.hypot(*vector)


def angle_between(a: Sequence[float], b: Sequence[float]) -> float:
    """Degrees between two vectors; NaN where one of them is zero or not finite."""
    lengths = norm_of(a), norm_of(b)
    if not all(math.isfinite(length) and length > 0 for length in lengths):
        return math.nan
    # The half-angle form loses no digits at small angles, unlike the arc cosine.
    left = [x / lengths[0] for x in a]
    right = [y / lengths[1] for y in b]
    apart = norm_of([x - y for x, y in zip(left, right, strict=True)])
    together = norm_of([x + y for x, y in zip(left, right, strict=True)])
    angle = math.degrees(2 * math.atan2(apart, together))
    return angle if angle > MIN_ANGLE else 0.0


def require(what: str, value: float, *, low: float = 0.0, high: float = math.inf, open_low: bool = True) -> None:
    """Refuses a number out of its range.

    Raises
    ------
    UsageError
        It is NaN, infinite, or not in the range.
    """
    above = value > low if open_low else value >= low
    if not (math.isfinite(value) and above and value < high):
        ends = f"above {low:g}" if open_low else f"{low:g} or more"
        raise UsageError(
            f"--{what} {value:g}: not a number {ends}" + (f" and below {high:g}" if high < math.inf else "")
        )

"""Gradients in half precision."""

from __future__ import annotations

import dataclasses
import math
import struct
from collections.abc import Iterator

from gradlens.explain.lessons.base import Lesson, Vector, norm_of, require, shown, vector_text

MAXIMUM = 65504.0
#: Half of the smallest number above zero, which still rounds to zero.
LOST = 2.0**-25


def half(value: float) -> float:
    """A number as fp16 keeps it: rounded, zero or infinite."""
    try:
        found: float = struct.unpack("<e", struct.pack("<e", value))[0]
    except OverflowError:
        return math.copysign(math.inf, value)
    return found


@dataclasses.dataclass(frozen=True, kw_only=True)
class HalfPrecision(Lesson):
    """Numbers of fp16 end at 65,504 and at 6e-8, so gradients are multiplied by a loss scale on their way.

    A gradient below about 3e-8 becomes zero in fp16, and one above 65,504 infinite. Multiplying the loss by a scale moves
    all gradients up into the range; before the optimizer uses them they are divided by it again (Micikevicius and others,
    Mixed precision training, 2018, section 3.2). A scaler doubles the scale after a time without overflow and halves it
    at each one; the step of an overflow is skipped. A few skips at the start are calibration.

    With clipping
    -------------
    The order matters: unscale, then clip. Clipped before unscaling, the norm still has the scale in it, so that a
    threshold C acts like C divided by the scale, and moves whenever the scale does. The norm in the log jumps by factors
    of two with the scale then.

    bf16 has the range of fp32 and needs no scale, at the price of fewer digits.
    """

    vector: Vector = (1e-8, 2e-5, 0.3)
    scale: float = 65536.0
    threshold: float = 1.0

    def worked(self) -> Iterator[tuple[str, str]]:
        require("scale", self.scale)
        require("threshold", self.threshold)
        without = [half(value) for value in self.vector]
        scaled = [half(value * self.scale) for value in self.vector]
        back = [value / self.scale for value in scaled]
        yield "gradient", vector_text(self.vector)
        yield "in fp16 without a scale", vector_text(without)
        yield f"in fp16 times {self.scale:g}", vector_text(scaled)
        yield "unscaled again", vector_text(back)
        yield "range that this scale keeps", f"{shown(LOST / self.scale)} to {shown(MAXIMUM / self.scale)}"
        largest = max((abs(value) for value in self.vector), default=0.0)
        if math.isinf(max(map(abs, scaled), default=0.0)) and math.isfinite(largest):
            halvings = math.ceil(math.log2(largest * self.scale / MAXIMUM))
            yield "overflow", f"the step is skipped; {halvings} halving{'s' * (halvings != 1)} of the scale would do"
        norm = norm_of(self.vector)
        if math.isfinite(norm) and norm > 0:
            yield "clipped after unscaling", f"norm {shown(norm)} becomes {shown(min(norm, self.threshold))}"
            wrong = min(norm, self.threshold / self.scale)
            yield (
                "clipped before unscaling",
                f"norm {shown(norm * self.scale)} in the log, and {shown(wrong)} for the optimizer",
            )

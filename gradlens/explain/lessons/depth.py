"""What many layers or time steps do to a gradient."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator

from gradlens.explain.lessons.base import Lesson, require, shown

#: log10 of the largest finite number, and of the smallest one above zero.
RANGES = {"fp16": (math.log10(65504), -24 * math.log10(2)), "fp32": (math.log10(3.4028235e38), -149 * math.log10(2))}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Depth(Lesson):
    """A gradient that each layer multiplies by a little more or less than 1 explodes or vanishes with the depth.

    On its way back the gradient is multiplied by the derivative of each layer; in a recurrent network by nearly the same
    matrix at every time step. A factor of 1.1 makes 13,781 in a hundred layers, one of 0.9 makes 0.00003 (Bengio, Simard
    and Frasconi, Learning long-term dependencies with gradient descent is difficult, 1994; Pascanu, Mikolov and Bengio,
    2013, section 2).

    What clipping can do
    --------------------
    It bounds the step where gradients explode, which is what it was made for. It multiplies all layers by the same
    factor, so the ratio between the first and the last stays, and it can't bring back what has vanished. Residual
    connections, normalisation, gates and an initialisation that keeps the factor near 1 act on the factor itself.
    """

    gain: float = 1.1
    depth: int = 100
    threshold: float = 1.0

    def worked(self) -> Iterator[tuple[str, str]]:
        require("gain", self.gain)
        require("depth", self.depth, low=1, open_low=False)
        require("threshold", self.threshold)
        digits = self.depth * math.log10(self.gain)
        yield "factor of all layers", self._power(digits)
        if self.gain != 1:
            for kind, (top, bottom) in RANGES.items():
                end = top if self.gain > 1 else bottom
                side = "above" if self.gain > 1 else "below"
                layers = math.floor(end / math.log10(self.gain)) + 1
                yield f"a gradient of 1 is {side} the range of {kind} after", f"{layers:,} layers"
        low, high = 10 ** (-1 / self.depth), 10 ** (1 / self.depth)
        yield f"gain that stays within ten times over {self.depth:,}", f"{low:.4f} to {high:.4f}"
        if digits > math.log10(self.threshold):
            yield (
                f"clipped at {shown(self.threshold)}",
                (
                    f"the last layer gets about {self._power(math.log10(self.threshold) - digits)} and the first"
                    f" {shown(self.threshold)}; the ratio stays"
                ),
            )
        else:
            yield f"clipped at {shown(self.threshold)}", "the deep end gets no more than before: clipping only shortens"

    @staticmethod
    def _power(digits: float) -> str:
        """Ten to this power, also where no float holds it."""
        if abs(digits) < 300:
            return shown(10**digits)
        whole = math.floor(digits)
        return f"{10 ** (digits - whole):.3g}e{whole:+d}"

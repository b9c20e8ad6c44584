"""What clipping does under Adam."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator

from gradlens.explain.lessons.base import Lesson, require, shown

#: Steps are added up one by one; nobody's second moment remembers for longer than this.
MAX_BETA2 = 0.99995


@dataclasses.dataclass(frozen=True, kw_only=True)
class AdamClipping(Lesson):
    """Under Adam clipping doesn't cut the step: it keeps a spike out of the optimizer's memory.

    Adam divides the mean of the gradients by the root of the mean of their squares. Multiply all gradients by the same
    factor, and both change alike: the steps stay as they are (Kingma and Ba, Adam, 2015, section 2.1). So a threshold
    that clips every step to the same norm is not a lower learning rate.

    A single huge gradient is different. The step that it makes is bounded whatever its size, but the second moment
    remembers its square, and divides the steps after it by a number that is too large, for about 1 / (1 - beta2) steps.
    Clipping bounds what is remembered.

    The example has gradients of 1, then one of the size `spike`; the threshold is in the same unit.
    """

    spike: float = 100.0
    threshold: float = 2.0
    beta1: float = 0.9
    beta2: float = 0.999

    def worked(self) -> Iterator[tuple[str, str]]:
        require("spike", self.spike, high=1e12)
        require("threshold", self.threshold)
        require("beta1", self.beta1, high=1.0, open_low=False)
        require("beta2", self.beta2, high=MAX_BETA2)
        yield "usual step, in units of the rate", "1"
        bound = (1 - self.beta1) / math.sqrt(1 - self.beta2)
        yield "largest part one gradient can add to a step", shown(bound)
        for words, size in (
            ("not clipped", self.spike),
            (f"clipped at {shown(self.threshold)}", min(self.spike, self.threshold)),
        ):
            first, smallest, until = self.after(size)
            yield f"{words}: step of the spike", shown(first)
            yield f"{words}: smallest step after it", shown(smallest)
            yield f"{words}: until steps are back above 0.9", f"{until:,} steps"
        yield "all gradients times 0.1", "the same steps, to the last digit but for Adam's epsilon"

    def after(self, size: float) -> tuple[float, float, int]:
        """The step of a spike, the smallest one after it, and how many steps it takes until all are above 0.9."""
        mean, square = 1.0, 1.0
        steps = []
        # The square decays to under a tenth of the usual one within this many steps.
        horizon = math.ceil(math.log(10 * (1 + size * size)) / -math.log(self.beta2)) + 1
        for gradient in (size, *[1.0] * horizon):
            mean = self.beta1 * mean + (1 - self.beta1) * gradient
            square = self.beta2 * square + (1 - self.beta2) * gradient * gradient
            steps.append(mean / math.sqrt(square))
        low = [place for place, step in enumerate(steps) if step < 0.9]
        return steps[0], min(steps[1:]), low[-1] + 1 if low else 0

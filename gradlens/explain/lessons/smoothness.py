"""How long a step may be."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator

from gradlens.explain.lessons.base import Lesson, require, shown

#: Edge of stability of Adam with beta1 = 0.9, in units of 1 / rate.
ADAM_EDGE = 38.0
MOMENTUM = 0.9


@dataclasses.dataclass(frozen=True, kw_only=True)
class Smoothness(Lesson):
    """A step is too long where the learning rate is larger than 2 / L, L being the curvature of the loss.

    On a bowl of curvature L gradient descent multiplies the distance to the minimum by 1 - rate · L at each step. Below
    2 / L the distance shrinks, above it the sides of the bowl throw it higher each time. The bound is that of the descent
    lemma (Nesterov, Lectures on convex optimization, 2018, section 1.2.3). Networks are no bowls: full-batch training
    raises its own sharpness until it is about 2 / rate, and stays there (Cohen and others, Gradient descent on neural
    networks typically occurs at the edge of stability, 2021). With momentum 0.9 the bound is 3.8 / L; for Adam the
    preconditioned curvature has its edge at 38 / rate with beta1 = 0.9 (Cohen and others, Adaptive gradient methods at
    the edge of stability, 2022).

    What clipping can do
    --------------------
    It turns an explosion into a swing: steps are never longer than rate times C, so the loss stays bounded, but it
    doesn't settle either. A run that clips all the time and doesn't improve wants a smaller rate.

    The recorder measures the curvature along the step that was taken: `gradlens explain recorder`.
    """

    curvature: float = 10.0
    rate: float = 0.25
    threshold: float = 1.0
    steps: int = 10

    def worked(self) -> Iterator[tuple[str, str]]:
        for name in ("curvature", "rate", "threshold"):
            require(name, getattr(self, name))
        require("steps", self.steps, low=1, high=1e6, open_low=False)
        product = self.rate * self.curvature
        factor = 1 - product
        yield "rate times curvature", f"{shown(product)}, which must stay below 2"
        yield "largest stable rate, 2 / L", shown(2 / self.curvature)
        yield "the same with momentum 0.9, 2 (1 + 0.9) / L", shown(2 * (1 + MOMENTUM) / self.curvature)
        yield "largest curvature for this rate, 2 / rate", shown(2 / self.rate)
        yield "the same for Adam, 38 / rate, preconditioned", shown(ADAM_EDGE / self.rate)
        yield "distance is multiplied by", f"{shown(factor)} per step"
        digits = 2 * self.steps * math.log10(abs(factor)) if factor else -math.inf
        yield (
            f"loss after {self.steps:,} steps, starting at 1",
            "0" if factor == 0 else f"1e{digits:+.0f}" if abs(digits) > 5 else shown(10**digits),
        )
        longest = self.rate * self.threshold
        if product >= 2:
            yield (
                f"with gradients clipped at {shown(self.threshold)}",
                f"stays within {shown(longest)} of the minimum, and never settles",
            )
        else:
            far = self.threshold / self.curvature
            yield (
                f"with gradients clipped at {shown(self.threshold)}",
                f"walks {shown(longest)} per step until it is within {shown(far)} of the minimum",
            )

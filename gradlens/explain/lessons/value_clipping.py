"""Clipping by value."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator

from gradlens.explain.lessons.base import Lesson, Vector, angle_between, norm_of, require, shown, vector_text


@dataclasses.dataclass(frozen=True, kw_only=True)
class ValueClipping(Lesson):
    """Clipping by value cuts each element of a gradient to between -c and c, and turns the gradient.

    Each element is judged alone: what is larger than c becomes c, what is smaller than -c becomes -c. Large elements
    shrink, small ones stay, so the direction changes (`torch.nn.utils.clip_grad_value_`; Goodfellow, Bengio and
    Courville, Deep Learning, 2016, section 10.11.1, who name Mikolov, 2012).

    What it is
    ----------
    A projection too, onto a cube instead of a ball: of all vectors with elements between -c and c, the clipped one is
    nearest to the gradient. The result still points downhill, as no element changes its sign.

    What it is not
    --------------
    A bound on the length of a step that is worth much: a vector of d elements can still have a norm of c times the root
    of d. With a million elements that is 1,000 c. A threshold for the norm is therefore not one for values.
    """

    vector: Vector = (3.0, 0.4)
    threshold: float = 1.0

    def worked(self) -> Iterator[tuple[str, str]]:
        require("threshold", self.threshold)
        c = self.threshold
        # Written so that NaN stays NaN, as in PyTorch.
        clipped = [value if math.isnan(value) else max(-c, min(c, value)) for value in self.vector]
        cut = sum(abs(value) > c for value in self.vector)
        yield "gradient", vector_text(self.vector)
        yield "clipped", vector_text(clipped)
        yield "elements cut", f"{cut} of {len(self.vector)}"
        yield "norm", f"{shown(norm_of(self.vector))}, after it {shown(norm_of(clipped))}"
        angle = angle_between(self.vector, clipped)
        yield "turned by", f"{shown(angle)} degrees" if math.isfinite(angle) else "not defined"
        yield (
            "largest norm it allows",
            f"{shown(c * math.sqrt(len(self.vector)))} (c times the root of {len(self.vector)})",
        )
        norm = norm_of(self.vector)
        if math.isfinite(norm) and norm > 0:
            by_norm = [min(1.0, c / norm) * value for value in self.vector]
            yield "by norm at the same c", f"{vector_text(by_norm)}, not turned"

"""Clipping by norm."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator

from gradlens.explain.lessons.base import Lesson, Vector, angle_between, norm_of, require, shown, vector_text

#: What PyTorch adds to the norm before it divides (`torch.nn.utils.clip_grad_norm_`).
PYTORCH_EPSILON = 1e-6


@dataclasses.dataclass(frozen=True, kw_only=True)
class NormClipping(Lesson):
    """Clipping by norm shortens a gradient that is longer than C and keeps its direction.

    The norm of a gradient is its length: the root of the sum of the squares of all its elements. If it is larger than
    the threshold C, every element is multiplied by C / norm; otherwise nothing happens (Pascanu, Mikolov and Bengio, On
    the difficulty of training recurrent neural networks, 2013, algorithm 1).

    What it is
    ----------
    A projection: of all vectors with a norm of at most C, the clipped one is nearest to the gradient. Under plain SGD it
    is also a smaller learning rate for this one step.

    What it is not
    --------------
    It doesn't repair a gradient. A NaN stays a NaN, an infinite norm turns the elements into zeros and NaN, and a gradient
    that points the wrong way still does. It isn't a smaller learning rate under Adam either: `gradlens explain
    adam-clipping`.
    """

    vector: Vector = (3.0, 4.0)
    threshold: float = 1.0

    def worked(self) -> Iterator[tuple[str, str]]:
        require("threshold", self.threshold)
        norm = norm_of(self.vector)
        yield "gradient", vector_text(self.vector)
        yield "norm", shown(norm)
        if not math.isfinite(norm):
            factor = self.threshold / norm
            yield "factor C / norm", shown(factor)
            yield "clipped", vector_text([factor * value for value in self.vector])
            yield "verdict", "not finite: clipping cannot save this step, skip it"
            return
        factor = min(1.0, self.threshold / norm) if norm else 1.0
        clipped = [factor * value for value in self.vector]
        yield "factor min(1, C / norm)", shown(factor)
        if factor < 1:
            yield "the same in PyTorch", f"{self.threshold / (norm + PYTORCH_EPSILON):.9g} (it adds 1e-6 to the norm)"
        yield "clipped", vector_text(clipped)
        yield "norm after", shown(norm_of(clipped))
        yield "turned by", f"{shown(angle_between(self.vector, clipped))} degrees" if norm else "nothing"
        yield "distance moved", shown(norm - norm_of(clipped))
        by_value = [max(-self.threshold, min(self.threshold, value)) for value in self.vector]
        yield (
            "by value at the same C",
            f"{vector_text(by_value)}, turned by {shown(angle_between(self.vector, by_value))} degrees"
            if norm
            else "the same",
        )

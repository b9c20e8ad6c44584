"""Weight decay beside clipping."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator

from gradlens.errors import UsageError
from gradlens.explain.lessons.base import Lesson, Vector, norm_of, require, shown, vector_text


@dataclasses.dataclass(frozen=True, kw_only=True)
class WeightDecay(Lesson):
    """A coupled weight penalty is part of the gradient that is measured and clipped; decoupled decay is not.

    Coupled, with an L2 term in the loss: decay times the weights is part of the gradient, and the sum is what is logged,
    clipped and fed to the optimizer. Decoupled, as in AdamW: the weights shrink by rate times decay apart from the
    gradient (Loshchilov and Hutter, Decoupled weight decay regularization, 2019, algorithms 1 and 2).

    Why it matters here
    -------------------
    With the penalty in the loss, large weights make a large norm, whatever the data say: the norm watches the weights,
    and clipping shrinks data and penalty alike, so that the penalty weakens just where clipping is busy. The
    `weight_decay` of PyTorch's SGD and Adam is coupled too, but they add it in their own step, after clipping: it is
    neither in the logged norm nor clipped. Under plain SGD without clipping all of them make the same step.
    """

    vector: Vector = (0.3, -0.4)
    weights: Vector = (30.0, 40.0)
    rate: float = 0.1
    decay: float = 0.05
    threshold: float = 1.0

    def worked(self) -> Iterator[tuple[str, str]]:
        if len(self.vector) != len(self.weights):
            raise UsageError(
                f"--weights has {len(self.weights)} elements and --vector {len(self.vector)}", hint="give as many"
            )
        for name in ("rate", "decay", "threshold"):
            require(name, getattr(self, name))
        penalty = [self.decay * weight for weight in self.weights]
        total = [g + p for g, p in zip(self.vector, penalty, strict=True)]
        norm, data = norm_of(total), norm_of(self.vector)
        cut = min(1.0, self.threshold / norm) if norm else 1.0
        cut_data = min(1.0, self.threshold / data) if data else 1.0
        yield "norm of the data gradient", shown(data)
        yield "norm of the penalty, decay times weights", shown(norm_of(penalty))
        yield "norm of both, which a penalty in the loss makes", shown(norm)
        yield (
            "share of the data in it",
            f"{shown(data / norm)}{'; below 0.7 the norm says little of the data' if data < 0.7 * norm else ''}"
            if norm
            else "–",
        )
        yield "clipping factor, penalty in the loss", f"{shown(cut)}, so the decay acts like {shown(cut * self.decay)}"
        yield "clipping factor, decoupled", f"{shown(cut_data)}, and the decay stays {shown(self.decay)}"
        yield (
            "weights after, penalty in the loss",
            vector_text([w - self.rate * cut * g for w, g in zip(self.weights, total, strict=True)]),
        )
        yield (
            "weights after, decoupled, SGD",
            vector_text(
                [w - self.rate * (cut_data * g + p) for w, g, p in zip(self.weights, self.vector, penalty, strict=True)]
            ),
        )
        shrink = self.rate * self.decay
        halved = (
            f"{math.log(2) / -math.log1p(-shrink):,.0f} steps"
            if shrink < 1
            else "at once: rate times decay is 1 or more"
        )
        yield "without a gradient the weights halve in", halved

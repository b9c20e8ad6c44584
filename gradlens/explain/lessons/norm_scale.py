"""What the size of a norm depends on beside the gradient."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator

from gradlens.explain.lessons.base import Lesson, require, shown


@dataclasses.dataclass(frozen=True, kw_only=True)
class NormScale(Lesson):
    """The same training shows different norms where gradients are summed, averaged or split in another way.

    A norm is a length, so it takes on every factor that the gradient has. A loss summed over N tokens has N times the
    gradient of its mean. Gradients of k micro-batches that are added and not averaged are k times as large. If each of W
    ranks holds a part of the gradient, the norm of one part is about 1 / root of W of the whole; squares must be added up
    over the ranks before the root is taken. Batch noise falls with the root of the batch: with a batch of B examples the
    noise of the gradient has 1 / root of B the length that it has with one example.

    What to check
    -------------
    A threshold belongs to one way of counting. If norms of two set-ups differ by exactly k, W, or the root of W at the
    same loss, the set-ups don't differ, but the bookkeeping does. `gradlens compare` looks for such factors.
    """

    threshold: float = 1.0
    accumulation: int = 8
    ranks: int = 4

    def worked(self) -> Iterator[tuple[str, str]]:
        require("threshold", self.threshold)
        require("accumulation", self.accumulation, low=1, open_low=False)
        require("ranks", self.ranks, low=1, open_low=False)
        k, ranks, c = self.accumulation, self.ranks, self.threshold
        yield (
            "micro-batches added, not averaged",
            f"norms {k:,} times as large; C = {shown(c)} acts like {shown(c / k)}",
        )
        yield (
            "ranks that hold a part each",
            (
                f"one part shows about {shown(1 / math.sqrt(ranks))} of the norm;"
                f" C = {shown(c)} on it acts like {shown(c * math.sqrt(ranks))}"
            ),
        )
        yield (
            "ranks added, not averaged",
            f"norms {ranks:,} times as large; C = {shown(c)} acts like {shown(c / ranks)}",
        )
        yield (
            "both added, not averaged",
            f"norms {k * ranks:,} times as large; C = {shown(c)} acts like {shown(c / k / ranks)}",
        )
        yield (
            f"batch {k * ranks:,} times as large, averaged",
            f"noise of the gradient {shown(1 / math.sqrt(k * ranks))} of before",
        )

"""How often a gradient is far longer than usual."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator

from gradlens.explain.lessons.base import Lesson, require, shown


@dataclasses.dataclass(frozen=True, kw_only=True)
class HeavyTails(Lesson):
    """If gradients were Gaussian noise, norms of twice the usual size would never be seen; in real runs they are.

    The norm of a Gaussian vector of d elements hardly varies: its standard deviation is 1 / root of (2 d) of its mean,
    2 % for a thousand elements. Its square follows the chi-square distribution with d degrees of freedom, so the share
    of steps above any threshold is known. If instead the scale of the noise changes from step to step, as it does where
    some batches are harder than others, long gradients come often. The example's other side is Gaussian noise whose
    scale varies so that the whole is Student's t with `tail` degrees of freedom: the smaller, the heavier. Heavy
    tails are the case for which clipped SGD is proven to converge where plain SGD may not (Zhang and others, Why are
    adaptive methods good for attention models?, 2020).

    What to make of it
    ------------------
    A threshold at twice the usual norm costs nothing in a Gaussian run and catches real spikes in a heavy-tailed one.
    Beware of drift: norms that merely shrink during the run look heavy-tailed too, until the level is taken out.

    `threshold` is in units of the usual norm, root of d times the spread of one element.
    """

    dimension: float = 1000.0
    threshold: float = 2.0
    tail: float = 4.0

    def worked(self) -> Iterator[tuple[str, str]]:
        import numpy as np

        from gradlens.stats.gammafn import gamma_survival

        for name in ("dimension", "threshold", "tail"):
            require(name, getattr(self, name))
        d, c, nu = self.dimension, self.threshold, self.tail
        gaussian = float(gamma_survival(d / 2, np.array([d * c * c / 2]))[0])
        # With many elements the norm of Student's t is that of its scale: the root of nu over a chi-square of nu.
        heavy = 1 - float(gamma_survival(nu / 2, np.array([nu / (2 * c * c)]))[0])
        yield "spread of a Gaussian norm", f"{100 / math.sqrt(2 * d):.3g} % of its mean"
        yield f"Gaussian: share of steps above {shown(c)} times the usual", _share(gaussian)
        yield f"Student's t with {shown(nu)}: share of such steps", _share(heavy)
        yield "of 10,000 steps", f"{10_000 * gaussian:.3g} against {10_000 * heavy:.3g}"


def _share(share: float) -> str:
    if share < 1e-15:
        return "below 1e-15: never"
    return f"{share:.3g}, one in {1 / share:,.3g}" if share < 0.01 else f"{100 * share:.3g} %"

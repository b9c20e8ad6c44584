"""What a page draws of a run: beside the report, and not part of its JSON document."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from gradlens.frozen import frozen

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

#: Marks a field of a report that its JSON document and its schema leave out.
BESIDE: Mapping[str, Any] = MappingProxyType({"beside": True})


@frozen(eq=False)
class Trace:
    """One quantity: logged values at their steps, in order of step.

    Attributes
    ----------
    name
        The quantity (`loss`, `val_loss`, `grad_norm`, `lr`, ...).
    step, value
        int64[k] and float64[k], finite: all values, or of a long run the lowest and highest of every stretch.
    rows
        How many finite values the log has; more than `k` where the trace is thinned.
    stretch
        The rows of which the lowest and the highest were kept; 1 where all were.
    nonfinite
        int64[m]: the steps at which a NaN or an infinity was logged, the first 500 of them.
    """

    name: str
    step: NDArray[np.int64]
    value: NDArray[np.float64]
    rows: int
    stretch: int = 1
    nonfinite: NDArray[np.int64]


@frozen
class Resumed:
    """The log went back: from `reached` to `step`; `fresh` where a training from scratch begins there."""

    step: int
    reached: int
    fresh: bool


@frozen(eq=False)
class LayerMap:
    """Norms of layers over the run.

    Attributes
    ----------
    names
        As logged, in that order.
    edge
        float64[k+1]: the steps at which stretches begin and end.
    value
        float64[layers, k]: the largest finite norm of each stretch, infinity where one is not finite, NaN where none was logged.
    left_out
        Layers that are not drawn: those whose norm changes least.
    """

    names: tuple[str, ...]
    edge: NDArray[np.float64]
    value: NDArray[np.float64]
    left_out: int = 0


@frozen(eq=False)
class Exceedance:
    """The share of norms, each divided by its local level, that is larger than a value; measured, and by what was fitted.

    `value` and `share` are float64[k], rising and falling; `fits` has for each fitted family (`pareto_tail` among them) its
    share at the values of `grid`, float64[m], NaN where it says nothing.
    """

    value: NDArray[np.float64]
    share: NDArray[np.float64]
    n: int
    grid: NDArray[np.float64]
    fits: Mapping[str, NDArray[np.float64]] = field(default_factory=lambda: MappingProxyType({}))


@frozen(eq=False)
class WhatIfCurve:
    """What a fixed threshold would have done to the finite norms of the run: float64[k] each, thresholds rising."""

    threshold: NDArray[np.float64]
    clip_rate: NDArray[np.float64]
    shrink_factor: NDArray[np.float64]


@frozen(eq=False)
class Picture:
    """Everything that can be drawn of one run."""

    traces: tuple[Trace, ...]
    resumed: tuple[Resumed, ...] = ()
    layers: LayerMap | None = None
    exceedance: Exceedance | None = None
    what_if: WhatIfCurve | None = None

    def trace(self, name: str) -> Trace | None:
        """The trace of a quantity, None where it was not logged."""
        return next((trace for trace in self.traces if trace.name == name), None)


@frozen(eq=False)
class RunCurves:
    """The traces of one of several runs that are drawn on one axis."""

    run: str
    role: str
    traces: tuple[Trace, ...]


@frozen(eq=False)
class SidePicture:
    """Runs on one step axis, and what they differ by: `differences` are those of each run against the first."""

    runs: tuple[RunCurves, ...]
    differences: tuple[RunCurves, ...] = ()

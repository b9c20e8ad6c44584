"""Histograms of gradients with elements that fp16 cannot hold."""

from __future__ import annotations

import numpy as np

from gradlens.diagnosis.facts.base import Fact
from gradlens.diagnosis.measured import Measured
from gradlens.reports.analysis import Evidence
from gradlens.reports.base import Severity
from gradlens.run import HistogramSeries
from gradlens.stats.histograms import share_beyond

#: The largest number of fp16.
FP16_MAX = 65504.0


def find(measured: Measured) -> tuple[Fact, ...]:
    """One fact where gradients reach beyond the range of fp16: a warning in a run that uses it, a note elsewhere.

    Of the buckets that lie beyond it as a whole, so that a wide bucket at the edge proves nothing.
    """
    found = [h for name, h in measured.run.histograms.items() if "grad" in name.lower()]
    first = min((step for h in found if (step := _first_beyond(h)) is not None), default=None)
    if first is None:
        return ()
    share = share_beyond((pair for h in found for pair in zip(h.limits, h.counts, strict=True)), FP16_MAX) or 0.0
    half = _uses_fp16(measured)
    hint = "" if half else "; harmless in bfloat16 and float32, an overflow in fp16"
    return (
        Fact(
            code="GL408",
            severity=Severity.WARNING if half else Severity.NOTE,
            cause="fp16_overflow" if half else None,
            confidence=0.7,
            message=f"elements of gradients beyond 65,504, the largest number of fp16, from step {first:,} on "
            f"({100 * share:.2g} % of all logged elements){hint}",
            advice="use bfloat16, or let a loss scaler lower the scale until no element overflows",
            steps=(first,),
            evidence=(Evidence(label="share of elements beyond fp16", value=share, threshold=0.0, n=len(found)),),
        ),
    )


def _first_beyond(histogram: HistogramSeries) -> int | None:
    """The first step with an element that is certainly beyond fp16."""
    for step, edges, counts in zip(histogram.step, histogram.limits, histogram.counts, strict=True):
        outside = (edges[:-1] >= FP16_MAX) | (edges[1:] <= -FP16_MAX)
        if np.asarray(counts)[outside].any():
            return int(step)
    return None


def _uses_fp16(measured: Measured) -> bool:
    """Whether the run is known to compute in fp16: by its configuration, or by a loss scale that is logged."""
    precision = (measured.config.precision or "").lower()
    if precision:
        return "16" in precision and "bf" not in precision and "bfloat" not in precision
    return measured.has("loss_scale")

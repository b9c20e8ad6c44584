"""Signs in the threshold."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradlens.diagnosis.signs.base import Ramp, share, sign, times
from gradlens.diagnosis.signs.events import burst, damage_after_shock, isolated_events

if TYPE_CHECKING:
    from gradlens.diagnosis.measured import Measured


@sign("most steps after the warm-up are clipped: {rate} or more")
def mostly_clipped(measured: Measured, *, rate: Ramp = share(0.35, 0.6)) -> float:
    """Counted where the threshold is known and the norms are those before clipping."""
    return 0.0 if measured.clipped is None else rate(measured.clipped.rate)


@sign("nearly all steps after the warm-up are clipped: {rate} or more")
def always_clipped(measured: Measured, *, rate: Ramp = share(0.75, 0.95)) -> float:
    """Counted where the threshold is known and the norms are those before clipping."""
    return 0.0 if measured.clipped is None else rate(measured.clipped.rate)


@sign("the threshold lies far above the norms: {headroom} times the median or more")
def threshold_out_of_reach(
    measured: Measured, *, headroom: Ramp = times(8.0, 14.0), reach: Ramp = share(0.02, 0.004)
) -> float:
    """It is reached by no more than {reach} of the steps."""
    c = measured.clipped
    return 0.0 if c is None else headroom(c.headroom) * reach(c.reach)


@sign("spikes pass unclipped because the threshold is never reached")
def spikes_go_through(measured: Measured, *, damage_counts: float = 0.8) -> float:
    """Rows or bursts that stand out in loss and norm together; damage after a shock counts {damage_counts} of its grade."""
    return threshold_out_of_reach(measured) * max(
        isolated_events(measured), burst(measured), damage_counts * damage_after_shock(measured)
    )

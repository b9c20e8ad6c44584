"""Signs in the numbers: overflow, loss scale, NaN."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradlens.diagnosis.signs.base import ramp, sign

if TYPE_CHECKING:
    from gradlens.diagnosis.measured import Measured


@sign("norms overflow again and again while the loss stays finite")
def overflows(measured: Measured) -> float:
    """Share of such rows after the first 5 %: healthy runs calibrate their scale before."""
    if measured.numerics.overflow_count < 3:
        return 0.0
    return ramp(measured.numerics.overflow_share, 0.008, 0.02)


@sign("the loss scale falls by orders of magnitude without coming back")
def scale_collapses(measured: Measured) -> float:
    """Ten halvings from its highest value, and ends below 16."""
    x = measured.numerics
    return ramp(x.scale_fall, 7.0, 11.0) * ramp(x.last_scale, 64.0, 4.0)


@sign("the log ends in norms of exactly 0, or a long row of NaN came before them")
def zeros_after_nan(measured: Measured) -> float:
    """What a collapsed loss scale leaves where the scale is not logged."""
    x = measured.numerics
    return float(x.zero_tail and x.longest_streak >= 8 and not measured.provenance.placeholder)


@sign("loss or norm ends in NaN or infinity")
def ends_nonfinite(measured: Measured) -> float:
    """At least the last three logged values."""
    return float(measured.numerics.dead_from is not None)


@sign("the run dies within its first twentieth")
def dies_at_once(measured: Measured) -> float:
    """Dead from the start: the initialisation or the first rates."""
    dead = measured.numerics.dead_from
    return 0.0 if dead is None else ramp(dead / max(len(measured), 1), 0.10, 0.05)


@sign("the norm grows exponentially over the last rows before the run dies")
def grows_before_death(measured: Measured) -> float:
    """Last finite norm at least ten times the level before, rising row by row."""
    if measured.numerics.dead_from is None:
        return 0.0
    if measured.norms is None:
        return 0.5
    return ramp(measured.norms.last_rise, 1.5, 3.0)

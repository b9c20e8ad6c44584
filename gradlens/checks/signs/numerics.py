"""Signs in the numbers: overflow, loss scale, NaN."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradlens.checks.signs.base import ramp, sign

if TYPE_CHECKING:
    from gradlens.checks.case import Case


@sign("norms overflow again and again while the loss stays finite")
def overflows(case: Case) -> float:
    """Share of such rows after the first 5 %: healthy runs calibrate their scale before."""
    if case.numerics.overflow_count < 3:
        return 0.0
    return ramp(case.numerics.overflow_share, 0.008, 0.02)


@sign("the loss scale falls by orders of magnitude without coming back")
def scale_collapses(case: Case) -> float:
    """Ten halvings from its highest value, and ends below 16."""
    x = case.numerics
    return ramp(x.scale_fall, 7.0, 11.0) * ramp(x.last_scale, 64.0, 4.0)


@sign("the log ends in norms of exactly 0, or a long row of NaN came before them")
def zeros_after_nan(case: Case) -> float:
    """What a collapsed loss scale leaves where the scale is not logged."""
    x = case.numerics
    return float(x.zero_tail and x.longest_streak >= 8 and not case.provenance.placeholder)


@sign("loss or norm ends in NaN or infinity")
def ends_nonfinite(case: Case) -> float:
    """At least the last three logged values."""
    return float(case.numerics.dead_from is not None)


@sign("the run dies within its first twentieth")
def dies_at_once(case: Case) -> float:
    """Dead from the start: the initialisation or the first rates."""
    dead = case.numerics.dead_from
    return 0.0 if dead is None else ramp(dead / max(len(case), 1), 0.10, 0.05)


@sign("the norm grows exponentially over the last rows before the run dies")
def grows_before_death(case: Case) -> float:
    """Last finite norm at least ten times the level before, rising row by row."""
    if case.numerics.dead_from is None:
        return 0.0
    if case.norms is None:
        return 0.5
    return ramp(case.norms.last_rise, 1.5, 3.0)

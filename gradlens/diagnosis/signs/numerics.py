"""Signs in the numbers: overflow, loss scale, NaN."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradlens.diagnosis.signs.base import Ramp, share, sign

if TYPE_CHECKING:
    from gradlens.diagnosis.measured import Measured


@sign("norms overflow again and again while the loss stays finite: in {rows} of the rows or more")
def overflows(measured: Measured, *, rows: Ramp = share(0.008, 0.02), min_rows: int = 3) -> float:
    """At least {min_rows} such rows, after the first twentieth of the run: healthy runs calibrate their loss scale before."""
    if measured.numerics.overflow_count < min_rows:
        return 0.0
    return rows(measured.numerics.overflow_share)


@sign("the loss scale falls by orders of magnitude without coming back", any_length=True)
def scale_collapses(
    measured: Measured, *, halvings: Ramp = Ramp(7.0, 11.0), ends_below: Ramp = Ramp(64.0, 4.0)
) -> float:
    """By {halvings} halvings from its highest value, to an end below {ends_below}."""
    x = measured.numerics
    return halvings(x.scale_fall) * ends_below(x.last_scale)


@sign("the log ends in norms of exactly 0, and a long run of NaNs precedes them", any_length=True)
def zeros_after_nan(measured: Measured, *, streak: int = 8) -> float:
    """At least {streak} values in a row were not finite: what a collapsed loss scale leaves where the scale is not logged."""
    x = measured.numerics
    return float(x.zero_tail and x.longest_streak >= streak and not measured.provenance.placeholder)


@sign("loss or norm ends in NaN or infinity", any_length=True)
def ends_nonfinite(measured: Measured) -> float:
    """From some row to the end, and not in the last row or two alone."""
    return float(measured.numerics.dead_from is not None)


@sign("loss or norm turns NaN or infinite for good within the first {part} of the rows")
def dies_at_once(measured: Measured, *, part: Ramp = share(0.10, 0.05)) -> float:
    """Dead from the start: the initialisation or the first rates."""
    dead = measured.numerics.dead_from
    return 0.0 if dead is None else part(dead / max(len(measured), 1))


@sign("the norm grows exponentially over the last rows before the run turns NaN or infinite")
def grows_before_death(measured: Measured, *, rise: Ramp = Ramp(1.5, 3.0, "ln"), unknown: float = 0.5) -> float:
    """The last finite norms lie {rise} times above the level before; {unknown} where too few norms are finite to tell."""
    if measured.numerics.dead_from is None:
        return 0.0
    if measured.norms is None:
        return unknown
    return rise(measured.norms.last_rise)

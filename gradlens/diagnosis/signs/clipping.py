"""Signs in the threshold."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gradlens.diagnosis.signs.base import ramp, sign
from gradlens.diagnosis.signs.events import burst, damage_after_shock, isolated_events

if TYPE_CHECKING:
    from gradlens.diagnosis.measured import Measured


@sign("most steps after the warm-up are clipped")
def mostly_clipped(measured: Measured) -> float:
    """Between 35 and 60 % of them."""
    return 0.0 if measured.clipped is None else ramp(measured.clipped.rate, 0.35, 0.6)


@sign("nearly all steps are clipped")
def always_clipped(measured: Measured) -> float:
    """Between 75 and 95 % of the steps after the warm-up."""
    return 0.0 if measured.clipped is None else ramp(measured.clipped.rate, 0.75, 0.95)


@sign("the threshold lies far above the norms")
def threshold_out_of_reach(measured: Measured) -> float:
    """8 to 15 times the median norm, and reached by almost no step."""
    c = measured.clipped
    return 0.0 if c is None else ramp(c.headroom, np.log(8.0), np.log(14.0)) * ramp(c.reach, 0.02, 0.004)


@sign("spikes go through below a threshold that is out of reach")
def spikes_go_through(measured: Measured) -> float:
    """Joint events together with such a threshold."""
    return threshold_out_of_reach(measured) * max(
        isolated_events(measured), burst(measured), 0.8 * damage_after_shock(measured)
    )

"""What an event holds, whoever parsed it: by place (`places.py`) or with TensorBoard's own classes (`messages.py`)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class Scalar(NamedTuple):
    """One number of an event: where it stands (`offset`, `dtype`), or offset -1 where it has no fixed place."""

    tag: str
    value: float
    offset: int = -1
    dtype: str = ""


class Histogram(NamedTuple):
    """One histogram of an event: float64[k+1] edges and float64[k] counts."""

    tag: str
    limits: Floats
    counts: Floats


@dataclass(slots=True)
class Event:
    """What an event holds of use here; offsets are -1 where a field is absent."""

    wall_time: float = 0.0
    wall_offset: int = -1
    step: int = 0
    step_offset: int = -1
    step_width: int = 0
    scalars: list[Scalar] = field(default_factory=list)
    histograms: list[Histogram] = field(default_factory=list)
    config: dict[str, Any] = field(default_factory=dict)
    #: Holds nothing but wall time, step and scalars, each once and at a fixed place.
    is_plain: bool = True
    #: Holds something of use that has no fixed place: `messages.py` has to parse it.
    is_irregular: bool = False


class Plugins(dict[str, str]):
    """Which plug-in a tag belongs to: the writers say it with the first value of a tag only."""

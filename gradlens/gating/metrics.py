"""The metrics of the gate by name: how each is measured, what it weighs, and what to do when it is red."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Literal

from gradlens.frozen import frozen
from gradlens.gating.measures import (
    Measured,
    Sides,
    Unmeasured,
    clip_rate,
    events,
    loss,
    norm_level,
    norm_spread,
    norm_tail,
    spikes,
)
from gradlens.gating.settings import Tolerance
from gradlens.stats.comparison import Difference

Unit = Literal["share", "ratio", "loss", "per_1000", "count"]


@frozen
class Metric:
    """One metric.

    `both_ways` means that a fall is as bad as a rise; `needs` is the count that must not be zero; `weight` is its share of
    the gate's false-alarm budget.
    """

    name: str
    title: str
    unit: Unit
    needs: Literal["norms", "losses", "rows"]
    measure: Callable[[Sides, Tolerance], Measured | Unmeasured]
    advice: str
    both_ways: bool = False
    weight: float = 1.0

    def p_value(self, found: Difference) -> float:
        """The p-value of "this did not get worse"."""
        return found.p_two_sided if self.both_ways else found.p_higher


#: The clip rate gets half of the false alarms, the other eight metrics the rest. Our own choice: it is the rarest event
#: among them, so it needs the level most.
CLIP_WEIGHT = 8.0


METRICS: Mapping[str, Metric] = MappingProxyType(
    {
        metric.name: metric
        for metric in (
            Metric(
                name="clip_rate", title="clip rate", unit="share", needs="norms", measure=clip_rate, weight=CLIP_WEIGHT,
                advice="More steps are cut at the same threshold: look for a higher learning rate, a smaller batch or new "
                "data, then at the loss before loosening the threshold.",
            ),
            Metric(
                name="final_loss", title="final loss", unit="loss", needs="losses",
                measure=lambda s, t: loss(s, t, final=True),
                advice="The run ends worse over the same steps: bisect the change, and run `gradlens analyze` on the candidate "
                "for the likely cause.",
            ),
            Metric(
                name="loss", title="loss over the run", unit="loss", needs="losses",
                measure=lambda s, t: loss(s, t, final=False),
                advice="The run learns slower over the same steps: compare learning rate, warm-up and threshold.",
            ),
            Metric(
                name="norm_level", title="norm level", unit="ratio", needs="norms", measure=norm_level, both_ways=True,
                advice="The norm is on another scale: `gradlens compare` tells sharding and accumulation errors by their "
                "factor (k, sqrt k, 1/sqrt k).",
            ),
            Metric(
                name="norm_spread", title="norm spread", unit="ratio", needs="norms", measure=norm_spread, both_ways=True,
                advice="The noise of the norm changed: look for another batch size, data order or weight penalty.",
            ),
            Metric(
                name="norm_tail", title="norm tail", unit="ratio", needs="norms", measure=norm_tail,
                advice="The largest norms lie further above their level: look at the batches of the listed steps.",
            ),
            Metric(
                name="loss_spikes", title="loss spikes", unit="per_1000", needs="losses",
                measure=lambda s, t: spikes(s, t, "loss_spikes"),
                advice="Look at the batches of the spikes, then at the learning rate.",
            ),
            Metric(
                name="norm_spikes", title="norm spikes", unit="per_1000", needs="norms",
                measure=lambda s, t: spikes(s, t, "norm_spikes"),
                advice="Look at the batches of the spikes, then at the learning rate.",
            ),
            Metric(
                name="overflow", title="skipped overflows", unit="share", needs="norms",
                measure=lambda s, t: events(s, t, "overflow", per=1.0),
                advice="The loss scale backs off more often: check its growth interval, or train in bf16.",
            ),
        )
    }
)  # fmt: skip

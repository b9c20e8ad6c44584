"""The last batch of an epoch, which holds what is left of the data and so is smaller than the others.

A loader that keeps it (`drop_last=False`, the default) gives one row in each epoch a mean over a handful of examples: its loss and norm
scatter far more than those of the other rows, to both sides. What stands out there is no batch of bad data, which would cost more in
every epoch, nor one that the next epoch does not bring back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gradlens.diagnosis.facts.base import OF_BATCHES, Fact
from gradlens.diagnosis.measured import Measured
from gradlens.reports.analysis import Evidence
from gradlens.reports.base import Severity

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from gradlens.diagnosis.features.curves import Curve

#: Rows of an epoch, and epochs, from which the rows of one place in it can be compared with the others; rows of the longest that is
#: tried: more would take as long as all the rest of an analysis.
MIN_ROWS, MIN_EPOCHS, MAX_ROWS = 5, 8, 1000
#: How many times the usual scatter of loss and norm together that of the last batches is. A batch of a tenth of the examples has 3.2.
#: Our own choice.
MIN_SCATTER = 2.5
#: Deviations of their own scatter that the last batches may lie to one side.
MAX_SHIFT = 1.0
#: Rows after the last batch in which its update may still show, and the share of all rows that stand out which must be such.
AFTERMATH, MIN_BESIDE = 2, 0.75
#: Share of the largest scatter of a place that nearly is it.
NEARLY = 0.6
#: Times that by which other rows of its place stand out, up to which a row that follows a last batch is one of many.
MAX_ALONE = 3.0


def find(measured: Measured) -> tuple[Fact, ...]:
    """A note where nearly all rows in which loss and norm stand out are last batches of an epoch, or follow one at once."""
    events = (*measured.events, *measured.bursts)
    if not events:
        return ()
    strongest = max(events, key=lambda event: event.strength).first
    found = last_batches(measured, strongest, [event.first for event in events])
    if found is None:
        return ()
    s = measured.signals
    rows, times = found
    return (
        Fact(
            code="GL301",
            severity=Severity.NOTE,
            message=f"every {rows} rows loss and norm scatter {times:.2g} times as much as usual, so at step {s.step[strongest]:,}: the "
            "last batch of an epoch is smaller than the others",
            advice="drop it (drop_last=True), or weigh it by its examples",
            rules_out=OF_BATCHES,
            steps=tuple(int(s.step[event.first]) for event in events[:8]),
            evidence=(
                Evidence(label="scatter of the last batches over the usual one", value=times, threshold=MIN_SCATTER),
            ),
        ),
    )


def last_batches(measured: Measured, strongest: int, begins: Sequence[int]) -> tuple[int, float] | None:
    """The rows of an epoch at whose end events stand, and how much more its last batches scatter; None where they stand elsewhere.

    Parameters
    ----------
    strongest
        The first row of the strongest event: the last batch itself, or the one after its update, which it may have thrown off.
    begins
        The first rows of all events.
    """
    if not measured.has("steps") or not measured.loss.logarithmic:
        return None
    scatter = deviation(measured.loss) + deviation(measured.norm)
    usual = float(np.nanmedian(scatter)) if np.isfinite(scatter).any() else 0.0
    if not usual > 0:
        return None
    lengths = range(MIN_ROWS, min(len(scatter) // MIN_EPOCHS, MAX_ROWS) + 1)
    for place in (strongest, strongest - 1):
        times, rows = _epoch(scatter / usual, place, lengths)
        beside = np.mean([(row - place) % rows in {rows - 1, *range(AFTERMATH + 1)} for row in begins])
        if place < 0 or times < MIN_SCATTER or beside < MIN_BESIDE or _one_sided(measured.loss, rows, place):
            continue
        # What such a batch throws off, others throw off, too.
        if place == strongest or _comes_again(scatter, rows, strongest):
            return rows, times
    return None


def deviation(curve: Curve) -> NDArray[np.float64]:
    """float64[n]: how far each value lies from the level around it, in usual distances; NaN where it is not finite."""
    away = np.abs(curve.value - curve.level)
    usual = float(np.nanmedian(away)) if np.isfinite(away).any() else 0.0
    return away / usual if usual > 0 else np.full(len(away), np.nan)


def _scatter_at(scatter: NDArray[np.float64], rows: int, first: int) -> float:
    """The median scatter of the rows of one place in epochs of that many rows, without the event's own; 0 where these are too few."""
    place = scatter[first % rows :: rows]
    place = np.delete(place, first // rows)
    place = place[np.isfinite(place)]
    return float(np.median(place)) if len(place) >= MIN_EPOCHS - 1 else 0.0


def _epoch(scatter: NDArray[np.float64], place: int, lengths: range) -> tuple[float, int]:
    """How much more the rows of one place scatter, and the rows of an epoch: the fewest of those that show it nearly best.

    Multiples of an epoch show it as well, and by fewer rows, so that chance may prefer one of them.
    """
    times = [(_scatter_at(scatter, rows, place), rows) for rows in lengths]
    best = max(times, default=(0.0, MIN_ROWS))[0]
    return next(((found, rows) for found, rows in times if found >= NEARLY * best), (0.0, MIN_ROWS))


def _comes_again(scatter: NDArray[np.float64], rows: int, row: int) -> bool:
    """Whether what stands out at a row is no more than some times what stands out at the same place of two other epochs."""
    others = np.sort(np.delete(scatter[row % rows :: rows], row // rows))
    others = others[np.isfinite(others)]
    return len(others) > 1 and bool(others[-2] * MAX_ALONE >= scatter[row])


def _one_sided(curve: Curve, rows: int, first: int) -> bool:
    """Whether the losses of that place are all high: a batch that is bad in each epoch."""
    away = (curve.value - curve.level)[first % rows :: rows]
    away = away[np.isfinite(away)]
    size = float(np.median(np.abs(away)))
    return len(away) == 0 or float(np.median(away)) > MAX_SHIFT * 0.5 * size

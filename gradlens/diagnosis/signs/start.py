"""Signs in the first updates."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gradlens.diagnosis.features.curves import neighbour_noise
from gradlens.diagnosis.features.norms import first_rows
from gradlens.diagnosis.features.progress import start_noise
from gradlens.diagnosis.signs.base import falls_beyond_loss, ramp, sign
from gradlens.diagnosis.signs.course import (
    climbs_at_high_rate,
    early_descent_lost,
    gradients_grow,
    never_learned,
    start_is_seen,
    stays_raised,
)

if TYPE_CHECKING:
    from gradlens.diagnosis.measured import Measured


@sign("the loss never came down, after a violent start")
def thrown_off(measured: Measured) -> float:
    """It overshot at once, rose above its start, lost what it had learned, or began with norms far above the later ones."""
    p = measured.progress
    violent = max(overshoots_at_once(measured), early_descent_lost(measured))
    violent = max(violent, 0.0 if p is None else ramp(p.above_start, 0.5, 2.0))
    if measured.norms is not None:
        # Where nothing is learned, less of a blow tells the same.
        blow = ramp(measured.norms.blown_up, np.log(2.2), np.log(4.0)) * first_loss_rise(measured)
        violent = max(violent, blow, ramp(measured.norms.start_over_rest, 1.9, 2.8))
    return never_learned(measured) * violent * (1.0 - gradients_grow(measured))


@sign("the rate starts at its peak")
def starts_at_peak(measured: Measured) -> float:
    """No warm-up at all, by the rate or by the configuration."""
    if measured.schedule.known:
        return float(measured.schedule.starts_high)
    return float(measured.config.warmup_steps == 0)


@sign("the loss rises above its start within the first rows")
def early_rise(measured: Measured) -> float:
    """In the first 6 % of the rows, the median of five against the first three rows, over the descent."""
    p = measured.progress
    value = measured.signals.loss[np.isfinite(measured.signals.loss)]
    early = value[: max(len(measured) // 16, 12)]
    if p is None or len(early) < 8 or not measured.signals.from_the_start:
        return 0.0
    span = max(p.start - p.best, 1e-300)
    table = np.lib.stride_tricks.sliding_window_view(early, 5)
    first = float(np.median(early[:2]))
    return ramp((float(np.median(table, axis=1).max()) - first) / span, 0.05, 0.4)


@sign("the first updates throw the loss far above its start")
def overshoots_at_once(measured: Measured) -> float:
    """A single row of the first ten, or of the first 1.5 %, above the first one by a fifth to the whole descent.

    It must also stand by a fifth to the double above everything in the rest of the first half, and two and a half to five deviations
    of the noise of these rows above the first one, since noisy losses jump about all the time.
    """
    p = measured.progress
    value = measured.signals.loss[np.isfinite(measured.signals.loss)]
    early = value[: max(10, len(value) // 64)]
    if p is None or len(early) < 8 or not measured.signals.from_the_start:
        return 0.0
    span = max(p.start - p.best, 1e-300)
    noise = neighbour_noise(value[: 8 * len(early)])
    top = float(early[1:].max())
    apart = 1.0
    if value[: 8 * len(early)].min() > 0:
        relative = start_noise(value[: 8 * len(early)], len(early) // 2)
        apart = ramp(float(np.log(top / early[0])) / max(relative, 1e-9), 2.5, 5.0)
    following = value[len(early) : max(len(value) // 2, len(early) + 20)]
    if not len(following):
        return 0.0
    best = float(following.max())
    unmatched = ramp(np.log(top / best), 0.2, 0.7) if best > 0 else ramp((top - best) / span, 0.1, 0.5)
    return (
        ramp((top - float(early[0]) - 4.0 * noise) / span, 0.15, 0.7)
        * unmatched
        * apart
        * _early_norm_unmatched(measured)
    )


def _early_norm_unmatched(measured: Measured) -> float:
    """Whether the highest norm of the first rows is above all of the rest of the first half; 1 where none is logged."""
    norm = measured.finite_norm
    early, following = norm[: max(10, len(norm) // 64)], norm[max(10, len(norm) // 64) : max(len(norm) // 2, 30)]
    if len(early) == 0 or len(following) == 0 or not following.max() > 0 or not early.max() > 0:
        return 1.0
    return ramp(float(np.log(early.max() / following.max())), -0.2, 0.3)


@sign("the rate starts at its peak and the first updates overshoot")
def overshoot_without_warmup(measured: Measured) -> float:
    """The first updates at the full rate."""
    return starts_at_peak(measured) * overshoots_at_once(measured)


@sign("the rate starts at its peak and the first rows are rough")
def rough_start_without_warmup(measured: Measured) -> float:
    """Loss above its start, or norms far above the later ones, within the first rows."""
    rough = early_rise(measured)
    if measured.norms is not None:
        rough = max(rough, ramp(measured.norms.start_over_rest, 0.8, 1.8))
    return starts_at_peak(measured) * rough


@sign("the rate starts at its peak and trouble follows")
def trouble_without_warmup(measured: Measured) -> float:
    """A rebound or a loss that stays raised, without a warm-up."""
    return starts_at_peak(measured) * max(climbs_at_high_rate(measured), stays_raised(measured), early_rise(measured))


@sign("the first updates multiply loss and norm")
def blown_up_by_updates(measured: Measured) -> float:
    """The norm by 5 to 8 and the loss by 1.35 to 1.8, against the first row, in at least two of the next eleven rows.

    The first loss and the first gradient are measured before any update: where they are ordinary and those after them are
    not, the updates did it, and neither the data nor the initialisation. Losses that take negative values are judged by
    the norm and by a rise of more than the whole descent.
    """
    if measured.norms is None:
        return 0.0
    return ramp(measured.norms.blown_up, np.log(4.7), np.log(8.2)) * first_loss_rise(measured) * start_is_seen(measured)


def first_loss_rise(measured: Measured) -> float:
    """How far the second highest loss of the rows after the first one lies above it."""
    value = measured.signals.loss[np.isfinite(measured.signals.loss)]
    early = value[1 : first_rows(len(value))]
    if len(early) < 4:
        return 0.0
    top = float(np.sort(early)[-2])
    if value[0] > 0 and measured.loss.logarithmic:
        return ramp(float(np.log(top / value[0])), 0.3, 0.6)
    p = measured.progress
    return 0.0 if p is None else ramp((top - float(value[0])) / max(p.start - p.best, 1e-300), 0.5, 1.5)


@sign("the first norm of all is orders of magnitude above where the norm settles")
def first_norm_huge(measured: Measured) -> float:
    """150 to 1,000 times the median of the last two thirds, over by 12 % of the rows, and not raised by an update.

    Not where the loss falls further (`falls_beyond_loss`).
    """
    n = measured.norms
    if n is None:
        return 0.0
    return (
        ramp(n.first_over_rest, np.log(150.0), np.log(1000.0)) * ramp(n.settles_at_once, 2.0, 1.2)
        * ramp(n.blown_up, np.log(8.0), np.log(3.0)) * start_is_seen(measured) * falls_beyond_loss(n)
    )  # fmt: skip

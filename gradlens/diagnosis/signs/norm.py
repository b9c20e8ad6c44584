"""Signs in the gradient norm."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gradlens.diagnosis.signs.base import falls_beyond_loss, ramp, sign
from gradlens.diagnosis.signs.changes import sudden_step
from gradlens.diagnosis.signs.course import never_learned

if TYPE_CHECKING:
    from gradlens.diagnosis.measured import Measured


#: The lower quartile of the size of the difference of two independent standard normal values.
QUARTER_OF_DIFFERENCES = 0.4506


@sign("the norm starts orders of magnitude above where it settles")
def norm_starts_huge(measured: Measured) -> float:
    """Highest level of the first fifth against the median of the rest: 25 to 100 times, and over by 12 % of the rows.

    Norms that fall with the loss of a task that is solved fall later, or go on falling; and not where the loss falls further.
    """
    n = measured.norms
    if n is None:
        return 0.0
    return ramp(n.start_over_rest, 3.2, 4.6) * ramp(n.settles_at_once, 2.0, 1.2) * falls_beyond_loss(n)


@sign("many rows have norms more than twenty times the usual one")
def norm_far_above(measured: Measured) -> float:
    """One to three percent of the rows."""
    return 0.0 if measured.norms is None else ramp(measured.norms.rows_far_above, 0.005, 0.03)


@sign("the norm level jumps at least tenfold and stays there")
def norm_jumps_up(measured: Measured) -> float:
    """Eight to twelve times: more than a change of the batch size could do."""
    step = measured.norm_step_up
    grade = ramp(step.errors, 4.5, 8.0) * ramp(step.size, np.log(8.0), np.log(12.0)) * ramp(step.lasting, 0.3, 0.7)
    return grade * (1.0 - sudden_step(measured))


@sign("in a log of few rows one norm is far above all others, and the loss rises with it")
def shock_in_few_rows(measured: Measured) -> float:
    """At most 60 rows; 20 to 60 times the median norm, and a loss above the median by 5 to 20 % there or after.

    Not in the first three rows, nor above norms before it that were as high: a run may settle from high norms.
    """
    s = measured.signals
    both = np.isfinite(s.loss) & np.isfinite(s.norm) & (s.norm > 0) & (s.loss > 0)
    if len(measured) > 60 or both.sum() < 3:
        return 0.0
    norm, loss = s.norm[both], s.loss[both]
    at = int(np.argmax(norm))
    if at < 3:
        return 0.0
    rise = float(loss[at : at + 2].max() / np.median(loss))
    usual = max(float(np.median(norm)), float(np.median(norm[:at])))
    return ramp(float(norm[at] / usual), 20.0, 60.0) * ramp(rise, 1.05, 1.2)


@sign("in a log of few rows the loss rises far above its lowest level and above where it began")
def diverges_in_few_rows(measured: Measured) -> float:
    """At most 60 rows of at least six: 1.4 to 2 times the lowest loss so far, and 1.2 to 1.4 times the first one, in two rows.

    For excerpts and short logs, in which a course cannot be measured. The rise must pass the range of so many rows of noise
    within half a deviation, the noise being that of the calmer rows: a divergence makes the others.
    """
    loss = measured.signals.loss[np.isfinite(measured.signals.loss)]
    if len(loss) < 6 or len(measured) > 60 or not (loss > 0).all() or not measured.loss_descends:
        return 0.0
    size = np.log(loss)
    rise = float(np.sort(size - np.minimum.accumulate(size))[-2])
    above = float(np.sort(size)[-2] - size[0])
    calm = max(float(np.quantile(np.abs(np.diff(size)), 0.25)) / QUARTER_OF_DIFFERENCES, 1e-12)
    # The mean range of 10 to 60 independent normal values, within .1.
    by_chance = 1.2 + 0.8 * float(np.log(len(size)))
    return (
        ramp(rise, np.log(1.4), np.log(2.0)) * ramp(rise / calm - by_chance, -0.5, 0.5)
        * ramp(above, np.log(1.2), np.log(1.4))
    )  # fmt: skip


@sign("the norms of some layers lie orders of magnitude below those of others")
def layers_fade(measured: Measured) -> float:
    """The median norm of the lowest third of the layers against that of the highest third: 3 to 4.5 powers of ten.

    By size and not by order, since layers are logged in any order. Biases and normalisation lie a power of ten or two
    below weights in healthy networks.
    """
    medians = np.sort([
        float(np.median(values))
        for series in measured.run.layers.values()
        if len(values := series.value[np.isfinite(series.value) & (series.value > 0)])
    ])  # fmt: skip
    if len(medians) < 4:
        return 0.0
    third = len(medians) // 3 or 1
    return ramp(float(np.log10(np.median(medians[-third:]) / np.median(medians[:third]))), 3.0, 4.5)


@sign("the norm varies wildly from row to row while the loss does not")
def norm_wild(measured: Measured) -> float:
    """Upper deviation of ln norm of .45 to .8, with quiet losses."""
    if measured.norms is None:
        return 0.0
    quiet_loss = 1.0 if np.isnan(measured.norms.loss_noise) else ramp(measured.norms.loss_noise, 0.4, 0.15)
    return ramp(measured.norms.upper_spread, 0.45, 0.75) * quiet_loss * (1.0 - never_learned(measured))


@sign("the norm hardly reacts to the batch")
def norm_quiet(measured: Measured) -> float:
    """Noise of ln norm between neighbouring rows below 5 %, for norms measured before clipping."""
    if (
        measured.norms is None
        or measured.provenance.verdict in {"post_clip", "loss_scaled"}
        or measured.provenance.averaged
    ):
        return 0.0
    if not measured.norms.noise > 0:
        return 0.0
    # Means over an epoch are quiet too, but then the loss is as well, and it learns.
    averaged = measured.norms.loss_noise < 0.005 and never_learned(measured) < 0.5 and len(measured) < 400
    length = ramp(float(len(measured)), 90.0, 180.0)
    return 0.0 if averaged else length * ramp(np.log(measured.norms.noise), np.log(0.05), np.log(0.015))


@sign("the norm only ever falls, far more smoothly than batches differ")
def norm_fades_smoothly(measured: Measured) -> float:
    """From twentieth to twentieth of the run, by a third or more in all; the noise of a row is 6 to 3 % of that fall.

    A coupled penalty shrinks the weights at a constant pace, and a norm that it dominates shrinks with them.
    """
    n = measured.norms
    if n is None or measured.provenance.verdict in {"post_clip", "loss_scaled"} or not n.fade > 0:
        return 0.0
    smooth = ramp(n.smoothness, 0.96, 0.99) * ramp(n.noise / n.fade, 0.06, 0.03)
    return ramp(n.fade, 0.25, 0.4) * smooth * ramp(n.noise, 0.09, 0.045) * ramp(float(len(measured)), 90.0, 180.0)


@sign("the norm hardly reacts to the batch although the loss does")
def norm_quieter_than_loss(measured: Measured) -> float:
    """Noise of ln norm less than a quarter of that of ln loss."""
    if measured.norms is None or not measured.norms.loss_noise > 0 or not measured.norms.noise > 0:
        return 0.0
    if measured.provenance.verdict in {"post_clip", "loss_scaled"}:
        return 0.0
    return ramp(np.log(measured.norms.noise / measured.norms.loss_noise), np.log(0.5), np.log(0.15))

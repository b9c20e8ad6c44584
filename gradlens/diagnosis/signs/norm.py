"""Signs in the gradient norm."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gradlens.diagnosis.features.norms import FAR_ABOVE
from gradlens.diagnosis.signs.base import Ramp, falls_beyond_loss, has_batch_noise, log_share, share, sign, times
from gradlens.diagnosis.signs.changes import sudden_step
from gradlens.diagnosis.signs.course import never_learned

if TYPE_CHECKING:
    from gradlens.diagnosis.measured import Measured


#: The lower quartile of the size of the difference of two independent standard normal values.
QUARTER_OF_DIFFERENCES = 0.4506


@sign("the norm starts at {above} times or more the level at which it settles")
def norm_starts_huge(
    measured: Measured, *, above: Ramp = Ramp(3.2, 4.6, "ln"), settled: Ramp = Ramp(2.0, 1.2, "ln")
) -> float:
    """The highest level of the first fifth against the median of the last two thirds.

    At 12 to 20 % of the rows the norm is within {settled} times of that median: norms that fall with the loss of a task that
    is solved fall later, or go on falling. Not where the loss falls further.
    """
    n = measured.norms
    if n is None:
        return 0.0
    return above(n.start_over_rest) * settled(n.settles_at_once) * falls_beyond_loss(measured)


@sign("in {rows} of the rows or more the norm is more than {far} times its level", far=f"{FAR_ABOVE:g}")
def norm_far_above(measured: Measured, *, rows: Ramp = share(0.005, 0.03)) -> float:
    """The level is that of the rows around."""
    return 0.0 if measured.norms is None else rows(measured.norms.rows_far_above)


@sign("the norm level jumps to {size} times its height or more and stays there")
def norm_jumps_up(
    measured: Measured,
    *,
    errors: Ramp = Ramp(4.5, 8.0),
    size: Ramp = times(8.0, 12.0),
    lasting: Ramp = share(0.3, 0.7),
) -> float:
    """By {errors} standard errors, and {lasting} of it last: more than a change of the batch size could do."""
    step = measured.norm_step_up
    return errors(step.errors) * size(step.size) * lasting(step.lasting) * (1.0 - sudden_step(measured))


@sign(
    "in a log of few rows one norm is {above} times the usual one or more, and the loss rises with it", any_length=True
)
def shock_in_few_rows(
    measured: Measured,
    *,
    above: Ramp = Ramp(20.0, 60.0),
    rise: Ramp = Ramp(1.05, 1.2),
    max_rows: int = 60,
    first_rows: int = 3,
) -> float:
    """At most {max_rows} rows, and a loss of {rise} times its median there or one row later.

    Not in the first {first_rows} rows, nor above norms before it that were as high: a run may settle from high norms.
    """
    s = measured.signals
    both = np.isfinite(s.loss) & np.isfinite(s.norm) & (s.norm > 0) & (s.loss > 0)
    if len(measured) > max_rows or both.sum() < 3:
        return 0.0
    norm, loss = s.norm[both], s.loss[both]
    at = int(np.argmax(norm))
    if at < first_rows:
        return 0.0
    usual = max(float(np.median(norm)), float(np.median(norm[:at])))
    return above(float(norm[at] / usual)) * rise(float(loss[at : at + 2].max() / np.median(loss)))


@sign("in a log of few rows the loss rises far above its lowest level and above where it began", any_length=True)
def diverges_in_few_rows(
    measured: Measured,
    *,
    rise: Ramp = times(1.4, 2.0),
    above: Ramp = times(1.2, 1.4),
    beyond_noise: Ramp = Ramp(-0.5, 0.5),
    regained: Ramp = times(0.7, 0.9),
    min_rows: int = 6,
    max_rows: int = 60,
) -> float:
    """{min_rows} to {max_rows} rows: in two of them {rise} times the lowest loss so far, and {above} times the first one.

    For excerpts and short logs, in which a course cannot be measured. The rise must pass the range of that many rows of noise
    by {beyond_noise} deviations, the noise being that of the calmer rows: a divergence makes the others. Not where all of the last
    three rows are back below {regained} times the first one: what the first updates threw off was regained.
    """
    loss = measured.signals.loss[np.isfinite(measured.signals.loss)]
    if len(loss) < min_rows or len(measured) > max_rows or not (loss > 0).all() or not measured.loss_descends:
        return 0.0
    size = np.log(loss)
    found = float(np.sort(size - np.minimum.accumulate(size))[-2])
    over_first = float(np.sort(size)[-2] - size[0])
    calm = max(float(np.quantile(np.abs(np.diff(size)), 0.25)) / QUARTER_OF_DIFFERENCES, 1e-12)
    # The mean range of 10 to 60 independent normal values, within .1.
    by_chance = 1.2 + 0.8 * float(np.log(len(size)))
    ends = regained(float(np.max(size[-3:]) - size[0]))
    return rise(found) * beyond_noise(found / calm - by_chance) * above(over_first) * ends


@sign("the norms of some layers lie {apart} times or more below those of others")
def layers_fade(measured: Measured, *, apart: Ramp = Ramp(3.0, 4.5, "log10"), min_layers: int = 4) -> float:
    """The median norm of the lowest third of at least {min_layers} layers against that of the highest third.

    By size and not by order, since layers are logged in any order. Biases and normalisation lie a power of ten or two
    below weights in healthy networks.
    """
    medians = np.sort([
        float(np.median(values))
        for series in measured.run.layers.values()
        if len(values := series.value[np.isfinite(series.value) & (series.value > 0)])
    ])  # fmt: skip
    if len(medians) < min_layers:
        return 0.0
    third = len(medians) // 3 or 1
    return apart(float(np.log10(np.median(medians[-third:]) / np.median(medians[:third]))))


@sign("the norm varies wildly from row to row while the loss does not")
def norm_wild(measured: Measured, *, spread: Ramp = Ramp(0.45, 0.75), loss_noise: Ramp = Ramp(0.4, 0.15)) -> float:
    """Upwards ln norm deviates by {spread} from its level, ln loss from row to row by less than {loss_noise}."""
    if measured.norms is None:
        return 0.0
    quiet_loss = 1.0 if np.isnan(measured.norms.loss_noise) else loss_noise(measured.norms.loss_noise)
    return spread(measured.norms.upper_spread) * quiet_loss * (1.0 - never_learned(measured))


#: Rows with both a loss and a norm below which their courses cannot be compared.
MIN_BOTH = 40


def falls_further_than_loss(measured: Measured, *, fall: Ramp = Ramp(0.0, 0.15)) -> float:
    """How far ln norm falls further than ln loss, from a difference of {fall} on; 1 where the two cannot be compared.

    Gaussian gradients in d dimensions have norms that vary by 1/sqrt(2d) alone, which is nothing in a large network, but they
    fall with the loss, at most as far in logarithms as it does. A norm that a penalty dominates falls with the weights.
    """
    loss, norm = measured.signals.loss, measured.signals.norm
    both = np.isfinite(loss) & np.isfinite(norm) & (loss > 0) & (norm > 0)
    if np.count_nonzero(both) < MIN_BOTH:
        return 1.0
    part = max(int(np.count_nonzero(both)) // 20, 5)
    fell = [float(np.median(x[:part]) - np.median(x[-part:])) for x in (np.log(norm[both]), np.log(loss[both]))]
    return fall(fell[0] - fell[1])


@sign("the norm hardly reacts to the batch: it varies by {noise} or less from row to row")
def norm_quiet(
    measured: Measured,
    *,
    noise: Ramp = log_share(0.05, 0.015),
    rows: Ramp = Ramp(90.0, 180.0),
) -> float:
    """Judged from {rows} rows on, of norms measured before clipping that are not averages."""
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
    quiet = rows(float(len(measured))) * noise(np.log(measured.norms.noise))
    return 0.0 if averaged else quiet * has_batch_noise(measured) * falls_further_than_loss(measured)


@sign("the norm only ever falls, far more smoothly than batch noise allows")
def norm_fades_smoothly(
    measured: Measured,
    *,
    fade: Ramp = Ramp(0.25, 0.4, "ln"),
    smoothness: Ramp = share(0.96, 0.99),
    noise_of_fade: Ramp = share(0.06, 0.03),
    noise: Ramp = share(0.09, 0.045),
    rows: Ramp = Ramp(90.0, 180.0),
) -> float:
    """From twentieth to twentieth of the run, {fade} times in all, which is {smoothness} of all movement of its level.

    From row to row the norm varies by less than {noise}, and by less than {noise_of_fade} of the fall. Judged from {rows} rows
    on. A coupled penalty shrinks the weights at a constant pace, and a norm that it dominates shrinks with them.
    """
    n = measured.norms
    if n is None or measured.provenance.verdict in {"post_clip", "loss_scaled"} or not n.fade > 0:
        return 0.0
    smooth = smoothness(n.smoothness) * noise_of_fade(n.noise / n.fade)
    smooth *= has_batch_noise(measured) * falls_further_than_loss(measured)
    return fade(n.fade) * smooth * noise(n.noise) * rows(float(len(measured)))


@sign("the norm hardly reacts to the batch although the loss does")
def norm_quieter_than_loss(measured: Measured, *, ratio: Ramp = times(0.5, 0.15)) -> float:
    """The noise of ln norm from row to row is less than {ratio} times that of ln loss."""
    if measured.norms is None or not measured.norms.loss_noise > 0 or not measured.norms.noise > 0:
        return 0.0
    if measured.provenance.verdict in {"post_clip", "loss_scaled"}:
        return 0.0
    return ratio(np.log(measured.norms.noise / measured.norms.loss_noise))

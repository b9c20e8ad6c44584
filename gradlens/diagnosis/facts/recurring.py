"""Rises of the loss that come again and recover: the optimizer where the norm leads, the data where both rise in one row.

A rise that has returned each time is no shift of the data, however long each lasts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gradlens.diagnosis.facts.base import Fact
from gradlens.diagnosis.facts.last_batch import last_batches
from gradlens.diagnosis.facts.small_events import at_little_cost, costs_little, is_shaken
from gradlens.diagnosis.features.curves import neighbour_noise, rolling_level
from gradlens.diagnosis.measured import Measured
from gradlens.diagnosis.words import counted
from gradlens.frozen import frozen
from gradlens.reports.analysis import Evidence
from gradlens.reports.base import Cause, Severity
from gradlens.stats.robust import MAD_TO_SIGMA

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gradlens.diagnosis.features.curves import Curve

#: Rows of a spike at least, and at most as a share of the run; spikes that make a habit. Our own choice.
MIN_ROWS, MAX_SHARE, MIN_EVENTS = 3, 0.09, 3
#: Rows of the level that spikes are measured from: an eighth of the run, within these limits. Rows of a smoothed value.
WIDTH, SMOOTH = (101, 1001), 3
#: Deviations at which the loss stands out, that its highest row passes, and the same of the norm; rows between parts of one spike.
HOT, MIN_LOSS, MIN_NORM, GAP = 2.5, 5.0, 4.0, 10
#: Rows of a spike that is one batch.
SINGLE = 2
#: Deviations at which a spike begins in one curve, and rows before it that are looked at.
BEGINS, BACK = 3.0, 30
#: Share of the spikes that the norm must lead; deviations of spikes of both in one row that are beyond all noise.
MIN_LED, PLAIN = 0.75, 10.0
#: Spikes of both from which less suffices: this many of five deviations that all recover are not chance.
MANY = 5
#: Rows by which a norm leads: of Adam's RMS ratio one to eight (Wortsman et al. 2023); a little more for the loss.
LEADS = (1, 12)
#: Deviations within which the loss lies before and after a spike that has recovered, or the share of its height, and rows looked at.
CALM, LEFT, SIDE = 1.5, 0.12, 30
#: Share of a rise of the level that is still there later, from which on it has not come back. Our own choice.
STAYS = 0.5
#: A second moment that forgets in about 25 rows is fast enough.
MAX_BETA2 = 0.96
NO_SHIFT: frozenset[Cause] = frozenset({"data_shift", "adam_beta2_lag", "lr_restart", "batch_size_change"})


@frozen
class Wide:
    """A spike of several rows: its first and last one, the rows by which the norm leads, and how high both rise."""

    first: int
    last: int
    lead: int
    loss: float
    norm: float
    loss_deviations: float


def find(measured: Measured) -> tuple[Fact, ...]:
    """At most one fact about wide spikes that have all recovered."""
    # How many times a norm rises is only known where it is seldom 0, or rounded to it.
    is_told = measured.loss_descends and measured.provenance.trusted and measured.norm.logarithmic
    if not is_told or len(measured) < 4 * WIDTH[0] or len(wide := wide_spikes(measured)) < MIN_EVENTS:
        return ()
    leads = np.array([e.lead for e in wide])
    led = float(np.mean((leads >= LEADS[0]) & (leads <= LEADS[1])))
    steps = tuple(int(measured.signals.step[e.first]) for e in wide)
    named = ", ".join(f"{step:,}" for step in steps[:8])
    times = _heights(measured, wide)
    if led >= MIN_LED:
        return (_led_by_the_norm(measured, wide, named, times, led, steps),)
    plain = [e for e in wide if e.loss_deviations >= PLAIN]
    if len(plain) < MIN_EVENTS:
        plain = wide
    if len(plain) < (MANY if plain is wide else MIN_EVENTS) or _are_last_batches(measured, plain):
        return ()
    cost = max(float(np.nanmax(measured.signals.loss[max(e.first - BACK, 0) : e.last + 1])) for e in plain)
    shaken = is_shaken(measured, [e.first for e in plain], [float(np.exp(e.norm)) for e in plain])
    if costs_little(measured, cost) and not shaken and all(_is_one_batch(measured, e) for e in plain):
        return () if measured.events or measured.bursts else at_little_cost(measured, [e.first for e in plain], cost)
    return (_in_one_row(measured, wide, plain, steps, named, times),)


def _are_last_batches(measured: Measured, spikes: list[Wide]) -> bool:
    """Whether spikes stand at the ends of epochs: smaller batches scatter more, and their updates throw the next one off."""
    begins = [max(e.first - BACK // 3, 0) for e in spikes]
    tops = [at + int(np.nanargmax(measured.norm.value[at : e.last + 1])) for at, e in zip(begins, spikes, strict=True)]
    return last_batches(measured, tops[int(np.argmax([e.loss_deviations for e in spikes]))], tops) is not None


def _is_one_batch(measured: Measured, spike: Wide) -> bool:
    """Whether no more than two rows of a spike rise by half of what its highest does: a batch, and what its update did to the next."""
    around = measured.loss.value[max(spike.first - BACK, 0) : spike.last + 1]
    base, top = float(np.nanmedian(around)), float(np.nanmax(around))
    return int(np.sum(around > base + 0.5 * (top - base))) <= SINGLE


def _in_one_row(
    measured: Measured, wide: list[Wide], plain: list[Wide], steps: tuple[int, ...], named: str, times: str
) -> Fact:
    rows = max(e.last - e.first + 1 for e in plain)
    # A rise of the level that is one of them has come back, too, but where most of it is still there later.
    step_recovers = measured.loss_step.lasting < STAYS and any(
        e.first - BACK <= measured.loss_step.row <= e.last for e in wide
    )
    return Fact(
        code="GL513",
        severity=Severity.WARNING,
        otherwise="bad_data",
        rules_out=NO_SHIFT - {"adam_beta2_lag"} if step_recovers else frozenset(),
        message=f"{len(plain)} spikes that recover within {rows:,} rows, at steps {named}: {times}, in the same row",
        advice="replay the batches of the spikes from the checkpoint before them at a third of the learning rate: only "
        "bad data spikes again",
        steps=steps,
        evidence=(Evidence(label="spikes that recovered", value=len(plain)),),
    )


def _heights(measured: Measured, wide: list[Wide]) -> str:
    norm = f"the norm rises {np.exp(np.median([e.norm for e in wide])):.2g} times"
    if not measured.loss.logarithmic:
        return norm
    return f"the loss rises {np.exp(np.median([e.loss for e in wide])):.2g} times and {norm}"


def _led_by_the_norm(
    measured: Measured, wide: list[Wide], named: str, times: str, led: float, steps: tuple[int, ...]
) -> Fact:
    leads = [e.lead for e in wide if e.lead >= LEADS[0]]
    beta2 = measured.config.beta2
    instead = f"instead of {beta2:g}" if beta2 and beta2 > MAX_BETA2 else "(the default of Adam is 0.999)"
    return Fact(
        code="GL513",
        severity=Severity.WARNING,
        cause="recurring_instability",
        confidence=0.85,
        message=f"{len(wide)} spikes that recover, at steps {named}: the norm leads by {counted(int(np.median(leads)), 'row')}, "
        f"{times}, and both come back each time: the optimizer, not the data",
        advice=f"try beta2 = 0.95 {instead}, or a lower learning rate, or normalised queries and keys (qk-norm)",
        rules_out=NO_SHIFT | {"bad_data"},
        steps=steps,
        evidence=(
            Evidence(label="spikes that recovered", value=len(wide)),
            Evidence(label="share that the norm leads", value=led, threshold=MIN_LED),
        ),
    )


def wide_spikes(measured: Measured) -> list[Wide]:
    """The stretches of rows in which the loss stands out, the norm with it, and from which the loss has come back.

    Levels are rolling medians over an eighth of the run, so that a spike of dozens of rows does not raise its own level. A
    deviation is that of neighbouring rows or that of all rows below the level, the larger: a loss that wanders has no spikes.
    """
    n = len(measured)
    loss, norm = _deviations(measured.loss, n), _deviations(measured.norm, n)
    hot = np.flatnonzero(_smoothed(loss[0]) > HOT)
    hot = hot[hot >= measured.settled_row]
    found: list[Wide] = []
    for rows in np.split(hot, np.flatnonzero(np.diff(hot) > GAP) + 1) if len(hot) else ():
        first, last = int(rows[0]), int(rows[-1])
        if not MIN_ROWS <= last - first + 1 <= max(MAX_SHARE * n, MIN_ROWS) or last + GAP >= n:
            continue
        around = slice(max(first - BACK, 0), last + 1)
        top, high = float(np.nanmax(loss[0][around])), float(np.nanmax(norm[0][around]))
        if top < MIN_LOSS or high < MIN_NORM or not _recovers(loss[0], first, last, top):
            continue
        lead = _begin(loss[0], first, last) - _begin(norm[0], first, last)
        found.append(
            Wide(first=first, last=last, lead=lead, loss=top * loss[1], norm=high * norm[1], loss_deviations=top)
        )
    return found


def _recovers(z: NDArray[np.float64], first: int, last: int, top: float = 0.0) -> bool:
    """Whether the loss stood at its level before a spike of some height and is back there after it."""
    before, after = (
        z[max(first - BACK - SIDE, 0) : max(first - BACK // 3, 1)],
        z[last + GAP // 2 : last + GAP // 2 + SIDE],
    )
    calm = max(CALM, LEFT * top)
    return abs(float(np.median(before))) < calm and float(np.median(after)) < calm


def _deviations(curve: Curve, n: int) -> tuple[NDArray[np.float64], float]:
    """float64[n]: the distance of a curve from its wide level in deviations, 0 where unknown; and what a deviation is."""
    width = int(np.clip(n // 8, *WIDTH)) | 1
    rest = curve.value - rolling_level(curve.value, width)
    known = rest[np.isfinite(rest)]
    if len(known) < width:
        return np.zeros(n), 1.0
    value = curve.value[np.isfinite(curve.value)]
    # Rises alone are spikes: what lies below the level is its noise, and that of a loss that wanders.
    below = -known[known < 0]
    size = min(float(np.median(part)) for part in (np.abs(known), below) if len(part))
    around = MAD_TO_SIGMA * size
    deviation = max(neighbour_noise(value), around, 1e-12)
    return np.where(np.isfinite(rest), rest / deviation, 0.0), deviation


def _smoothed(value: NDArray[np.float64]) -> NDArray[np.float64]:
    return rolling_level(value, SMOOTH)


def _begin(z: NDArray[np.float64], first: int, last: int) -> int:
    """The first row of the stretch of a curve that leads up to its highest one around a spike.

    It is followed back from there for as long as the curve stands out in two of three rows: what stood out earlier and came back
    in between led to nothing.
    """
    begin = max(first - BACK, 0)
    top = begin + int(np.argmax(z[begin : last + 1]))
    above = z > BEGINS
    at = top
    while at > begin and int(above[max(at - 2, 0) : at].sum()) >= (1 if above[at] else 2):
        at -= 1
    return at if above[at] else at + 1

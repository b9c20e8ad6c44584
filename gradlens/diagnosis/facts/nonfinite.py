"""Losses and norms that are not finite: from the first row, from some row to the end, or in a share of the rows.

The first row of step 0 or 1 precedes every update, so nothing that an update does explains a NaN there. A NaN that nothing grew
towards is no explosion, and clipping cures no norm that is NaN: the coefficient C / NaN is NaN as well. Where only the first rows are
finite nothing can be seen to grow, but the size of the first update can: a step of length rate times norm changes the loss by
rate times norm squared, to first order.
"""

from __future__ import annotations

import numpy as np

from gradlens.diagnosis.facts.base import Fact
from gradlens.diagnosis.facts.epochs import counts_epochs
from gradlens.diagnosis.facts.layers import grows_since
from gradlens.diagnosis.features.curves import block_medians, neighbour_noise
from gradlens.diagnosis.measured import Measured
from gradlens.diagnosis.signs.events import is_adaptive
from gradlens.diagnosis.signs.numerics import scale_collapses, zeros_after_nan
from gradlens.diagnosis.words import counted, figure, in_words, percent
from gradlens.reports.analysis import Evidence
from gradlens.reports.base import Cause, Severity
from gradlens.stats.spikes import stretches_of

#: Rows before the end in which growth would show, the level they are compared with, and the growth that counts:
#: three times the
#: level is beyond the noise of nearly all norms, and one and a half times that of most losses. Our own choice.
LAST_ROWS, LEVEL_ROWS = 10, 60
MIN_NORM_GROWTH, MIN_LOSS_GROWTH = 3.0, 1.5
#: Levels of a loss that are compared at most, the share of its descent that it has given back at least, and the deviations of its noise,
#: for it to have risen long before. Our own choice.
MAX_LEVELS, MIN_RETURN, ABOVE_NOISE = 40, 0.3, 4.0
#: First-order change of the loss by one update, in losses, from which that update throws the weights out of any range (below 1 in
#: training that works, above a million where weights start too large), and finite rows up to which nothing else can be seen.
MAX_CHANGE, FEW_ROWS = 1e4, 8
#: Share of the rows with a NaN loss, and their number, from which a run that goes on has a problem. Our own choice.
MIN_SHARE, MIN_COUNT = 0.02, 3
#: What no update caused, or what nothing grew towards, has none of these causes.
BY_GROWTH: frozenset[Cause] = frozenset(
    {
        "lr_too_high",
        "no_warmup",
        "exploding",
        "bad_data",
        "clip_too_tight",
        "clip_too_loose",
        "vanishing",
        "adam_beta2_lag",
        "lr_restart",
        "data_shift",
        "batch_size_change",
        "l2_contamination",
        "postclip_logged",
        "fp16_overflow",
    }
)
#: What grows until it is not finite did not change its level, and no batch is to blame, which hits from one row to the next and which a
#: lower threshold would have caught.
NOT_BY_GROWTH: frozenset[Cause] = frozenset(
    {"bad_data", "data_shift", "batch_size_change", "l2_contamination", "clip_too_tight", "clip_too_loose"}
)
LOOK = (
    "replay the batch of the first NaN from the checkpoint before it with torch.autograd.set_detect_anomaly(True); "
    "check labels, "
    "log(0), fp16 kernels and overlap_comm of ZeRO"
)


def find(measured: Measured) -> tuple[Fact, ...]:
    """At most one fact: the gravest of the kinds above."""
    s = measured.signals
    bad_loss, bad_norm = s.bad_loss, s.bad_norm
    if not (bad_loss | bad_norm).any():
        return ()
    if s.has_loss.any() and bad_loss[s.has_loss].all():
        return (_from_the_first_row(measured),)
    dead = measured.numerics.dead_from
    if bad_norm.any() and bad_norm[s.has_norm].all():
        return (_norm_never(measured),)
    if dead is not None:
        return (_to_the_end(measured, dead),)
    return _share(measured) or _last(measured) or _single(measured)


def _from_the_first_row(measured: Measured) -> Fact:
    s = measured.signals
    both = " and every norm" if s.has_norm.any() and s.bad_norm[s.has_norm].all() else ""
    first = int(s.step[np.argmax(s.has_loss)])
    if first > 1 or counts_epochs(measured):
        return _before_the_first_row(measured, first, both)
    return Fact(
        code="GL405",
        severity=Severity.ERROR,
        cause="nan_sudden",
        outcome="nonfinite",
        since_step=first,
        message=f"every loss{both} is {kind_of(measured, 0)} from the first row (step {first:,}): the first forward "
        "pass, before any "
        "update, was already not finite, so no learning rate and no clipping is to blame",
        advice="run one forward pass of the first batch with anomaly detection; check the inputs, the labels, the "
        "loaded weights and the "
        "kernels (compare float32 with half precision)",
        rules_out=BY_GROWTH,
        steps=(first,),
        evidence=(Evidence(label="losses that are not finite", value=int(s.bad_loss.sum()), n=int(s.has_loss.sum())),),
    )


def _before_the_first_row(measured: Measured, first: int, both: str) -> Fact:
    """The same in a log whose first row has updates before it: they may have done it, but nothing of them is to be seen."""
    s = measured.signals
    unit = "epoch" if counts_epochs(measured) else "step"
    return Fact(
        code="GL405",
        severity=Severity.ERROR,
        otherwise="nan_sudden",
        outcome="nonfinite",
        since_step=first,
        message=f"every loss{both} is {kind_of(measured, 0)} from the first row on, and that is {unit} {first:,}: what "
        "went before it is not in the log",
        advice="log every step from the first one; run one forward pass of the first batch with anomaly detection, "
        "and if that is finite, repeat the start with a tenth of the learning rate",
        rules_out=BY_GROWTH,
        steps=(first,),
        evidence=(Evidence(label="losses that are not finite", value=int(s.bad_loss.sum()), n=int(s.has_loss.sum())),),
    )


def _norm_never(measured: Measured) -> Fact:
    s = measured.signals
    rows = int(s.has_norm.sum())
    loss = s.loss[np.isfinite(s.loss)]
    span = f" while the loss goes from {loss[0]:.3g} to {loss[-1]:.3g}" if len(loss) else ""
    return Fact(
        code="GL406",
        severity=Severity.WARNING,
        cause="unknown",
        confidence=0.6,
        message=f"every gradient norm is {kind_of(measured, None)} in all {rows:,} rows{span}: the norm is computed "
        "wrong, or the trainer "
        "skips each of these steps; nothing about gradients can be judged",
        advice="compute the norm after unscaling, in float32, over the parameters that have gradients; a NaN in one "
        "shard or one frozen "
        "layer makes the whole norm NaN",
        rules_out=BY_GROWTH,
        evidence=(Evidence(label="norms that are not finite", value=rows, n=rows),),
    )


def _to_the_end(measured: Measured, dead: int) -> Fact:
    s = measured.signals
    since = int(s.step[dead])
    names = [
        word
        for word, bad, has in (("loss", s.bad_loss, s.has_loss), ("norm", s.bad_norm, s.has_norm))
        if has[dead:].any() and bad[dead:][has[dead:]].all()
    ]
    rows = int((s.bad_loss | s.bad_norm)[dead:].sum())
    growth = growth_before(measured, dead) or thrown_before(measured, dead)
    overflows = not s.bad_loss.any() and int(s.bad_norm[:dead].sum()) >= MIN_COUNT
    scaled = overflows or max(scale_collapses(measured), zeros_after_nan(measured)) > 0.0
    sudden = growth is None and not scaled and dead > 0
    hidden = (
        f" ({counted(s.hidden_nan, 'hidden NaN')}: the log shows a loss of 0 where the norm is NaN)"
        if s.hidden_nan
        else ""
    )
    before = (
        "; nothing grew before it: from one row to the next, cause unknown to the log"
        if sudden
        else f"; {growth}"
        if growth
        else ""
    )
    return Fact(
        code="GL405",
        severity=Severity.ERROR,
        outcome="nonfinite",
        since_step=since,
        cause="nan_sudden" if sudden else None,
        confidence=0.85,
        message=f"{' and '.join(names)} {'are' if len(names) > 1 else 'is'} {kind_of(measured, dead)} from step "
        f"{since:,} to the end, "
        f"{counted(rows, 'row')}{hidden}{before}",
        advice=LOOK
        if sudden
        else ""
        if growth is None
        else "go back to a checkpoint from before the growth"
        if dead > FEW_ROWS
        else "start again with smaller weights, or clip from the first step on",
        rules_out=BY_GROWTH if sudden else NOT_BY_GROWTH if growth else frozenset(),
        steps=(since,),
        evidence=(Evidence(label="rows that are not finite", value=rows, n=len(s)),),
    )


def growth_before(measured: Measured, row: int) -> str | None:
    """What grew in the rows before one, in words; None where nothing did, or there are too few rows to tell (below eight)."""
    s = measured.signals
    for word, value, least in (("the norm", s.norm, MIN_NORM_GROWTH), ("the loss", s.loss, MIN_LOSS_GROWTH)):
        known = np.abs(value[:row][np.isfinite(value[:row])])
        last, level = known[-LAST_ROWS:], known[-LAST_ROWS - LEVEL_ROWS : -LAST_ROWS]
        if len(level) < 8:
            last, level = known[len(known) // 2 :], known[: len(known) // 2]
        if len(known) < 2:
            continue
        if len(level) < 3:
            if known[-1] > 2.0 * least * known[0]:
                times = f"{in_words(known[-1] / known[0])} times" if known[0] > 0 else f"from 0 to {figure(known[-1])}"
                return f"{word} grew {times} in the {len(known)} rows before"
            continue
        usual, top = float(np.median(level)), float(last[-5:].max())
        # Growth leads up to the end: the highest of the last rows stands out of all the rows before, too.
        if top > least * usual and top > 1.2 * float(np.quantile(level, 0.98)):
            return (
                f"{word} grew to {in_words(top / usual)} times its level before"
                if usual > 0
                else f"{word} grew from 0 to {figure(top)}"
            )
    risen = _risen(measured, row)
    if risen is not None:
        return risen
    end = int(s.step[row]) if row < len(s) else int(s.step[-1]) + 1
    for name, series in measured.run.layers.items():
        since = grows_since(series, end)
        if since is not None:
            return f"{name} grew to {in_words(since[1])} times its level from step {since[0]:,} on"
    return None


def _risen(measured: Measured, row: int) -> str | None:
    """How far the loss stood above its lowest level before a row, in words: it may have risen long before, and stayed up."""
    loss = measured.signals.loss[:row]
    loss = loss[np.isfinite(loss)]
    if len(loss) < 4 * LAST_ROWS or not measured.loss_descends or not loss.min() > 0:
        return None
    level = block_medians(loss, max(min(len(loss) // LAST_ROWS, MAX_LEVELS), 4))
    lowest = int(np.argmin(level))
    rise = float(level[-1] - level[lowest])
    fell = float(level[0] - level[lowest])
    if level[-1] < MIN_LOSS_GROWTH * level[lowest] or rise < max(
        MIN_RETURN * fell, ABOVE_NOISE * neighbour_noise(loss)
    ):
        return None
    return f"the loss had risen from {figure(level[lowest])} to {figure(level[-1])} before"


def thrown_before(measured: Measured, row: int) -> str | None:
    """The update that threw the weights, in words, where the few finite rows before one show such an update; None otherwise.

    The step is rate times norm, so nothing is told without a rate, or of an optimizer that is known to divide by the size of gradients.
    """
    s = measured.signals
    known = np.flatnonzero(np.isfinite(s.norm[:row]) & np.isfinite(s.loss[:row]) & np.isfinite(s.lr[:row]))
    if not 0 < len(known) < FEW_ROWS or is_adaptive(measured):
        return None
    at = int(known[-1])
    rate, norm, loss = float(s.lr[at]), float(s.norm[at]), abs(float(s.loss[at]))
    norm = min(norm, measured.threshold) if measured.clipped is not None and measured.threshold else norm
    if not rate * norm * float(s.norm[at]) > MAX_CHANGE * loss > 0:
        return None
    return (
        f"the norm of step {int(s.step[at]):,} was {float(s.norm[at]):.2g}: an update of {rate * norm:.2g} in length, which "
        f"to first order changes the loss {rate * norm * float(s.norm[at]) / loss:.0e} times over"
    )


def _share(measured: Measured) -> tuple[Fact, ...]:
    s = measured.signals
    rows = np.flatnonzero(s.bad_loss)
    n = int(s.has_loss.sum())
    share = len(rows) / max(n, 1)
    if len(rows) < MIN_COUNT or share < MIN_SHARE:
        return ()
    with_norm = int((s.bad_loss & s.bad_norm).sum())
    both = " and norms" if with_norm > 0.9 * len(rows) else ""
    first = tuple(int(step) for step in s.step[rows[:5]])
    scaled = max(scale_collapses(measured), zeros_after_nan(measured)) > 0.0
    return (
        Fact(
            code="GL405",
            severity=Severity.WARNING,
            cause=None if scaled else "nan_sudden",
            confidence=0.7,
            message=f"{len(rows):,} of {n:,} losses{both} are NaN or infinite ({percent(share)} of the rows), at most "
            f"{measured.numerics.longest_streak:,} on end, first at steps "
            f"{', '.join(f'{step:,}' for step in first)}; the run goes on",
            advice="look at the batches of these steps: a NaN loss points at the forward pass or the data (empty "
            "labels, log(0)); with fp16, "
            "check that GradScaler skips these steps",
            rules_out=frozenset({"lr_too_high", "no_warmup", "vanishing", "clip_too_tight"}),
            steps=first,
            evidence=(Evidence(label="share of losses that are not finite", value=share, threshold=MIN_SHARE, n=n),),
        ),
    )


def _last(measured: Measured) -> tuple[Fact, ...]:
    """A log whose last loss is not finite: whether the training went on is not to be seen, and many trainers stop at such a loss."""
    s = measured.signals
    rows = np.flatnonzero(s.has_loss)
    if not s.bad_loss[rows[-1:]].any():
        return ()
    row = int(rows[stretches_of(s.bad_loss[rows])[-1, 0]])
    since = int(s.step[row])
    growth = growth_before(measured, row)
    seen = int(np.isfinite(s.loss[:row]).sum()) >= FEW_ROWS
    before = f"; {growth}" if growth else "; nothing grew before it" if seen else ""
    return (
        Fact(
            code="GL405",
            severity=Severity.WARNING,
            cause=None if growth else "nan_sudden",
            otherwise="nan_sudden",
            confidence=0.7,
            # What grew to the last row has diverged, which other facts say.
            outcome=None if growth else "nonfinite",
            since_step=since,
            message=f"the log ends with a loss that is {kind_of(measured, row)}, at step {since:,}{before}",
            advice="replay this batch from the last checkpoint with torch.autograd.set_detect_anomaly(True); look at what stopped the run",
            rules_out=NOT_BY_GROWTH if growth else frozenset(),
            steps=(since,),
            evidence=(
                Evidence(label="losses at the end that are not finite", value=int(s.bad_loss[row:].sum()), n=len(rows)),
            ),
        ),
    )


def _single(measured: Measured) -> tuple[Fact, ...]:
    """Few rows whose loss and norm are both not finite, in a run that goes on: a forward pass failed there.

    The loss scale of mixed precision is no reason, it makes gradients infinite and leaves the loss as it is. A loss alone may be what a
    logger writes where it has nothing to average.
    """
    s = measured.signals
    rows = np.flatnonzero(s.bad_loss & s.bad_norm)
    if not len(rows) or growth_before(measured, int(rows[0])) is not None:
        return ()
    steps = tuple(int(step) for step in s.step[rows[:5]])
    at = f"step{'s' if len(rows) > 1 else ''} {', '.join(f'{step:,}' for step in steps)}"
    more = " and others" if len(rows) > len(steps) else ""
    return (
        Fact(
            code="GL405",
            severity=Severity.WARNING,
            cause="nan_sudden",
            confidence=0.7,
            message=f"loss and norm are {kind_of(measured, None)} in {counted(len(rows), 'row')}, at {at}{more}"
            f"{', with nothing growing before' if rows[0] >= FEW_ROWS else ''}: the forward pass failed there; the run goes on",
            advice="look at the batches of these steps: a NaN loss points at the forward pass or the data (empty "
            "labels, log(0)); check that such steps are skipped, for one that is taken leaves NaN in the optimizer's state",
            rules_out=frozenset({"lr_too_high", "no_warmup", "vanishing", "clip_too_tight"}),
            steps=steps,
            evidence=(
                Evidence(label="rows whose loss and norm are not finite", value=len(rows), n=int(s.has_loss.sum())),
            ),
        ),
    )


def kind_of(measured: Measured, row: int | None) -> str:
    """What the values that are not finite are, those of the loss first; from a row on, or of the norm alone where None."""
    s = measured.signals
    bad, value = (s.bad_norm, s.norm) if row is None or not s.bad_loss[row:].any() else (s.bad_loss, s.loss)
    seen = value[row or 0 :][bad[row or 0 :]]
    nan = np.isnan(seen)
    return "NaN" if nan.all() else "NaN or infinite" if nan.any() else "infinite"

"""What a resume did: loss or rate change across it, or rows were merely logged twice.

The rows before a restart are those of the earlier attempt at smaller steps, the rows after it those of the later attempt. Where both logged
the same steps, a schedule that was restored gives them the same rate.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gradlens.diagnosis.facts.base import Fact
from gradlens.diagnosis.features.curves import neighbour_noise
from gradlens.diagnosis.measured import Measured
from gradlens.diagnosis.words import counted
from gradlens.reports.analysis import Evidence
from gradlens.reports.base import Cause, Severity
from gradlens.signals.attempts import Restart

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gradlens.run import Series

#: Rows on either side that levels are taken from; the change in standard errors and in deviations that counts. Our
#: own choice.
SIDE, MIN_SIDE, MIN_ERRORS, MIN_DEVIATIONS = 20, 5, 6.0, 2.0
#: Steps that are logged twice, up to which each may be a resume. Our own choice.
MAX_TWICE = 5
#: Restarts from which a regular overlap is a habit of the writer.
MANY = 8
#: Repeated rows that tell whether they were trained on the same batches, and the correlation of their changes if they were: about 1.
#: That of 20 rows with nothing in common is above 0.5 three times in a hundred, and such a resume is missed.
MIN_REPEATED, SAME_BATCHES = 20, 0.5
LEVELS: frozenset[Cause] = frozenset(
    {"data_shift", "lr_restart", "bad_data", "batch_size_change", "lr_too_high", "adam_beta2_lag"}
)


def find(measured: Measured) -> tuple[Fact, ...]:
    """One fact about all restarts: the worst damage, or that there is none."""
    restarts = measured.signals.restarts or _logged_twice(measured)
    if not restarts:
        return ()
    resumes = tuple(restart for restart in restarts if not restart.fresh)
    damage = [d for r in resumes if (d := _damage(measured, r)) is not None]
    if damage:
        worst = max(damage, key=lambda d: d[0])
        also = f"; {counted(len(restarts), 'restart')} in all" if len(restarts) > 1 else ""
        return (
            Fact(
                code="GL007",
                severity=Severity.WARNING,
                cause="resume_artifact",
                confidence=0.9,
                message=worst[1] + also,
                advice="check that weights, optimizer state, schedule and data position are restored on resume, and "
                "continue from the checkpoint before it",
                steps=tuple(r.step for r in restarts),
                rules_out=LEVELS,
                evidence=(Evidence(label="restarts", value=len(restarts)),),
            ),
        )
    if not measured.signals.restarts:
        return ()
    goes_on = (
        "each time from scratch: the last start counts"
        if not measured.signals.resumes
        else "loss and rate go on as before: rows logged twice, the later ones count"
    )
    first = (measured.signals.resumes or restarts)[0]
    what = (
        "starts again"
        if measured.signals.order.rows.size and first.step <= int(measured.signals.step[0])
        else "goes back"
    )
    return (
        Fact(
            code="GL007",
            severity=Severity.NOTE,
            message=f"the log {what} {counted(len(restarts), 'time')}, first from step {first.reached:,} to step "
            f"{first.step:,}; {goes_on}",
            advice="log each attempt in a file of its own",
            rules_out=frozenset({"resume_artifact"}),
            steps=tuple(r.step for r in restarts),
            evidence=(Evidence(label="restarts", value=len(restarts)),),
        ),
    )


def _logged_twice(measured: Measured) -> tuple[Restart, ...]:
    """Rows that repeat the step before with another loss, where there are few: a run that is resumed at its last step writes it again.

    Most are the habit of a writer, or an evaluation; only what the loss does there can tell.
    """
    series = measured.run.loss
    if series is None or measured.signals.order.writers > 1:
        return ()
    rows = np.flatnonzero((np.diff(series.step) == 0) & (np.diff(series.value) != 0)) + 1
    if not 0 < len(rows) <= MAX_TWICE or (np.diff(series.step) < 0).any():
        return ()
    steps = series.step[rows]
    at = np.searchsorted(measured.signals.step, steps)
    return tuple(
        Restart(index=int(index), step=int(step), reached=int(step), superseded=1)
        for index, step in zip(at, steps, strict=True)
        if index > 0
    )


def _damage(measured: Measured, restart: Restart) -> tuple[float, str] | None:
    """How bad a restart is, in standard errors of the loss, and what it did in words; None where nothing changed."""
    s = measured.signals
    row = restart.index
    back = restart.reached > restart.step
    how = f"steps go back from {restart.reached:,}" if back else "this step is logged twice"
    where = f"at the resume at step {restart.step:,} ({how})"
    if row == 0:
        return _counted_again(measured, restart)
    before, after = s.loss[max(row - SIDE, 0) : row], s.loss[row : row + SIDE]
    before, after = before[np.isfinite(before)], after[np.isfinite(after)]
    if min(len(before), len(after)) >= MIN_SIDE and measured.loss_descends:
        noise = max(neighbour_noise(before), neighbour_noise(after), 1e-9 * abs(float(np.median(before))))
        was, now = float(np.median(before)), float(np.median(after))
        errors = (now - was) / (1.2533 * noise * np.sqrt(1 / len(before) + 1 / len(after)))
        if errors > MIN_ERRORS and (now - was) / noise > MIN_DEVIATIONS:
            jump = f"{where} the loss jumps by {now - was:.2g}, from {was:.3g} to {now:.3g}"
            return errors, f"{jump}: weights or optimizer state were not restored"
    old, new = _same_steps(restart, measured.run.lr)
    if len(old) >= 2 and float(np.median(np.abs(old - new))) > 0.02 * float(np.max(np.abs(old))):
        return (
            1.0,
            f"{where} the learning rate of the repeated steps differs from before: the schedule was not restored",
        )
    old, new = _same_steps(restart, measured.run.loss)
    if len(old) >= MIN_REPEATED and np.std(old) > 0 and np.std(new) > 0:
        same = float(np.corrcoef(np.diff(old), np.diff(new))[0, 1])
        if same < SAME_BATCHES:
            return 0.5, (
                f"{where}, {len(old):,} logged steps were trained twice with other losses (correlation {same:.2f}): data "
                "order or random state were not restored"
            )
    return None


def _counted_again(measured: Measured, restart: Restart) -> tuple[float, str] | None:
    """Whether the training went on while its steps were counted again: its loss then begins where the earlier attempt had come to."""
    series = measured.run.loss
    if series is None or not measured.loss_descends:
        return None
    falls = np.flatnonzero(np.diff(series.step) < 0)
    if not len(falls):
        return None
    earlier, later = series.value[: falls[-1] + 1], series.value[falls[-1] + 1 :]
    earlier, later = earlier[np.isfinite(earlier)], later[np.isfinite(later)]
    if min(len(earlier), len(later)) < 3 * MIN_SIDE:
        return None
    start, end, begin = float(np.median(earlier[:3])), float(np.median(earlier[-SIDE:])), float(np.median(later[:3]))
    if not start > end or begin > end + 0.25 * (start - end):
        return None  # trained from the beginning again: a second start
    told = f"at the resume steps are counted again, from {restart.step:,} after {restart.reached:,}"
    return 0.5, f"{told}: two parts of one training share their step numbers"


def _same_steps(restart: Restart, series: Series | None) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The values of the earlier and the later attempt at the steps that both logged."""
    nothing = np.empty(0)
    if series is None:
        return nothing, nothing
    falls = np.flatnonzero(np.diff(series.step) < 0) + 1
    at = [int(f) for f in falls if series.step[f] == restart.step]
    if not at:
        return nothing, nothing
    row = at[0]
    _, old, new = np.intersect1d(series.step[:row], series.step[row:], return_indices=True)
    a, b = series.value[:row][old], series.value[row:][new]
    known = np.isfinite(a) & np.isfinite(b)
    return a[known], b[known]

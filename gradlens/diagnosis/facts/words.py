"""What the log itself says in words: overflows, the loss scale that was set, and the line with which a trainer gave up."""

from __future__ import annotations

import numpy as np

from gradlens.diagnosis.facts.base import Fact
from gradlens.diagnosis.measured import Measured
from gradlens.diagnosis.words import counted
from gradlens.reports.analysis import Evidence
from gradlens.reports.base import Cause, Severity

#: Halvings from the highest scale to the last one, and a last scale below which gradients underflow: the OPT logbook
#: called a scale of 1 and
#: above healthy, fairseq gives up at 1e-4.
MIN_HALVINGS, LOW = 8.0, 16.0
#: Overflows a step from which on they are told as one a step.
SELDOM = 2 / 3
#: Share of the rows with an overflow above which skipped steps are no calibration.
MIN_SHARE = 0.05
BY_SCALE: frozenset[Cause] = frozenset(
    {"lr_too_high", "no_warmup", "vanishing", "bad_data", "postclip_logged", "clip_too_tight", "data_shift"}
)


def find(measured: Measured) -> tuple[Fact, ...]:
    """At most one fact: a loss scale that collapses, or another fatal line."""
    notices = {notice.code: notice for notice in measured.run.notices}
    scale, fatal = notices.get("loss-scale-lines"), notices.get("fatal-line")
    overflows = notices["overflow-lines"].count if "overflow-lines" in notices else 0
    end = f"; {fatal.message}" if fatal else ""
    if scale is not None:
        highest, last = scale.values["highest"], scale.values["last"]
        halvings = float(np.log2(highest / last)) if last > 0 and highest > 0 else float("inf")
        about_scale = fatal is not None and "scale" in fatal.message.lower()
        if (halvings >= MIN_HALVINGS and last < LOW) or about_scale:
            serious = fatal is not None or last < 1.0
            skipped = f", with {counted(overflows, 'overflow')}" if overflows else ""
            return (
                Fact(
                    code="GL402",
                    severity=Severity.ERROR if serious else Severity.WARNING,
                    cause="loss_scale_collapse",
                    confidence=0.95,
                    message=f"by the words of the log the loss scale collapses: it falls from {highest:g} to "
                    f"{last:g} in {counted(scale.count, 'line')}"
                    f"{skipped}{end}",
                    advice="find the first NaN and the layer it comes from; keep that part in float32 or use bfloat16",
                    rules_out=BY_SCALE,
                    evidence=(
                        Evidence(label="last loss scale", value=last, threshold=LOW),
                        Evidence(label="halvings", value=halvings, threshold=MIN_HALVINGS),
                    ),
                ),
            )
    if fatal is not None:
        before = f" ({counted(overflows, 'overflow')} before it)" if overflows else ""
        return (
            Fact(
                code="GL402" if "scale" in fatal.message.lower() else "GL407",
                severity=Severity.ERROR,
                cause="loss_scale_collapse" if "scale" in fatal.message.lower() else None,
                confidence=0.9,
                message=fatal.message + before,
                advice="find the first NaN and the layer it comes from; the trainer's own words say what stopped it",
            ),
        )
    if "crash-line" in notices:
        return (_crash(notices["crash-line"].message),)
    return _many_overflows(measured, overflows)


def _crash(message: str) -> Fact:
    """The exception that ended the program, whatever the curves say: the run did not come to its end."""
    memory = "out of memory" in message.lower() or "outofmemory" in message.lower()
    return Fact(
        code="GL407",
        severity=Severity.ERROR,
        message=message,
        advice="use a smaller batch with gradient accumulation, or activation checkpointing, and resume from the last checkpoint"
        if memory
        else "read the traceback at the end of the log, mend what it names, and resume from the last checkpoint",
    )


def _many_overflows(measured: Measured, overflows: int) -> tuple[Fact, ...]:
    share = overflows / max(len(measured), 1) / max(measured.signals.log_interval or 1.0, 1.0)
    if overflows < 10 or share < MIN_SHARE:
        return ()
    return (
        Fact(
            code="GL401",
            severity=Severity.WARNING,
            cause="fp16_overflow",
            confidence=0.7,
            message=f"{overflows:,} lines of the log report an overflow, "
            f"{f'one in {1 / share:.0f} steps' if share < SELDOM else 'nearly one a step'}: these steps were skipped",
            advice="use bfloat16, or lengthen the growth interval of the loss scaler",
            evidence=(Evidence(label="overflows per step", value=share, threshold=MIN_SHARE),),
        ),
    )

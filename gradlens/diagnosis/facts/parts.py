"""Parts of the loss that are not finite any more while the judged loss is: their sum, which is what is trained, is not finite either."""

from __future__ import annotations

import numpy as np

from gradlens import vocabulary
from gradlens.diagnosis.facts.base import Fact
from gradlens.diagnosis.measured import Measured
from gradlens.diagnosis.words import counted
from gradlens.reports.analysis import Evidence
from gradlens.reports.base import Severity
from gradlens.run import Series

#: Finite rows before, and rows to the end, without which nothing is told; share of the rows before that must be finite: where some
#: rows do not have a part, NaN stands for nothing. Our own choice.
MIN_BEFORE, MIN_AFTER, MIN_FINITE = 10, 5, 0.95


def find(measured: Measured) -> tuple[Fact, ...]:
    """At most one fact: the part that went first."""
    if measured.numerics.dead_from is not None:
        return ()
    judged = measured.run.columns.loss
    ends = {
        name: at
        for name, series in measured.run.series.items()
        if name != judged and vocabulary.is_loss_like(name) and (at := _not_finite_from(series)) is not None
    }
    if not ends:
        return ()
    name, at = min(ends.items(), key=lambda pair: measured.run.series[pair[0]].step[pair[1]])
    series = measured.run.series[name]
    since, rows = int(series.step[at]), len(series) - at
    kind = "NaN" if np.isnan(series.value[at:]).all() else "not finite"
    also = f", {counted(len(ends) - 1, 'other part')} too" if len(ends) > 1 else ""
    beside = f" while {judged} stays finite" if judged else ""
    return (
        Fact(
            code="GL405",
            severity=Severity.ERROR,
            cause="nan_sudden",
            confidence=0.7,
            outcome="nonfinite",
            since_step=since,
            message=f"{name} is {kind} from step {since:,} to the end ({counted(rows, 'row')}{also}){beside}: a sum that holds it is not "
            "finite either",
            advice=f"replay the batch of step {since:,} and print the inputs of {name}: empty targets, log(0), a division by 0",
            steps=(since,),
            evidence=(Evidence(label=f"rows of {name} that are not finite", value=rows, n=len(series)),),
        ),
    )


def _not_finite_from(series: Series) -> int | None:
    """The row from which on a part is not finite to the end; None where it is, or was not finite before."""
    finite = np.isfinite(series.value)
    if finite.all() or not finite.any():
        return None
    at = int(np.flatnonzero(finite)[-1]) + 1
    if len(series) - at < MIN_AFTER or at < MIN_BEFORE or float(np.mean(finite[:at])) < MIN_FINITE:
        return None
    return at

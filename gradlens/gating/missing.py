"""Values that a run stops writing while its rows go on.

A logger whose format cannot spell NaN writes nothing, or null, in its place. So a loss or a norm that ends before the log does
may have become NaN there, and the gate must not take what came before for the whole. Which rows should have held a value is
for the readers to tell (`gradlens.reading.missing`); their notice has the column and the steps.
"""

from __future__ import annotations

from gradlens.run import MISSING_VALUES, Notice, Run
from gradlens.signals.axis import Signals

ROLES = {"loss": "loss", "grad_norm": "gradient norm"}


def missing_values(run: Run) -> tuple[Notice, ...]:
    """What reading says about rows without a loss or a norm."""
    return tuple(n for n in run.notices if n.code == MISSING_VALUES)


def ends_early(run: Run, signals: Signals) -> dict[str, str]:
    """Of loss and norm those whose values end before the rows do, each with a sentence that says where."""
    last = {"loss": signals.step[signals.has_loss], "grad_norm": signals.step[signals.has_norm]}
    found = {}
    for notice in missing_values(run):
        role = notice.column or ""
        if notice.to_the_end and len(last.get(role, ())):
            end, first = last[role][-1], notice.first_step
            found[role] = f"the {ROLES[role]} ends at step {end:,}; the rows from step {first} to the end have none"
    return found

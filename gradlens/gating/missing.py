"""Values that a run stops writing while its rows go on.

A logger whose format cannot spell NaN writes nothing, or null, in its place. So a loss or a norm that ends before the log does
may have become NaN there, and the gate must not take what came before for the whole. Which rows should have held a value is
for the readers to tell (`gradlens.readers.missing`); their notice says where they lie.
"""

from __future__ import annotations

from gradlens.readers.missing import MISSING, TO_THE_END
from gradlens.run import Notice, Run
from gradlens.signals import Signals

ROLES = {"loss": "loss", "grad_norm": "gradient norm"}


def missing_values(run: Run) -> tuple[Notice, ...]:
    """What reading says about rows without a loss or a norm."""
    return tuple(n for n in run.notices if n.code == MISSING)


def ends_early(run: Run, signals: Signals) -> dict[str, str]:
    """Of loss and norm those whose values end before the rows do, each with a sentence that says where."""
    last = {"loss": signals.step[signals.has_loss], "grad_norm": signals.step[signals.has_norm]}
    found = {}
    for notice in missing_values(run):
        role, _, stretch = notice.where.partition(", ")
        if stretch.endswith(TO_THE_END) and len(last.get(role, ())):
            found[role] = f"the {ROLES[role]} ends at step {last[role][-1]:,}, rows without one follow {stretch}"
    return found

"""Values that a run stops writing while its rows go on.

A logger whose format cannot represent NaN writes nothing, or null, in its place. So a loss or a norm that ends before the log does
may have become NaN there, and the gate must not take what came before for the whole run. Which rows should have held a value is
for the readers to tell (`gradlens.reading.missing`); their notice has the column and the steps.
"""

from __future__ import annotations

from gradlens.run import MISSING_VALUES, Notice, Run
from gradlens.signals.axis import Signals

ROLES = {"loss": "loss", "grad_norm": "gradient norm"}


#: Steps by which a log goes on after its last loss and norm before that is more than a closing evaluation: in logging
#: intervals, and as a share of the steps.
_MAX_CLOSING_ROWS, _MAX_CLOSING_SHARE = 3.0, 0.02


def missing_values(run: Run) -> tuple[Notice, ...]:
    """What reading says about rows without a loss or a norm."""
    return tuple(n for n in run.notices if n.code == MISSING_VALUES)


def missing_inside(run: Run) -> str | None:
    """In how many rows before the end loss or norm has no value, as a sentence; None where it has one in all."""
    inside = [n for n in missing_values(run) if not n.to_the_end]
    if not inside:
        return None
    told = [f"{n.count:,} rows hold no {ROLES.get(n.column or '', 'value')}" for n in inside]
    return f"{' and '.join(told)} where one is due (first at step {inside[0].first_step})"


def ends_early(run: Run, signals: Signals) -> dict[str, str]:
    """Of loss and norm those whose values end before the rows do, each with a sentence that says where."""
    last = {"loss": signals.step[signals.has_loss], "grad_norm": signals.step[signals.has_norm]}
    found = {}
    for notice in missing_values(run):
        role = notice.column or ""
        if notice.to_the_end and len(last.get(role, ())):
            end, first = last[role][-1], notice.first_step
            found[role] = f"the {ROLES[role]} ends at step {end:,}; the rows from step {first} to the end have none"
    return found or _both_end(run, signals)


def _both_end(run: Run, signals: Signals) -> dict[str, str]:
    """Loss and norm where both end while other columns go on: a run that broke, and of which only evaluations follow."""
    if len(signals) < 2:
        return {}
    end = int(signals.step[-1])
    log_end = max(int(s.step.max()) for s in run.series.values() if len(s))
    span = end - int(signals.step[0])
    if log_end - end <= max(_MAX_CLOSING_ROWS * (signals.log_interval or 1.0), _MAX_CLOSING_SHARE * span):
        return {}
    sentence = f"loss and norm end at step {end:,}, other columns go on to step {log_end:,}"
    return {role: sentence for role, has in (("loss", signals.has_loss), ("grad_norm", signals.has_norm)) if has.any()}

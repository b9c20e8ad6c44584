"""Values that a run stops writing while its rows go on.

A logger whose format cannot spell NaN writes nothing, or null, in its place. So a loss or a norm that ends before the log does
may have become NaN there, and the gate must not take what came before for the whole.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from gradlens.run import Notice, Run
from gradlens.signals import Signals

#: The notice of the readers about rows without a value; `where` starts with the role.
MISSING = "missing-values"
ROLES = {"loss": "loss", "grad_norm": "gradient norm"}
#: Without that notice a quantity has ended once so many of its widest gaps have passed. Our own choice.
GAPS = 3


def missing_values(run: Run) -> tuple[Notice, ...]:
    """What reading says about rows without a loss or a norm."""
    return tuple(n for n in run.notices if n.code == MISSING)


def ends_early(run: Run, signals: Signals) -> dict[str, str]:
    """Of loss and norm those whose values end before the log does, each with a sentence that says where."""
    return dict(_endings(run, signals))


def _endings(run: Run, signals: Signals) -> Iterator[tuple[str, str]]:
    logged = [s.step[-1] for s in (run.loss, run.grad_norm, run.lr, run.loss_scale) if s is not None and len(s)]
    for role, has in (("loss", signals.has_loss), ("grad_norm", signals.has_norm)):
        step = signals.step[has]
        if len(step) < 2:
            continue
        gaps = np.diff(step)
        behind = int(max(logged)) - int(step[-1])
        text = f"the {ROLES[role]} ends at step {step[-1]:,}"
        notice = next((n for n in missing_values(run) if n.where.startswith(role)), None)
        # Rows up to the last value that have none, where steps are counted from zero.
        before = step[-1] / (signals.log_interval or 1.0) + 1.0 - len(step)
        if behind >= np.median(gaps) and (notice is not None or behind > GAPS * gaps.max()):
            yield role, f"{text}, the log at step {max(logged):,}"
        elif behind == 0 and notice is not None and notice.count > before:
            # Where loss and norm end together nothing else tells how far the log goes.
            yield role, f"{text}, rows without one follow ({notice.count:,} in all)"

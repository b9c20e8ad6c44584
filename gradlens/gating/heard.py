"""What the gate keeps of a run as read: which columns it took, and what reading said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from gradlens.run import Notice, Run

#: What reading says about a format or a habit, and not about something that is gone.
QUIET = frozenset(
    {
        "log-interval", "layers-checked", "ambiguous-format", "decimal-comma", "string-number", "wrapped-record", "files-joined",
        "unnamed-column", "repeated-name", "several-optimizers", "norm-pre-clip", "norm-post-clip", "norm-averaged",
        "norm-filtered", "epoch-counter", "envelope-columns", "repeated-header", "steps-go-backwards", "overlapping-steps",
        "overlapping-count",
    }
)  # fmt: skip


def worth_telling(notices: Sequence[Notice]) -> tuple[Notice, ...]:
    """The notices of reading without those that nothing hangs on."""
    return tuple(n for n in notices if n.code not in QUIET)


def taken_columns(run: Run) -> Mapping[str, str]:
    """The columns taken for loss and norm, by role."""
    taken = {"loss": run.columns.loss, "grad_norm": run.columns.grad_norm}
    return MappingProxyType({role: name for role, name in taken.items() if name is not None})

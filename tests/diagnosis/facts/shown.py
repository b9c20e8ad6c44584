"""A fact as one line, for tables of what is said: all but its words. And cases whose columns have steps of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gradlens.config import TrainingConfig
from gradlens.diagnosis.case import Case, build_case
from gradlens.run import Columns, Run, Series
from gradlens.signals.axis import signals_of

if TYPE_CHECKING:
    from gradlens.diagnosis.facts.base import Fact
    from gradlens.reports.analysis import Evidence


def line(fact: Fact) -> str:
    """Code, severity, cause (with `?` the one that is named where the weighing sees none), confidence, outcome, steps, evidence."""
    cause = f"{fact.cause} {fact.confidence:g}" if fact.cause else f"{fact.otherwise}?"
    outcome = f"{fact.outcome} from {fact.since_step}" if fact.outcome else "-"
    steps = " ".join(map(str, fact.steps)) or "-"
    return " | ".join((fact.code, fact.severity.value, cause, outcome, steps, *map(_evidence, fact.evidence)))


def _evidence(evidence: Evidence) -> str:
    value = f"{evidence.value:.4g}" if isinstance(evidence.value, float) else str(evidence.value)
    least = "" if evidence.threshold is None else f" of {evidence.threshold:g}"
    return f"{value}{least}" + ("" if evidence.n is None else f" in {evidence.n}")


def lines(facts: tuple[Fact, ...]) -> list[str]:
    """The lines of several facts."""
    return [line(fact) for fact in facts]


def logged(columns: dict[str, tuple[object, object]], *, threshold: float | None = None, **options: object) -> Case:
    """A case from columns with steps of their own."""
    series = {
        name: Series(name=name, step=np.asarray(step, dtype=np.int64), value=np.asarray(value, dtype=np.float64))
        for name, (step, value) in columns.items()
    }
    roles = {name: name for name in ("loss", "grad_norm", "lr", "loss_scale", "val_loss") if name in series}
    run = Run(id="logged", source="logged", format="test", series=series, columns=Columns(step="step", **roles))
    return build_case(
        run, signals_of(run), config=TrainingConfig(**options), threshold=threshold, threshold_source="option"
    )

"""Parts of a report as sequences that become a frame."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Self

from gradlens.errors import MissingExtraError

if TYPE_CHECKING:
    import pandas as pd


class Findings(tuple[Any, ...]):  # noqa: SLOT001 -- a tuple cannot have slots of its own
    """The findings of all runs of a report, run by run; `runs` names the run of each."""

    runs: tuple[str, ...]

    def __new__(cls, owned: Iterable[tuple[str, Any]]) -> Self:
        """Findings with the names of their runs."""
        pairs = tuple(owned)
        made = super().__new__(cls, (finding for _, finding in pairs))
        made.runs = tuple(run for run, _ in pairs)
        return made

    def __repr__(self) -> str:
        loud = sum(1 for finding in self if finding.severity.rank > 0)
        return f"Findings({len(self)}, {loud} above a note)"

    def to_pandas(self) -> pd.DataFrame:
        """A frame with a row per finding: run, code, name, severity, cause, message, steps, advice.

        Raises
        ------
        MissingExtraError
            pandas is not installed.
        """
        rows = [
            {"run": run, "code": f.code, "name": f.name, "severity": f.severity.value, "cause": f.cause,
             "message": f.message, "steps": list(f.steps), "advice": f.advice}
            for run, f in zip(self.runs, self, strict=True)
        ]  # fmt: skip
        names = ["run", "code", "name", "severity", "cause", "message", "steps", "advice"]
        return _frame(rows, names)


def figures_frame(runs: Iterable[Any]) -> pd.DataFrame:
    """A frame with a row per run of a report: verdict, cause, and the figures that people compare."""
    rows = [
        {"run": run.id, "status": run.verdict.status, "outcome": run.verdict.outcome, "cause": run.diagnosis.cause,
         "confidence": run.diagnosis.confidence, "steps": run.steps, "clip_rate": run.clipping.clip_rate,
         "threshold": run.clipping.threshold, "suggested_threshold": run.suggestion.threshold,
         **{f"grad_norm_p{q}": v for q, v in run.percentiles.items()},
         "nonfinite_loss": run.nonfinite.loss, "nonfinite_grad_norm": run.nonfinite.grad_norm}
        for run in runs
    ]  # fmt: skip
    return _frame(rows, None)


def _frame(rows: list[dict[str, Any]], names: list[str] | None) -> pd.DataFrame:
    try:
        import pandas as pd
    except ImportError as error:
        raise MissingExtraError("a frame", "pandas", "pandas") from error
    return pd.DataFrame(rows, columns=names)

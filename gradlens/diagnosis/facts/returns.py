"""What an agent earns, where its loss means nothing: a return that falls below where it began and stays there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gradlens import vocabulary
from gradlens.diagnosis.facts.base import Fact
from gradlens.diagnosis.measured import Measured
from gradlens.diagnosis.words import figure
from gradlens.reports.analysis import Evidence
from gradlens.reports.base import Severity

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gradlens.run import Series

_RETURN = frozenset({"reward", "rewards", "return", "returns"})
#: Words that make another thing of it: its spread, its bounds, a part or a model of it, what it is measured against.
_OTHER = frozenset({
    "std", "var", "max", "min", "frac", "zero", "model", "scale", "norm", "penalty", "loss", "chosen", "rejected", "margins",
    "accuracies", "baseline", "target", "kl", "cost", "value",
})  # fmt: skip
#: Words of what an agent earns, or reaches.
_EARNED = frozenset(
    {"reward", "rewards", "return", "returns", "rew", "ret", "success", "score", "advantage", "advantages", "won"}
)
#: Returns without which none is judged, blocks they are cut into, of which the first and the last three are compared.
MIN_RETURNS, BLOCKS, FIRST, LAST = 60, 10, 1, 3
#: Standard errors by which the last returns lie below the first ones. Our own choice; a curriculum that gets harder passes it, too.
MIN_ERRORS = 4.5


def find(measured: Measured) -> tuple[Fact, ...]:
    """At most one fact, for an agent whose returns are logged."""
    if measured.loss_kind not in {"policy", "value"}:
        return ()
    for name, series in measured.run.series.items():
        words = set(vocabulary.plain(name).split("_"))
        if words & _RETURN and not words & _OTHER:
            fact = _never_any(measured, name, series) or _falls(name, series)
            return () if fact is None else (fact,)
    return ()


def _never_any(measured: Measured, name: str, series: Series) -> Fact | None:
    """An agent that was never rewarded: whatever it did, it earned exactly 0, and there is nothing to tell good from bad by."""
    value = series.value[np.isfinite(series.value)]
    if len(value) < MIN_RETURNS or value.any():
        return None
    # A column that nobody fills in stands beside others that say what was earned.
    others = [
        other.value[np.isfinite(other.value)]
        for key, other in measured.run.series.items()
        if key != name and set(vocabulary.plain(key).split("_")) & _EARNED
    ]
    if any(len(other) and other.any() for other in others):
        return None
    return Fact(
        code="GL514",
        severity=Severity.WARNING,
        cause="not_learning",
        confidence=0.8,
        outcome="not_learning",
        since_step=int(series.step[0]),
        message=f"{name} is exactly 0 in all {len(value):,} rows: the agent was never rewarded, so nothing tells it good from bad",
        advice="explore more, shape the reward, or begin nearer to the goal; check that the reward is what is logged",
        evidence=(Evidence(label=f"rows in which {name} is 0", value=len(value), n=len(value)),),
    )


def _falls(name: str, series: Series) -> Fact | None:
    known = np.isfinite(series.value)
    value, step = series.value[known], series.step[known]
    if len(value) < MIN_RETURNS:
        return None
    parts = np.array_split(value, BLOCKS)
    level = np.array([float(np.mean(part)) for part in parts])
    before, after = float(level[:FIRST].mean()), float(level[-LAST:].mean())
    fall = before - after
    if level[-LAST:].max() >= level[:FIRST].min() or fall < MIN_ERRORS * _error(parts):
        return None
    since = int(step[int(np.argmax(level < before - 0.5 * fall)) * len(value) // BLOCKS])
    return Fact(
        code="GL510",
        severity=Severity.WARNING,
        outcome="ended_worse",
        since_step=since,
        message=f"{name} falls from {figure(before)} to {figure(after)} and stays below where it began: the agent gets worse",
        advice="check the sign of the policy loss, that returns belong to the actions they followed, and that tasks did not get harder",
        steps=(since,),
        evidence=(
            Evidence(
                label=f"fall of {name} in standard errors",
                value=fall / max(_error(parts), 1e-300),
                threshold=MIN_ERRORS,
            ),
        ),
    )


def _error(parts: list[NDArray[np.float64]]) -> float:
    """The standard error of the difference of the means of the first and the last blocks."""
    first, last = np.concatenate(parts[:FIRST]), np.concatenate(parts[-LAST:])
    return float(np.hypot(np.std(first) / np.sqrt(len(first)), np.std(last) / np.sqrt(len(last))))

"""What an agent earns, where its loss means nothing.

A return that falls below where it began, or back to it, and stays there; none at all; and a policy that is as random at the end as it was
at first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gradlens import vocabulary
from gradlens.diagnosis.facts.base import Fact
from gradlens.diagnosis.facts.chance import guessed_classes
from gradlens.diagnosis.measured import Measured
from gradlens.diagnosis.words import figure
from gradlens.reports.analysis import Evidence
from gradlens.reports.base import Severity

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gradlens.run import Series

_RETURN = frozenset({"reward", "rewards", "return", "returns", "rew"})
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
#: Standard errors of a block by which a return rises before it can be lost, and the share of the rise that is left then. Our own choice.
MIN_GAIN, KEPT = 12.0, 0.2
#: How near to ln K the entropy of a policy is that chooses at random, as a share.
UNIFORM = 0.005


def find(measured: Measured) -> tuple[Fact, ...]:
    """At most one fact, for an agent whose returns are logged."""
    if measured.loss_kind not in {"policy", "value"}:
        return ()
    for name, series in measured.run.series.items():
        words = set(vocabulary.plain(name).split("_"))
        if words & _RETURN and not words & _OTHER:
            fact = (
                _never_any(measured, name, series)
                or _is_lost(name, series)
                or _falls(name, series)
                or _stays_uniform(measured, name, series)
            )
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


def _is_lost(name: str, series: Series) -> Fact | None:
    """A return that had risen, and ends where it began: what the agent had learned is gone."""
    known = np.isfinite(series.value)
    value, step = series.value[known], series.step[known]
    if len(value) < 2 * MIN_RETURNS:
        return None
    parts = np.array_split(value, 2 * BLOCKS)
    level = np.array([float(np.mean(part)) for part in parts])
    error = 1.4142 * float(np.median([np.std(part) / np.sqrt(len(part)) for part in parts]))
    best = int(np.argmax(level))
    before, top, after = float(level[0]), float(level[best]), float(level[-LAST:].max())
    gain = top - before
    if best > 2 * BLOCKS - 2 * LAST or not gain > MIN_GAIN * error or after > before + KEPT * gain:
        return None
    below = np.flatnonzero(level[best:] < before + 0.5 * gain)
    since = int(step[(best + int(below[0])) * len(value) // (2 * BLOCKS)])
    return Fact(
        code="GL510",
        severity=Severity.WARNING,
        outcome="ended_worse",
        since_step=since,
        message=f"{name} rises from {figure(before)} to {figure(top)} and falls back to {figure(float(level[-1]))} near step "
        f"{since:,}, where it stays: what the agent had learned is lost",
        advice=f"go back to a checkpoint from before step {since:,}; look at entropy, KL and clip fraction there, and lower the rate",
        steps=(since,),
        evidence=(Evidence(label=f"gain of {name} that is kept", value=(after - before) / gain, threshold=KEPT),),
    )


def _stays_uniform(measured: Measured, name: str, series: Series) -> Fact | None:
    """A policy whose entropy is ln K from beginning to end chooses among K actions at random, whatever it earns."""
    value = series.value[np.isfinite(series.value)]
    if len(value) < MIN_RETURNS:
        return None
    for key, other in measured.run.series.items():
        words = set(vocabulary.plain(key).split("_"))
        entropy = np.abs(other.value[np.isfinite(other.value)])  # some log the loss, which is the negative
        if "entropy" not in words or words & {"coef", "coefficient", "alpha", "cross"} or len(entropy) < MIN_RETURNS:
            continue
        classes = guessed_classes(float(np.median(entropy)), UNIFORM)
        if classes is None or float(np.abs(entropy / np.log(classes) - 1.0).max()) > 4.0 * UNIFORM:
            continue
        parts = np.array_split(value, BLOCKS)
        rise = float(np.mean(np.concatenate(parts[-LAST:])) - np.mean(np.concatenate(parts[:LAST])))
        if rise > MIN_ERRORS * _error(parts):
            continue
        return Fact(
            code="GL511",
            severity=Severity.WARNING,
            cause="not_learning",
            confidence=0.7,
            outcome="stalled",
            since_step=int(series.step[0]),
            message=f"{key} stays at ln {classes:,} from beginning to end and {name} does not rise: the policy chooses among "
            f"{classes:,} actions at random",
            advice="lower the weight of the entropy; check that the advantages reach the policy's loss and are not all equal",
            evidence=(Evidence(label=f"{key} over ln {classes:,}", value=float(np.median(entropy) / np.log(classes))),),
        )
    return None


def _error(parts: list[NDArray[np.float64]]) -> float:
    """The standard error of the difference of the means of the first and the last blocks."""
    first, last = np.concatenate(parts[:FIRST]), np.concatenate(parts[-LAST:])
    return float(np.hypot(np.std(first) / np.sqrt(len(first)), np.std(last) / np.sqrt(len(last))))

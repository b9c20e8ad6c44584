"""An agent whose gradients are exactly 0 from the first row on: nothing was measured, or nothing is learned. What is logged beside tells.

Where each answer to a prompt earns the same, all advantages are 0 and so is the gradient; and a policy whose divergence from the one
it began as is exactly 0 row after row never moved.
"""

from __future__ import annotations

import numpy as np

from gradlens import vocabulary
from gradlens.diagnosis.facts.base import Fact
from gradlens.diagnosis.facts.dead import MIN_ROWS, NOTHING_MOVES
from gradlens.diagnosis.measured import Measured
from gradlens.reports.analysis import Evidence
from gradlens.reports.base import Severity

#: Ends of the names of what proves it, the value that each then has in every row, and what that means.
PROOFS: tuple[tuple[str, float, str], ...] = (
    ("frac_reward_zero_std", 1.0, "every answer to a prompt earns the same, so all advantages are 0"),
    ("reward_std", 0.0, "every answer to a prompt earns the same, so all advantages are 0"),
    ("kl", 0.0, "the policy never moved from where it began"),
)
ADVICE = (
    "look at the rewards of single answers: where all to a prompt earn the same, use harder or other prompts, or more samples for each; "
    "otherwise check that the policy's parameters require gradients and are those of the optimizer"
)


def find(measured: Measured) -> tuple[Fact, ...]:
    """At most one fact: all norms are 0, and a column beside them says that the 0 was measured."""
    s = measured.signals
    norm = s.norm[s.has_norm]
    if measured.loss_descends or len(norm) < MIN_ROWS or norm.any():
        return ()
    for end, value, meaning in PROOFS:
        name = _always(measured, end, value)
        if name is not None:
            first = int(s.step[np.argmax(s.has_norm)])
            return (
                Fact(
                    code="GL514",
                    severity=Severity.ERROR,
                    cause="not_learning",
                    confidence=0.9,
                    outcome="not_learning",
                    since_step=first,
                    message=f"the gradient norm is exactly 0 in all {len(norm):,} rows, and {name} is {value:g} in all of them: {meaning}",
                    advice=ADVICE,
                    rules_out=NOTHING_MOVES,
                    steps=(first,),
                    evidence=(Evidence(label="norms of exactly 0", value=len(norm), n=len(norm)),),
                ),
            )
    return ()


def _always(measured: Measured, end: str, value: float) -> str | None:
    """The series of that name that has one value in each of at least ten rows."""
    for name, series in measured.run.series.items():
        last = vocabulary.plain(name.rsplit("/", 1)[-1])
        if (
            (last == end or last.endswith(f"_{end}"))
            and len(series) >= MIN_ROWS
            and bool((series.value == value).all())
        ):
            return name
    return None

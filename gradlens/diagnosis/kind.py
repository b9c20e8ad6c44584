"""What kind of loss a run has, and so what its course means.

Decided from names, companion columns and sign, before anything is measured: the surrogate loss of a policy gradient has no
floor and is 0 by construction where all advantages are equal; a temporal-difference loss grows with the returns that an agent
learns to collect; of two adversaries each gains what the other loses; a running sum that is never set back rises by itself. A
preference loss (DPO) begins at ln 2 and falls fast to a floor of noise: its course means something, but standing still does not mean
that it is stuck.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from gradlens import vocabulary
from gradlens.run import Run

if TYPE_CHECKING:
    from numpy.typing import NDArray

LossKind = Literal["descending", "preference", "policy", "value", "adversarial", "signless", "summed"]
#: Kinds whose course says nothing about progress.
MEANINGLESS: frozenset[LossKind] = frozenset({"policy", "value", "adversarial", "signless", "summed"})
#: Kinds that no judge of curves has learned. Of a loss that takes both signs, and of which no name says more, it has seen many: densities,
#: sums of several aims, agents whose log holds nothing else.
UNLEARNED = MEANINGLESS - {"signless"}

_ADVERSARIAL = frozenset({"generator", "discriminator", "gen", "disc", "g", "d", "gan", "adv", "adversarial"})
_VALUE = frozenset({"critic", "vf", "qf", "q", "td", "value"})
#: Words of names that only agents log.
_REWARD = frozenset({"reward", "rewards", "return", "returns", "advantage", "advantages", "episode", "ep", "won"})
_POLICY = frozenset(
    {"policy", "pg", "surrogate", "entropy", "clipfrac", "ratio", "kl", "completion", "completions", "advantages"}
)
#: Share of the values on either side of zero from which a loss has no sign, and so no floor.
MIN_BOTH_SIGNS = 0.05
#: Rows from which a sum can be told, how far its first addition may lie from its first value, how far any may lie above that, and
#: how far the later ones above the early ones, as factors.
MIN_SUM, FIRST_TERM, MAX_TERM, MAX_GROWTH = 10, 1.5, 2.0, 1.1
#: Deviations of the noise from row to row by which a loss that takes both signs in the end begins above it, to have come down there.
PLAINLY_ABOVE = 5.0
#: Deviations of the noise from row to row within which the thirds of a loss lie where it does not come down.
WITHIN_NOISE = 2.0


def loss_kind(run: Run) -> LossKind:
    """The kind of the loss of a run; `descending` where nothing says otherwise."""
    name = run.columns.loss or ""
    words = set(vocabulary.plain(name).split("_"))
    others = [set(vocabulary.plain(key).split("_")) for key in run.series]
    if any({"rewards", "chosen"} <= words_ or {"rewards", "margins"} <= words_ for words_ in others):
        return "preference"
    if vocabulary.is_contested(name):
        return "adversarial" if words & _ADVERSARIAL else "value" if words & _VALUE else "policy"
    if any(words_ & _REWARD and not words_ & {"model"} for words_ in others):
        return "policy" if any(words_ & _POLICY for words_ in others) else "value"
    if any(
        {"d", "loss"} <= words_ or {"loss", "disc"} <= words_ or {"discriminator", "loss"} <= words_
        for words_ in others
    ):
        return "adversarial"
    return _by_values(run)


def _by_values(run: Run) -> LossKind:
    if _is_always_zero(run):
        return "policy"
    if _is_sum(run):
        return "summed"
    return "signless" if _has_no_sign(run) or _is_negative_noise(run) else "descending"


def _is_always_zero(run: Run) -> bool:
    """Whether the loss is 0 in every row while gradients are not: 0 by construction, as that of GRPO at its first update."""
    loss, norm = run.loss, run.grad_norm
    return (
        loss is not None
        and norm is not None
        and len(loss) > 1
        and not loss.value.any()
        and bool((norm.value > 0).all())
    )


def _has_no_sign(run: Run) -> bool:
    """Whether the loss takes both signs from its first tenth on: it crosses zero instead of coming down through it."""
    if run.loss is None:
        return False
    value = run.loss.value[np.isfinite(run.loss.value)]
    first, last = value[: len(value) // 3], value[-(len(value) // 3) :]
    if len(first) < 5:
        return False
    sides = [min(float(np.mean(part > 0)), float(np.mean(part < 0))) for part in (first, last)]
    return min(sides) >= MIN_BOTH_SIGNS and not _comes_down(value)


def _comes_down(value: NDArray[np.float64]) -> bool:
    """Whether float64[n] begins above zero and far above where it ends, as a density does that is fitted within the first third."""
    opening, last = value[: max(len(value) // 50, 3)], value[-(len(value) // 3) :]
    noise = float(np.median(np.abs(np.diff(value)))) / 0.9539
    return float(opening.min()) > 0 and float(np.median(opening) - np.median(last)) > PLAINLY_ABOVE * noise


def _is_negative_noise(run: Run) -> bool:
    """Whether the loss is negative from the first row on and stays within its noise: the mean of advantages, not an error."""
    value = run.loss.value[np.isfinite(run.loss.value)] if run.loss is not None else np.empty(0)
    third = len(value) // 3
    if third < 5 or not np.median(value[:3]) < 0 or float(np.mean(value < 0)) < 1.0 - MIN_BOTH_SIGNS:
        return False
    noise = float(np.median(np.abs(np.diff(value)))) / 0.9539
    return abs(float(np.median(value[:third]) - np.median(value[-third:]))) < WITHIN_NOISE * noise


def _is_sum(run: Run) -> bool:
    """Whether the loss is a sum over all rows so far: `running_loss += loss.item()`, never set back to 0.

    Each row then adds a loss to those before it. The first value is the first loss, so the second row adds about as much, every row
    adds something, and what is added stays or comes down. A loss that diverges adds ever more.
    """
    if run.loss is None:
        return False
    value = run.loss.value
    if len(value) < MIN_SUM or not np.isfinite(value).all() or not value[0] > 0:
        return False
    added = np.diff(value)
    third = len(added) // 3
    return bool(
        added.min() > 0
        and value[0] / FIRST_TERM <= added[0] <= FIRST_TERM * value[0]
        and added.max() <= MAX_TERM * value[0]
        and np.median(added[-third:]) <= MAX_GROWTH * np.median(added[:third])
    )


#: What to say about each kind, and what to read instead.
WORDS: dict[LossKind, tuple[str, str]] = {
    "policy": ("a policy-gradient loss", "read the reward or the return"),
    "value": ("the loss of learned values, which grows with the returns", "read the reward or the return"),
    "adversarial": ("the loss of one of two adversaries", "read samples, or a score of them"),
    "summed": (
        "a sum of all losses so far: every row adds about one more loss to the row before",
        "set the running loss back to 0 after each row, and read what each row adds",
    ),
    "signless": (
        "a loss that takes both signs all along, as those of policy gradients and of densities", "read the reward or a score",
    ),
}  # fmt: skip

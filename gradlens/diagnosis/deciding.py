"""Who names the cause: the signs, or the second opinion, which looks at the curves as well.

A fact of the log comes before both. What it rules out is named by neither, but where facts show trouble anyway and the curves are sure of
it (`left_out`); what it only doubts, because such a cause seldom goes with it, is not named by the signs, and its odds are lowered in the
second opinion. Otherwise that opinion (`gradlens.diagnosis.opinion`) decides, with its caution: on families of runs that nothing had seen
it raises far fewer false alarms than the signs and names more causes (docs/naming.md). What becomes of the signs' answer:

- *agreed*: both have the same cause first. The confidences are those of the curves.
- *named*: the signs see trouble, and to the curves another cause is likeliest. The trouble stays, the cause changes; but not from what a
  sign shows in the numbers themselves to "none of the list", nor from a lag of Adam that a stated beta2 makes likely.
- *calmed*: the signs see trouble, no fact supports it, and the curves call the run healthy, not only for caution: an alarm that both
  raise apart from each other stands, but for odd batches, and so does that of steps too long where the loss itself shows it; any other
  becomes a note.
- *warned*: no sign and no fact shows trouble, and to the curves a fault is likeliest; clearly so, where healthy runs often have such
  curves. Not in a log without norms.

The signs decide alone where the run is unlike those that were learned from.

How confident a report is, is another matter than who decides. Caution is about what an alarm costs, not about what is likely, so the
confidences are those of the curves before it, only that what was decided stays first (`level_with`); and where the signs decide
against the curves, they are the mean of both. The Brier scores of docs/naming.md are those of such confidences.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from gradlens.diagnosis.opinion import FACTS_DECIDE, SecondOpinion
from gradlens.reports.base import Cause

Ruling = Literal["signs", "agreed", "named", "calmed", "warned"]
#: The rulings that leave the first cause of the signs as it is.
UNCHANGED: frozenset[Ruling] = frozenset({"signs", "agreed"})

#: The confidence of the curves in a healthy run, before any caution, without which no alarm is calmed.
CALM_ALONE = 0.1
#: What the signs measure directly is never calmed: norms that end at a threshold, a jump of the norm at one of the rate, overflows of the
#: scale, the share of a penalty.
NEVER_CALMED: frozenset[Cause] = frozenset({"postclip_logged", "lr_restart", "fp16_overflow", "l2_contamination"})
#: Signs of a loss that rose by a third of its descent, and the grade from which on no curves calm the alarm of a rate too high or of
#: missing warm-up, or of a sudden rise of the level: of 38 such runs of families unseen whose curves look healthy 29 have a fault.
PLAIN_SIGNS = ("rebounds", "thrown_off")
PLAIN = 0.75
#: Signs of a loss that shot up at once and came down: curves calm the alarm where `healthy` has at least so much before any caution. Of
#: such runs of families unseen, three of four have a fault where it has less than half, and 9 of 21 where it has more.
OVERSHOOTS = ("overshoots_at_once", "overshoot_without_warmup")
CALM_OVERSHOOT = 0.6
#: What stands out in healthy runs, too: of 30 alarms of families unseen that curves raised as well before any caution, and none with it, 11
#: were false, and one in five of those of other causes. That both see it is no reason not to calm it.
OF_BATCHES: frozenset[Cause] = frozenset({"bad_data", "batch_size_change"})
OF_STEPS: frozenset[Cause] = frozenset({"lr_too_high", "no_warmup"})
#: A sudden rise of the level that gives back so much of the descent is none of noise, whatever becomes of it.
THROWN_BACK: frozenset[Cause] = OF_STEPS | {"data_shift"}
#: The confidence of the curves without which no fault is warned of that no sign shows, where healthy runs have the same curves: data
#: become harder by themselves, gradients of many dimensions have smooth norms without a penalty, a loss of practically nothing has
#: spikes of many times itself, and much that is unlike the runs learned from looks like a fault that is none of the list. That gradients
#: vanish, that a loss scale overflows or collapses, or that norms were measured after clipping or before unscaling, must show in the
#: numbers themselves.
WARNS: Mapping[Cause, float] = {
    "data_shift": 0.8, "l2_contamination": 0.9, "bad_data": 0.5, "unknown": 0.5, "vanishing": 0.9, "postclip_logged": 1.0,
    "clip_before_unscale": 0.9, "fp16_overflow": 1.0, "loss_scale_collapse": 1.0,
}  # fmt: skip
#: Share of the traits that may be missing where no sign shows what the curves warn of: without norms more are.
MAX_MISSING_TO_WARN = 0.4
#: Causes of which a sign shows something in the numbers themselves: that the curves look like those of a fault that is none of the list
#: says little against them. Of 212 such runs of families unseen the signs were right on 154, the curves on 11.
SHOWN: frozenset[Cause] = frozenset({"lr_too_high", "exploding", "vanishing", "not_learning"})
#: Share of the traits of a run that may lie outside the middle 96 % of the runs learned from (one of these in a thousand has more),
#: and the share that may be missing.
MAX_OUTSIDE, MAX_MISSING = 0.4, 0.6
#: The confidence from which on the next cause is named where a fact rules out the first.
NEXT_BEST = 0.2
#: What became of a run, and the confidence from which on the curves say why. Of 75 runs of families unseen that do not learn they named
#: the cause of 68, and of 93 that overfit that of 85.
BECAME: frozenset[Cause] = frozenset({"not_learning", "overfitting"})
WHY = 0.4
#: What the curves may name although a fact rules it out, where facts show trouble, so that only its name is asked, and the confidence they
#: must have: what shapes the whole course. Of 75 such runs of families unseen they were right on 70. Not so what arithmetic decides: a NaN
#: that nothing grew towards is no explosion, and a loss far above its start none of other data.
MAY_NAME: frozenset[Cause] = frozenset(
    {"lr_too_high", "no_warmup", "vanishing", "l2_contamination", "batch_size_change"}
)
SURE = 0.5
#: What the odds of a cause are divided by where a fact doubts it.
DOUBT = 2.0
#: Confidence of the signs from which on they show a cause.
HINT = 0.15


def ruling(
    by_signs: Mapping[Cause, float], second: SecondOpinion | None, *, proven: bool, serious: bool,
    excluded: frozenset[Cause], doubted: frozenset[Cause] = frozenset(), plain: bool = False, overshot: bool = False,
    stated: frozenset[Cause] = frozenset(),
) -> Ruling:  # fmt: skip
    """Who decides on one run.

    `by_signs` are the confidences of the signs before any ceiling, without the causes that are `excluded` or `doubted`; `proven` says that
    a fact proves a cause, `serious` that a fact shows trouble, `plain` and `overshot` that the loss itself does (see `plainly_unstable` and
    `overshoots`), and `stated` for which causes a setting speaks (see `stated_by`).
    """
    if second is None or is_unlike(second):
        return "signs"
    first = likeliest(by_signs)[0]
    cause, confidence = likeliest(without(second.cautious, excluded, doubted))
    if proven:
        return "signs"
    if cause == first:
        return "agreed"
    if cause == "healthy":
        also_seen = first not in OF_BATCHES and likeliest(without(second.learned, excluded, doubted))[0] == first
        healthy = second.learned.get("healthy", 0.0)
        is_calm = first not in NEVER_CALMED and healthy >= CALM_ALONE
        shown = serious or ((plain or (overshot and healthy < CALM_OVERSHOOT)) and first in THROWN_BACK)
        return "calmed" if is_calm and not also_seen and not shown else "signs"
    if first == "healthy":
        # A loss that hardly moves is that of fine-tuning: what no sign shows and no cause explains is no reason to warn.
        nothing = cause == "unknown" and cause in doubted and not serious
        return "signs" if nothing else _warned_of(cause, confidence, second, serious=serious)
    knows_no_better = (cause == "unknown" and first in SHOWN) or first in stated
    # Where the rate jumps, a change of level has its reason.
    return "signs" if knows_no_better or (first, cause) == ("lr_restart", "data_shift") else "named"


def left_out(excluded: frozenset[Cause], second: SecondOpinion, *, serious: bool) -> frozenset[Cause]:
    """What the curves do not name: what facts rule out, without the cause that the curves are sure of where a fact shows trouble."""
    cause, _ = likeliest(second.cautious)
    is_sure = serious and cause in MAY_NAME and second.learned.get(cause, 0.0) >= SURE
    return excluded - {cause} if is_sure else excluded


def plainly_unstable(grades: Mapping[str, float]) -> bool:
    """Whether the loss itself shows that steps were too long, by the grades of the signs."""
    return max(grades.get(name, 0.0) for name in PLAIN_SIGNS) >= PLAIN


def overshoots(grades: Mapping[str, float]) -> bool:
    """Whether the loss shot up at once, by the grades of the signs."""
    return max(grades.get(name, 0.0) for name in OVERSHOOTS) >= PLAIN


def stated_by(grades: Mapping[str, float]) -> frozenset[Cause]:
    """The causes for which a setting speaks that curves do not show: a slow second moment, for its lag after a shock."""
    return frozenset({"adam_beta2_lag"} if grades.get("slow_memory", 0.0) >= PLAIN else ())


def _warned_of(cause: Cause, confidence: float, second: SecondOpinion, *, serious: bool) -> Ruling:
    """What becomes of a fault that no sign shows; `serious` says that a fact shows trouble."""
    if confidence < WARNS.get(cause, 0.0):
        return "signs"
    if serious:
        return "named"
    return "signs" if second.missing > MAX_MISSING_TO_WARN else "warned"


def stands(proven: Cause, confidence: float, by_curves: Mapping[Cause, float]) -> bool:
    """Whether a fact that proves a cause with some confidence stands: it gives way where the curves are surer of another one.

    Not what is arithmetic, and not to a fault that is none of the list. That a run does not learn, or loses on new data what it gains on
    old ones, is only what became of it: where the curves say why, that is the cause.
    """
    cause, sure = likeliest(by_curves)
    if cause in {"healthy", "unknown", proven}:
        return True
    return sure < WHY if proven in BECAME else proven in FACTS_DECIDE or confidence >= sure


def confidences(
    said: Ruling, by_signs: Mapping[Cause, float], second: SecondOpinion,
    excluded: frozenset[Cause] = frozenset(), doubted: frozenset[Cause] = frozenset(),
) -> dict[Cause, float]:  # fmt: skip
    """How likely each cause is after a ruling, adding up to one; `by_signs` as for `ruling`, of a run that is not unlike others."""
    curves = without(second.learned, excluded, doubted)
    if likeliest(second.learned)[0] in excluded:
        # What a fact explains by something harmless is no evidence of health either.
        left = without({**second.learned, likeliest(second.learned)[0]: 0.0}, excluded, doubted)
        curves = {cause: (p + left[cause]) / 2 for cause, p in curves.items()}
    if said != "signs":
        return level_with(curves, likeliest(without(second.cautious, excluded, doubted))[0])
    both = {cause: (by_signs.get(cause, 0.0) + curves.get(cause, 0.0)) / 2 for cause in {**by_signs, **curves}}
    return level_with(both, likeliest(by_signs)[0])


def level_with(confidence: Mapping[Cause, float], first: Cause) -> dict[Cause, float]:
    """The same sum of confidences with one cause first: what others have above it is shared until none has more.

    >>> {cause: round(p, 2) for cause, p in level_with({"healthy": 0.1, "bad_data": 0.7, "exploding": 0.2}, "healthy").items()}
    {'healthy': 0.4, 'bad_data': 0.4, 'exploding': 0.2}
    """
    own, ahead = confidence.get(first, 0.0), []
    level = own
    for p in sorted((p for cause, p in confidence.items() if cause != first), reverse=True):
        if p <= level:
            break
        ahead.append(p)
        level = (own + sum(ahead)) / (1 + len(ahead))
    if not ahead:
        return dict(confidence)
    most = level * (1 - 1e-6)
    found = {cause: min(p, most) for cause, p in confidence.items()}
    found[first] = own + sum(confidence.values()) - sum(min(p, most) for p in confidence.values())
    return found


def is_unlike(second: SecondOpinion) -> bool:
    """Whether a run is unlike those that the curves were learned from."""
    return second.outside > MAX_OUTSIDE or second.missing > MAX_MISSING


def without(
    confidence: Mapping[Cause, float], excluded: frozenset[Cause], doubted: frozenset[Cause] = frozenset()
) -> dict[Cause, float]:
    """The confidences of the causes that are left, adding up to one; those of causes that a fact doubts are divided by `DOUBT` first.

    Where the first cause is among the excluded, what these had goes to `healthy`, unless the next cause had a fifth by itself: a fact
    explains what was seen by something harmless, and what is left is no better explained by a cause that nothing speaks for.
    """
    gone = sum(p for cause, p in confidence.items() if cause in excluded and cause != "healthy")
    left = {
        cause: p / DOUBT if cause in doubted else p
        for cause, p in confidence.items()
        if cause not in excluded or cause == "healthy"
    }
    next_best = max((p for cause, p in left.items() if cause != "healthy"), default=0.0)
    if likeliest(confidence)[0] in excluded - {"healthy"} and next_best < NEXT_BEST:
        left["healthy"] = left.get("healthy", 0.0) + gone
    total = sum(left.values())
    return {cause: p / total for cause, p in left.items()} if total > 0 else {"healthy": 1.0}


def likeliest(confidence: Mapping[Cause, float]) -> tuple[Cause, float]:
    """The first cause and its confidence."""
    return max(confidence.items(), key=lambda pair: pair[1])

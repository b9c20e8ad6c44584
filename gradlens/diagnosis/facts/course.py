"""Where the loss ends: diverged, worse than it was, or where it began.

What a run lost is a fact whatever the cause. Lost is what is not regained: a good part of the descent, or, where the loss had come down
far, a level of nearly twice the lowest one for a fifth of the run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

import numpy as np

from gradlens.diagnosis.facts import frozen_loss, guessing, last_rows, not_regained, standstill, thrown_off, unmoved
from gradlens.diagnosis.facts.base import OF_BATCHES, Fact
from gradlens.diagnosis.facts.chance import ADVICE, NEAR_CHANCE, guessed_classes
from gradlens.diagnosis.facts.shock import begins_without_a_shock
from gradlens.diagnosis.features.curves import block_medians, neighbour_noise, rolling_level, thinned
from gradlens.diagnosis.features.progress import MAX_ROWS, Progress
from gradlens.diagnosis.measured import Measured
from gradlens.diagnosis.signs.course import never_learned, progress_lost, rise_is_trouble
from gradlens.diagnosis.words import figure, in_words
from gradlens.reports.analysis import Evidence
from gradlens.reports.base import Cause, Severity
from gradlens.stats.robust import MAD_TO_SIGMA

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: A loss ends this many times above its lowest level, by this share of its descent and for this share of the run,
#: before a lasting rise that is
#: smaller than half of the descent counts. Our own choice.
TIMES_BEST, MIN_RISE, MIN_TIME = 1.7, 0.15, 0.2
#: A rise that is still going on at the end counts earlier, where the norm rises with it: the share of the descent that is lost,
#: the share of the run that it lasts, how many times its level before the norm ends at, and the rank correlation of either
#: with time from the rise on. Our own choice.
CLIMB_LOST, CLIMB_TIME, CLIMB_NORM, CLIMB_ORDER = 0.25, 0.15, 2.0, 0.8
#: Levels of which the order of a climb is told, and rows that each of them stands for at least.
CLIMB_LEVELS, CLIMB_ROWS = 8, 3
#: The share of the run that a rise lasts from which on it began at the start.
LATE = 0.9
#: Times its value a twentieth of the rows ago at which a rate rises.
NEW_RATE = 1.2
#: How many times its start a smoothed loss must end at to have diverged.
TIMES_START = 2.5
#: Rows after a rise, and their share, that are as low as the start of a run that did not diverge: its first rows were easy ones.
AS_LOW, AS_LOW_SHARE = 3, 0.01
#: Share of the chance level below which a loss had learned, and how near to that level it began, to have come back to guessing.
FAR_BELOW, NEAR_START = 0.9, 0.2
#: Times the level of guessing that a loss reaches where it was shocked, beyond the noise of most batches.
OVERSHOOT = 1.5
#: Times its level before that a norm ends at least at where other data are to blame: what costs more pulls harder, and only a saturated
#: model feels next to nothing far above where it was. Our own choice: of 12 runs of other data whose loss ended so 10 have more.
STILL_PULLS = 0.5
#: Times its start that a loss ends at least at, to lie plainly above it. Our own choice.
PLAINLY_ABOVE = 1.1
#: Changes of level, which leave a run that goes on learning.
LEVELS: frozenset[Cause] = frozenset({"data_shift", "batch_size_change"})
#: The one of them that seldom changes the mean.
OF_NOISE: frozenset[Cause] = frozenset({"batch_size_change"})
#: Deviations of the noise below chance at which a first row shows that this was no guess: before training nobody does better.
BETTER = 8.0
#: Deviations of the noise between rows from which a descent, or a rise, is more than noise.
CLEAR_RISE = 3.0
#: How far around ln 2 the level of a noisy loss that is stuck there lies: confident guesses cost more than fair ones, so above rather
#: than below; two standard errors are added, which must be small themselves. Rows without which none is told. Our own choice.
BINARY, MAX_ERROR, MIN_BINARY = (-0.005, 0.025), 0.008, 200
#: Times ln 2 up to which a new model of two classes begins: what begins higher comes to that level by chance as well. Our own choice.
FAR_ABOVE = 1.8


def find(measured: Measured) -> tuple[Fact, ...]:
    """At most one fact: plainly stands still, thrown off at once, diverged, ended worse, still climbing, stuck at chance, hardly moved."""
    p = measured.progress
    if measured.numerics.dead_from is not None or not measured.loss_descends:
        return ()
    still = standstill.find(measured)
    if still or p is None:
        return still
    for one in FINDERS:
        fact = one(measured, p)
        if fact is not None:
            return (fact,)
    return ()


def _diverged(measured: Measured, p: Progress) -> Fact | None:
    if not p.start > 0 or p.end < TIMES_START * p.start or p.explosion < np.log(TIMES_START):
        return None
    since, _ = _rise(measured)
    after = measured.signals.loss[int(np.searchsorted(measured.signals.step, since)) :]
    if int((after <= p.start).sum()) >= max(AS_LOW, AS_LOW_SHARE * len(after)):
        return None  # the first rows were easy ones, as others later on
    return Fact(
        code="GL510",
        severity=Severity.ERROR,
        outcome="diverged",
        since_step=since,
        message=f"the loss diverged: it began at {figure(p.start)} and ends at {figure(p.end)}{_norm_too(measured, since)}",
        advice=f"go back to a checkpoint from before step {since:,} and continue with a third of the learning rate",
        otherwise="lr_too_high",
        # Other data are learned in their turn: they seldom leave a run far above where an untrained model began.
        **_levels(measured, since, LEVELS),
        steps=(since,),
        evidence=(Evidence(label="end over start", value=p.end / p.start, threshold=TIMES_START),),
    )


class _Levels(TypedDict, total=False):
    """How a fact speaks against changes of level."""

    rules_out: frozenset[Cause]
    doubts: frozenset[Cause]


def _levels(measured: Measured, since: int, causes: frozenset[Cause]) -> _Levels:
    """Against causes that change a level: ruled out where the norm ends far below its level before, otherwise only doubted."""
    norm, batches = _norm_around(measured, since), _no_batches(measured, since)
    saturated = norm is not None and norm[1] < STILL_PULLS * norm[0]
    return {"rules_out": causes | batches} if saturated else {"doubts": causes, "rules_out": batches}


def _no_batches(measured: Measured, since: int) -> frozenset[Cause]:
    """What blames single batches, where nothing shocked the run."""
    return OF_BATCHES if begins_without_a_shock(measured, since) else frozenset()


def _against(measured: Measured, since: int, *, guesses: bool) -> _Levels:
    """What an end that is worse than the run was speaks against.

    Other data are answered wrongly and with confidence at first, which costs more than guessing. Larger or smaller batches have another
    noise and mostly the same mean. And where the rate was never as high as then, it is what changed.
    """
    if not guesses and (_at_a_new_rate(measured, since) or _above_the_start(measured, since)):
        return _levels(measured, since, LEVELS)
    return {"rules_out": (LEVELS if guesses else OF_NOISE) | _no_batches(measured, since)}


def _ended_worse(measured: Measured, p: Progress) -> Fact | None:
    lost = progress_lost(measured) >= 0.5 and p.in_noise > 6.0
    since, lasting = _rise(measured)
    raised = (
        p.best > 0
        and p.end > TIMES_BEST * p.best
        and p.kept < 1.0 - MIN_RISE
        and p.in_noise > 6.0
        and lasting >= MIN_TIME
        and p.rebound > MIN_RISE
    )
    if not lost and not raised:
        return None
    classes = _back_at_chance(measured, p) if lasting >= MIN_TIME else None
    guesses = f", which is ln {classes:,}: what guessing among {classes:,} classes gives" if classes else ""
    return Fact(
        code="GL510",
        severity=Severity.ERROR,
        outcome="ended_worse",
        since_step=since,
        otherwise="lr_too_high" if _at_a_new_rate(measured, since) or _above_the_start(measured, since) else "unknown",
        **_against(measured, since, guesses=classes is not None and not _overshoots(measured, classes)),
        message=f"the loss fell from {figure(p.start)} to about {p.best:.2g}, rose again near step {since:,} and never "
        f"recovered: it ends at {figure(p.end)}{guesses}"
        f"{_norm_too(measured, since)}",
        # Nobody keeps a checkpoint of the first steps.
        advice=""
        if lasting > LATE
        else f"go back to a checkpoint from before step {since:,}, continue with a third of the learning rate, and "
        "replay the batches of the rise to see whether they are to blame",
        steps=(since,),
        evidence=(Evidence(label="share of the descent that is kept", value=p.kept, threshold=0.6),),
    )


def _at_a_new_rate(measured: Measured, since: int) -> bool:
    """Whether the rate was higher at a step than ever before, and still rose: by a fifth within the last twentieth of the rows."""
    s = measured.signals
    rows = np.flatnonzero(np.isfinite(s.lr) & (s.step <= since))
    back = len(s) // 20
    if len(rows) <= back + 1 or back < 1:
        return False
    rate = s.lr[rows]
    return bool(rate[-1] >= rate.max() and rate[-1] > NEW_RATE * rate[-1 - back] > 0)


def _above_the_start(measured: Measured, since: int) -> bool:
    """Whether the loss ends plainly above where it began, and the norm far above its level before: the steps feed on both.

    Other data seldom leave a run above where an untrained model began, which knew nothing of them either.
    """
    p, norm = measured.progress, _norm_around(measured, since)
    if p is None or norm is None or not measured.signals.from_the_start:
        return False
    return p.end > PLAINLY_ABOVE * p.start > 0 and norm[1] > CLIMB_NORM * norm[0]


def _back_at_chance(measured: Measured, p: Progress) -> int | None:
    """Among how many classes the run guesses at the end, where it began by guessing, had learned better, and now guesses again."""
    known = measured.signals.loss[np.isfinite(measured.signals.loss)]
    last = known[-max(len(known) // 8, 8) :]
    classes = guessed_classes(float(np.median(last)), NEAR_CHANCE)
    if classes is None or p.best > FAR_BELOW * np.log(classes) or abs(p.start / np.log(classes) - 1.0) > NEAR_START:
        return None
    return classes if neighbour_noise(last) < NEAR_CHANCE * np.log(classes) * np.sqrt(len(last)) else None


def _overshoots(measured: Measured, classes: int) -> bool:
    """Whether the loss was far above the level of guessing on its way back there: something shocked the run."""
    s = measured.signals
    row = int(np.searchsorted(s.step, _rise(measured)[0]))
    near = s.loss[max(row - len(s) // 20, 0) : row + max(len(s) // 10, 20)]
    near = near[np.isfinite(near)]
    return bool(len(near)) and float(near.max()) > OVERSHOOT * np.log(classes)


def _climbs_to_the_end(measured: Measured, p: Progress) -> Fact | None:
    """Loss and norm have been rising together since some step and still rise at the end: a divergence under way.

    Data that become harder, or a dataset learned by heart, move one of the two; steps that are too long feed on both.
    """
    if p.kept > 1.0 - CLIMB_LOST or p.in_noise < 6.0 or p.rebound < MIN_RISE or rise_is_trouble(measured) < 0.5:
        return None
    since, lasting = _rise(measured)
    if lasting < CLIMB_TIME:
        return None
    s = measured.signals
    row = int(np.searchsorted(s.step, since))
    (_, loss_order), (norm_grew, norm_order) = _climb(s.loss, row), _climb(s.norm, row)
    if min(loss_order, norm_order) < CLIMB_ORDER or norm_grew < CLIMB_NORM:
        return None
    return Fact(
        code="GL510",
        severity=Severity.WARNING,
        outcome="ended_worse",
        since_step=since,
        otherwise="unknown",
        message=f"the loss has been rising since about step {since:,} and still rises at the end, from about {p.best:.2g} "
        f"to {figure(p.end)}{_norm_too(measured, since)}",
        advice=f"stop, go back to a checkpoint from before step {since:,} and continue with a third of the learning rate",
        steps=(since,),
        evidence=(Evidence(label="norm over its level before", value=norm_grew, threshold=CLIMB_NORM),),
    )


def _climb(value: NDArray[np.float64], row: int) -> tuple[float, float]:
    """How many times its level before `row` a series ends at, and the rank correlation of its levels since then with time."""
    before, after = value[row // 2 : row], value[row:]
    before, after = before[np.isfinite(before)], after[np.isfinite(after)]
    if len(before) < CLIMB_ROWS or len(after) < CLIMB_LEVELS * CLIMB_ROWS or not np.median(before) > 0:
        return 0.0, 0.0
    level = block_medians(after, CLIMB_LEVELS)
    rank = np.argsort(np.argsort(level))
    return float(level[-1] / np.median(before)), float(np.corrcoef(rank, np.arange(CLIMB_LEVELS))[0, 1])


def _rise(measured: Measured) -> tuple[int, float]:
    """The step at which the smoothed loss last leaves its lowest level for good, and the share of the rows after it."""
    s = measured.signals
    known = np.flatnonzero(np.isfinite(s.loss))
    block = max(len(known) // MAX_ROWS, 1)
    value = thinned(s.loss[known], MAX_ROWS)
    width = max(5, len(value) // 40) | 1
    smooth = rolling_level(value, width)
    low, end = float(smooth[width // 2 :].min()), float(np.median(value[-max(3, len(value) // 20) :]))
    below = np.flatnonzero(smooth < low + 0.35 * (end - low))
    at = min(int(below[-1]) + 1 if len(below) else 0, len(value) - 1)
    return int(s.step[known[at * block]]), 1.0 - at / len(value)


def _norm_too(measured: Measured, since: int) -> str:
    norm = _norm_around(measured, since)
    if norm is None:
        return ""
    was, ends = norm
    times = ends / was if was > 0 else 0.0
    return (
        f"; the norm ends at {in_words(times)} times its level before ({figure(was)} to {figure(ends)})"
        if times > 1.3
        else f"; the norm went from {figure(was)} to {figure(ends)}"
    )


def _norm_around(measured: Measured, since: int) -> tuple[float, float] | None:
    """The level of the norm before a step and at the end; None where too few norms are known."""
    s = measured.signals
    row = int(np.searchsorted(s.step, since))
    width = max(len(s) // 20, 5)
    before, after = s.norm[max(row - 4 * width, 0) : max(row - width, 1)], s.norm[-width:]
    if np.isfinite(before).sum() < 3 or np.isfinite(after).sum() < 3:
        return None
    return float(np.nanmedian(before)), float(np.nanmedian(after))


def _at_chance(measured: Measured, p: Progress) -> Fact | None:
    if never_learned(measured) < 0.5 or not p.start > 0:
        return None
    known = measured.signals.loss[np.isfinite(measured.signals.loss)]
    level = float(np.median(known[len(known) // 2 :]))
    if level - float(known[: len(known) // 10].min()) > BETTER * max(neighbour_noise(known), NEAR_CHANCE * level):
        return None  # where two adversaries come to rest (2 or 3 ln 2), the loss may have been lower before
    classes = guessed_classes(level, NEAR_CHANCE)
    if classes is None or abs(p.start - level) >= 0.1 * level:
        return None
    chance = float(np.log(classes))
    return Fact(
        code="GL511",
        severity=Severity.WARNING,
        outcome="stalled",
        since_step=int(measured.signals.step[0]),
        otherwise="not_learning",
        message=f"the loss stays at {level:.4g} from beginning to end, which is ln {classes:,}: what "
        f"guessing among {classes:,} classes gives",
        advice=ADVICE,
        evidence=(Evidence(label="loss over chance", value=level / chance, threshold=1.0 + NEAR_CHANCE),),
    )


def _at_noisy_chance(measured: Measured, p: Progress) -> Fact | None:
    """A loss of two classes that comes to ln 2, or begins there, and stays for half of the run however its batches vary."""
    loss = measured.signals.loss[np.isfinite(measured.signals.loss)]
    chance = float(np.log(2.0))
    if len(loss) < MIN_BINARY or not 1.0 - NEAR_CHANCE <= p.start / chance <= FAR_ABOVE or guessing.find(measured):
        return None
    half = loss[len(loss) // 2 :]
    parts = [*np.array_split(half, 4), half]
    away = np.array([float(np.median(part)) / chance - 1.0 for part in parts])
    error = 1.2533 * MAD_TO_SIGMA * float(np.median(np.abs(half - np.median(half)))) / chance
    errors = 2.0 * error / np.sqrt([len(part) for part in parts])
    if errors[-1] > 2.0 * MAX_ERROR or (away < BINARY[0] - errors).any() or (away > BINARY[1] + errors).any():
        return None
    if float(block_medians(loss, 8).min()) < chance * (1.0 + BINARY[0] - errors[0]):
        return None  # it was better than guessing before
    over = float(away[-1])
    level = chance * (1.0 + over)
    return Fact(
        code="GL511",
        severity=Severity.WARNING,
        cause="not_learning",
        confidence=0.7,
        outcome="stalled",
        since_step=int(measured.signals.step[0]),
        message=f"the loss stays at {level:.3g} to the end, which is ln 2: what guessing between two classes gives",
        advice=ADVICE,
        evidence=(Evidence(label="loss over chance", value=1.0 + over, threshold=1.0 + BINARY[1], n=len(loss)),),
    )


#: What a loss without progress shows no better than a model that was trained before: that it is slow for a reason nobody knows.
NO_PROGRESS: frozenset[Cause] = frozenset({"unknown"})


def _hardly_moves(measured: Measured, p: Progress) -> Fact | None:
    known = measured.signals.loss[np.isfinite(measured.signals.loss)]
    noise = neighbour_noise(known)
    if not p.start > 0 or never_learned(measured) >= 0.5 or abs(p.start - p.end) > 4.0 * noise or p.in_noise > 6.0:
        return None
    if p.plainly_fell or frozen_loss.find(measured):
        return None  # however much its batches differ; and what is one number has no noise
    # Noise that lasts from row to row shows as scatter around a line, and not between neighbours.
    lasting = max(_scatter(known) / max(noise, 1e-300), 1.0)
    # Shares of a descent that is within the noise are shares of noise.
    rises = p.rebound * max(p.in_noise, 2.0) > CLEAR_RISE * lasting
    return Fact(
        code="GL511",
        severity=Severity.NOTE,
        outcome="stalled",
        doubts=NO_PROGRESS
        if p.in_noise >= CLEAR_RISE * lasting or rises
        else NO_PROGRESS | {"lr_too_high", "no_warmup"},
        message=f"the loss hardly moves: {p.start:.4g} at first, {p.end:.4g} at the end, within its own noise of "
        f"{noise:.2g} from row to row; usual "
        "where a trained model is fine-tuned",
        advice="judge by an evaluation; if nothing was trained before, overfit ten examples to see whether anything "
        "is learned",
    )


def _scatter(loss: NDArray[np.float64]) -> float:
    """The deviation of a loss, float64[n], around a straight line."""
    rows = np.arange(len(loss), dtype=np.float64)
    return MAD_TO_SIGMA * float(np.median(np.abs(loss - np.polyval(np.polyfit(rows, loss, 1), rows))))


#: In this order: the first that is so is told.
FINDERS = (
    _diverged, _ended_worse, _climbs_to_the_end, last_rows.find, not_regained.find, _at_chance, _at_noisy_chance, thrown_off.find,
    unmoved.find, _hardly_moves,
)  # fmt: skip

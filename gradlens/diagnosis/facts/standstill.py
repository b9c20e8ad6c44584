"""A loss that stands still where fine-tuning cannot be the reason.

A model that was trained before may have little left to learn, so a flat loss alone is a note. Five things rule that out: every row at
what guessing costs, an accuracy that is no better than guessing or never changes, dozens of epochs over the same data, a loss that is the
same to the last digit, and gradients that add up because nothing clears them.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from gradlens import vocabulary
from gradlens.diagnosis.facts.base import Fact
from gradlens.diagnosis.facts.chance import ADVICE, NEAR_CHANCE, guessed_classes
from gradlens.diagnosis.facts.epochs import counts_epochs
from gradlens.diagnosis.features.curves import neighbour_noise
from gradlens.diagnosis.measured import Measured
from gradlens.diagnosis.words import counted
from gradlens.reports.analysis import Evidence
from gradlens.reports.base import Cause, Severity

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Rows from which a loss is at chance in all of them, an accuracy stands still, a loss is the same, epochs are many, norms add up.
#: Our own choice.
MIN_CHANCE, MIN_ACCURACY, MIN_SAME, MIN_EPOCHS, MIN_SUMMED = 10, 15, 20, 30, 60
#: How near to ln K a loss is at chance where an accuracy says so, too, and how near the accuracy is to 1/K, as a factor.
BESIDE_ACCURACY, NEAR_SHARE = 0.03, 1.6
#: The first tenth of the rows may lie further from it, by this share of it above, as outputs of a new network do, and by the other below;
#: of the later rows this share may lie a little further, as easy and hard batches of few examples do.
FIRST_ROWS, FIRST_ABOVE, FIRST_BELOW, LATER, LATER_NEAR = 10, 0.25, 0.02, 0.2, 0.02
#: An accuracy of two classes that is no better than guessing.
HALF = 0.5
#: An accuracy above this one can stand still because nothing is left to learn.
HIGH_ACCURACY = 0.9
#: An accuracy up to this one that is the same in all rows is that of one answer to everything.
ONE_ANSWER = 0.6
#: Measures that are 0 where nothing is found.
OVERLAPS = frozenset({"dice", "iou", "miou", "jaccard", "f1", "recall"})
#: Share of its start that a loss keeps at least where only the frequencies of the classes were learned. Our own choice.
BY_FREQUENCY = 0.7
#: Descent, as a share of the level, below which nothing came down, and deviations of the noise within which it did not.
MAX_DESCENT, MAX_IN_NOISE = 0.02, 4.0
#: A loss that is the same to the last digit was never further above than this, and is printed to this share of it or better.
MAX_ABOVE, MIN_DIGITS = 0.05, 0.005
#: Correlation of norm and step, and growth over the run, from which gradients add up.
MIN_LINEAR, MIN_SUM_GROWTH = 0.99, 5.0
#: Confidence in the cause where the norms prove it. Our own choice.
PROVEN = 0.85
#: What no loss that stands still can show.
MOVES: frozenset[Cause] = frozenset(
    {"bad_data", "data_shift", "exploding", "batch_size_change", "adam_beta2_lag", "overfitting"}
)


def find(measured: Measured) -> tuple[Fact, ...]:
    """At most one fact."""
    loss = measured.signals.loss[np.isfinite(measured.signals.loss)]
    if len(loss) < MIN_CHANCE or measured.signals.bad_loss.any() or not loss.min() > 0:
        return ()
    for one in (
        _adds_up,
        _every_row_at_chance,
        _accuracy_stands_still,
        _same_to_the_last_digit,
        _epochs_without_descent,
    ):
        fact = one(measured, loss)
        if fact is not None:
            return (fact,)
    return ()


def _fact(measured: Measured, message: str, advice: str, evidence: Evidence, cause: Cause | None = None) -> Fact:
    """Steps that were too long, or gradients that vanish, end at the same level: where signs of them are plain, these name the cause."""
    return Fact(
        code="GL511",
        severity=Severity.WARNING,
        cause=cause,
        confidence=PROVEN,
        otherwise="not_learning",
        outcome="stalled",
        since_step=int(measured.signals.step[0]),
        message=message,
        advice=advice,
        rules_out=MOVES,
        evidence=(evidence,),
    )


def stands(loss: NDArray[np.float64]) -> bool:
    """Whether the last fifth of a positive loss, float64[n], is where the first fifth is: within 2 % and its noise."""
    fifth = max(len(loss) // 5, 2)
    first, last = float(np.median(loss[:fifth])), float(np.median(loss[-fifth:]))
    noise = neighbour_noise(loss)
    return (
        abs(first - last) <= min(MAX_IN_NOISE * noise, 2.0 * MAX_DESCENT * last)
        or abs(first - last) <= 0.5 * MAX_DESCENT * last
    )


def _adds_up(measured: Measured, loss: NDArray[np.float64]) -> Fact | None:
    """At weights that never change the sum of all gradients so far grows in proportion to the step."""
    s = measured.signals
    known = np.isfinite(s.norm)
    norm, step = s.norm[known], s.step[known].astype(np.float64)
    if len(norm) < MIN_SUMMED or not norm.min() > 0 or not stands(loss):
        return None
    tenth = len(norm) // 10
    growth = float(np.median(norm[-tenth:]) / np.median(norm[:tenth]))
    linear = float(np.corrcoef(step, norm)[0, 1])
    if growth < MIN_SUM_GROWTH or linear < MIN_LINEAR:
        return None
    return _fact(
        measured,
        f"the norm grows in proportion to the step, {growth:.2g}-fold, while the loss stays at {np.median(loss):.4g}: gradients add up "
        "and are never cleared, and no update changes the weights",
        "check that the optimizer was made from the parameters of this model, after its last layer was put in, and that "
        "zero_grad clears them",
        Evidence(label="correlation of norm and step", value=linear, threshold=MIN_LINEAR, n=len(norm)),
        "not_learning",
    )


def _every_row_at_chance(measured: Measured, loss: NDArray[np.float64]) -> Fact | None:
    level = float(np.median(loss))
    classes = guessed_classes(level, NEAR_CHANCE)
    if classes is None:
        return None
    above = loss / np.log(classes) - 1.0
    over = np.abs(above)
    first = len(loss) // FIRST_ROWS
    away = float(np.quantile(over[first:], 1.0 - LATER))
    begins = above.max() <= FIRST_ABOVE and above.min() >= -FIRST_BELOW
    if away > NEAR_CHANCE or over[first:].max() > LATER_NEAR or not begins or measured.loss_kind == "preference":
        return None
    # Steps that are too long throw the loss far above guessing before it comes to rest there: where each one is logged, one row shows it.
    each = (
        over.max() <= NEAR_CHANCE
        and measured.has("steps")
        and not counts_epochs(measured)
        and not measured.provenance.averaged
    )
    fact = _fact(
        measured,
        f"the loss is {level:.4g} in {'nearly ' if over.max() > NEAR_CHANCE else ''}all {counted(len(loss), 'row')}, which is "
        f"ln {classes:,}: what guessing among {classes:,} classes gives",
        ADVICE,
        Evidence(label="furthest from chance, as a share", value=away, threshold=NEAR_CHANCE, n=len(loss)),
    )
    return replace(fact, doubts=frozenset({"lr_too_high", "no_warmup"})) if each else fact


def accuracy_of(measured: Measured) -> tuple[str, NDArray[np.float64]] | None:
    """The first accuracy of the log, as shares from 0 to 1; None where there is none."""
    for name, series in measured.run.series.items():
        if not set(vocabulary.plain(name).split("_")) & {"acc", "accuracy"}:
            continue
        value = series.value[np.isfinite(series.value)]
        if len(value) >= MIN_ACCURACY and value.min() >= 0 and value.max() <= 100:
            return name, value / 100.0 if value.max() > 1 else value
    return None


def _accuracy_stands_still(measured: Measured, loss: NDArray[np.float64]) -> Fact | None:
    found = accuracy_of(measured)
    if found is None:
        return _never_right(measured, loss)
    by_frequency = _base_rate(measured, loss, *found)
    if by_frequency is not None or not stands(loss[len(loss) // 20 :]):
        return by_frequency or _answers_one_thing(measured, loss, *found)
    name, value = found
    late = value[len(value) // 4 :]
    share, level = float(np.median(late)), float(np.median(loss[len(loss) // 2 :]))
    classes = guessed_classes(level, BESIDE_ACCURACY)
    if classes is not None and 1.0 / NEAR_SHARE <= share * classes <= NEAR_SHARE:
        what = f"is {share:.2g}, and the loss {level:.4g}: what guessing among {classes:,} classes gives"
    elif share < HIGH_ACCURACY and (late == late[0]).all():
        what = f"is {share:.3g} in each of the last {counted(len(late), 'row')}, and the loss stays at {level:.4g}: no answer changes"
    else:
        return None
    return _fact(
        measured,
        f"{name} {what}",
        ADVICE,
        Evidence(label=f"median of {name}", value=share, n=len(value)),
    )


def _never_right(measured: Measured, loss: NDArray[np.float64]) -> Fact | None:
    """A measure of overlap that is exactly 0 in the last three quarters of the rows: nothing is found, however far the loss comes down."""
    for name, series in measured.run.series.items():
        value = series.value[np.isfinite(series.value)]
        late = value[len(value) // 4 :]
        if not _words(name) & OVERLAPS or len(late) < MIN_SAME or late.any():
            continue
        return _fact(
            measured,
            f"{name} is exactly 0 in the last {counted(len(late), 'row')}, while the loss goes from {loss[0]:.4g} to {loss[-1]:.4g}: "
            "nothing is found any more",
            "look at the predictions of one batch: where all is background, weigh the rare class, use a loss of overlap, or train "
            f"at another rate; check that {name} is computed at all",
            Evidence(label=f"rows at the end in which {name} is 0", value=len(late), n=len(value)),
        )
    return None


def _words(name: str) -> set[str]:
    """The words of a name in lower case, with and without cuts at capitals: `mIoU` is one word."""
    return set(vocabulary.plain(name).split("_")) | set(re.findall("[a-z0-9]+", name.lower()))


def _base_rate(measured: Measured, loss: NDArray[np.float64], name: str, value: NDArray[np.float64]) -> Fact | None:
    """An accuracy that never changes, and a loss of the entropy of that share: one answer for all, as often right as it is common."""
    late = value[len(value) // 4 :]
    share, level = float(late[0]), float(np.median(loss[len(loss) // 2 :]))
    if not HALF < share < 1.0 or len(late) < MIN_ACCURACY or not (late == share).all():
        return None
    entropy = -share * float(np.log(share)) - (1.0 - share) * float(np.log(1.0 - share))
    if abs(level / entropy - 1.0) > BESIDE_ACCURACY:
        return None
    return _fact(
        measured,
        f"{name} is {share:.3g} in each of the last {counted(len(late), 'row')}, and the loss comes to {level:.3g}, what it costs to "
        "answer by how common two answers are: all examples get the same",
        "look at the predictions of one batch; weigh the rare class or sample it more often, and check that the inputs reach the model",
        Evidence(
            label="loss over the entropy of the accuracy",
            value=level / entropy,
            threshold=1.0 + BESIDE_ACCURACY,
            n=len(late),
        ),
    )


def _answers_one_thing(
    measured: Measured, loss: NDArray[np.float64], name: str, value: NDArray[np.float64]
) -> Fact | None:
    """A loss can come down while the model only learns how common the classes are: its answer is the same for every example.

    It does not come down far by that; beside one that does, the accuracy is a number that somebody filled in.
    """
    tenth = len(loss) // 10
    falls = float(np.median(loss[-tenth:])) < BY_FREQUENCY * float(np.median(loss[:tenth]))
    if falls or value[0] > ONE_ANSWER or not (value == value[0]).all():
        return None
    return _fact(
        measured,
        f"{name} is {value[0]:.3g} in all {counted(len(value), 'row')}: the answers never change",
        ADVICE,
        Evidence(label=f"median of {name}", value=float(value[0]), n=len(value)),
    )


def _same_to_the_last_digit(measured: Measured, loss: NDArray[np.float64]) -> Fact | None:
    """All but the first rows equal: no batch, no update changes anything."""
    level = float(loss[-1])
    others = np.flatnonzero(loss != level)
    if not len(others):
        return None  # another fact says so
    same = len(loss) - 1 - int(others[-1])
    steps = np.abs(np.diff(loss))
    digits = float(steps[steps > 0].min()) / level
    if same < max(MIN_SAME, len(loss) // 2) or digits > MIN_DIGITS or loss.max() > (1.0 + MAX_ABOVE) * level:
        return None
    return _fact(
        measured,
        f"the loss is {level:.6g} to the last digit in the last {counted(same, 'row')}, and began at {loss[0]:.6g}: no update changes it",
        ADVICE,
        Evidence(label="equal losses at the end", value=same, n=len(loss)),
    )


def _epochs_without_descent(measured: Measured, loss: NDArray[np.float64]) -> Fact | None:
    """A model that learns at all comes to know data by heart that it sees thirty times."""
    s = measured.signals
    begins = s.from_the_start and s.step[0] <= max(s.log_interval or 1.0, 1.0)
    if len(loss) < MIN_EPOCHS or not begins or not counts_epochs(measured) or not stands(loss):
        return None
    fifth = len(loss) // 5
    first, last = float(np.median(loss[:fifth])), float(np.median(loss[-fifth:]))
    return _fact(
        measured,
        f"the loss does not come down in {len(loss):,} epochs ({first:.4g} at first, {last:.4g} at the end): a model that learns at all "
        "comes to know such data by heart",
        ADVICE,
        Evidence(label="descent as a share of the start", value=1.0 - last / first, threshold=MAX_DESCENT, n=len(loss)),
    )

"""The second opinion: boosted trees and a small network judge a run by the traits of its curves and the grades of its signs.

Each trait is first laid on the scale of the runs that were learned from (its normal score among them), so that only its rank counts and
no outlier can shout; the grades of the signs stand beside the traits, so that both know what a person would see. They were learned
from labelled training runs (`benchmarks/diagnosis/opinion.py`) and are data here: numpy alone evaluates them. Their answers are joined
by a logarithmic opinion pool (Genest and Zidek, 1986): the geometric mean of the confidences, in which the network counts
`NETWORK_COUNTS`.

As learned, the opinion is a guess at the likeliest cause. Before it decides anything (`gradlens.diagnosis.deciding`), `healthy` is given
an advantage, so large that of healthy runs of families not seen only some three in a hundred are called ill (docs/naming.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np

from gradlens.diagnosis.network import Network, confidence_by, network_from
from gradlens.diagnosis.signs import SIGNS
from gradlens.diagnosis.traits import trait_names
from gradlens.diagnosis.trees import Trees, confidence_of, on_grid, softmax, trees_from
from gradlens.frozen import frozen
from gradlens.reports.base import Cause

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Rows below which curves have no course to judge: the signs stand alone.
MIN_ROWS = 40
#: Causes that are arithmetic: the facts of a log decide them, and where they do not the curves have nothing to add.
FACTS_DECIDE: frozenset[Cause] = frozenset({"lr_zero", "not_learning", "nan_sudden"})
#: Share of its peak from which on a rate at the end of a log has not come down.
MAX_RATE_AT_END = 0.9
#: Normal scores are cut off here. The grade of a sign, from 0 to 1, spans the same range as the upper half of a trait.
MAX_SCORE = 2.5
#: How much the network counts in what it and the trees say together. Chosen among .3, .4 and .5 by the answers on families left out.
NETWORK_COUNTS = 0.4
#: The least confidence that is told apart from none.
MIN_CONFIDENCE = 1e-12


@frozen(eq=False)
class Learned:
    """The learned numbers.

    Attributes
    ----------
    causes
        The causes in the order of trees and network.
    traits, signs
        The names of the traits and of the signs that go in; what was added to gradlens since is not looked at.
    knots, scores
        (traits, k) rising values of each trait and (k,) the normal scores they stand for.
    flagged
        Places of the traits for which it matters that they are missing.
    trees, network
        What judges.
    caution
        (2,): for logs without and with columns of the recorder, what is added to the log-odds of `healthy` before the opinion decides.
    """

    causes: tuple[Cause, ...]
    traits: tuple[str, ...]
    signs: tuple[str, ...]
    knots: NDArray[np.float32]
    scores: NDArray[np.float32]
    flagged: NDArray[np.intp]
    trees: Trees
    network: Network
    caution: NDArray[np.float64]

    @property
    def places(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Where its traits stand among all traits, and its signs among all signs."""
        traits = {name: i for i, name in enumerate(trait_names())}
        signs = {name: i for i, name in enumerate(SIGNS)}
        return (
            np.array([traits[name] for name in self.traits], dtype=np.intp),
            np.array([signs[name] for name in self.signs], dtype=np.intp),
        )


@frozen
class SecondOpinion:
    """The confidences as learned, and those with the caution that counts; how far to trust them is `outside` and `missing`.

    `outside` is the share of the known traits beyond the first or last knot, where only one in twenty-four of the runs learned from
    is, and `missing` the share of all traits that the log does not give.
    """

    learned: Mapping[Cause, float]
    cautious: Mapping[Cause, float]
    outside: float = 0.0
    missing: float = 0.0


@cache
def load_learned() -> Learned:
    """What ships with the package."""
    import io

    data = Path(__file__).with_name("opinion.npz").read_bytes()
    with np.load(io.BytesIO(data), allow_pickle=False) as file:
        return learned_from({name: file[name] for name in file.files})


def learned_from(data: Mapping[str, NDArray[np.generic]]) -> Learned:
    """The same from arrays by name, as `opinion.npz` holds them."""
    return Learned(
        causes=cast("tuple[Cause, ...]", tuple(str(cause) for cause in data["causes"])),
        traits=tuple(str(name) for name in data["traits"]),
        signs=tuple(str(name) for name in data["signs"]),
        knots=data["knots"].astype(np.float32),
        scores=data["scores"].astype(np.float32),
        flagged=data["flagged"].astype(np.intp),
        trees=trees_from(data),
        network=network_from(data),
        caution=data["caution"].astype(np.float64),
    )


def inputs_of(
    traits: NDArray[np.float64], knots: NDArray[np.float32], scores: NDArray[np.float32], flagged: NDArray[np.intp]
) -> NDArray[np.float32]:
    """(runs, traits + flags): normal scores of the traits, 0 where one is missing, and a flag for those of `flagged` that are.

    A value between two knots gets the score between theirs; among equal knots the middle of their scores.
    """
    x = np.atleast_2d(traits).astype(np.float32)
    missing = np.isnan(x)
    known = np.where(missing, 0.0, x).astype(np.float32)
    last = knots.shape[1] - 1
    below = (knots[None] < known[..., None]).sum(axis=-1)
    upto = (knots[None] <= known[..., None]).sum(axis=-1)
    low, high = np.clip(below - 1, 0, last), np.clip(below, 0, last)
    rows = np.arange(len(knots))[None]
    a, b = knots[rows, low], knots[rows, high]
    with np.errstate(all="ignore"):
        share = np.where(b > a, (known - a) / np.where(b > a, b - a, 1.0), 0.0)
    between = scores[low] + np.clip(share, 0.0, 1.0) * (scores[high] - scores[low])
    tied = (scores[np.clip(below, 0, last)] + scores[np.clip(upto - 1, 0, last)]) / 2
    placed = np.where(upto > below, tied, between)
    score = np.where(missing, 0.0, np.clip(placed, -MAX_SCORE, MAX_SCORE))
    return np.concatenate([score, missing[:, flagged]], axis=1).astype(np.float32)


def likeness_of(traits: NDArray[np.float64], learned: Learned) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(runs,) twice: the share of the known traits outside the knots, 0 where none is known, and the share that is missing."""
    x = np.atleast_2d(traits)[:, learned.places[0]]
    known = ~np.isnan(x)
    far = known & ((x < learned.knots[:, 0]) | (x > learned.knots[:, -1]))
    return far.sum(axis=1) / np.maximum(known.sum(axis=1), 1), 1.0 - known.mean(axis=1)


def laid_out(traits: NDArray[np.float64], grades: NDArray[np.float64], learned: Learned) -> NDArray[np.int8]:
    """(runs, inputs): what trees and network look at, on their grid.

    `traits` (runs, all traits) and `grades` (runs, all signs) are in the order of `trait_names` and `SIGNS`.
    """
    which, seen = learned.places
    scores = inputs_of(np.atleast_2d(traits)[:, which], learned.knots, learned.scores, learned.flagged)
    signs = MAX_SCORE * np.atleast_2d(grades)[:, seen]
    return on_grid(np.concatenate([scores, signs.astype(np.float32)], axis=1))


def opinion_of(traits: NDArray[np.float64], grades: NDArray[np.float64], learned: Learned) -> NDArray[np.float64]:
    """(runs, causes): the confidence of each cause as learned, from traits and grades as in `laid_out`."""
    x = laid_out(traits, grades, learned)
    return pooled(confidence_of(x, learned.trees), confidence_by(learned.network, x))


def pooled(by_trees: NDArray[np.float64], by_network: NDArray[np.float64]) -> NDArray[np.float64]:
    """(runs, causes): the two answers joined, each (runs, causes)."""
    trees, network = (np.log(np.maximum(p, MIN_CONFIDENCE)) for p in (by_trees, by_network))
    return softmax((1 - NETWORK_COUNTS) * trees + NETWORK_COUNTS * network)


def silent_on(traits: NDArray[np.float64], causes: tuple[Cause, ...]) -> NDArray[np.bool_]:
    """(runs, causes): what curves cannot speak of: what facts decide, and a schedule that does not fit while the rate is at its peak.

    A log of the first tenth of any run looks like the latter; whether the rate would have come down, nobody can see yet.
    """
    end = np.atleast_2d(traits)[:, trait_names().index("rate end")]
    schedule = np.array([cause == "schedule_mismatch" for cause in causes])
    decided = np.array([cause in FACTS_DECIDE for cause in causes])
    found: NDArray[np.bool_] = (~(end < MAX_RATE_AT_END)[:, None] & schedule[None]) | decided[None]
    return found


def cautious_of(opinion: NDArray[np.float64], silent: NDArray[np.bool_], caution: float) -> NDArray[np.float64]:
    """(runs, causes), `healthy` first: the opinion without what it is silent on, and with the advantage of `healthy`.

    What it is silent on goes to `healthy`: a run whose curves look like a rate of zero, which no fact finds, does not look the more like
    another fault for that.
    """
    left = np.where(silent, 0.0, opinion)
    left[:, 0] = np.maximum(left[:, 0] + np.where(silent, opinion, 0.0).sum(axis=1), MIN_CONFIDENCE) * np.exp(caution)
    found: NDArray[np.float64] = left / left.sum(axis=1, keepdims=True)
    return found


def second_opinion(
    traits: NDArray[np.float64], grades: NDArray[np.float64], *, recorded: bool, learned: Learned | None = None
) -> SecondOpinion:
    """The opinion on traits and grades of one run, (traits,) and (signs,); `recorded`: the log has columns of the recorder."""
    learned = load_learned() if learned is None else learned
    opinion = opinion_of(traits, grades, learned)
    cautious = cautious_of(opinion, silent_on(traits, learned.causes), float(learned.caution[int(recorded)]))
    outside, missing = likeness_of(traits, learned)
    return SecondOpinion(
        learned=dict(zip(learned.causes, opinion[0].tolist(), strict=True)),
        cautious=dict(zip(learned.causes, cautious[0].tolist(), strict=True)),
        outside=float(outside[0]),
        missing=float(missing[0]),
    )

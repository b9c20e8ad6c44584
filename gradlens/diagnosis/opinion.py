"""The second opinion: a small network that judges a run by the traits of its curves, and how it is joined with the signs.

The network is an ensemble of perceptrons with two hidden layers. Each trait is first laid on the scale of the runs that were
learned from (its normal score among them), so that only its rank counts and no outlier can shout; the grades of the signs go in
beside the traits, so that the network knows what a person would see. It was learned from labelled training runs
(`benchmarks/diagnosis/opinion.py`) and is data here: numpy alone evaluates it.

Signs and opinion are joined by adding the logarithms of their confidences, each with a weight of its own for every cause. The
weights were learned on families of runs that neither had seen: where the two disagree, no cause stands far above the others.

Both are told beside the verdict; `gradlens.diagnosis.deciding` says on which runs the joint judgement makes it. On families never seen
signs and network together raise half the false alarms of the signs alone and name more causes (docs/naming.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np

from gradlens.diagnosis.signs import SIGNS
from gradlens.diagnosis.traits import trait_names
from gradlens.frozen import frozen
from gradlens.reports.base import Cause

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Rows below which curves have no course to judge: the signs stand alone.
MIN_ROWS = 40
#: The confidence below which neither opinion tells one cause from another.
FLOOR = 1e-3
#: Causes that are arithmetic: the facts of a log decide them, and where they do not the curves have nothing to add. In place of the
#: confidence from which on such a cause is plain stands a number that no confidence is.
FACTS_DECIDE: frozenset[Cause] = frozenset({"lr_zero", "not_learning", "nan_sudden"})
NEVER = 9.0
#: Share of its peak from which on a rate at the end of a log has not come down.
MAX_RATE_AT_END = 0.9
#: The least confidence in a fault that the signs show plainly, whatever the curves say.
MIN_PLAIN = 0.51
#: Normal scores are cut off here.
MAX_SCORE = 2.5


@frozen(eq=False)
class Network:
    """The learned numbers.

    Attributes
    ----------
    causes
        The causes in the order of the outputs.
    traits, signs
        The names of the traits and of the signs that go in; what was added to gradlens since is not looked at.
    knots, scores
        (traits, k) rising values of each trait and (k,) the normal scores they stand for.
    flagged
        Places of the traits for which it matters that they are missing.
    layers
        For each member of the ensemble its three matrices, each with the offsets as last row.
    join
        (2, 5, causes): for logs without and with columns of the recorder, the weights of signs and opinion, an offset, one that
        counts only where the two do not agree on a fault, and the confidence of the signs from which on a cause is plain
        (`NEVER` where facts decide alone).
    """

    causes: tuple[Cause, ...]
    traits: tuple[str, ...]
    signs: tuple[str, ...]
    knots: NDArray[np.float32]
    scores: NDArray[np.float32]
    flagged: NDArray[np.intp]
    layers: tuple[tuple[NDArray[np.float32], ...], ...]
    join: NDArray[np.float64]

    @property
    def places(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Where the network's traits stand among all traits, and its signs among all signs."""
        traits = {name: i for i, name in enumerate(trait_names())}
        signs = {name: i for i, name in enumerate(SIGNS)}
        return (
            np.array([traits[name] for name in self.traits], dtype=np.intp),
            np.array([signs[name] for name in self.signs], dtype=np.intp),
        )


@frozen
class Joint:
    """What the curves say alone, and what signs and curves say together; how far to trust it is `outside` and `missing`.

    `outside` is the share of the known traits beyond the first or last knot, where only one in twenty-four of the runs learned from
    is, and `missing` the share of all traits that the log does not give.
    """

    alone: Mapping[Cause, float]
    together: Mapping[Cause, float]
    outside: float = 0.0
    missing: float = 0.0


@cache
def load_network() -> Network:
    """The network that ships with the package."""
    import io

    data = Path(__file__).with_name("opinion.npz").read_bytes()
    with np.load(io.BytesIO(data), allow_pickle=False) as file:
        return network_from({name: file[name] for name in file.files})


def network_from(data: Mapping[str, NDArray[np.generic]]) -> Network:
    """A network from arrays by name, as `opinion.npz` holds them."""
    members = sum(name.endswith("first") for name in data)
    layers = tuple(
        tuple(data[f"{i} {name}"].astype(np.float32) for name in ("first", "second", "third")) for i in range(members)
    )
    return Network(
        causes=cast("tuple[Cause, ...]", tuple(str(cause) for cause in data["causes"])),
        traits=tuple(str(name) for name in data["traits"]),
        signs=tuple(str(name) for name in data["signs"]),
        knots=data["knots"].astype(np.float32),
        scores=data["scores"].astype(np.float32),
        flagged=data["flagged"].astype(np.intp),
        layers=layers,
        join=data["join"].astype(np.float64),
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


def likeness_of(traits: NDArray[np.float64], network: Network) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(runs,) twice: the share of the known traits outside the knots, 0 where none is known, and the share that is missing."""
    x = np.atleast_2d(traits)[:, network.places[0]]
    known = ~np.isnan(x)
    far = known & ((x < network.knots[:, 0]) | (x > network.knots[:, -1]))
    return far.sum(axis=1) / np.maximum(known.sum(axis=1), 1), 1.0 - known.mean(axis=1)


def gelu(x: NDArray[np.float32]) -> NDArray[np.float32]:
    """The activation, by its usual approximation with a hyperbolic tangent (Hendrycks and Gimpel, 2016)."""
    bent: NDArray[np.float32] = 0.5 * x * (1 + np.tanh(np.float32(0.7978845608) * (x + np.float32(0.044715) * x**3)))
    return bent


def opinion_of(traits: NDArray[np.float64], grades: NDArray[np.float64], network: Network) -> NDArray[np.float64]:
    """(runs, causes): the confidence of each cause by the network, the mean of the ensemble.

    `traits` (runs, all traits) and `grades` (runs, all signs) are in the order of `trait_names` and `SIGNS`.
    """
    which, seen = network.places
    laid = inputs_of(np.atleast_2d(traits)[:, which], network.knots, network.scores, network.flagged)
    x = np.concatenate([laid, np.atleast_2d(grades)[:, seen].astype(np.float32)], axis=1)
    total = np.zeros((len(x), len(network.causes)))
    for first, second, third in network.layers:
        h = gelu(x @ first[:-1] + first[-1])
        h = gelu(h @ second[:-1] + second[-1])
        score = (h @ third[:-1] + third[-1]).astype(np.float64)
        power = np.exp(score - score.max(axis=1, keepdims=True))
        total += power / power.sum(axis=1, keepdims=True)
    found: NDArray[np.float64] = total / len(network.layers)
    return found


def silent_on(traits: NDArray[np.float64], causes: tuple[Cause, ...]) -> NDArray[np.bool_]:
    """(runs, causes): what curves cannot speak of: a schedule that does not fit its run, while the rate still stands at its peak.

    A log of the first tenth of any run looks like that; whether the rate would have come down, nobody can see yet.
    """
    end = np.atleast_2d(traits)[:, trait_names().index("rate end")]
    schedule = np.array([cause == "schedule_mismatch" for cause in causes])
    found: NDArray[np.bool_] = ~(end < MAX_RATE_AT_END)[:, None] & schedule[None]
    return found


def joined_of(
    signs: NDArray[np.float64],
    curves: NDArray[np.float64],
    join: NDArray[np.float64],
    silent: NDArray[np.bool_] | None = None,
) -> NDArray[np.float64]:
    """(runs, causes): the joint confidence from those of both, in the order of the network's causes, `healthy` first.

    `join[3]` is caution: it is left out where both have the same fault first, since an alarm that two raise apart from each other
    stands. So does a fault that the signs show plainly (`join[4]`: no healthy run of a family unseen looked like that to them),
    with what the two give it on average.
    """
    score = join[0] * np.log(np.maximum(signs, FLOOR)) + join[1] * np.log(np.maximum(curves, FLOOR)) + join[2]
    score = np.where(join[4] == NEVER, -np.inf, score)
    if silent is not None:
        score = np.where(silent, -np.inf, score)
    one, two = signs.argmax(axis=1), curves.argmax(axis=1)
    score = score + np.where((one == two) & (one > 0), 0.0, 1.0)[:, None] * join[3]
    power = np.exp(score - score.max(axis=1, keepdims=True))
    both = power / power.sum(axis=1, keepdims=True)
    for i in np.flatnonzero(is_plain(signs, join)):
        cause = one[i]
        sure = max((signs[i, cause] + both[i, cause]) / 2, both[i, cause], MIN_PLAIN)
        both[i] *= (1.0 - sure) / max(1.0 - both[i, cause], 1e-12)
        both[i, cause] = sure
    return cast("NDArray[np.float64]", both)


def is_plain(signs: NDArray[np.float64], join: NDArray[np.float64]) -> NDArray[np.bool_]:
    """(runs,): whether the signs show a fault plainly."""
    one = signs.argmax(axis=1)
    found: NDArray[np.bool_] = (one > 0) & (signs[np.arange(len(signs)), one] >= join[4][one])
    return found


def joined(
    by_signs: Mapping[Cause, float],
    traits: NDArray[np.float64],
    grades: NDArray[np.float64],
    *,
    recorded: bool,
    network: Network | None = None,
) -> Joint:
    """The confidences of the signs joined with the opinion on traits and grades of the same run, (traits,) and (signs,).

    `recorded` says whether the log has columns of the recorder.
    """
    network = load_network() if network is None else network
    curves = opinion_of(traits, grades, network)
    # What no sign speaks of looks healthy to the signs.
    signs = np.array([[by_signs.get(cause, by_signs["healthy"]) for cause in network.causes]])
    both = joined_of(signs, curves, network.join[int(recorded)], silent_on(traits, network.causes))
    outside, missing = likeness_of(traits, network)
    return Joint(
        alone=dict(zip(network.causes, curves[0].tolist(), strict=True)),
        together=dict(zip(network.causes, both[0].tolist(), strict=True)),
        outside=float(outside[0]),
        missing=float(missing[0]),
    )

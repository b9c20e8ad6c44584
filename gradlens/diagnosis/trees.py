"""Boosted decision trees, evaluated with numpy alone.

They are the second opinion (`gradlens.diagnosis.opinion`), whose inputs are laid on a grid of whole steps for them. Learned by
`benchmarks/diagnosis/trees.py` (gradient boosting with one tree per cause and round: Friedman, 2001).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gradlens.frozen import frozen

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

#: Steps of the grid per unit, and the last step on either side.
STEPS, LAST = 50, 125
#: Runs that are judged at a time: few enough to keep the memory small.
CHUNK = 256
#: The arrays of which trees are made.
ARRAYS = ("start", "cause", "feature", "limit", "left", "right", "leaves")


@frozen(eq=False)
class Trees:
    """The learned numbers of T trees of up to N inner nodes each; the first node is the root.

    Attributes
    ----------
    start
        (causes,) the scores before any tree.
    cause
        (T,) the cause whose score a tree adds to.
    feature, limit
        (T, N) which input a node looks at, and the step up to which the way goes left.
    left, right
        (T, N) where the way goes on: a node, or the leaf ~k where the number is negative.
    leaves
        (T, N + 1) what a leaf adds.
    """

    start: NDArray[np.float32]
    cause: NDArray[np.intp]
    feature: NDArray[np.intp]
    limit: NDArray[np.int8]
    left: NDArray[np.int8]
    right: NDArray[np.int8]
    leaves: NDArray[np.float32]


def trees_from(data: Mapping[str, NDArray[np.generic]]) -> Trees:
    """Trees from arrays by name, as `opinion.npz` holds them."""
    wide = {"start": np.float32, "cause": np.intp, "feature": np.intp, "leaves": np.float32}
    return Trees(**{name: data[f"trees {name}"].astype(wide.get(name, np.int8)) for name in ARRAYS})


def on_grid(x: NDArray[np.float32]) -> NDArray[np.int8]:
    """Numbers as whole steps; those beyond the grid lie on its edge."""
    return np.clip(np.rint(x * STEPS), -LAST, LAST).astype(np.int8)


def confidence_of(x: NDArray[np.int8], trees: Trees) -> NDArray[np.float64]:
    """(runs, causes): the confidence of each cause, from inputs (runs, features) on the grid."""
    parts = [_confidence_of_few(x[at : at + CHUNK], trees) for at in range(0, len(x), CHUNK)]
    return np.concatenate(parts) if parts else np.zeros((0, len(trees.start)))


def _confidence_of_few(x: NDArray[np.int8], trees: Trees) -> NDArray[np.float64]:
    tree = np.arange(len(trees.cause))[None]
    node = np.zeros((len(x), len(trees.cause)), dtype=np.intp)
    run = np.arange(len(x))[:, None]
    while (node >= 0).any():
        at = np.maximum(node, 0)
        goes_left = x[run, trees.feature[tree, at]] <= trees.limit[tree, at]
        after = np.where(goes_left, trees.left[tree, at], trees.right[tree, at])
        node = np.where(node >= 0, after, node)
    added = trees.leaves[tree, ~node].astype(np.float64)
    score = np.zeros((len(x), len(trees.start))) + trees.start
    for cause in range(len(trees.start)):
        score[:, cause] += added[:, trees.cause == cause].sum(axis=1)
    return softmax(score)


def softmax(score: NDArray[np.float64]) -> NDArray[np.float64]:
    """(runs, causes): scores as shares of one in each row; none is too large."""
    power = np.exp(score - score.max(axis=1, keepdims=True))
    found: NDArray[np.float64] = power / power.sum(axis=1, keepdims=True)
    return found

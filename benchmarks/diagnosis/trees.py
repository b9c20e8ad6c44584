"""Learns the trees of the second opinion with LightGBM (Ke et al., NeurIPS 2017), for `benchmarks.diagnosis.opinion`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from gradlens.diagnosis.trees import Trees

if TYPE_CHECKING:
    from numpy.typing import NDArray

LEAVES, ROUNDS = 7, 300
#: Small steps, few runs and inputs per tree, strong shrinkage: families not seen are what counts. Chosen among six settings by the
#: answers on families left out.
SETTINGS: Mapping[str, Any] = {
    "objective": "multiclass", "num_leaves": LEAVES, "learning_rate": 0.06, "min_data_in_leaf": 15, "feature_fraction": 0.2,
    "bagging_fraction": 0.7, "bagging_freq": 1, "lambda_l2": 5.0, "max_bin": 63, "num_threads": 1, "deterministic": True,
    "force_col_wise": True, "verbose": -1,
}  # fmt: skip
#: The score of a cause that no run had.
NEVER_SEEN = -30.0


def fit_trees(
    inputs: Sequence[NDArray[np.int8]], expected: NDArray[np.intp], causes: int, *,
    weight: NDArray[np.float64] | None = None, seed: int = 0, rounds: int = ROUNDS,
) -> Trees:  # fmt: skip
    """Learn from several views of the same runs, (runs, features) each, the cause of each run, (runs,), and how much it counts, (runs,)."""
    import lightgbm

    present = np.unique(expected)
    x = np.concatenate(inputs).astype(np.float32)
    y = np.tile(np.searchsorted(present, expected), len(inputs))
    counts = None if weight is None else np.tile(weight / weight.mean(), len(inputs))
    data = lightgbm.Dataset(x, y, weight=counts)
    model = lightgbm.train({**SETTINGS, "num_class": len(present), "seed": seed}, data, rounds)
    found = [_arrays(tree["tree_structure"]) for tree in model.dump_model()["tree_info"]]
    start = np.full(causes, NEVER_SEEN, dtype=np.float32)
    start[present] = 0.0
    return Trees(
        start=start,
        cause=present[np.arange(len(found)) % len(present)].astype(np.intp),
        **{name: np.stack([one[name] for one in found]) for name in ("feature", "limit", "left", "right", "leaves")},
    )


def _arrays(root: Mapping[str, Any]) -> dict[str, NDArray[Any]]:
    """One tree as arrays of a fixed size."""
    size = LEAVES - 1
    one: dict[str, NDArray[Any]] = {
        "feature": np.zeros(size, dtype=np.intp), "limit": np.zeros(size, dtype=np.int8),
        "left": np.full(size, ~0, dtype=np.int8), "right": np.full(size, ~0, dtype=np.int8),
        "leaves": np.zeros(size + 1, dtype=np.float32),
    }  # fmt: skip
    if "split_index" not in root:
        one["leaves"][0] = np.float16(root["leaf_value"])
        return one
    for node in _nodes(root):
        at = node["split_index"]
        one["feature"][at], one["limit"][at] = node["split_feature"], int(np.floor(node["threshold"]))
        for side in ("left", "right"):
            child = node[f"{side}_child"]
            one[side][at] = child["split_index"] if "split_index" in child else ~child["leaf_index"]
            if "split_index" not in child:
                one["leaves"][child["leaf_index"]] = np.float16(child["leaf_value"])
    return one


def _nodes(node: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    if "split_index" in node:
        yield node
        yield from _nodes(node["left_child"])
        yield from _nodes(node["right_child"])

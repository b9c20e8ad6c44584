import numpy as np
import pytest

from gradlens.diagnosis.trees import CHUNK, LAST, Trees, confidence_of, on_grid, trees_from


def stump(feature, limit, left, right, cause):
    """A tree of one node, padded to two as stored ones are."""
    return {
        "feature": [feature, 0],
        "limit": [limit, 0],
        "left": [~0, ~0],
        "right": [~1, ~0],
        "leaves": [left, right, 0.0],
        "cause": cause,
    }


def trees(*made, causes=2):
    arrays = {
        name: np.array([one[name] for one in made]) for name in ("cause", "feature", "limit", "left", "right", "leaves")
    }
    return Trees(start=np.zeros(causes, dtype=np.float32), **arrays)


def test_the_grid_rounds_and_ends_at_its_edges():
    assert on_grid(np.array([[0.0, 0.011, -0.011, 2.5, 9.0, -9.0]])).tolist() == [[0, 1, -1, LAST, LAST, -LAST]]


def test_a_value_at_the_limit_goes_left():
    found = confidence_of(np.array([[3], [4]], dtype=np.int8), trees(stump(0, 3, 1.0, -1.0, cause=1)))
    np.testing.assert_allclose(found[:, 1], [1 / (1 + np.exp(-1)), 1 / (1 + np.exp(1))])


def test_trees_of_one_cause_add_up():
    both = trees(stump(0, 0, 1.0, 0.0, cause=1), stump(1, 0, 0.5, 0.0, cause=1))
    found = confidence_of(np.array([[0, 0], [0, 9]], dtype=np.int8), both)
    np.testing.assert_allclose(np.log(found[:, 1] / found[:, 0]), [1.5, 1.0])


def test_many_runs_are_judged_like_each_alone_and_none_like_nothing():
    rng = np.random.default_rng(0)
    some = trees(stump(0, 10, 1.0, -2.0, cause=0), stump(1, -10, 0.3, 0.1, cause=1))
    x = rng.integers(-LAST, LAST, (700, 2)).astype(np.int8)
    np.testing.assert_array_equal(confidence_of(x, some), np.concatenate([confidence_of(row[None], some) for row in x]))
    assert confidence_of(x[:0], some).shape == (0, 2)


def test_learned_trees_are_evaluated_as_by_their_library():
    lightgbm = pytest.importorskip("lightgbm")
    from benchmarks.diagnosis.trees import SETTINGS, fit_trees

    rng = np.random.default_rng(1)
    x = rng.integers(-LAST, LAST, (600, 5)).astype(np.int8)
    y = np.where(x[:, 0] > 20, 0, np.where(x[:, 1] + x[:, 2] > 0, 3, 1))  # no run has cause 2
    found = confidence_of(x, fit_trees([x], y, causes=4, rounds=20))
    data = lightgbm.Dataset(x.astype(np.float32), np.searchsorted([0, 1, 3], y))
    expected = lightgbm.train({**SETTINGS, "num_class": 3, "seed": 0}, data, 20).predict(x.astype(np.float32))
    np.testing.assert_allclose(found[:, [0, 1, 3]], expected, atol=0.01)  # leaves are stored in half precision
    assert (found[:, 2] < 1e-9).all()


def test_a_way_through_several_nodes():
    # Left of 0 of the first input: the second one decides; right of it: the third node, whose right way ends at once.
    deep = Trees(
        start=np.array([0.0, 0.5], dtype=np.float32),
        cause=np.array([1]),
        feature=np.array([[0, 1, 1]]),
        limit=np.array([[0, 10, -10]], dtype=np.int8),
        left=np.array([[1, ~0, ~2]], dtype=np.int8),
        right=np.array([[2, ~1, ~3]], dtype=np.int8),
        leaves=np.array([[1.0, 2.0, 3.0, 4.0]], dtype=np.float32),
    )
    x = np.array([[0, 10], [0, 11], [1, -10], [1, -9]], dtype=np.int8)
    found = confidence_of(x, deep)
    np.testing.assert_allclose(np.log(found[:, 1] / found[:, 0]), [1.5, 2.5, 3.5, 4.5])
    np.testing.assert_allclose(found.sum(axis=1), 1.0)


@pytest.mark.parametrize("runs", [CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK])
def test_chunks_change_nothing(runs):
    some = trees(stump(0, 10, 1.0, -2.0, cause=0), stump(1, -10, 0.3, 0.1, cause=1))
    x = np.random.default_rng(2).integers(-LAST, LAST, (runs, 2)).astype(np.int8)
    assert len(confidence_of(x, some)) == runs
    np.testing.assert_array_equal(confidence_of(x[-1:], some), confidence_of(x, some)[-1:])


def test_no_score_is_too_large():
    found = confidence_of(np.zeros((1, 1), dtype=np.int8), trees(stump(0, 0, 2000.0, 0.0, cause=1)))
    assert found.tolist() == [[0.0, 1.0]]


def test_stored_trees_come_back_in_their_types():
    one = trees(stump(0, 3, 1.0, -1.0, cause=1))
    stored = {
        f"trees {name}": getattr(one, name).astype(np.float64)
        for name in ("start", "cause", "feature", "limit", "left", "right", "leaves")
    }
    back = trees_from(stored)
    assert [back.limit.dtype, back.left.dtype, back.right.dtype] == [np.int8] * 3
    assert [back.start.dtype, back.leaves.dtype] == [np.float32] * 2
    assert [back.cause.dtype, back.feature.dtype] == [np.intp] * 2

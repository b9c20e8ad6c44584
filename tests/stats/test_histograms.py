import numpy as np
import pytest

from gradlens.stats.histograms import share_beyond


@pytest.mark.parametrize(
    ("edges", "counts", "limit", "share"),
    [
        ([0.0, 1.0, 2.0, 4.0], [5, 3, 2], 2.0, 0.2),
        ([0.0, 1.0, 2.0, 4.0], [5, 3, 2], 1.5, 0.35),  # half of the second bucket
        ([-4.0, -2.0, 0.0, 4.0], [2, 4, 4], 3.0, 0.2),  # a half of the first, a quarter of the last
        ([-1.0, 1.0], [8], 0.5, 0.5),  # both ends of one bucket
        ([-np.inf, -1.0, 1.0, np.inf], [1, 8, 1], 1.0, 0.2),
        ([0.0, 1.0], [7], 1.0, 0.0),
        ([3.0, 3.0], [7], 1.0, 1.0),
    ],
)
def test_a_bucket_counts_by_its_part_beyond(edges, counts, limit, share):
    one = (np.array(edges), np.array(counts, dtype=float))
    assert share_beyond([one], limit) == pytest.approx(share)
    inside = (np.array([0.0, limit / 2]), np.array([float(sum(counts))]))
    assert share_beyond([one, inside], limit) == pytest.approx(share / 2)


def test_no_element_has_no_share():
    assert share_beyond([], 1.0) is None
    assert share_beyond([(np.array([0.0, 1.0]), np.zeros(1))], 1.0) is None

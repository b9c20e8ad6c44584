"""One variant of each known situation is judged rightly, and no fault is called clear; the benchmark has the whole table."""

from __future__ import annotations

import pytest

from benchmarks.variants.__main__ import KINDS, judge


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name.replace(" ", "-"))
def test_one_variant_is_judged_rightly(kind, tmp_path):
    judged = judge(kind, 0, tmp_path)
    assert not judged.wrong, judged.said
    assert not judged.clear

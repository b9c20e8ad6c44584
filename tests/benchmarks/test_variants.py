"""One variant of each known situation is judged rightly, and no fault is called clear; the benchmark has the whole table."""

from __future__ import annotations

import pytest

from benchmarks.variants.__main__ import KINDS, SECOND, judge


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name.replace(" ", "-"))
def test_one_variant_is_judged_rightly(kind, tmp_path):
    judged = judge(kind, 0, tmp_path)
    assert not judged.wrong, judged.said
    assert not judged.clear


#: Of the second set those that any single draw shows.
PLAIN = (
    "clipped while scaled",
    "detached",
    "NaN at once",
    "stops in words",
    "goes up",
    "whole data",
    "adversaries",
    "below zero",
)


@pytest.mark.parametrize("kind", [k for k in SECOND if k.name in PLAIN], ids=lambda kind: kind.name.replace(" ", "-"))
def test_one_of_the_second_set_is_judged_rightly(kind, tmp_path):
    judged = judge(kind, 0, tmp_path)
    assert not judged.wrong, judged.said

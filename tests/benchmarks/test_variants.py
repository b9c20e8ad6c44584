"""One variant of each known situation is judged rightly, and no fault is called clear; the benchmark has the whole table."""

from __future__ import annotations

import pytest

from benchmarks.variants.__main__ import KINDS, SECOND, THIRD, judge


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


#: The same of the third set.
THIRD_PLAIN = (
    "same loss to the last digit",
    "loss 0, norm at the threshold",
    "rate 0 in every row",
    "NaN in every row",
    "ends with an error",
    "parts of 0 for NaN",
    "actor",
    "all data in each step",
)


@pytest.mark.parametrize(
    "kind", [k for k in THIRD if k.name in THIRD_PLAIN], ids=lambda kind: kind.name.replace(" ", "-")
)
def test_one_of_the_third_set_is_judged_rightly(kind, tmp_path):
    judged = judge(kind, 0, tmp_path)
    assert not judged.wrong, judged.said

"""The picture of a terminal: round ticks on one step axis, marks where something was found."""

from __future__ import annotations

import pytest

import gradlens
from gradlens.reporters.base import Screen
from gradlens.reporters.page import print_parts
from gradlens.reporters.picture import picture, round_ticks


@pytest.mark.parametrize(
    ("first", "last", "ticks"),
    [
        (0, 1199, [0, 200, 400, 600, 800, 1000]),
        (0, 1000, [0, 200, 400, 600, 800, 1000]),
        (37, 61, [40, 45, 50, 55, 60]),
        (0, 3, [0, 1, 2, 3]),
        (5, 5, [5]),
        (10**15, 10**15 + 10**6, [10**15 + k * 200_000 for k in range(6)]),
    ],
)
def test_ticks_are_round(first, last, ticks):
    assert round_ticks(first, last) == ticks


@pytest.mark.parametrize("unicode", [True, False])
def test_marks_stand_at_the_steps_of_findings(samples, unicode):
    (run,) = gradlens.analyze(gradlens.read(samples / "bad_data.jsonl"), threshold=1.0).runs
    lines = print_parts([picture(run, Screen(unicode=unicode))], Screen(unicode=unicode)).splitlines()
    marks = next(line for line in lines if "found" in line)
    mark = "▲" if unicode else "^"
    assert marks.count(mark) == 6
    # 58 columns stand for 1,200 steps: the mark of step 218 lies in column 10 or 11 of the picture.
    begin = lines[0].index("⣸" if unicode else "*")
    assert marks.index(mark) - begin in {10, 11}
    assert max(map(len, lines)) <= 80

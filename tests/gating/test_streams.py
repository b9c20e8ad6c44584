"""Logs that hold several optimizers: each is compared with its own kind."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gradlens.gating.assess import assess
from gradlens.gating.settings import GateSettings


@pytest.fixture
def two_optimizers(make_summary):
    def make(seed, *, critic=1.0, **options):
        return [
            replace(make_summary(seed, level=0.5, **options), id=f"log{seed}:actor", source=f"log{seed}"),
            replace(
                make_summary(seed + 50, level=2.0 * critic, **options), id=f"log{seed}:critic", source=f"log{seed}"
            ),
        ]

    return make


def test_like_is_compared_with_like(two_optimizers):
    report = assess(two_optimizers(1), two_optimizers(0), GateSettings())
    assert report.outcome == "pass"
    assert {"actor/clip_rate", "critic/clip_rate"} <= {m.name for m in report.metrics}


def test_the_one_that_is_worse_is_named(two_optimizers):
    report = assess(two_optimizers(1, critic=1.8), two_optimizers(0), GateSettings())
    assert report.outcome == "fail"
    assert {m.title.partition(":")[0] for m in report.failed} == {"critic"}


def test_what_was_noticed_of_both_is_said_once(two_optimizers):
    report = assess(two_optimizers(1, n=1170), two_optimizers(0), GateSettings())
    assert report.outcome == "pass"
    assert [notice.code for notice in report.notices] == ["partial-overlap"]


def test_other_names_are_taken_for_seeds(make_summary):
    runs = [replace(make_summary(s), id=f"export.csv:{name}", source="export.csv") for s, name in enumerate("abcd")]
    assert assess(runs[:2], runs[2:], GateSettings()).outcome == "pass"

"""A report since a step: what lies before is left out and counted, and nothing else."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gradlens.reporters import names, render
from gradlens.reports.analysis import MAX_STEPS_LISTED
from gradlens.reports.since import since
from tests.reporters import canonical


def with_steps(*groups):
    codes = ("GL101", "GL402", "GL201", "GL501")
    return canonical.run_report(
        findings=tuple(
            replace(canonical.finding(code), steps=tuple(steps)) for code, steps in zip(codes, groups, strict=False)
        )
    )


@pytest.mark.parametrize(
    ("steps", "kept"),
    [
        ((), True),
        ((499,), False),
        ((500,), True),
        ((805, 100), True),
        ((100, 499), False),
        (range(MAX_STEPS_LISTED - 1), False),
        # The list may have been cut before the latest.
        (range(MAX_STEPS_LISTED), True),
    ],
)
def test_what_is_left_out(steps, kept):
    (run,) = since(canonical.report(with_steps(steps)), 500).runs
    assert len(run.findings) == int(kept)
    assert run.findings_before == int(not kept)


def test_verdict_cause_and_figures_are_those_of_the_whole_run():
    before = canonical.report(with_steps((10,), (600,)))
    after = since(before, 500)
    (old,), (new,) = before.runs, after.runs
    assert [f.code for f in new.findings] == ["GL402"]
    same = replace(new, findings=old.findings, findings_before=0, checks=old.checks)
    assert canonical.report(same).to_dict() == before.to_dict()
    assert after.settings["since"] == 500


def test_a_check_that_failed_has_a_finding_or_says_why_not():
    (run,) = since(canonical.report(with_steps((10,), (600,))), 500).runs
    results = {check.code: check for check in run.checks}
    assert results["GL402"].status == "failed"
    assert results["GL101"].status == "skipped"
    assert results["GL101"].reason == "found only before step 500"


def test_a_check_with_one_finding_left_still_failed():
    run = canonical.run_report(
        findings=(replace(canonical.finding(), steps=(1,)), replace(canonical.finding(), steps=(900,)))
    )
    (new,) = since(canonical.report(run), 500).runs
    assert {c.code: c.status for c in new.checks}["GL101"] == "failed"
    assert new.findings_before == 1


@pytest.mark.parametrize("name", names("report"))
def test_every_format_shows_such_a_report(name):
    message = "an old finding that should not be seen"
    run = canonical.run_report(findings=(canonical.finding(message=message),))
    assert message not in render(since(canonical.report(run), 500), name)

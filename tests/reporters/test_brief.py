"""The brief document: small whatever a log holds, valid, always the same keys, nothing cut without a count."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from pathlib import Path

import jsonschema
import pytest

import gradlens
import gradlens.schemas
from gradlens.reporters import render
from gradlens.reporters.brief import MAX_BYTES
from gradlens.reports.base import Severity
from gradlens.reports.brief import Brief, BriefRun
from gradlens.reports.since import since
from gradlens.reports.verdict import NotJudged
from tests.reporters import canonical

#: The promise of docs/agents.md.
BYTES_PER_RUN = 3_000


@pytest.fixture(scope="module")
def validator():
    path = Path(gradlens.schemas.__path__[0]) / "brief-1.json"
    return jsonschema.Draft202012Validator(json.loads(path.read_text()))


def brief(report):
    return json.loads(render(report, "brief"), parse_constant=lambda c: pytest.fail(f"{c} is not JSON"))


def crowded(text, *, findings=40, steps=5_000, first=0):
    """A run with many findings of many steps, and the same text wherever a log or a plug-in could bring one."""
    run = canonical.run_report(
        text,
        tuple(
            replace(
                canonical.finding(text, text, list(Severity)[i % 3], text), steps=tuple(range(first, first + steps))
            )
            for i in range(findings)
        ),
    )
    return replace(
        run,
        verdict=replace(
            run.verdict,
            headline=text,
            since_step=first,
            not_judged=tuple(NotJudged(what=text, why=text, remedy=text) for _ in range(30)),
        ),
        actions=(text,) * 25,
        first_step=first,
        last_step=first + steps,
        suggestion=replace(run.suggestion, threshold=None, interval=None, abstained=text),
    )


TEXTS = {
    "short": "n",
    "sentence": "the largest norm is 2.52 times the level, and the loss does not return. " * 3,
    "megabyte": "x" * 1_000_000,
    "quotes": '"\\' * 5_000,
    "emoji": "\U0001f600" * 5_000,
    "hostile": canonical.HOSTILE * 200,
    "controls": "\x1b\u202e\ud800\x00" * 5_000,
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
@pytest.mark.parametrize("first", [0, 2**63 - 10_000])
def test_a_run_stays_small_and_valid(text, first, validator):
    one = render(canonical.report(crowded(text, first=first)), "brief")
    assert len(one.encode()) < BYTES_PER_RUN
    validator.validate(json.loads(one))
    three = render(canonical.report(*[crowded(text, first=first)] * 3), "brief")
    assert len(three.encode()) < 3 * BYTES_PER_RUN


def test_what_was_cut_is_counted():
    (run,) = brief(canonical.report(crowded(TEXTS["sentence"])))["runs"]
    assert len(run["findings"]) + run["findings_cut"] == 40
    assert len(run["actions"]) + run["actions_cut"] == 25
    assert len(run["not_judged"]) + run["not_judged_cut"] == 30
    (steps, cut) = run["findings"][0]["steps"], run["findings"][0]["steps_cut"]
    assert steps == [0, 1, 2, 4_997, 4_998, 4_999]
    assert len(steps) + cut == 5_000
    assert all(f["severity"] == "error" for f in run["findings"])
    assert run["headline"].endswith("...")


def test_there_is_detail_where_there_is_room():
    report = canonical.report(crowded("n", findings=3, steps=4))
    (run,) = brief(report)["runs"]
    assert len(run["not_judged"]) == 8
    assert [f["severity"] for f in run["findings"]] == ["error", "warning", "note"]
    assert [f["steps_cut"] for f in run["findings"]] == [0, 0, 0]
    sentence = TEXTS["sentence"].strip()
    whole = canonical.run_report(findings=(canonical.finding(message=sentence),))
    assert brief(canonical.report(whole))["runs"][0]["findings"][0]["message"] == sentence


def test_a_long_path_keeps_its_end():
    (run,) = brief(canonical.report(canonical.run_report("deep/" * 200 + "seed-17.jsonl")))["runs"]
    assert run["run"].startswith("...")
    assert run["run"].endswith("/deep/seed-17.jsonl")


@pytest.mark.parametrize("make", [lambda: crowded("n"), lambda: canonical.run_report(findings=())])
def test_keys_are_always_there_in_one_order(make, validator):
    document = brief(canonical.report(make()))
    validator.validate(document)
    assert list(document) == [f.name for f in fields(Brief)]
    assert list(document["runs"][0]) == [f.name for f in fields(BriefRun)]


def test_samples_follow_the_schema_within_the_limit(samples, validator):
    for path in sorted(samples.iterdir()):
        if path.name != "README.md":
            report = gradlens.analyze(path)
            text = render(report, "brief")
            validator.validate(json.loads(text))
            assert len(text.encode()) < BYTES_PER_RUN
            (run,), (told,) = report.runs, json.loads(text)["runs"]
            assert told["cause"]["name"] == run.diagnosis.cause
            assert told["findings_cut"] == 0
            assert {f["code"] for f in told["findings"]} == {f.code for f in run.findings}


def test_numbers_that_are_not_finite_are_null(validator):
    run = canonical.run_report()
    bad = replace(run, clipping=replace(run.clipping, clip_rate=float("nan"), threshold=float("inf")))
    document = brief(canonical.report(bad))
    validator.validate(document)
    assert document["runs"][0]["clipping"] == {"rate": None, "threshold": None, "threshold_source": "config"}


def test_the_limit_leaves_room_for_what_stands_around_a_run():
    around = render(replace(canonical.report(), runs=(), settings={"since": 2**63 - 1}), "brief")
    assert len(around.encode()) + MAX_BYTES < BYTES_PER_RUN


def test_since_is_in_the_document(validator):
    document = brief(since(canonical.report(), 251))
    validator.validate(document)
    assert document["since"] == 251
    assert document["runs"][0]["findings"] == []
    assert document["runs"][0]["findings_before"] == 2
    assert document["runs"][0]["status"] == "problem"

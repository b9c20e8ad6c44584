"""JUnit XML, for the test tab of every CI system.

A run is a test suite and a check a test case; for a gate every metric and limit is one. What could not be judged is an
error, what failed a failure. Attributes are those that both the schema of Jenkins and the stricter one of Ant's JUnit task
ask for.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from typing import Literal
from xml.sax.saxutils import escape, quoteattr

from gradlens.frozen import frozen
from gradlens.reporters import gate_words
from gradlens.reporters.base import Reporter, Screen
from gradlens.reporters.escape import for_terminal
from gradlens.reports.analysis import CheckResult, Report, RunReport
from gradlens.reports.base import Severity
from gradlens.reports.gate import GateReport, LimitResult, MetricResult


@frozen
class Case:
    """One test case. `kind` None means that it passed."""

    name: str
    group: str
    kind: Literal["failure", "error", "skipped"] | None = None
    type: str = ""
    message: str = ""
    text: str = ""


class JunitReporter(Reporter):
    """One `testsuites` document."""

    name = "junit"

    def render(self, report: Report, screen: Screen) -> str:  # noqa: ARG002
        suites = [
            _suite(run.id, [_case(run, check) for check in run.checks], number)
            for number, run in enumerate(report.runs)
        ]
        return _document("gradlens analyze", suites)

    def render_gate(self, gate: GateReport, screen: Screen) -> str:  # noqa: ARG002
        cases = [
            _gate_case(_name(result), result.outcome, gate_words.sentence(result), _text(result))
            for result in gate.results
        ]
        return _document("gradlens gate", [_suite("gradlens gate", cases, 0, output=gate.headline)])


def _case(run: RunReport, check: CheckResult) -> Case:
    name, group = f"{check.code} {check.name}", f"gradlens.{run.id}"
    if check.status == "skipped":
        return Case(name=name, group=group, kind="skipped", message=check.reason)
    if check.status == "errored":
        return Case(name=name, group=group, kind="error", type="errored", message=check.reason)
    # A note is worth knowing and not a failed test.
    found = [f for f in run.findings if f.code == check.code and f.severity is not Severity.NOTE]
    if not found:
        return Case(name=name, group=group)
    text = "\n".join(
        f"{f.severity.value}: {f.message}"
        + "".join(f"\n  {e.label}: {e.value}{e.unit}" for e in f.evidence)
        + (f"\n  {f.advice}" if f.advice else "")
        for f in found
    )
    worst = max(found, key=lambda f: f.severity.rank)
    return Case(name=name, group=group, kind="failure", type=worst.severity.value, message=worst.message, text=text)


def _gate_case(title: str, outcome: str, message: str, text: str) -> Case:
    group = "gradlens.gating"
    if outcome == "fail":
        return Case(name=title, group=group, kind="failure", type="regression", message=message, text=text)
    if outcome == "inconclusive":
        return Case(name=title, group=group, kind="error", type="inconclusive", message=message, text=text)
    if outcome == "skipped":
        return Case(name=title, group=group, kind="skipped", message=message)
    return Case(name=title, group=group)


def _name(result: MetricResult | LimitResult) -> str:
    return f"{result.title} in {result.run}" if isinstance(result, LimitResult) else result.title


def _text(result: MetricResult | LimitResult) -> str:
    found = gate_words.details(result) if isinstance(result, MetricResult) else []
    return "\n".join([*found, *([result.advice] if result.advice else [])])


def _suite(name: str, cases: Sequence[Case], number: int, *, output: str = "") -> str:
    counts = {kind: sum(c.kind == kind for c in cases) for kind in ("failure", "error", "skipped")}
    moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(float(os.environ.get("SOURCE_DATE_EPOCH") or time.time())))
    attributes = {
        "name": name, "package": "gradlens", "id": str(number), "timestamp": moment, "hostname": "localhost",
        "tests": str(len(cases)), "failures": str(counts["failure"]), "errors": str(counts["error"]),
        "skipped": str(counts["skipped"]), "time": "0",
    }  # fmt: skip
    body = "".join(_xml(case) for case in cases)
    return (
        f"  <testsuite{_attributes(attributes)}>\n    <properties/>\n{body}"
        f"    <system-out>{_safe(output)}</system-out>\n    <system-err/>\n  </testsuite>\n"
    )


def _xml(case: Case) -> str:
    start = f"    <testcase{_attributes({'classname': case.group, 'name': case.name, 'time': '0'})}"
    if case.kind is None:
        return f"{start}/>\n"
    if case.kind == "skipped":
        return f"{start}>\n      <skipped{_attributes({'message': case.message})}/>\n    </testcase>\n"
    inner = _attributes({"message": case.message, "type": case.type})
    return f"{start}>\n      <{case.kind}{inner}>{_safe(case.text)}</{case.kind}>\n    </testcase>\n"


def _attributes(values: dict[str, str]) -> str:
    return "".join(f" {name}={quoteattr(_visible(value))}" for name, value in values.items())


def _safe(text: str) -> str:
    return escape("\n".join(_visible(line) for line in text.split("\n")))


def _visible(text: str) -> str:
    """XML 1.0 has no way to write most control characters, not even escaped."""
    return for_terminal(text)


def _document(name: str, suites: Sequence[str]) -> str:
    head = f'<?xml version="1.0" encoding="UTF-8"?>\n<testsuites{_attributes({"name": name})}>\n'
    return head + "".join(suites) + "</testsuites>\n"

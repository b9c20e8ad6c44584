"""Workflow commands of GitHub Actions: annotations on the job and on the pull request.

GitHub shows ten annotations of each kind per step and silently drops the rest, so the tenth of many sums up the
others.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePath

from gradlens.frozen import frozen
from gradlens.reporters import gate_words, wording
from gradlens.reporters.base import Reporter, Screen
from gradlens.reporters.escape import for_terminal
from gradlens.reports.analysis import Report
from gradlens.reports.base import Severity
from gradlens.reports.gate import SEVERITY_OF, GateReport, LimitResult, MetricResult

MAX_PER_KIND = 10
_COMMANDS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.NOTE: "notice"}


@frozen
class Annotation:
    """One annotation; `file` may be empty."""

    severity: Severity
    title: str
    message: str
    file: str = ""


class GithubReporter(Reporter):
    """A plain first line, then one command per line."""

    name = "github"

    def render(self, report: Report, screen: Screen) -> str:  # noqa: ARG002
        found = (
            Annotation(
                severity=f.severity, title=f"{f.code} {f.name}", file=run.source,
                message=f"{run.id}: {f.message}" + (f"\n{f.advice}" if f.advice else ""),
            )
            for run in report.runs
            for f in run.findings
        )  # fmt: skip
        head = "; ".join(f"{run.id}: {wording.verdict(run)}" for run in report.runs[:20])
        return _lines(f"gradlens: {head}", found)

    def render_gate(self, gate: GateReport, screen: Screen) -> str:  # noqa: ARG002
        first = next((run.source for run in gate.runs if run.role == "candidate"), "")
        sources = {run.id: run.source for run in gate.runs if run.role == "candidate"}
        found = [
            Annotation(
                severity=SEVERITY_OF[result.outcome], title=f"gradlens gate: {result.title}", message=_message(result),
                file=sources.get(result.run, first) if isinstance(result, LimitResult) else first,
            )
            for result in (*gate.failed, *gate.inconclusive)
        ]  # fmt: skip
        causes = [
            Annotation(severity=Severity.NOTE, title="gradlens: likely cause", message=gate_words.cause(c))
            for c in gate.causes
        ]
        return _lines(f"gradlens gate: {gate_words.VERDICTS[gate.outcome]}: {gate.headline}", [*found, *causes])


def _message(result: MetricResult | LimitResult) -> str:
    lines = [gate_words.sentence(result)]
    if isinstance(result, MetricResult):
        lines.append("; ".join(gate_words.details(result)))
    lines.append(result.advice)
    return "\n".join(line for line in lines if line)


def _lines(head: str, annotations: Iterable[Annotation]) -> str:
    kinds: dict[Severity, list[Annotation]] = {severity: [] for severity in _COMMANDS}
    for annotation in annotations:
        kinds[annotation.severity].append(annotation)
    lines = [for_terminal(head)]
    for severity, found in kinds.items():
        lines += [_command(a) for a in _aggregated(severity, found)]
    return "\n".join(lines) + "\n"


def _aggregated(severity: Severity, found: list[Annotation]) -> list[Annotation]:
    if len(found) <= MAX_PER_KIND:
        return found
    rest = found[MAX_PER_KIND - 1 :]
    titles = list(dict.fromkeys(a.title for a in rest))
    shown = ", ".join(titles[:20]) + (", ..." if len(titles) > 20 else "")
    summary = Annotation(severity=severity, title=f"gradlens: {len(rest)} more", message=shown)
    return [*found[: MAX_PER_KIND - 1], summary]


def _command(annotation: Annotation) -> str:
    properties = []
    if annotation.file and not PurePath(annotation.file).is_absolute() and "://" not in annotation.file:
        properties.append(f"file={escape_property(annotation.file)}")
    properties.append(f"title={escape_property(annotation.title)}")
    return f"::{_COMMANDS[annotation.severity]} {','.join(properties)}::{escape_data(annotation.message)}"


def escape_data(text: str) -> str:
    """A message: line breaks survive as %0A, other control characters are made visible."""
    shown = "\n".join(for_terminal(line) for line in text.split("\n"))
    return shown.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def escape_property(text: str) -> str:
    """A property: commas and colons would end it."""
    return escape_data(for_terminal(text)).replace(":", "%3A").replace(",", "%2C")

"""SARIF 2.1.0, for code scanning: findings are results, checks are rules, logs are the artifacts."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import quote

from gradlens.reporters import gate_words
from gradlens.reporters.base import Reporter, Screen
from gradlens.reporters.escape import for_terminal
from gradlens.reports.analysis import Report
from gradlens.reports.base import Severity
from gradlens.reports.gate import SEVERITY_OF, GateReport, LimitResult, MetricResult

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_URL = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)
_LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.NOTE: "note"}


class SarifReporter(Reporter):
    """One SARIF run with a result a finding."""

    name = "sarif"

    def render(self, report: Report, screen: Screen) -> str:  # noqa: ARG002
        rules: dict[str, dict[str, Any]] = {}
        results = []
        for run in report.runs:
            for finding in run.findings:
                rules.setdefault(finding.code, _rule(finding.code, finding.name, finding.advice or finding.message))
                steps = f" (steps {', '.join(map(str, finding.steps[:8]))})" if finding.steps else ""
                results.append(
                    _result(
                        finding.code, _LEVELS[finding.severity], f"{run.id}: {finding.message}{steps}", run.source,
                        key=f"{finding.code}/{run.id}",
                    )
                )  # fmt: skip
        return _document(report.gradlens_version, rules.values(), results)

    def render_gate(self, gate: GateReport, screen: Screen) -> str:  # noqa: ARG002
        sources = {run.id: run.source for run in gate.runs if run.role == "candidate"}
        first = next(iter(sources.values()), "log")
        rules: dict[str, dict[str, Any]] = {}
        results = []
        for result in (*gate.failed, *gate.inconclusive):
            code = f"gate/{result.name.replace('_', '-')}"
            rules.setdefault(code, _rule(code, result.title, result.advice or result.title))
            source = sources.get(result.run, first) if isinstance(result, LimitResult) else first
            text = gate_words.sentence(result)
            if isinstance(result, MetricResult):
                text = "; ".join([text, *gate_words.details(result)])
            level = _LEVELS[SEVERITY_OF[result.outcome]]
            results.append(_result(code, level, text, source, key=f"{code}/{gate_words.where(result)}"))
        return _document(gate.gradlens_version, rules.values(), results)


def _rule(code: str, name: str, text: str) -> dict[str, Any]:
    return {
        "id": for_terminal(code),
        "name": "".join(word.capitalize() for word in for_terminal(name).replace("-", " ").split()),
        "shortDescription": {"text": for_terminal(name)},
        "fullDescription": {"text": for_terminal(text)},
    }


def _result(code: str, level: str, text: str, source: str, *, key: str) -> dict[str, Any]:
    return {
        "ruleId": for_terminal(code),
        "level": level,
        "message": {"text": for_terminal(text)},
        # A log has lines, but a finding is about a stretch of them: the first line stands for the file.
        "locations": [
            {"physicalLocation": {"artifactLocation": {"uri": artifact_uri(source)}, "region": {"startLine": 1}}}
        ],
        # Code scanning tells the same finding of two commits by this, so it must not hold figures.
        "partialFingerprints": {"gradlens/v1": hashlib.sha256(key.encode("utf-8", "replace")).hexdigest()[:32]},
    }


def artifact_uri(source: str) -> str:
    """A relative reference for a path below the working folder, a file URI for any other, a URL unchanged."""
    if _URL.match(source):
        return quote(source, safe=":/?#[]@!$&'()*+,;=%-._~", errors="replace")
    path = Path(source)
    if path.is_absolute():
        here = Path.cwd()
        if path.is_relative_to(here):
            return quote(path.relative_to(here).as_posix(), errors="replace")
        return "file://" + quote(path.as_posix(), errors="replace")
    return quote(path.as_posix(), errors="replace")


def _document(version: str, rules: Iterable[dict[str, Any]], results: list[dict[str, Any]]) -> str:
    driver = {"name": "gradlens", "semanticVersion": version, "rules": list(rules)}
    document = {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": results}],
    }
    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"

"""Strict JSON: the document of the contract, keys in the order of the classes."""

from __future__ import annotations

import json

from gradlens.comparison_report import ComparisonReport
from gradlens.gate_report import GateReport
from gradlens.report import Report
from gradlens.reporters.base import Document, Reporter, Screen


class JsonReporter(Reporter):
    """`to_dict()` of the report as JSON; non-finite numbers are null."""

    name = "json"

    def render(self, report: Report, screen: Screen) -> str:  # noqa: ARG002
        return _text(report)

    def render_gate(self, gate: GateReport, screen: Screen) -> str:  # noqa: ARG002
        return _text(gate)

    def render_comparison(self, comparison: ComparisonReport, screen: Screen) -> str:  # noqa: ARG002
        return _text(comparison)


def _text(document: Document) -> str:
    return json.dumps(document.to_dict(), indent=2, ensure_ascii=False, allow_nan=False) + "\n"

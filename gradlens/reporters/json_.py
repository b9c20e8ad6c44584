"""Strict JSON: the document of the contract, keys in the order of the classes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from gradlens.reporters.base import Reporter, Screen
from gradlens.reports.analysis import Report

if TYPE_CHECKING:
    from gradlens.reporters.base import Document
    from gradlens.reports.comparison import ComparisonReport
    from gradlens.reports.fleet import FleetOverview
    from gradlens.reports.gate import GateReport


class JsonReporter(Reporter):
    """`to_dict()` of the report as JSON; non-finite numbers are null."""

    name = "json"

    def render(self, report: Report, screen: Screen) -> str:  # noqa: ARG002
        return _text(report)

    def render_gate(self, gate: GateReport, screen: Screen) -> str:  # noqa: ARG002
        return _text(gate)

    def render_comparison(self, comparison: ComparisonReport, screen: Screen) -> str:  # noqa: ARG002
        return _text(comparison)

    def render_fleet(self, fleet: FleetOverview, screen: Screen) -> str:  # noqa: ARG002
        return _text(fleet)


def _text(document: Document) -> str:
    text = json.dumps(document.to_dict(), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    # A name may hold half a surrogate pair, which no file can: JSON's own escape of it can.
    return text.encode("utf-8", "backslashreplace").decode("utf-8")

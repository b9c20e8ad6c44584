"""Strict JSON: the document of the contract, keys in the order of the classes."""

from __future__ import annotations

import json

from gradlens.report import Report
from gradlens.reporters.base import Reporter, Screen


class JsonReporter(Reporter):
    """`Report.to_dict()` as JSON; non-finite numbers are null."""

    name = "json"

    def render(self, report: Report, screen: Screen) -> str:  # noqa: ARG002
        return json.dumps(report.to_dict(), indent=2, ensure_ascii=False, allow_nan=False) + "\n"

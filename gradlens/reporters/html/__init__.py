"""One self-contained HTML page that asks no host for anything, so that it opens on a cluster and in a mail.

With Bokeh installed (`gradlens[html]`) its pictures zoom and tell the values under the pointer; without it they stand still.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradlens.reporters.base import Reporter, Screen
from gradlens.reporters.escape import for_html

if TYPE_CHECKING:
    from gradlens.reports.analysis import Report
    from gradlens.reports.comparison import ComparisonReport
    from gradlens.reports.fleet import FleetOverview
    from gradlens.reports.gate import GateReport


class HtmlReporter(Reporter):
    """A page for people: verdict, picture, what was found, what to do, why, numbers."""

    name = "html"
    draws = True

    def render(self, report: Report, screen: Screen) -> str:  # noqa: ARG002
        return render_report(report)

    def render_gate(self, gate: GateReport, screen: Screen) -> str:  # noqa: ARG002
        from gradlens.reporters.html.document import page
        from gradlens.reporters.html.gate import gate_body

        shown = gate_body(gate)
        body = f'<main class="gl">{shown.body}{_foot(gate.gradlens_version)}</main>'
        return page(f"gradlens gate: {gate.outcome}", body, drawings=shown.drawings)

    def render_comparison(self, comparison: ComparisonReport, screen: Screen) -> str:  # noqa: ARG002
        from gradlens.reporters.html.comparison import comparison_body
        from gradlens.reporters.html.document import page

        shown = comparison_body(comparison)
        body = f'<main class="gl">{shown.body}{_foot(comparison.gradlens_version)}</main>'
        return page("gradlens compare", body, drawings=shown.drawings)

    def render_fleet(self, fleet: FleetOverview, screen: Screen) -> str:  # noqa: ARG002
        from gradlens.reporters.html.document import page
        from gradlens.reporters.html.fleet import fleet_body

        return page(f"gradlens: {fleet.runs:,} runs", f'<main class="gl">{fleet_body(fleet)}</main>')


def _foot(version: str) -> str:
    return f'<p class="dim">gradlens {for_html(version)}</p>'


def render_report(report: Report, *, live: bool = True) -> str:
    """The page of a report; without `live` its pictures stand still, which takes a hundredth of the space."""
    from gradlens.reporters.html.document import page
    from gradlens.reporters.html.overview import report_body

    title = "gradlens: " + (for_html(report.runs[0].id) if len(report.runs) == 1 else f"{len(report.runs)} runs")
    shown = report_body(report)
    body = f'<main class="gl">{shown.body}{_foot(report.gradlens_version)}</main>'
    return page(title, body, drawings=shown.drawings if live else ())


def render_fragment(report: Report) -> str:
    """The report as one element with its own style and still pictures, for notebooks."""
    from gradlens.reporters.html.document import fragment
    from gradlens.reporters.html.overview import report_body

    return fragment(report_body(report).body + _foot(report.gradlens_version))

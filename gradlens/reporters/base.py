"""What a reporter is: a function from a report to text, and nothing else."""

from __future__ import annotations

import os
import shutil
import sys
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar, Literal, TypeAlias

from gradlens.errors import UsageError
from gradlens.frozen import frozen
from gradlens.reports.analysis import Report

if TYPE_CHECKING:
    from gradlens.reports.comparison import ComparisonReport
    from gradlens.reports.fleet import FleetOverview
    from gradlens.reports.gate import GateReport

    Document: TypeAlias = Report | GateReport | ComparisonReport | FleetOverview

Kind = Literal["report", "gate", "comparison", "fleet"]


@frozen
class Screen:
    """Where text will be seen. Files and pipes are 80 columns wide, without colour."""

    width: int = 80
    color: bool = False
    unicode: bool = True
    verbose: bool = False

    @classmethod
    def of_stdout(cls, *, verbose: bool = False) -> Screen:
        """Standard output as it is: `NO_COLOR`, pipes and encodings without braille are respected."""
        terminal = sys.stdout.isatty()
        color = terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
        if os.environ.get("FORCE_COLOR"):
            color = not os.environ.get("NO_COLOR")
        # get_terminal_size honours COLUMNS, so that tests and users can choose.
        width = shutil.get_terminal_size((80, 24)).columns if terminal or os.environ.get("COLUMNS") else 80
        unicode = (sys.stdout.encoding or "utf-8").lower().replace("-", "") in {"utf8", "utf16"}
        return cls(width=max(60, min(width, 120)), color=bool(color), unicode=unicode, verbose=verbose)


class Reporter(ABC):
    """One output format."""

    #: The word for `--format`.
    name: ClassVar[str]
    #: Whether it shows what stands beside a report to be drawn (`gradlens.reports.picture`).
    draws: ClassVar[bool] = False

    @abstractmethod
    def render(self, report: Report, screen: Screen) -> str:
        """The report as text; never computes a statistic."""

    def render_gate(self, gate: GateReport, screen: Screen) -> str:  # noqa: ARG002
        """The result of a gate as text; a format that cannot show it leaves this method alone."""
        raise UsageError(f"--format {self.name}: cannot show a gate")

    def render_comparison(self, comparison: ComparisonReport, screen: Screen) -> str:  # noqa: ARG002
        """A comparison of runs as text; a format that cannot show it leaves this method alone."""
        raise UsageError(f"--format {self.name}: cannot show a comparison")

    def render_fleet(self, fleet: FleetOverview, screen: Screen) -> str:  # noqa: ARG002
        """A fleet of runs as text; a format that cannot show it leaves this method alone."""
        raise UsageError(f"--format {self.name}: cannot show a fleet")

    def shows(self, kind: Kind) -> bool:
        """Whether the format can show this kind of document."""
        method = {
            "report": "render",
            "gate": "render_gate",
            "comparison": "render_comparison",
            "fleet": "render_fleet",
        }[kind]
        return getattr(type(self), method) is not getattr(Reporter, method)

    def render_document(self, document: Document, screen: Screen) -> str:
        """Dispatch on the kind of document."""
        if isinstance(document, Report):
            return self.render(document, screen)
        # Loaded only for the commands that made one: `analyze` starts faster without.
        from gradlens.reports.gate import GateReport

        if isinstance(document, GateReport):
            return self.render_gate(document, screen)
        from gradlens.reports.fleet import FleetOverview

        if isinstance(document, FleetOverview):
            return self.render_fleet(document, screen)
        return self.render_comparison(document, screen)

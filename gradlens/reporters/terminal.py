"""The report for people: what happened, a picture, the evidence, what to do, and what could not be judged.

About 25 lines for a run; statistics under `--verbose` (`terminal_details`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from gradlens.reporters import wording
from gradlens.reporters.base import Reporter, Screen
from gradlens.reporters.escape import for_terminal
from gradlens.reporters.page import hanging, print_parts, section
from gradlens.reporters.palette import AMBER, DOUBTFUL, SEVERITY, STATUS
from gradlens.reporters.picture import picture
from gradlens.reporters.report_words import (
    OF_THE_LOG,
    clipping_sentence,
    confirmation,
    course_sentence,
    guessed_columns,
    lacking_sentence,
    norm_caveat,
    pages,
    step_list,
    suggestion_sentence,
)
from gradlens.reporters.wording import number, percent
from gradlens.reports.analysis import Finding, Report, RunReport
from gradlens.reports.base import Severity

if TYPE_CHECKING:
    from gradlens.reports.comparison import ComparisonReport
    from gradlens.reports.fleet import FleetOverview
    from gradlens.reports.gate import GateReport

_MARK = {Severity.ERROR: "✖", Severity.WARNING: "▲", Severity.NOTE: "•"}
_ASCII_MARK = {Severity.ERROR: "x", Severity.WARNING: "!", Severity.NOTE: "-"}
#: Warnings and errors, notes, and notices of reading that the short report shows.
MAX_PROBLEMS, MAX_NOTES, MAX_NOTICES = 3, 3, 4
#: Notices that are told elsewhere: what a format's norms are, below the verdict where it limits anything, and how the log ended.
_SAID = frozenset({"norm-pre-clip", "norm-post-clip", "norm-averaged", "crash-line", "fatal-line"})
#: What reading says of restarts, which the analysis has resolved and says again.
_OF_RESTARTS = frozenset({"steps-go-backwards", "overlapping-steps"})


class TerminalReporter(Reporter):
    """Text at the width of the terminal; 80 columns and plain in a pipe."""

    name = "text"

    def render(self, report: Report, screen: Screen) -> str:
        return print_parts(_pages(report, screen), screen)

    def render_gate(self, gate: GateReport, screen: Screen) -> str:
        from gradlens.reporters.gate_terminal import gate_parts

        return print_parts(gate_parts(gate, screen), screen)

    def render_comparison(self, comparison: ComparisonReport, screen: Screen) -> str:
        from gradlens.reporters.comparison_terminal import comparison_parts

        return print_parts(comparison_parts(comparison, screen), screen)

    def render_fleet(self, fleet: FleetOverview, screen: Screen) -> str:
        from gradlens.reporters.fleet_terminal import fleet_parts

        return print_parts(fleet_parts(fleet, screen), screen)


def _pages(report: Report, screen: Screen) -> Iterator[RenderableType]:
    rule = Rule(style="dim", characters="─" if screen.unicode else "-")
    for place, run in enumerate(report.runs):
        if place:
            yield rule
        yield from _parts(run, screen)
    if len(report.runs) > 1:
        yield rule
        yield _overview(report)


def _parts(run: RunReport, screen: Screen) -> Iterator[RenderableType]:
    yield _header(run)
    yield Text()
    yield _verdict(run)
    yield Text()
    drawn = picture(run, screen)
    if drawn is not None:
        yield drawn
        yield Text()
    yield from _evidence(run, screen)
    if run.actions:
        numbered = [
            hanging(Text(f"{place}."), Text(for_terminal(wording.sentence(line))))
            for place, line in enumerate(run.actions[:4], 1)
        ]
        experiment = confirmation(run)
        if experiment:
            numbered.append(Text(f"To confirm: {for_terminal(experiment)}", style="dim"))
        yield section("What to do", numbered)
    yield _facts(run)
    yield from _reading(run, screen)
    if screen.verbose:
        from gradlens.reporters.terminal_details import details

        yield from details(run, screen)
    yield Text(f"More: {', '.join([*pages(run), *([] if screen.verbose else ['--verbose'])])}", style="dim")


def _header(run: RunReport) -> RenderableType:
    text = Text(for_terminal(run.id), style="bold")
    text.append(f"  {run.format}, {wording.span(run)}", style="dim")
    told = guessed_columns(run)
    return Group(text, Text(for_terminal(told), style="dim")) if told else text


def _verdict(run: RunReport) -> RenderableType:
    style = STATUS[run.verdict.status]
    worst = run.worst
    if run.verdict.status == "problem" and worst is not None and worst is not Severity.ERROR:
        style = DOUBTFUL
    head = Text(for_terminal(wording.verdict(run)), style=style)
    # What no sign speaks for is only what is left where the others are ruled out.
    others = [
        r
        for r in run.diagnosis.ranking
        if r.cause != run.diagnosis.cause and r.confidence >= 0.1 and any(sign.added > 0 for sign in r.signs)
    ][:2]
    if others and run.verdict.status == "problem":
        named = " or ".join(f"{wording.TITLES[r.cause]} ({wording.sureness(r.confidence)})" for r in others)
        head.append(f", or {named}", style="dim")
    lines = [head, Text(for_terminal(course_sentence(run)))]
    spoken = any(f.message == run.provenance.reason for f in run.findings)
    caveat = norm_caveat(run, brief=spoken)
    if caveat:
        lines.append(Text(for_terminal(caveat), style="" if run.provenance.trusted else AMBER))
    return Group(*(line for line in lines if line.plain))


def _evidence(run: RunReport, screen: Screen) -> Iterator[RenderableType]:
    problems = [f for f in run.findings if f.severity is not Severity.NOTE]
    # What the run shows before what the log lacks.
    notes = sorted(
        (f for f in run.findings if f.severity is Severity.NOTE and f.code not in _told(run)),
        key=lambda f: f.code.startswith(OF_THE_LOG),
    )
    if problems:
        lines = [_finding(f, screen) for f in problems[:MAX_PROBLEMS]]
        if len(problems) > MAX_PROBLEMS:
            codes = ", ".join(f.code for f in problems[MAX_PROBLEMS:])
            lines.append(Text(f"and {codes} (--verbose)", style="dim"))
        yield section("Evidence", lines)
    if notes:
        lines = [_finding(f, screen) for f in notes[:MAX_NOTES]]
        if len(notes) > MAX_NOTES:
            lines.append(Text(f"and {', '.join(f.code for f in notes[MAX_NOTES:])} (--verbose)", style="dim"))
        yield section("Worth knowing", lines)


def _told(run: RunReport) -> frozenset[str]:
    """Notes that repeat what the header (one row for several steps), the headline (too few rows) or the lines below it have said."""
    thin = {"GL009"} if run.verdict.status == "insufficient" else set()
    averaged = {"GL004"} if run.provenance.verdict == "averaged" else set()
    return frozenset({"GL005", *thin, *averaged})


def _mark(severity: Severity, screen: Screen) -> Text:
    return Text((_MARK if screen.unicode else _ASCII_MARK)[severity], style=SEVERITY[severity])


def _finding(finding: Finding, screen: Screen) -> RenderableType:
    body = Text(for_terminal(wording.sentence(finding.message)))
    listed = step_list(finding)
    if listed:
        body.append(f" {listed}")
    body.append(f"  [{finding.code}]", style="dim")
    return hanging(_mark(finding.severity, screen), body)


def _facts(run: RunReport) -> RenderableType:
    """Clipping, the threshold and what could not be judged, a line or two each."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column(ratio=1)
    rows = (
        ("Clipping", clipping_sentence(run)),
        ("Threshold", suggestion_sentence(run)),
        ("Not judged", lacking_sentence(run)),
    )
    for label, text in rows:
        if text:
            grid.add_row(label, Text(for_terminal(text)))
    return Group(grid, Text()) if grid.row_count else Group()


def _reading(run: RunReport, screen: Screen) -> Iterator[RenderableType]:
    """What reading noticed."""
    codes = {n.code for n in run.notices}
    said = _SAID | (_OF_RESTARTS if "restarts-resolved" in codes else frozenset())
    notices = [n for n in run.notices if screen.verbose or n.code not in said]
    shown = notices if screen.verbose else notices[:MAX_NOTICES]
    if not shown:
        return
    lines: list[RenderableType] = []
    for n in shown:
        is_counted = n.count > 1 and f"{n.count:,} " not in n.message
        count = f" ×{n.count:,}" if is_counted else ""
        where = f" ({for_terminal(n.where)})" if n.where else ""
        lines.append(
            hanging(_mark(Severity.NOTE, screen), Text(f"{for_terminal(n.message)}{count}{where}", style="dim"))
        )
    if len(notices) > len(shown):
        lines.append(Text(f"and {len(notices) - len(shown)} more (--verbose)", style="dim"))
    yield section("Reading", lines)


def _overview(report: Report) -> RenderableType:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for title in ("run", "verdict", "clipped", "spikes", "threshold"):
        table.add_column(title, overflow="fold")
    for run in report.runs:
        table.add_row(
            for_terminal(run.id),
            for_terminal(wording.verdict(run)),
            percent(run.clipping.clip_rate),
            wording.spike_counts(run),
            number(run.suggestion.threshold),
        )
    return table

"""The report for people: verdict first, then a picture, the evidence, what to do, and the numbers behind it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from gradlens.reporters import wording
from gradlens.reporters.base import Reporter, Screen
from gradlens.reporters.escape import for_terminal
from gradlens.reporters.page import print_parts
from gradlens.reporters.plot import draw, sparkline
from gradlens.reporters.report_words import PROVENANCE, advice, columns_used, facts, number_rows, tail_lines
from gradlens.reporters.weighing_words import scores_line, sums_shown, weighing_rows
from gradlens.reporters.wording import number, percent
from gradlens.reports.analysis import CoincidenceTest, Diagnosis, Finding, Report, RunReport
from gradlens.reports.base import Severity

if TYPE_CHECKING:
    from gradlens.reports.comparison import ComparisonReport
    from gradlens.reports.fleet import FleetOverview
    from gradlens.reports.gate import GateReport

_STYLE = {Severity.ERROR: "bold red", Severity.WARNING: "yellow", Severity.NOTE: "cyan"}
_MARK = {Severity.ERROR: "✖", Severity.WARNING: "▲", Severity.NOTE: "•"}
_ASCII_MARK = {Severity.ERROR: "x", Severity.WARNING: "!", Severity.NOTE: "-"}


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


def _safe(text: str) -> str:
    return for_terminal(text)


def _parts(run: RunReport, screen: Screen) -> Iterator[RenderableType]:
    yield _header(run)
    yield Text()
    yield _verdict(run)
    yield Text()
    picture = _picture(run, screen)
    if picture is not None:
        yield picture
        yield Text()
    problems = [f for f in run.findings if f.severity is not Severity.NOTE]
    notes = [f for f in run.findings if f.severity is Severity.NOTE]
    if problems:
        yield _section("Evidence", [_finding(f, screen) for f in problems])
    to_do = advice(run)
    if to_do:
        yield _section("What to do", [_bullet(line, screen) for line in to_do])
    yield _numbers(run)
    if notes:
        yield _section("Notes", [_finding(f, screen, brief=not screen.verbose) for f in notes])
    if screen.verbose:
        yield from _verbose(run)
    if run.notices:
        yield _section("Reading", [_notice(n.code, n.message, n.count, n.where) for n in run.notices])


def _header(run: RunReport) -> RenderableType:
    text = Text(_safe(run.id), style="bold")
    text.append(f"  {run.format}, {wording.span(run)}", style="dim")
    c = run.columns
    found = _safe(columns_used(run))
    missing = [label for label, name in (("loss", c.loss), ("gradient norm", c.grad_norm)) if not name]
    line = f"columns: {found}" if found else ""
    if missing:
        line += f"{'; ' if line else ''}no {' and no '.join(missing)} found"
    return Group(text, Text(line, style="dim"))


def _verdict(run: RunReport) -> RenderableType:
    d = run.diagnosis
    worst = run.worst
    style = _STYLE[worst] if worst and worst is not Severity.NOTE else "bold green"
    head = Text(wording.verdict(run), style=f"{style} bold")
    others = [r for r in d.ranking if r.cause != d.cause and r.confidence >= 0.1][:2]
    if others:
        named = ", ".join(f"{wording.TITLES[r.cause]} {percent(r.confidence)}" for r in others)
        head.append(f"   else {named}", style="dim")
    lines: list[RenderableType] = [head]
    if d.summary:
        lines.append(Text(_safe(d.summary)))
    p = run.provenance
    lines.append(Text(f"Norm: {PROVENANCE[p.verdict]} – {_safe(p.reason)}", style="" if p.trusted else "yellow"))
    return Group(*lines)


def _picture(run: RunReport, screen: Screen) -> RenderableType | None:
    table = Table.grid(padding=(0, 1))
    table.add_column(justify="right", no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    width = screen.width - 22
    for key, label, height in (("grad_norm", "norm", 4), ("loss", "loss", 3)):
        curve = (run.curves or {}).get(key)
        line = run.clipping.threshold if key == "grad_norm" and run.provenance.trusted else None
        plot = draw(curve, width=width, height=height, line=line, unicode=screen.unicode) if curve else None
        if plot is None:
            continue
        for row, dots in enumerate(plot.rows):
            left = number(plot.top) if row == 0 else number(plot.bottom) if row == height - 1 else ""
            right = (
                f"C={number(line)}" if row == plot.line_row else f"{label}{' (log)' if plot.log else ''}" * (row == 0)
            )
            style = "blue" if key == "loss" else "magenta"
            table.add_row(Text(left, style="dim"), Text(dots, style=style), Text(right, style="dim"))
    rates = [w.clip_rate for w in run.clipping.windows]
    if any(r for r in rates if r is not None):
        each = max(1, width // len(rates))
        bar = "".join(mark * each for mark in sparkline(rates, unicode=screen.unicode))
        table.add_row(Text("clipped", style="dim"), Text(bar, style="yellow"), Text("0–100 %", style="dim"))
    return table if table.row_count else None


def _section(title: str, lines: Iterable[RenderableType]) -> RenderableType:
    return Group(Text(title, style="bold"), *(Padding(line, (0, 0, 0, 2)) for line in lines), Text())


def _hanging(mark: Text, body: RenderableType) -> RenderableType:
    grid = Table.grid(padding=(0, 1))
    grid.add_column(no_wrap=True)
    grid.add_column(ratio=1)
    grid.add_row(mark, body)
    return grid


def _bullet(line: str, screen: Screen) -> RenderableType:
    return _hanging(Text("→" if screen.unicode else "->"), Text(_safe(line)))


def _finding(finding: Finding, screen: Screen, *, brief: bool = False) -> RenderableType:
    marks = _MARK if screen.unicode else _ASCII_MARK
    body = Text(f"{finding.code} {finding.name}: ", style=_STYLE[finding.severity])
    body.append(_safe(finding.message), style="default" if screen.color else "")
    lines: list[RenderableType] = [body]
    if screen.verbose or not brief:
        measured = _safe(facts(finding))
        if measured:
            lines.append(Text(measured, style="dim"))
        if finding.steps:
            shown = ", ".join(f"{s:,}" for s in finding.steps[:8])
            more = f" and {len(finding.steps) - 8} more" if len(finding.steps) > 8 else ""
            lines.append(Text(f"steps {shown}{more}", style="dim"))
    return _hanging(Text(marks[finding.severity], style=_STYLE[finding.severity]), Group(*lines))


def _numbers(run: RunReport) -> RenderableType:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column(ratio=1)
    for label, text in number_rows(run):
        grid.add_row(label, Text(_safe(text)))
    return Group(Text("Numbers", style="bold"), Padding(grid, (0, 0, 0, 2)), Text())


def _notice(code: str, message: str, count: int, where: str) -> RenderableType:
    text = Text(f"{code}", style="dim bold")
    text.append(f"{f' ×{count:,}' if count > 1 else ''}: {_safe(message)}{f' ({_safe(where)})' if where else ''}",
                style="dim")  # fmt: skip
    return text


def _verbose(run: RunReport) -> Iterator[RenderableType]:
    yield from _ranking(run.diagnosis)
    c = run.spikes.coincidence
    if c:
        rows = (("same step", c.same_step), ("norm leads", c.norm_leads), ("loss leads", c.loss_leads))
        yield _section("Loss and norm spikes", [Text(f"{label:<11} {_test(test)}") for label, test in rows])
    if run.tail and run.tail.fits:
        yield _section(
            "Tail fits",
            [
                Text(
                    f"{f.family:<18} AIC {number(f.aic):>10}  KS {f.ks:.3f}  {'fits' if f.adequate else 'does not fit'}"
                )
                for f in run.tail.fits
            ],
        )
    if run.tail:
        yield _section("Tail", [Text(line) for line in tail_lines(run.tail)])
    if run.notable_steps:
        rows_ = [
            Text(
                f"step {s.step:>9,}  norm {number(s.grad_norm):>9}  {number(s.times_median):>6}× median"
                f"  loss {number(s.loss)}"
            )
            for s in run.notable_steps
        ]
        yield _section("Steps to look at", rows_)
    if run.checks:
        yield _section(
            "Checks",
            [Text(f"{r.code} {r.name:<28} {r.status}{f': {r.reason}' if r.reason else ''}") for r in run.checks],
        )


def _ranking(diagnosis: Diagnosis) -> Iterator[RenderableType]:
    """Each cause with the sum behind its confidence."""
    lines: list[RenderableType] = []
    for ranked, written_out in sums_shown(diagnosis):
        lines.append(Text(f"{percent(ranked.confidence):>7}  {wording.TITLES[ranked.cause]}", style="bold"))
        if not written_out:
            continue
        rows = Table.grid(padding=(0, 2))
        rows.add_column(justify="right", no_wrap=True, min_width=7)
        rows.add_column(ratio=1)
        for figure, text in weighing_rows(ranked):
            rows.add_row(figure, Text(_safe(text), style="dim"))
        lines.append(Padding(rows, (0, 0, 0, 4)))
    if lines:
        yield _section("Ranking", lines)
    if diagnosis.scores:
        yield _section("Scores of all causes", [Text(scores_line(diagnosis), style="dim")])


def _test(test: CoincidenceTest) -> str:
    text = f"{test.count} events"
    if test.expected is not None:
        text += f", {number(test.expected)} expected by chance"
    if test.p_adjusted is not None:
        text += f", p = {number(test.p_adjusted)} (Holm)"
    return text


def _overview(report: Report) -> RenderableType:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for title in ("run", "verdict", "clipped", "spikes", "threshold"):
        table.add_column(title, overflow="fold")
    for run in report.runs:
        table.add_row(
            _safe(run.id),
            wording.verdict(run),
            percent(run.clipping.clip_rate),
            wording.spike_counts(run),
            number(run.suggestion.threshold),
        )
    return table

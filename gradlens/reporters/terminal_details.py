"""What `--verbose` adds: the numbers, every finding with its evidence, the sums behind the ranking, the checks."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from gradlens.reporters import wording
from gradlens.reporters.base import Screen
from gradlens.reporters.escape import for_terminal
from gradlens.reporters.page import hanging, section
from gradlens.reporters.report_words import columns_used, facts, number_rows, tail_lines
from gradlens.reporters.weighing_words import opinion_lines, scores_line, sums_shown, weighing_rows
from gradlens.reporters.wording import number
from gradlens.reports.analysis import CoincidenceTest, Diagnosis, Finding, RunReport


def details(run: RunReport, screen: Screen) -> Iterator[RenderableType]:
    """Everything that the short report leaves out."""
    yield _numbers(run)
    yield section("Columns", [Text(for_terminal(columns_used(run)))])
    if run.findings:
        yield section("Evidence", [_finding(f, screen) for f in run.findings])
    yield from _ranking(run.diagnosis)
    c = run.spikes.coincidence
    if c:
        rows = (("same step", c.same_step), ("norm leads", c.norm_leads), ("loss leads", c.loss_leads))
        yield section("Loss and norm spikes", [Text(f"{label:<11} {_test(test)}") for label, test in rows])
    if run.tail and run.tail.fits:
        yield section(
            "Tail fits",
            [
                Text(
                    f"{f.family:<18} AIC {number(f.aic):>10}  KS {f.ks:.3f}  {'fits' if f.adequate else 'does not fit'}"
                )
                for f in run.tail.fits
            ],
        )
    if run.tail:
        yield section("Tail", [Text(line) for line in tail_lines(run.tail)])
    if run.notable_steps:
        rows_ = [
            Text(
                f"step {s.step:>9,}  norm {number(s.grad_norm):>9}  {number(s.times_median):>6}× median"
                f"  loss {number(s.loss)}" + (f"  clipped to {number(s.clipped_to)} of it" if s.clipped_to else "")
            )
            for s in run.notable_steps
        ]
        yield section("Steps to look at", rows_)
    if run.checks:
        yield section(
            "Checks",
            [Text(f"{r.code} {r.name:<28} {r.status}{f': {r.reason}' if r.reason else ''}") for r in run.checks],
        )


def _ranking(diagnosis: Diagnosis) -> Iterator[RenderableType]:
    """Each cause with the sum behind its confidence."""
    lines: list[RenderableType] = []
    for ranked, written_out in sums_shown(diagnosis):
        lines.append(Text(f"{wording.sureness(ranked.confidence):>7}  {wording.TITLES[ranked.cause]}", style="bold"))
        if not written_out:
            continue
        rows = Table.grid(padding=(0, 2))
        rows.add_column(justify="right", no_wrap=True, min_width=7)
        rows.add_column(ratio=1)
        for figure, text in weighing_rows(ranked):
            rows.add_row(figure, Text(for_terminal(text), style="dim"))
        lines.append(Padding(rows, (0, 0, 0, 4)))
    if lines:
        yield section("Ranking", lines)
    if diagnosis.decided:
        told = [diagnosis.decided, *opinion_lines(diagnosis)]
        yield section("Who decided", [Text(for_terminal(line), style="dim") for line in told])
    if diagnosis.scores:
        yield section("Scores of all causes", [Text(scores_line(diagnosis), style="dim")])


def _test(test: CoincidenceTest) -> str:
    text = f"{test.count} events"
    if test.expected is not None:
        text += f", {number(test.expected)} expected by chance"
    if test.p_adjusted is not None:
        text += f", p = {number(test.p_adjusted)} (Holm)"
    return text


def _finding(finding: Finding, screen: Screen) -> RenderableType:
    body = Text(f"{finding.code} {finding.name}: {for_terminal(finding.message)}")
    lines: list[RenderableType] = [body]
    measured = for_terminal(facts(finding))
    if measured:
        lines.append(Text(measured, style="dim"))
    if finding.steps:
        lines.append(Text(f"steps {', '.join(f'{s:,}' for s in sorted(finding.steps))}", style="dim"))
    return hanging(Text("•" if screen.unicode else "-"), Group(*lines))


def _numbers(run: RunReport) -> RenderableType:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column(ratio=1)
    for label, text in number_rows(run):
        grid.add_row(label, Text(for_terminal(text)))
    return section("Numbers", [grid])

"""A gate for people: the verdict, what failed and where, what to do, and the rest in one table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from gradlens.reporters import gate_words as words
from gradlens.reporters.base import Screen
from gradlens.reporters.escape import for_terminal
from gradlens.reporters.palette import BAD, DOUBTFUL, GOOD
from gradlens.reporters.wording import number
from gradlens.reports.gate import GateReport, GateRun, LimitResult, MetricResult

_STYLE = {"fail": BAD, "inconclusive": DOUBTFUL, "pass": GOOD, "skipped": "dim"}


def gate_parts(gate: GateReport, screen: Screen) -> Iterator[RenderableType]:
    """The parts of the page, one below the other."""
    head = Text(words.VERDICTS[gate.outcome], style=_STYLE[gate.outcome])
    head.append(f"  {for_terminal(gate.headline)}", style="default" if screen.color else "")
    yield head
    yield Text()
    for title, results in (("Failed", gate.failed), ("Could not judge", gate.inconclusive)):
        if results:
            yield _section(title, [_problem(r) for r in results])
    advice = [*words.advice(gate), *(words.cause(cause) for cause in gate.causes)]
    if advice:
        arrow = "→" if screen.unicode else "->"
        yield _section("What to do", [Text(f"{arrow} {for_terminal(line)}") for line in advice])
    yield _section("All checks", [_table(gate, screen)])
    yield _section("Runs", [Text(_run(run), style="dim") for run in gate.runs])
    if gate.notices:
        yield _section("Notes", [Text(f"{n.code}: {for_terminal(n.message)}", style="dim") for n in gate.notices])


def _section(title: str, lines: Sequence[RenderableType]) -> RenderableType:
    return Group(Text(title, style="bold"), *(Padding(line, (0, 0, 0, 2)) for line in lines), Text())


def _problem(result: MetricResult | LimitResult) -> Group:
    lines: list[RenderableType] = [Text(for_terminal(words.sentence(result)), style=_STYLE[result.outcome])]
    if isinstance(result, LimitResult):
        lines.append(Text(f"in {for_terminal(result.run)}", style="dim"))
    elif found := words.details(result):
        lines.append(Text("; ".join(found), style="dim"))
    return Group(*lines)


def _table(gate: GateReport, screen: Screen) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    marks = words.MARKS if screen.unicode else words.ASCII_MARKS
    for title in ("", "metric", "baseline", "candidate", "change", "tolerance"):
        table.add_column(title, overflow="fold", justify="left" if title in {"", "metric"} else "right")
    for limit in gate.limits:
        table.add_row(
            Text(marks[limit.outcome], style=_STYLE[limit.outcome]), limit.title,
            "", words.value(limit, limit.value), "", words.value(limit, limit.limit),
        )  # fmt: skip
    for metric in gate.metrics:
        mark = Text(marks[metric.outcome], style=_STYLE[metric.outcome])
        if metric.candidate is None:
            table.add_row(mark, metric.title, "", Text(metric.outcome, style="dim"), "", "")
            continue
        table.add_row(
            mark, metric.title, words.value(metric, metric.baseline) if metric.baseline is not None else "",
            words.value(metric, metric.candidate), words.change(metric), words.tolerance(metric),
        )  # fmt: skip
    return table


def _run(run: GateRun) -> str:
    clips = "no clipping" if run.threshold is None else f"C = {number(run.threshold)} ({run.threshold_source})"
    return (
        f"{run.role} {for_terminal(run.id)}: {run.steps:,} rows, steps {run.first_step:,} to {run.last_step:,}, {clips}"
    )

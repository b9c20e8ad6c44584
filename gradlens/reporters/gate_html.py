"""The inside of the HTML pages of a gate and of a comparison."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from gradlens.reporters import gate_words as words
from gradlens.reporters.comparison_words import figure_rows, pair_facts
from gradlens.reporters.escape import for_html
from gradlens.reporters.wording import number
from gradlens.reports.comparison import ComparisonReport
from gradlens.reports.gate import GateReport, LimitResult, MetricResult

_CLASS = {"fail": "error", "inconclusive": "warning", "pass": "ok", "skipped": "dim"}


def gate_body(gate: GateReport) -> str:
    """Verdict, what failed, what to do, all checks, the runs."""
    parts = [
        f'<p class="verdict {_CLASS[gate.outcome]}">{words.VERDICTS[gate.outcome].capitalize()}</p>',
        f"<p>{for_html(gate.headline)}</p>",
    ]
    for result in (*gate.failed, *gate.inconclusive):
        more = words.details(result) if isinstance(result, MetricResult) else [f"in {result.run}"]
        parts.append(
            f'<div class="card {_CLASS[result.outcome]}"><b class="code">{for_html(result.title)}</b> '
            f'<span>{for_html(words.sentence(result))}</span><p class="dim">{for_html("; ".join(more))}</p></div>'
        )
    advice = [*words.advice(gate), *(words.cause(c) for c in gate.causes)]
    if advice:
        parts.append("<h2>What to do</h2><ul>" + "".join(f"<li>{for_html(a)}</li>" for a in advice) + "</ul>")
    rows = [_row(result) for result in gate.results]
    head = ("check", "outcome", "baseline", "candidate", "change", "95 % interval", "tolerance")
    parts.append("<h2>All checks</h2>" + _table(head, rows))
    runs = (
        (run.role, run.id, f"{run.first_step:,} to {run.last_step:,}", number(run.threshold), run.provenance)
        for run in gate.runs
    )
    parts.append("<h2>Runs</h2>" + _table(("", "run", "steps", "threshold", "norm"), runs))
    parts += [f'<p class="dim">{for_html(n.code)}: {for_html(n.message)}</p>' for n in gate.notices]
    return "".join(parts)


def _row(result: MetricResult | LimitResult) -> tuple[str, ...]:
    if isinstance(result, LimitResult):
        value, limit = words.value(result, result.value), words.value(result, result.limit)
        return (result.title, result.outcome, "", value, "", "", limit)
    cells = [words.value(result, v) if v is not None else "" for v in (result.baseline, result.candidate)]
    return (result.title, result.outcome, *cells, words.change(result), words.interval(result), words.tolerance(result))


def comparison_body(comparison: ComparisonReport) -> str:
    """Each run against the first, then the figures side by side."""
    parts = ["<h1>Comparison</h1>"]
    for pair in comparison.pairs:
        css = "warning" if pair.fingerprints else "note"
        facts = "".join(f'<p class="dim">{for_html(title)}: {for_html(text)}</p>' for title, text in pair_facts(pair))
        parts.append(
            f'<div class="card {css}"><b class="code">{for_html(pair.run)}</b> <span>against {for_html(pair.against)}: '
            f"{for_html(pair.verdict)}</span>{facts}</div>"
        )
    rows = [(title, *cells) for title, cells in figure_rows(comparison)]
    parts.append(_table(("", *(run.id for run in comparison.runs)), rows))
    return "".join(parts)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    css = [' class="n"' if place > 1 else "" for place in range(len(head))]
    first = "".join(f"<th{c}>{for_html(cell)}</th>" for c, cell in zip(css, head, strict=True))
    body = "".join(
        "<tr>" + "".join(f"<td{c}>{for_html(cell)}</td>" for c, cell in zip(css, row, strict=True)) + "</tr>"
        for row in rows
    )
    return f"<table><tr>{first}</tr>{body}</table>"

"""The inside of the HTML page of a gate: verdict, what failed and where, the curves of both sides, all checks, the runs."""

from __future__ import annotations

from gradlens.reporters import gate_words as words
from gradlens.reporters.escape import for_html
from gradlens.reporters.html.comparison import side_drawing
from gradlens.reporters.html.document import figure
from gradlens.reporters.html.overview import Shown
from gradlens.reporters.html.panels import Band, Drawing
from gradlens.reporters.html.tables import prose, table
from gradlens.reporters.report_words import PROVENANCE
from gradlens.reporters.wording import number, percent
from gradlens.reports.gate import GateReport, LimitResult, MetricResult

_CLASS = {"fail": "error", "inconclusive": "warning", "pass": "ok", "skipped": "dim"}


def gate_body(gate: GateReport) -> Shown:
    """Verdict, what failed, what to do, the curves, all checks, the runs."""
    drawing = _drawing(gate)
    parts = [
        f'<p class="verdict {_CLASS[gate.outcome]}">{words.VERDICTS[gate.outcome].capitalize()}</p>',
        f"<p>{prose(gate.headline)}</p>",
    ]
    advice = [*words.advice(gate), *(words.cause(c) for c in gate.causes)]
    if advice:
        lines = "".join(f"<li>{prose(line)}</li>" for line in advice)
        parts.append(f'<div class="first"><b>What to do</b><ul>{lines}</ul></div>')
    parts += [_card(result, drawing) for result in (*gate.failed, *gate.inconclusive)]
    if drawing is not None:
        parts.append("<h2>Candidates and baselines</h2>" + figure(drawing))
    head = ("check", "outcome", "baseline", "candidate", "change", "95 % interval", "tolerance")
    parts.append("<h2>All checks</h2>" + table(head, [_row(result) for result in gate.results], numbers_from=2))
    runs = [
        (
            r.id,
            r.role,
            f"{r.first_step:,} to {r.last_step:,}",
            number(r.threshold),
            percent(r.clip_rate),
            PROVENANCE[r.provenance].partition(",")[0],
        )
        for r in gate.runs
    ]
    parts.append("<h2>Runs</h2>" + table(("run", "", "steps", "threshold", "clipped", "norm"), runs, numbers_from=3))
    parts += [f'<p class="dim">{for_html(n.code)}: {for_html(n.message)}</p>' for n in gate.notices]
    return Shown(body="".join(parts), drawings=(drawing,) if drawing is not None else ())


def _card(result: MetricResult | LimitResult, drawing: Drawing | None) -> str:
    more = words.details(result) if isinstance(result, MetricResult) else [f"in {result.run}"]
    go = ""
    if drawing is not None and isinstance(result, MetricResult) and result.worst_steps is not None:
        first, last = result.worst_steps
        go = f' <span class="go" data-of="{drawing.key}" data-first="{first}" data-last="{last}"></span>'
    told = words.sentence(result).removeprefix(f"{result.title} ").removeprefix(f"{result.title}: ")
    return (
        f'<div class="card {_CLASS[result.outcome]}"><b class="code">{for_html(result.title)}</b> '
        f"<span>{prose(told)}</span>"
        f'<p class="dim">{for_html("; ".join(more))}{go}</p></div>'
    )


def _drawing(gate: GateReport) -> Drawing | None:
    if gate.picture is None:
        return None
    bands = tuple(
        Band(
            first=result.worst_steps[0], last=result.worst_steps[1], lane=result.title, text=words.sentence(result),
            tone=_CLASS[result.outcome],
        )
        for result in (*gate.failed, *gate.inconclusive)
        if isinstance(result, MetricResult) and result.worst_steps is not None
    )  # fmt: skip
    return side_drawing(gate.picture, "gate", bands)


def _row(result: MetricResult | LimitResult) -> tuple[str, ...]:
    if isinstance(result, LimitResult):
        value, limit = words.value(result, result.value), words.value(result, result.limit)
        return (result.title, result.outcome, "", value, "", "", limit)
    cells = [words.value(result, v) if v is not None else "" for v in (result.baseline, result.candidate)]
    return (result.title, result.outcome, *cells, words.change(result), words.interval(result), words.tolerance(result))

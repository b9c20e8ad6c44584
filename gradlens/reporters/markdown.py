"""Markdown for a pull-request comment, a job summary or a wiki; short enough for each of them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from gradlens.reporters import gate_words, wording
from gradlens.reporters.base import Reporter, Screen
from gradlens.reporters.comparison_words import figure_rows, pair_facts
from gradlens.reporters.escape import for_terminal
from gradlens.reporters.report_words import PROVENANCE, number_rows
from gradlens.reports.analysis import Finding, Report, RunReport
from gradlens.reports.base import Severity
from gradlens.reports.comparison import ComparisonReport
from gradlens.reports.gate import GateReport, LimitResult, MetricResult

#: GitHub refuses comments beyond 65,536 characters and drops job summaries beyond 1 MiB.
COMMENT_BYTES = 60_000
SUMMARY_BYTES = 1_000_000
_ICONS = {Severity.ERROR: "❌", Severity.WARNING: "⚠️", Severity.NOTE: "ℹ️"}
_OUTCOMES = {"fail": "❌ fail", "pass": "✅ pass", "inconclusive": "❔ cannot judge", "skipped": "➖ skipped"}
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|!~@$])")
_BARE_URL = re.compile(r"(?i)\b(https?|ftp|www)(?=[:.])")


class MarkdownReporter(Reporter):
    """GitHub-flavoured Markdown of at most 60 kB."""

    name = "markdown"

    def render(self, report: Report, screen: Screen) -> str:  # noqa: ARG002
        parts = [f"## gradlens: {len(report.runs)} runs", "", *_overview(report)] if len(report.runs) > 1 else []
        for run in report.runs:
            parts += _run(run)
        return fit("\n".join(parts) + "\n", COMMENT_BYTES)

    def render_gate(self, gate: GateReport, screen: Screen) -> str:  # noqa: ARG002
        return fit("\n".join(_gate(gate)) + "\n", COMMENT_BYTES)

    def render_comparison(self, comparison: ComparisonReport, screen: Screen) -> str:  # noqa: ARG002
        return fit("\n".join(_comparison(comparison)) + "\n", COMMENT_BYTES)


def safe(text: str) -> str:
    """Text from a log that must not format, link, mention, run or break a table."""
    escaped = _SPECIAL.sub(r"\\\1", for_terminal(text).replace("&", "&amp;"))
    # A backslash does not stop these two: mentions notify people, bare addresses become links.
    return _BARE_URL.sub(lambda m: m[0][0] + "\u2060" + m[0][1:], escaped.replace("\\@", "@\u2060"))


def fit(text: str, limit: int) -> str:
    """The text cut at a line so that it has at most `limit` bytes, with a last line that says so."""
    if len(text.encode()) <= limit:
        return text
    note = "\n\n*Cut here: the full report is longer than this place allows.*\n"
    room = limit - len(note.encode()) - len("\n</details>")
    kept, used = [], 0
    for line in text.split("\n"):
        used += len(line.encode()) + 1
        if used > room:
            break
        kept.append(line)
    body = "\n".join(kept)
    if body.count("<details>") > body.count("</details>"):
        body += "\n</details>"
    return body + note


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """A table of cells that are escaped already; right-aligned from the second column on."""
    rule = "|".join([":--", *["--:"] * (len(head) - 1)])
    return [f"| {' | '.join(head)} |", f"|{rule}|", *(f"| {' | '.join(row)} |" for row in rows), ""]


def _overview(report: Report) -> list[str]:
    rows = (
        [safe(run.id), wording.verdict(run), wording.percent(run.clipping.clip_rate), str(len(run.findings))]
        for run in report.runs
    )
    return table(["run", "verdict", "clipped", "findings"], rows)


def _run(run: RunReport) -> list[str]:
    icon = _ICONS[run.worst] if run.worst and run.worst is not Severity.NOTE else "✅"
    lines = [f"### {icon} {safe(run.id)}: {wording.verdict(run)}", ""]
    if run.diagnosis.summary:
        lines += [safe(run.diagnosis.summary), ""]
    norm = f"norm {PROVENANCE[run.provenance.verdict]} ({safe(run.provenance.reason)})"
    lines += [f"*{safe(run.format)}, {wording.span(run)}; {norm}*", ""]
    problems = [f for f in run.findings if f.severity is not Severity.NOTE]
    lines += [_finding(f) for f in problems]
    advice = [wording.sentence(line) for line in run.actions]
    if problems:
        lines.append("")
    if advice:
        lines += ["**What to do**", "", *(f"- {safe(a)}" for a in advice), ""]
    lines += ["<details><summary>Numbers</summary>", ""]
    lines += table(["", "value"], ([safe(title), safe(text)] for title, text in number_rows(run)))
    lines += [_finding(f) for f in run.findings if f.severity is Severity.NOTE]
    lines += [f"- {safe(n.code)}: {safe(n.message)} (×{n.count:,})" for n in run.notices]
    lines += ["", "</details>", ""]
    return lines


def _finding(finding: Finding) -> str:
    steps = ", ".join(f"{s:,}" for s in finding.steps[:5]) + (", …" if len(finding.steps) > 5 else "")
    where = f" *(steps {steps})*" if steps else ""
    return f"- {_ICONS[finding.severity]} **{safe(finding.code)} {safe(finding.name)}**: {safe(finding.message)}{where}"


def _gate(gate: GateReport) -> list[str]:
    icon = _OUTCOMES[gate.outcome].split()[0]
    lines = [
        f"## {icon} gradlens gate {gate_words.VERDICTS[gate.outcome].lower()}",
        "",
        f"**{safe(gate.headline)}**",
        "",
    ]
    for result in (*gate.failed, *gate.inconclusive):
        lines.append(f"- {_OUTCOMES[result.outcome].split()[0]} {safe(gate_words.sentence(result))}")
        if isinstance(result, MetricResult) and (found := gate_words.details(result)):
            lines.append(f"  <br>{safe('; '.join(found))}")
    lines += [""] if gate.failed or gate.inconclusive else []
    advice = [*gate_words.advice(gate), *(gate_words.cause(c) for c in gate.causes)]
    if advice:
        lines += ["**What to do**", "", *(f"- {safe(a)}" for a in advice), ""]
    rows = [_gate_row(result) for result in gate.results]
    head = ["check", "outcome", "baseline", "candidate", "change", "95 % interval", "tolerance"]
    lines += ["<details><summary>All checks</summary>", "", *table(head, rows)]
    for run in gate.runs:
        c = "no clipping" if run.threshold is None else f"C = {wording.number(run.threshold)} ({run.threshold_source})"
        lines.append(f"- {run.role} {safe(run.id)}: steps {run.first_step:,} to {run.last_step:,}, {c}")
    lines += [f"- {safe(n.code)}: {safe(n.message)}" for n in gate.notices]
    return [*lines, "", "</details>"]


def _gate_row(result: MetricResult | LimitResult) -> list[str]:
    w = gate_words
    if isinstance(result, LimitResult):
        limit = w.value(result, result.limit)
        return [safe(result.title), _OUTCOMES[result.outcome], "", w.value(result, result.value), "", "", limit]
    cells = [w.value(result, v) if v is not None else "" for v in (result.baseline, result.candidate)]
    return [
        safe(result.title),
        _OUTCOMES[result.outcome],
        *cells,
        w.change(result),
        w.interval(result),
        w.tolerance(result),
    ]


def _comparison(comparison: ComparisonReport) -> list[str]:
    lines = ["## gradlens compare", ""]
    for pair in comparison.pairs:
        lines += [f"**{safe(pair.run)}** against {safe(pair.against)}: {safe(pair.verdict)}", ""]
        lines += [*(f"- {title}: {safe(text)}" for title, text in pair_facts(pair)), ""]
    rows = ([title, *map(safe, cells)] for title, cells in figure_rows(comparison))
    return [*lines, *table(["", *(safe(run.id) for run in comparison.runs)], rows)]

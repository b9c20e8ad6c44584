"""One self-contained HTML page: no script, no font and no request to anywhere, so that it opens on a cluster."""

from __future__ import annotations

import base64
import hashlib
from html import escape
from typing import TYPE_CHECKING

from gradlens.reporters import wording
from gradlens.reporters.base import Reporter, Screen
from gradlens.reporters.escape import for_html
from gradlens.reporters.report_words import columns_used, course_sentence, facts, norm_caveat, number_rows
from gradlens.reporters.svg import chart
from gradlens.reporters.wording import number, percent
from gradlens.reports.analysis import Finding, Report, RunReport
from gradlens.reports.base import Severity

if TYPE_CHECKING:
    from gradlens.reports.comparison import ComparisonReport
    from gradlens.reports.fleet import FleetOverview
    from gradlens.reports.gate import GateReport

_CSS = """
:root{color-scheme:light dark;--bg:#fff;--fg:#1b1f24;--dim:#667080;--line:#e3e6ea;--card:#f7f8fa;
--error:#c62828;--warning:#a76400;--note:#2563a8;--ok:#1a7f4b;--norm:#8b3fb5;--loss:#2563a8;--lr:#1a7f4b}
@media(prefers-color-scheme:dark){:root{--bg:#15181d;--fg:#e4e7eb;--dim:#97a1af;--line:#2c323a;--card:#1c2026;
--error:#ff7b72;--warning:#e3a03a;--note:#79b0ff;--ok:#5fd08f;--norm:#d59bf0;--loss:#79b0ff;--lr:#5fd08f}}
.gl{font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif;color:var(--fg);background:var(--bg);
max-width:820px;margin:0 auto;padding:24px;overflow-wrap:anywhere}
.gl h1{font-size:20px;margin:0 0 2px}.gl h2{font-size:15px;margin:22px 0 6px}.gl p{margin:4px 0}
.gl .dim{color:var(--dim);font-size:13px}.gl .verdict{font-size:24px;font-weight:650;margin:14px 0 4px}
.gl .error{color:var(--error)}.gl .warning{color:var(--warning)}.gl .note{color:var(--note)}.gl .ok{color:var(--ok)}
.gl .card{background:var(--card);border:1px solid var(--line);border-left:4px solid currentColor;border-radius:6px;
padding:8px 12px;margin:8px 0}.gl .card>*{color:var(--fg)}.gl .card b.code{color:inherit}
.gl table{border-collapse:collapse;width:100%;font-size:14px}.gl td,.gl th{padding:4px 10px 4px 0;text-align:left;
vertical-align:top;border-bottom:1px solid var(--line)}.gl th{font-weight:600;white-space:nowrap}
.gl td.n,.gl th.n{text-align:right;font-variant-numeric:tabular-nums}
.gl svg{width:100%;height:auto;display:block;margin:6px 0}.gl svg text{font-size:11px;fill:var(--dim)}
.gl svg .grid{stroke:var(--line)}.gl svg polyline{fill:none;stroke-width:1.4}.gl svg .range{stroke:none;opacity:.28}
.gl svg .norm{stroke:var(--norm);fill:var(--norm)}.gl svg .loss{stroke:var(--loss);fill:var(--loss)}
.gl svg .lr{stroke:var(--lr);fill:var(--lr)}.gl svg polyline.norm,.gl svg polyline.loss,.gl svg polyline.lr{fill:none}
.gl svg line.threshold{stroke:var(--error);stroke-dasharray:5 4}.gl svg text.threshold{fill:var(--error)}
.gl svg .mark{fill:var(--warning)}.gl svg .bad{stroke:var(--error);opacity:.5}
.gl .bars{display:flex;gap:2px;align-items:flex-end;height:44px;margin:6px 0 2px}
.gl .bars i{flex:1;background:var(--warning);min-height:1px;display:block}
.gl hr{border:0;border-top:1px solid var(--line);margin:32px 0}
"""


class HtmlReporter(Reporter):
    """A page for people: verdict, charts, evidence, what to do, numbers."""

    name = "html"

    def render(self, report: Report, screen: Screen) -> str:  # noqa: ARG002
        title = "gradlens: " + (for_html(report.runs[0].id) if len(report.runs) == 1 else f"{len(report.runs)} runs")
        return page(title, render_fragment(report))

    def render_gate(self, gate: GateReport, screen: Screen) -> str:  # noqa: ARG002
        from gradlens.reporters.gate_html import gate_body

        return page(f"gradlens gate: {gate.outcome}", fragment(gate_body(gate)))

    def render_comparison(self, comparison: ComparisonReport, screen: Screen) -> str:  # noqa: ARG002
        from gradlens.reporters.gate_html import comparison_body

        return page("gradlens compare", fragment(comparison_body(comparison)))

    def render_fleet(self, fleet: FleetOverview, screen: Screen) -> str:  # noqa: ARG002
        from gradlens.reporters.fleet_html import CSS, SCRIPT, fleet_body

        body = fragment(fleet_body(fleet)) + f"<style>{CSS}</style>"
        return page(f"gradlens: {fleet.runs:,} runs", body, script=SCRIPT)


def page(title: str, body: str, *, script: str = "") -> str:
    """A whole document; the title is escaped already. A script may run because the policy holds its digest, and no other."""
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    if script:
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        policy += f"; script-src 'sha256-{digest}'"
        body += f"<script>{script}</script>"
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        f"<title>{title}</title><style>body{{margin:0;background:var(--bg)}}</style></head><body>"
        f"{body}</body></html>\n"
    )


def fragment(body: str) -> str:
    """One element with its own style."""
    return f'<style>{_CSS}</style><div class="gl">{body}</div>'


def render_fragment(report: Report) -> str:
    """The report as one element with its own style, for notebooks and for the page."""
    overview = _overview(report) if len(report.runs) > 1 else ""
    runs = "<hr>".join(_run(run) for run in report.runs)
    foot = f'<p class="dim">gradlens {escape(report.gradlens_version)}</p>'
    return f'<style>{_CSS}</style><div class="gl">{overview}{runs}{foot}</div>'


def _tone(run: RunReport) -> str:
    worst = run.worst
    return worst.value if worst and worst is not Severity.NOTE else "ok"


def _overview(report: Report) -> str:
    rows = "".join(
        f'<tr><td>{for_html(run.id)}</td><td class="{_tone(run)}">{escape(wording.verdict(run))}</td>'
        f'<td class="n">{percent(run.clipping.clip_rate)}</td>'
        f'<td class="n">{wording.spike_counts(run)}</td>'
        f'<td class="n">{number(run.suggestion.threshold)}</td></tr>'
        for run in report.runs
    )
    heads = "".join(f'<th class="n">{name}</th>' for name in ("clipped", "spikes", "threshold"))
    head = f"<tr><th>run</th><th>verdict</th>{heads}</tr>"
    return f"<h1>{len(report.runs)} runs</h1><table>{head}{rows}</table><hr>"


def _run(run: RunReport) -> str:
    parts = [
        f"<h1>{for_html(run.id)}</h1>",
        f'<p class="dim">{escape(run.format)}, {escape(wording.span(run))}<br>columns: {for_html(columns_used(run)) or "none"}</p>',
        f'<p class="verdict {_tone(run)}">{escape(wording.verdict(run))}</p>',
        f"<p>{for_html(course_sentence(run))}</p>",
        f'<p class="dim">{for_html(norm_caveat(run))}</p>',
        _charts(run),
    ]
    problems = [f for f in run.findings if f.severity is not Severity.NOTE]
    notes = [f for f in run.findings if f.severity is Severity.NOTE]
    if problems:
        parts += ["<h2>Evidence</h2>", *(_finding(f) for f in problems)]
    to_do = [wording.sentence(line) for line in run.actions]
    if to_do:
        parts += ["<h2>What to do</h2><ul>", *(f"<li>{for_html(a)}</li>" for a in to_do), "</ul>"]
    parts += ["<h2>Numbers</h2><table>"]
    parts += [f"<tr><th>{escape(label)}</th><td>{for_html(text)}</td></tr>" for label, text in number_rows(run)]
    parts += ["</table>", _steps(run), _ranking(run)]
    if notes:
        parts += ["<h2>Notes</h2>", *(_finding(f) for f in notes)]
    if run.notices:
        parts += ["<h2>Reading</h2><ul>"]
        parts += [
            f'<li class="dim"><b>{for_html(n.code)}</b>{f" ×{n.count:,}" if n.count > 1 else ""}: {for_html(n.message)}'
            f"{f' ({for_html(n.where)})' if n.where else ''}</li>"
            for n in run.notices
        ]
        parts.append("</ul>")
    return "".join(parts)


def _charts(run: RunReport) -> str:
    curves = run.curves or {}
    last = run.last_step or 0
    line = run.clipping.threshold if run.provenance.trusted else None
    parts = []
    if "grad_norm" in curves:
        marks = [s.step for s in run.spikes.grad_norm]
        parts.append(
            chart(curves["grad_norm"], title="gradient norm", css="norm", last_step=last, line=line, marks=marks)
        )
    rates = [w.clip_rate for w in run.clipping.windows]
    if any(r for r in rates if r is not None):
        bars = "".join(f'<i style="height:{(r or 0) * 100:.0f}%" title="{percent(r)}"></i>' for r in rates)
        parts.append(
            f'<div class="bars">{bars}</div><p class="dim">share of steps clipped, by window (full height: 100 %)</p>'
        )
    if "loss" in curves:
        marks = [s.step for s in run.spikes.loss]
        parts.append(chart(curves["loss"], title="loss", css="loss", last_step=last, marks=marks))
    if "lr" in curves:
        parts.append(chart(curves["lr"], title="learning rate", css="lr", last_step=last, log_scale=False))
    return "".join(parts)


def _finding(finding: Finding) -> str:
    measured = for_html(facts(finding))
    steps = ", ".join(f"{s:,}" for s in finding.steps[:12]) + (" …" if len(finding.steps) > 12 else "")
    return (
        f'<div class="card {finding.severity.value}"><b class="code">{escape(finding.code)} {for_html(finding.name)}</b> '
        f"<span>{for_html(finding.message)}</span>"
        + (f'<p class="dim">{measured}</p>' if measured else "")
        + (f'<p class="dim">steps {steps}</p>' if steps else "")
        + "</div>"
    )


def _steps(run: RunReport) -> str:
    if not run.notable_steps:
        return ""
    rows = "".join(
        f'<tr><td class="n">{s.step:,}</td><td class="n">{number(s.grad_norm)}</td>'
        f'<td class="n">{number(s.times_median)}×</td><td class="n">{number(s.loss)}</td></tr>'
        for s in run.notable_steps
    )
    head = '<tr><th class="n">step</th><th class="n">norm</th><th class="n">of median</th><th class="n">loss</th></tr>'
    return f"<h2>Steps to look at</h2><table>{head}{rows}</table>"


def _ranking(run: RunReport) -> str:
    rows = "".join(
        f'<tr><td class="n">{percent(r.confidence)}</td><td>{escape(wording.TITLES[r.cause])}</td>'
        f"<td>{for_html('; '.join(r.because))}</td></tr>"
        for r in run.diagnosis.ranking[:5]
    )
    return f"<h2>Ranking</h2><table>{rows}</table>" if rows else ""

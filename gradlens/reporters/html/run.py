"""The part of a page that is about one run: verdict, picture, what was found, what to do, why, and the numbers."""

from __future__ import annotations

from html import escape

from gradlens.reporters import wording
from gradlens.reporters.escape import for_html
from gradlens.reporters.html.document import figure
from gradlens.reporters.html.panels import Drawing
from gradlens.reporters.html.run_drawings import run_drawing, tail_drawing, what_if_drawing
from gradlens.reporters.report_words import (
    clipping_sentence,
    columns_used,
    course_sentence,
    facts,
    norm_caveat,
    number_rows,
    tail_lines,
)
from gradlens.reporters.wording import number
from gradlens.reports.analysis import Finding, RunReport
from gradlens.reports.base import Severity

MAX_STEPS, MAX_CAUSES = 12, 5
#: A cause less likely than this is not worth a line, unless it comes first.
WORTH_A_LINE = 0.005


def tone_of(run: RunReport) -> str:
    """The colour of the verdict: green only for a run that was judged and is clear."""
    if run.verdict.status != "problem":
        return "ok" if run.verdict.status == "clear" else "note"
    return "error" if run.worst is Severity.ERROR else "warning"


def drawings_of(run: RunReport, key: str) -> dict[str, Drawing]:
    """The drawings that the run allows, by what they show."""
    made = {
        "run": run_drawing(run, key),
        "tail": tail_drawing(run, f"{key}-tail"),
        "what_if": what_if_drawing(run, f"{key}-what-if"),
    }
    return {name: drawing for name, drawing in made.items() if drawing is not None}


def run_body(run: RunReport, key: str, drawings: dict[str, Drawing], *, level: int = 1) -> str:
    """Everything about a run; `key` names its drawing, `level` is that of its heading."""
    headline = escape(wording.verdict(run)).replace(" %", "&nbsp;%")
    parts = [
        f"<h{level}>{for_html(run.id)}</h{level}>",
        f'<p class="verdict {tone_of(run)}">{headline}</p>',
        f"<p>{for_html(course_sentence(run))}</p>",
        f'<p class="dim">{for_html(norm_caveat(run))}</p>',
        _to_do(run),
    ]
    if "run" in drawings:
        parts.append(figure(drawings["run"]))
    problems = [f for f in run.findings if f.severity is not Severity.NOTE]
    notes = [f for f in run.findings if f.severity is Severity.NOTE]
    where = key if "run" in drawings else None
    if problems:
        parts += ["<h2>What was found</h2>", *(_finding(f, where) for f in problems)]
    parts += [_ranking(run), _not_judged(run), _clipping(run, drawings)]
    if notes:
        parts += [
            f"<details><summary><h2>Notes ({len(notes)})</h2></summary>",
            *(_finding(f, where) for f in notes),
            "</details>",
        ]
    parts += [_steps(run, where), _numbers(run), _reading(run)]
    return "".join(parts)


def _to_do(run: RunReport) -> str:
    lines = [wording.sentence(line) for line in run.actions]
    if not lines:
        return ""
    return (
        '<div class="first"><b>What to do</b><ul>'
        + "".join(f"<li>{for_html(line)}</li>" for line in lines)
        + "</ul></div>"
    )


def step_place(step: int, key: str | None) -> str:
    """A step, which the script makes a button that leads to the picture."""
    return f"{step:,}" if key is None else f'<span class="step" data-of="{key}" data-step="{step}">{step:,}</span>'


def _finding(finding: Finding, key: str | None) -> str:
    measured = for_html(facts(finding))
    steps = sorted(finding.steps)
    places = ", ".join(step_place(step, key) for step in steps[:MAX_STEPS])
    more = f" and {len(steps) - MAX_STEPS} more" if len(steps) > MAX_STEPS else ""
    go = (
        f' <span class="go" data-of="{key}" data-first="{steps[0]}" data-last="{steps[-1]}"></span>'
        if steps and key
        else ""
    )
    return (
        f'<div class="card {finding.severity.value}"><b class="code">{escape(finding.code)} {for_html(finding.name)}</b> '
        f"<span>{for_html(finding.message)}</span>"
        + (f'<p class="dim">{measured}</p>' if measured else "")
        + (f'<p class="dim">{"step" if len(steps) == 1 else "steps"} {places}{more}.{go}</p>' if steps else "")
        + "</div>"
    )


def _ranking(run: RunReport) -> str:
    ranked = [r for i, r in enumerate(run.diagnosis.ranking) if i == 0 or r.confidence >= WORTH_A_LINE][:MAX_CAUSES]
    if not ranked:
        return ""
    rows = "".join(
        f'<tr><td class="n">{wording.sureness(r.confidence)}</td><th scope="row">{escape(wording.TITLES[r.cause])}</th>'
        f"<td>{for_html('; '.join(r.because))}</td></tr>"
        for r in ranked
    )
    experiment = f"<p>To confirm: {for_html(run.diagnosis.experiment)}</p>" if run.diagnosis.experiment else ""
    head = '<thead><tr><th class="n">confidence</th><th>cause</th><th>because</th></tr></thead>'
    return f'<h2>Why: the likely causes</h2><table class="causes">{head}<tbody>{rows}</tbody></table>{experiment}'


def _not_judged(run: RunReport) -> str:
    missing = run.verdict.not_judged
    if not missing:
        return ""
    lines = "".join(
        f"<li><b>{for_html(n.what)}</b>: {for_html(n.why)}{f' – {for_html(n.remedy)}' if n.remedy else ''}</li>"
        for n in missing
    )
    return f"<h2>What could not be judged</h2><ul>{lines}</ul>"


def _clipping(run: RunReport, drawings: dict[str, Drawing]) -> str:
    shown = [drawings[name] for name in ("what_if", "tail") if name in drawings]
    told = clipping_sentence(run)
    if not shown and not told:
        return ""
    pictures = "".join(f"<div><h3>{for_html(drawing.title)}</h3>{figure(drawing)}</div>" for drawing in shown)
    return f'<h2>Clipping and the tail of the norms</h2><p>{for_html(told)}</p><div class="pair">{pictures}</div>'


def _steps(run: RunReport, key: str | None) -> str:
    if not run.notable_steps:
        return ""
    rows = "".join(
        f'<tr><td class="n">{step_place(s.step, key)}</td><td class="n">{number(s.grad_norm)}</td>'
        f'<td class="n">{number(s.times_median)}×</td><td class="n">{number(s.loss)}</td></tr>'
        for s in run.notable_steps
    )
    heads = "".join(f'<th class="n">{title}</th>' for title in ("step", "norm", "of median", "loss"))
    return (
        f'<details open><summary><h2>Steps to look at</h2></summary><table class="narrow"><thead><tr>{heads}</tr></thead>'
        f"<tbody>{rows}</tbody></table></details>"
    )


def _numbers(run: RunReport) -> str:
    rows = list(number_rows(run)) + (
        [("tail in detail", "; ".join(line.strip() for line in tail_lines(run.tail)))] if run.tail else []
    )
    body = "".join(f"<tr><th>{escape(label)}</th><td>{for_html(text)}</td></tr>" for label, text in rows)
    return f'<details><summary><h2>Numbers</h2></summary><table class="facts"><tbody>{body}</tbody></table></details>'


def _reading(run: RunReport) -> str:
    lines = "".join(
        f'<li class="dim"><b>{for_html(n.code)}</b>{f" ×{n.count:,}" if n.count > 1 else ""}: {for_html(n.message)}'
        f"{f' ({for_html(n.where)})' if n.where else ''}</li>"
        for n in run.notices
    )
    return (
        "<details><summary><h2>How the log was read</h2></summary>"
        f'<p class="dim">{for_html(run.source)}: {escape(run.format)}, {escape(wording.span(run))}.<br>Columns: '
        f"{for_html(columns_used(run)) or 'none'}.</p><ul>{lines}</ul></details>"
    )

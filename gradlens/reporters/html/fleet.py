"""The HTML page of a fleet: counts, a table that sorts and filters, a small picture of each loss, links to the logs' reports."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from urllib.parse import quote

from gradlens.reporters.escape import for_html
from gradlens.reporters.fleet_terminal import advice_sentence, beside, onset_sentence
from gradlens.reporters.html.small import small
from gradlens.reporters.wording import sureness
from gradlens.reports.fleet import Count, FleetOverview, FleetRun

#: Rows of the table; a browser sorts this many at once without a pause.
MAX_ROWS = 5_000
_TONES = {"problem": "error", "insufficient": "warning", "clear": "ok"}
_SAID = {"problem": "with a problem", "insufficient": "with too little to judge"}


def fleet_body(fleet: FleetOverview) -> str:
    """Counts, groups, changes, and the table of all runs."""
    parts = [
        f'<h1>{for_html(fleet.table)}</h1><p class="verdict">{fleet.runs:,} runs</p>',
        f"<p>{_statuses(fleet)}</p>",
    ]
    if fleet.causes:
        parts.append("<h2>Causes</h2>" + _count_table(fleet.causes, intervals=True))
    if fleet.groups:
        parts.append(f"<h2>By {for_html(', '.join(fleet.by))}</h2>" + _groups(fleet))
    if fleet.onsets:
        lines = "".join(f"<li>{for_html(onset_sentence(found))}</li>" for found in fleet.onsets)
        parts.append(f"<h2>Where trouble starts</h2><ul>{lines}</ul>")
    if fleet.changes:
        lines = "".join(
            f"<li>{for_html(c.name)}: {for_html(c.before or 'new')} → {for_html(c.now or 'gone')}</li>"
            for c in fleet.changes[:50]
        )
        parts.append(f"<h2>Changed since the last table</h2><ul>{lines}</ul>")
    if fleet.advice:
        lines = "".join(f"<li>{for_html(advice_sentence(found))}</li>" for found in fleet.advice)
        parts.append(f"<h2>Threshold over seeds</h2><ul>{lines}</ul>")
    if fleet.errors:
        parts.append("<h2>Not read</h2>" + _count_table(fleet.errors, intervals=False))
    parts.append("<h2>All runs</h2>" + _runs(fleet))
    parts.append(f'<p class="dim">gradlens {for_html(fleet.gradlens_version)}</p>')
    return "".join(parts)


def _statuses(fleet: FleetOverview) -> str:
    known = [
        f'<span class="{_TONES.get(c.what, "dim")}">{c.runs:,} {_SAID.get(c.what, for_html(c.what))}</span>'
        for c in fleet.statuses
    ]
    return " · ".join([*known, *(f'<span class="dim">{told}</span>' for told in beside(fleet))])


def _count_table(counts: Sequence[Count], *, intervals: bool) -> str:
    rows = "".join(
        f'<tr><td class="n">{c.runs:,}</td>'
        + (f'<td class="n">{c.share:.1%} ({c.interval[0]:.1%} to {c.interval[1]:.1%})</td>' if intervals else "")
        + f'<td>{for_html(c.what)}</td><td class="dim">{for_html(", ".join(c.examples))}</td></tr>'
        for c in counts
    )
    head = (
        '<th class="n">runs</th>'
        + ('<th class="n">share (95 %)</th>' if intervals else "")
        + "<th>what</th><th>such as</th>"
    )
    return _wide("Counts", f'<table class="narrow"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>')


def _wide(label: str, table: str) -> str:
    """A table that scrolls by itself where the screen is too narrow."""
    return f'<div class="scroll" tabindex="0" role="region" aria-label="{label}">{table}</div>'


def _groups(fleet: FleetOverview) -> str:
    head = "".join(f"<th>{for_html(key)}</th>" for key in fleet.by)
    rows = "".join(
        "<tr>"
        + "".join(f"<td>{for_html('not logged' if v is None else f'{v:g}' if isinstance(v, float) else str(v))}</td>"
                  for v in (group.settings[key] for key in fleet.by))
        + f'<td class="n">{group.runs:,}</td><td class="n">{group.trouble:,}</td>'
        f'<td class="n">{group.rate:.0%} ({group.interval[0]:.0%} to {group.interval[1]:.0%})</td>'
        f"<td>{for_html(', '.join(f'{c.what} {c.runs:,}' for c in group.causes[:3]))}</td></tr>"
        for group in fleet.groups
    )  # fmt: skip
    tail = '<th class="n">runs</th><th class="n">problems</th><th class="n">rate (95 %)</th><th>causes</th>'
    return _wide("Groups", f"<table><thead><tr>{head}{tail}</tr></thead><tbody>{rows}</tbody></table>")


def _runs(fleet: FleetOverview) -> str:
    runs = fleet.all_runs[:MAX_ROWS]
    causes = sorted({run.cause for run in runs if run.cause})
    picks = "".join(f'<option value="{for_html(cause)}">{for_html(cause)}</option>' for cause in causes)
    cut = "" if len(runs) == len(fleet.all_runs) else f" The worst {MAX_ROWS:,} of {len(fleet.all_runs):,} runs."
    heads = "".join(
        f'<th><button type="button">{title}</button></th>'
        for title in (
            "run",
            "status",
            "outcome",
            "cause",
            "loss",
            "norm",
            "confidence",
            *fleet.settings,
            "what was found",
        )
    )
    return (
        '<div class="listing"><div class="tools"><label>Find <input type="search" placeholder="name, cause, words"></label>'
        f'<label>Cause <select><option value="">all</option>{picks}</select></label>'
        f'<span class="dim shown" aria-live="polite"></span></div><p class="dim">Select a heading to sort.{cut}</p>'
        f'<div class="scroll" tabindex="0" role="region" aria-label="All runs">'
        f'<table class="sortable wide fleet"><thead><tr>{heads}</tr></thead>'
        f"<tbody>{''.join(_row(run) for run in runs)}</tbody></table></div></div>"
    )


def _row(run: FleetRun) -> str:
    status = "not read" if run.error is not None else (run.status or "")
    found = run.error or run.headline
    text = " ".join((run.name, status, run.outcome or "", run.cause or "", found, *map(_told, run.settings))).lower()
    sure = "" if run.confidence is None else sureness(run.confidence)
    since = "" if run.since_step is None else f" from step {run.since_step:,}"
    name = for_html(run.name)
    link = name if run.page is None else f'<a href="{escape(quote(run.page))}">{name}</a>'
    related = [f"copy of {run.copy_of}"] * bool(run.copy_of) + [f"continues {run.continues}"] * bool(run.continues)
    note = "".join(f'<br><span class="dim">{for_html(text)}</span>' for text in related)
    return (
        f'<tr data-text="{for_html(text)}" data-pick="{for_html(run.cause or "")}">'
        f'<td title="{for_html(run.source)}">{link}{note}</td>'
        f'<td class="{_TONES.get(status, "dim")}">{for_html(status)}</td><td>{for_html((run.outcome or "") + since)}</td>'
        f"<td>{for_html(run.cause or '')}</td>{_small(run.loss_curve, 'loss')}{_small(run.norm_curve, 'norm')}"
        f'<td class="n" data-key="{_key(run.confidence)}">{sure}</td>'
        + "".join(_setting(value) for value in run.settings)
        + f'<td class="found">{for_html(found)}</td></tr>'
    )


def _told(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else "" if value is None else str(value)


def _setting(value: object) -> str:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return f'<td class="n" data-key="{value!r}">{value:g}</td>'
    return f"<td>{for_html(_told(value))}</td>"


def _key(value: float | None) -> str:
    """A number to sort by; empty, which is sorted to the end, where there is none."""
    return "" if value is None else f"{value:.6g}"


def _small(curve: Sequence[float | None], what: str) -> str:
    """A cell with a curve as a small line, sorted by its last value."""
    last = next((value for value in reversed(curve) if value is not None), None)
    return f'<td data-key="{_key(last)}">{small(curve, what, what)}</td>'

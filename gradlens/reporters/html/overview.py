"""Several runs on one page: a table that sorts and filters, all curves on one axis, and each run behind its link."""

from __future__ import annotations

from collections.abc import Sequence

from gradlens.frozen import frozen
from gradlens.reporters import wording
from gradlens.reporters.escape import for_html
from gradlens.reporters.html.document import figure
from gradlens.reporters.html.panels import Drawing, Line, Panel, fitting
from gradlens.reporters.html.run import drawings_of, run_body, tone_of
from gradlens.reporters.html.small import small
from gradlens.reporters.wording import number, percent
from gradlens.reports.analysis import Report, RunReport

#: Runs on one axis: as many as there are colours. Runs that are shown in full, and the bytes of all drawings together.
MAX_OVERLAID, MAX_IN_FULL, DRAWN_BYTES = 8, 40, 1_150_000


@frozen
class Shown:
    """What a page about runs holds."""

    body: str
    drawings: tuple[Drawing, ...]


def report_body(report: Report) -> Shown:
    """One run in full, or several with a table in front."""
    runs = report.runs
    if len(runs) == 1:
        drawn = drawings_of(runs[0], "run-0")
        only = dict(zip(drawn, fitting(list(drawn.values()), DRAWN_BYTES), strict=True))
        return Shown(body=run_body(runs[0], "run-0", only), drawings=tuple(only.values()))
    order = sorted(range(len(runs)), key=lambda i: -_rank(runs[i]))[:MAX_IN_FULL]
    made = {i: drawings_of(runs[i], f"run-{i}") for i in order}
    overlay = _overlay(runs)
    drawings = [drawing for found in made.values() for drawing in found.values()] + ([overlay] if overlay else [])
    drawings = fitting(drawings, DRAWN_BYTES)
    by_key = {drawing.key: drawing for drawing in drawings}
    made = {i: {name: by_key[drawing.key] for name, drawing in found.items()} for i, found in made.items()}
    overlay = by_key.get("overlay")
    parts = [f"<h1>{len(runs):,} runs</h1>", _counts(runs), _table(runs, set(made))]
    if overlay is not None:
        parts.append(f"<h2>All on one axis</h2>{figure(overlay)}")
    for i in sorted(made):
        run = runs[i]
        parts.append(
            f'<details id="run-{i}"><summary><h2>{for_html(run.id)}</h2> <span class="{tone_of(run)}">'
            f"{for_html(wording.verdict(run))}</span></summary>{run_body(run, f'run-{i}', made[i], level=3)}</details>"
        )
    return Shown(body="".join(parts), drawings=tuple(drawings))


def _rank(run: RunReport) -> int:
    return -1 if run.worst is None else run.worst.rank


def _counts(runs: Sequence[RunReport]) -> str:
    counts = {"problem": 0, "insufficient": 0, "clear": 0}
    for run in runs:
        counts[run.verdict.status] += 1
    tones = {"problem": "error", "insufficient": "note", "clear": "ok"}
    words = {"problem": "with a problem", "insufficient": "not enough to judge", "clear": "clear"}
    told = (f'<span class="{tones[s]}">{n:,} {words[s]}</span>' for s, n in counts.items() if n)
    return f'<p class="verdict">{" · ".join(told)}</p>'


def _table(runs: Sequence[RunReport], in_full: set[int]) -> str:
    names = short_names([run.id for run in runs])
    rows = "".join(_row(i, run, names[i], linked=i in in_full) for i, run in enumerate(runs))
    plain = ("run", "verdict")
    heads = "".join(f'<th><button type="button">{title}</button></th>' for title in plain)
    heads += "".join(
        f'<th class="n"><button type="button">{title}</button></th>'
        for title in ("confidence", "clipped", "loss spikes", "norm spikes", "last loss")
    )
    heads += "<th>loss</th><th>norm</th>"
    causes = sorted({wording.TITLES[run.diagnosis.cause] for run in runs})
    picks = "".join(f"<option>{for_html(cause)}</option>" for cause in causes)
    cut = f" The worst {len(in_full):,} are shown in full below." if len(in_full) < len(runs) else ""
    return (
        '<div class="listing"><div class="tools"><label>Find <input type="search" placeholder="name, cause, words"></label>'
        f'<label>Cause <select><option value="">all</option>{picks}</select></label>'
        f'<span class="dim shown" aria-live="polite"></span><span class="dim">Select a heading to sort.{cut}</span></div>'
        f'<div class="scroll" tabindex="0" role="region" aria-label="All runs"><table class="sortable wide"><thead><tr>{heads}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div></div>"
    )


def _row(place: int, run: RunReport, short: str, *, linked: bool) -> str:
    name = for_html(short)
    title = f'<a href="#run-{place}">{name}</a>' if linked else name
    told, cause = wording.verdict(run), wording.TITLES[run.diagnosis.cause]
    text = for_html(f"{run.id} {told} {cause} {run.verdict.headline}".lower())
    course = run.courses.get("loss")
    last = course.last if course else None
    figures = (
        (run.diagnosis.confidence, wording.sureness(run.diagnosis.confidence)),
        (run.clipping.clip_rate, percent(run.clipping.clip_rate)),
        (run.spikes.counts.get("loss"), number(run.spikes.counts.get("loss"))),
        (run.spikes.counts.get("grad_norm"), number(run.spikes.counts.get("grad_norm"))),
        (last, number(last)),
    )
    cells = "".join(
        f'<td class="n" data-key="{"" if key is None else f"{key:.6g}"}">{shown}</td>' for key, shown in figures
    )
    curves = run.curves or {}
    pictures = "".join(
        f"<td>{small(curves[name].median[:: max(1, len(curves[name].median) // 60)], what, css) if name in curves else ''}</td>"
        for name, what, css in (("loss", "loss", "loss"), ("grad_norm", "norm", "norm"))
    )
    return (
        f'<tr data-text="{text}" data-pick="{for_html(cause)}"><th scope="row" title="{for_html(run.id)}">{title}</th>'
        f'<td class="{tone_of(run)}">{for_html(told)}</td>{cells}{pictures}</tr>'
    )


def _overlay(runs: Sequence[RunReport]) -> Drawing | None:
    """Loss and norm of the runs on one axis; of many the first ones, and none where steps have nothing in common."""
    drawn = [run for run in runs if run.picture is not None and run.picture.traces][:MAX_OVERLAID]
    if len(drawn) < 2:
        return None
    panels, names = [], short_names([run.id for run in drawn])
    for title, name in (("loss", "loss"), ("validation loss", "val_loss"), ("gradient norm", "grad_norm")):
        lines = []
        for place, run in enumerate(drawn):
            trace = run.picture.trace(name) if run.picture is not None else None
            if trace is not None:
                lines.append(Line(name=names[place], tone=f"run-{place}", x=trace.step, y=trace.value))
        if lines:
            panels.append(Panel(title=title, height=190, lines=tuple(lines)))
    first = min(int(p.x[0]) for panel in panels for p in panel.lines) if panels else 0
    last = max(int(p.x[-1]) for panel in panels for p in panel.lines) if panels else 0
    if last <= first:
        return None
    cut = f"The first {len(drawn)} of {len(runs):,} runs." if len(drawn) < len(runs) else ""
    return Drawing(
        key="overlay",
        title="All runs",
        panels=tuple(panels),
        first=first,
        last=last,
        alt=f"{', '.join(panel.title for panel in panels)} of {len(drawn)} runs over steps {first:,} to {last:,}.",
        note=cut,
        legend=True,
    )


def short_names(ids: Sequence[str]) -> list[str]:
    """Names without the folders that all of them share."""
    if len(set(ids)) < 2:
        return list(ids)
    parts = [name.split("/") for name in ids]
    shared = next((i for i, names in enumerate(zip(*parts, strict=False)) if len(set(names)) > 1), 0)
    return ["/".join(names[shared:]) for names in parts]

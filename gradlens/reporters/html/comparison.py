"""The inside of the HTML page of a comparison: each run against the first, the curves on one axis, what they differ by."""

from __future__ import annotations

from gradlens.reporters.comparison_words import figure_rows, pair_facts
from gradlens.reporters.escape import for_html
from gradlens.reporters.html.document import figure
from gradlens.reporters.html.overview import DRAWN_BYTES, MAX_OVERLAID, Shown, short_names
from gradlens.reporters.html.panels import Band, Drawing, Level, Line, Panel, fitting
from gradlens.reporters.html.tables import table
from gradlens.reports.comparison import ComparisonReport, Pair
from gradlens.reports.picture import RunCurves, SidePicture

#: Panels: title, quantity, whether of the difference, and the value at which two runs are equal.
_PANELS = (
    ("loss", "loss", None), ("gradient norm", "grad_norm", None), ("clip rate", "clip_rate", None), ("spikes", "spikes", None),
    ("learning rate", "lr", None),
)  # fmt: skip
_DIFFERENCES = (("difference of the loss", "loss", 0.0), ("ratio of the norms", "grad_norm", 1.0))


def comparison_body(comparison: ComparisonReport) -> Shown:
    """Verdict of each pair, curves, then the figures side by side."""
    drawing = _drawing(comparison)
    parts = ["<h1>Comparison</h1>"]
    for pair in comparison.pairs:
        css = "warning" if pair.fingerprints else "note"
        facts = "".join(
            f"<tr><th>{for_html(title)}</th><td>{for_html(text)}</td></tr>" for title, text in pair_facts(pair)
        )
        parts.append(
            f'<div class="card {css}"><b class="code">{for_html(pair.run)}</b> <span>against {for_html(pair.against)}: '
            f"{for_html(pair.verdict)}</span>{_parting(pair, drawing)}</div>"
            f'<details><summary>What was compared</summary><table class="facts"><tbody>{facts}</tbody></table></details>'
        )
    if drawing is not None:
        parts.append(figure(drawing))
    titles = [row[0] for row in figure_rows(comparison)]
    cells = list(zip(*(row[1] for row in figure_rows(comparison)), strict=True))
    names = short_names([run.id for run in comparison.runs])
    rows = [(name, *values) for name, values in zip(names, cells, strict=True)]
    # A row for each run: five runs are five lines, not five narrow columns.
    parts.append("<h2>Side by side</h2>" + table(("run", *titles), rows, numbers_from=1))
    parts += [f'<p class="dim">{for_html(n.code)}: {for_html(n.message)}</p>' for n in comparison.notices]
    return Shown(body="".join(parts), drawings=(drawing,) if drawing is not None else ())


def _parting(pair: Pair, drawing: Drawing | None) -> str:
    if pair.parts_at is None:
        return ""
    place = f"{pair.parts_at:,}"
    if drawing is not None:
        place = f'<span class="step" data-of="{drawing.key}" data-step="{pair.parts_at}">{place}</span>'
    curve = "loss" if pair.parts_in == "loss" else "gradient norm"
    return f'<p class="dim">The curves part at step {place}, first seen in the {curve}.</p>'


def _drawing(comparison: ComparisonReport) -> Drawing | None:
    picture = comparison.picture
    if picture is None:
        return None
    bands = [
        Band(
            first=pair.parts_at,
            last=pair.parts_at,
            lane="parts",
            text=f"{pair.run} parts from {pair.against}",
            tone="warning",
        )
        for pair in comparison.pairs
        if pair.parts_at is not None
    ]
    return side_drawing(picture, "comparison", tuple(bands))


def side_drawing(picture: SidePicture, key: str, bands: tuple[Band, ...]) -> Drawing | None:
    """Runs on one axis with their differences; None where they have nothing that can be drawn."""
    shown = picture.runs[:MAX_OVERLAID]
    names = dict(zip((run.run for run in shown), short_names([run.run for run in shown]), strict=True))
    panels = [
        panel
        for curves, specs in ((picture.runs, _PANELS), (picture.differences, _DIFFERENCES))
        for title, name, equal in specs
        if (panel := _panel(title, name, equal, curves, names)) is not None
    ]
    lines = [line for panel in panels for line in panel.lines if len(line.x)]
    if not lines:
        return None
    first, last = min(int(li.x[0]) for li in lines), max(int(li.x[-1]) for li in lines)
    if last <= first:
        return None
    notes = [f"The first {len(shown)} of {len(picture.runs):,} runs."] if len(shown) < len(picture.runs) else []
    stretch = max((t.stretch for run in shown for t in run.traces), default=1)
    if stretch > 1:
        notes.append(f"Drawn as the lowest and highest of every {stretch:,} rows.")
    if any(run.traces for run in picture.differences):
        notes.append("Differences are medians of 33 shared rows.")
    (drawing,) = fitting(
        [
            Drawing(
                key=key,
                title="Runs side by side",
                panels=tuple(panels),
                bands=bands,
                first=first,
                last=last,
                alt=f"{', '.join(panel.title for panel in panels)} of {len(shown)} runs over steps {first:,} to {last:,}.",
                note=" ".join(notes),
                legend=True,
            )
        ],
        DRAWN_BYTES,
    )
    return drawing


def _panel(
    title: str, name: str, equal: float | None, curves: tuple[RunCurves, ...], names: dict[str, str]
) -> Panel | None:
    lines = []
    for place, run in enumerate(curves[: MAX_OVERLAID - (equal is not None)]):
        trace = next((t for t in run.traces if t.name == name), None)
        if trace is not None:
            # The first run has no difference from itself: colours are those of the runs above.
            tone = f"run-{place + (equal is not None)}"
            lines.append(Line(name=names[run.run], tone=tone, x=trace.step, y=trace.value))
    if not lines:
        return None
    levels = () if equal is None else (Level(value=equal, name="equal", tone="dim"),)
    height = 150 if name in {"loss", "grad_norm"} else 84
    return Panel(
        title=title, height=height, lines=tuple(lines), levels=levels, percent=name == "clip_rate",
        log=False if name in {"lr", "clip_rate", "spikes"} else None,
    )  # fmt: skip

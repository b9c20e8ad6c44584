"""The drawings of a run: the picture on its step axis, the tail of its norms, what other thresholds would have done."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from gradlens.reporters import wording
from gradlens.reporters.html.panels import Band, Bar, Drawing, Heat, Level, Line, Panel, Upright
from gradlens.reporters.report_words import course_sentence
from gradlens.reporters.wording import number, percent
from gradlens.reports.analysis import Finding, RunReport
from gradlens.reports.base import Severity
from gradlens.reports.picture import Picture, Trace

#: A finding whose steps lie closer than this share of the run is one band.
JOINED = 0.004
MAX_BANDS = 60
#: Steps of a check's list are where it holds; these many in a row say that it holds all along.
LABELS = {
    "loss": "loss", "val_loss": "validation", "grad_norm": "norm", "grad_norm_clipped": "norm after clipping",
    "lr": "learning rate", "loss_scale": "loss scale", "weight_norm": "weights", "update_norm": "update",
    "rms_ratio": "rms of g²/v", "data_norm": "norm of the data", "penalized_norm": "norm with penalty",
    "loss_before": "before the update", "loss_after": "after the update",
}  # fmt: skip
#: Panels in order: title, height, quantities with their colours.
_PANELS = (
    ("loss", 150, (("loss", "loss"), ("val_loss", "val"))),
    ("gradient norm", 150, (("grad_norm", "norm"), ("grad_norm_clipped", "val"), ("data_norm", "lr"), ("penalized_norm", "extra"))),
    ("learning rate", 84, (("lr", "lr"),)),
    ("loss scale", 84, (("loss_scale", "lr"),)),
    ("weights and updates", 100, (("weight_norm", "norm"), ("update_norm", "val"))),
    ("second moment", 84, (("rms_ratio", "extra"),)),
    ("loss of the same batch", 100, (("loss_before", "loss"), ("loss_after", "val"))),
)  # fmt: skip
_HELD = {"lr", "loss_scale"}
_FAMILIES = {"power_law_cutoff": "power law with cut-off", "pareto_tail": "Pareto tail"}


def run_drawing(run: RunReport, key: str) -> Drawing | None:
    """The picture of a run; None where nothing was logged that can be drawn."""
    picture = run.picture
    if picture is None or run.first_step is None or run.last_step is None or run.last_step <= run.first_step:
        return None
    panels = list(_panels(run, picture))
    if not panels:
        return None
    return Drawing(
        key=key,
        title=run.id,
        panels=tuple(panels),
        bands=tuple(bands_of(run)),
        first=run.first_step,
        last=run.last_step,
        alt=_in_words(run, panels),
        note=_thinned(picture),
    )


def _panels(run: RunReport, picture: Picture) -> Iterator[Panel]:
    for title, height, quantities in _PANELS:
        found = [(trace, tone) for name, tone in quantities if (trace := picture.trace(name)) is not None]
        if not found:
            continue
        lines = tuple(_line(trace, tone, len(found)) for trace, tone in found)
        is_norm = found[0][0].name == "grad_norm"
        bad = [trace.nonfinite for trace, _ in found if len(trace.nonfinite)]
        yield Panel(
            title=title,
            height=height,
            lines=(*lines, *_clipped(run, found[0][0])) if is_norm else lines,
            levels=_threshold(run) if is_norm else (),
            bad=np.unique(np.concatenate(bad)) if bad else None,
            log=False if title == "learning rate" else None,
        )
        if is_norm:
            yield from _clip_rate(run)
    if picture.layers is not None:
        m = picture.layers
        yield Panel(
            title=f"layers ({len(m.names):,})",
            height=max(90, min(380, 4 * len(m.names))),
            heat=Heat(names=m.names, edge=m.edge, value=m.value),
        )


def _line(trace: Trace, tone: str, of: int) -> Line:
    style = "steps" if trace.name in _HELD else "line"
    if len(trace.step) <= 40 and of > 1:
        style = "dots"
    return Line(name=LABELS[trace.name], tone=tone, x=trace.step, y=trace.value, style=style)  # type: ignore[arg-type]


def _threshold(run: RunReport) -> tuple[Level, ...]:
    c = run.clipping
    if c.threshold is None or c.threshold_source == "assumed" or not run.provenance.trusted:
        return ()
    return (Level(value=c.threshold, name=f"C = {number(c.threshold)}"),)


def _clipped(run: RunReport, norm: Trace) -> tuple[Line, ...]:
    """The norms that were clipped, where few enough to be seen beside the others."""
    levels, rate = _threshold(run), run.clipping.clip_rate
    if not levels or rate is None or rate > 0.5:
        return ()
    above = norm.value > levels[0].value
    if not above.any():
        return ()
    return (Line(name="clipped", tone="error", x=norm.step[above], y=norm.value[above], style="dots"),)


def _clip_rate(run: RunReport) -> Iterator[Panel]:
    windows = [w for w in run.clipping.windows if w.clip_rate is not None]
    if any(w.clip_rate for w in windows):
        yield Panel(
            title="clip rate",
            height=64,
            percent=True,
            log=False,
            bars=tuple(
                Bar(
                    first=w.first_step, last=w.last_step, share=w.clip_rate or 0.0,
                    name=f"{percent(w.clip_rate)} of {w.n:,} clipped",
                )
                for w in windows
            ),
        )  # fmt: skip


def bands_of(run: RunReport) -> Iterator[Band]:
    """Findings, spikes and restarts as stretches; each finding in a lane of its own, the worst first."""
    if run.first_step is None or run.last_step is None:
        return
    gap = max((run.last_step - run.first_step) * JOINED, run.log_interval or 1.0)
    for finding in sorted(run.findings, key=lambda f: -f.severity.rank):
        for first, last in joined(finding.steps, gap)[:MAX_BANDS]:
            yield Band(
                first=first, last=last, lane=lane_of(finding), text=finding.message, tone=finding.severity.value,
                shade=finding.severity is not Severity.NOTE,
            )  # fmt: skip
    for what, spikes in (("loss spikes", run.spikes.loss), ("norm spikes", run.spikes.grad_norm)):
        for spike in spikes:
            end = spike.step if spike.recovery is None else spike.recovery
            text = f"{what[:4]} {number(spike.value)} at step {spike.step:,}, {number(spike.size)} times the level"
            yield Band(first=spike.step, last=max(end, spike.step), lane=what, text=text, tone="warning", shade=False)
    for again in run.picture.resumed if run.picture is not None else ():
        what = "starts from scratch" if again.fresh else "goes on from an earlier step"
        text = f"the log {what}: step {again.step:,} after {again.reached:,}"
        yield Band(first=again.step, last=again.step, lane="restarts", text=text, tone="note")


def lane_of(finding: Finding) -> str:
    """What the lane of a finding is called."""
    return f"{finding.code} {finding.name.replace('-', ' ')}"


def joined(steps: tuple[int, ...], gap: float) -> list[tuple[int, int]]:
    """Steps as stretches: those at most `gap` apart belong together."""
    found: list[tuple[int, int]] = []
    for step in sorted(set(steps)):
        if found and step - found[-1][1] <= gap:
            found[-1] = (found[-1][0], step)
        else:
            found.append((step, step))
    return found


def _thinned(picture: Picture) -> str:
    longest = max(picture.traces, key=lambda trace: trace.rows, default=None)
    notes = []
    if longest is not None and longest.stretch > 1:
        notes.append(
            f"{longest.rows:,} rows are drawn as the lowest and highest of every {longest.stretch:,}, "
            "so that every spike is there."
        )
    if picture.layers is not None and picture.layers.left_out:
        notes.append(f"{picture.layers.left_out:,} layers whose norm changes least are not drawn.")
    return " ".join(notes)


def _in_words(run: RunReport, panels: list[Panel]) -> str:
    names = ", ".join(panel.title for panel in panels)
    text = f"{names} over steps {run.first_step:,} to {run.last_step:,}. {course_sentence(run)}"
    lanes = list(dict.fromkeys(band.lane for band in bands_of(run)))
    return text + (f" Marked: {', '.join(lanes)}." if lanes else "")


def tail_drawing(run: RunReport, key: str) -> Drawing | None:
    """The exceedance plot with the fitted tails; None without one."""
    found = run.picture.exceedance if run.picture is not None else None
    if found is None or run.tail is None or not found.value[-1] > found.value[0]:
        return None
    lines = [Line(name="measured", tone="norm", x=found.value, y=found.share, style="dots")]
    for (name, share), tone in zip(found.fits.items(), ("lr", "loss", "val", "error"), strict=False):
        # Below one in a thousand of what was measured a fit is off the page.
        shown = np.isfinite(share) & (share > 0.3 / found.n)
        if shown.any():
            label = _FAMILIES.get(name, name)
            lines.append(Line(name=label, tone=tone, x=found.grid[shown], y=share[shown], style="line"))
    return Drawing(
        key=key,
        title="How heavy the tail is",
        panels=(Panel(title="share of norms above", height=230, lines=tuple(lines), log=True),),
        first=float(found.value[0]),
        last=float(found.value[-1]),
        x_title="norm, in multiples of its local level",
        x_log=True,
        alt=f"Share of norms above a multiple of their local level, with fitted tails. {wording.sentence(run.tail.verdict)}.",
        note=wording.sentence(run.tail.verdict).rstrip(".") + ".",
    )


def what_if_drawing(run: RunReport, key: str) -> Drawing | None:
    """What other thresholds would have clipped, with the present and the suggested one; None without trusted norms."""
    found = run.picture.what_if if run.picture is not None else None
    if found is None:
        return None
    first, last = float(found.threshold[0]), float(found.threshold[-1])
    uprights = []
    if _threshold(run) and run.clipping.threshold is not None:
        uprights.append(Upright(at=run.clipping.threshold, name=f"C = {number(run.clipping.threshold)}", tone="error"))
    if run.suggestion.threshold is not None:
        text = f"suggested {number(run.suggestion.threshold)}"
        uprights.append(Upright(at=run.suggestion.threshold, name=text, tone="ok"))
    inside = [u.at for u in uprights if u.at > 0 and first / 30 < u.at < last * 30]
    rate = Line(name="steps clipped", tone="norm", x=found.threshold, y=found.clip_rate)
    shrink = Line(
        name="gradient shortened by", tone="val", x=found.threshold, y=1.0 - found.shrink_factor, style="dashed"
    )
    return Drawing(
        key=key,
        title="What another threshold would have clipped",
        panels=(
            Panel(title="share", height=230, lines=(rate, shrink), uprights=tuple(uprights), log=False, percent=True),
        ),
        first=min([first, *inside]),
        last=max([last, *inside]),
        x_title="threshold C",
        x_log=True,
        alt="Share of all norms of the run that each threshold would have clipped, and by how much gradients would have been "
        f"shortened on average. {', '.join(u.name for u in uprights)}",
        note="Over all norms of the run, as logged: a run that had been clipped otherwise would have had other norms.",
    )

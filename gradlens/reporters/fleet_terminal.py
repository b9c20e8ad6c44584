"""A fleet on one screen."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from gradlens.reporters.base import Screen
from gradlens.reporters.escape import for_terminal
from gradlens.reporters.palette import STATUS
from gradlens.reporters.wording import sureness
from gradlens.reports.fleet import Count, FleetOverview, Onset, SeedAdvice

MAX_CHANGES, MAX_GROUPS = 10, 40
_BARS = " ▁▂▃▄▅▆▇█"


def fleet_parts(fleet: FleetOverview, screen: Screen) -> Iterator[RenderableType]:
    """The parts of the page, one below the other."""
    yield _head(fleet)
    yield Text()
    if fleet.causes:
        yield _section("Causes", [_counts(fleet.causes)])
    if fleet.worst:
        yield _section("Worst runs", [_worst(fleet, screen)])
    if fleet.groups:
        yield _section("By " + ", ".join(fleet.by), [_groups(fleet)])
    if fleet.onsets:
        yield _section("Where trouble starts", [Text(onset_sentence(found)) for found in fleet.onsets])
    if fleet.changes:
        yield _section("Changed since the last table", _changes(fleet))
    if fleet.advice:
        lines = [Text(for_terminal(advice_sentence(found))) for found in fleet.advice[:5]]
        yield _section("Threshold over seeds", lines)
    if fleet.errors:
        yield _section("Not read", [_counts(fleet.errors, intervals=False)])


def _section(title: str, lines: Sequence[RenderableType]) -> RenderableType:
    return Group(Text(title, style="bold"), *(Padding(line, (0, 0, 0, 2)) for line in lines), Text())


def _head(fleet: FleetOverview) -> Text:
    text = Text(f"{fleet.runs:,} runs", style="bold")
    for count in fleet.statuses:
        text.append("  ")
        text.append(f"{count.runs:,} {count.what}", style=STATUS.get(count.what, ""))
    for told in beside(fleet):
        text.append(f"  {told}", style="dim")
    return text


def beside(fleet: FleetOverview) -> list[str]:
    """How many rows are no runs of their own, and files no logs; nothing where there are none."""
    found = (
        (fleet.unread, "not read", "not read"), (fleet.copies, "copy left out", "copies left out"),
        (fleet.continued, "restart", "restarts"), (fleet.not_logs, "other file", "other files"),
    )  # fmt: skip
    return [f"{count:,} {one if count == 1 else many}" for count, one, many in found if count]


def _counts(counts: Sequence[Count], *, intervals: bool = True) -> Table:
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(justify="right")
    table.add_column(justify="right")
    table.add_column(overflow="fold", ratio=1)
    table.add_column(overflow="fold", style="dim", ratio=1)
    for count in counts:
        low, high = count.interval
        share = f"{count.share:.1%} ({low:.1%} to {high:.1%})" if intervals else ""
        table.add_row(f"{count.runs:,}", share, for_terminal(count.what), for_terminal(", ".join(count.examples[:2])))
    return table


def _worst(fleet: FleetOverview, screen: Screen) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for title in ("run", "what happened", "cause", "loss"):
        table.add_column(title, overflow="fold", no_wrap=title in {"cause", "loss"})
    for run in fleet.worst:
        happened = (run.outcome or "").replace("_", " ")
        since = f" from {run.since_step:,}" if run.since_step is not None else ""
        sure = f" {sureness(run.confidence)}" if run.confidence is not None else ""
        spark = _spark(run.loss_curve, 16) if screen.unicode else ""
        table.add_row(for_terminal(run.name), f"{happened}{since}", f"{run.cause}{sure}", spark)
    return table


def _groups(fleet: FleetOverview) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for title in (*fleet.by, "runs", "problems", "rate (95 %)", "causes"):
        table.add_column(title, justify="right" if title in {"runs", "problems"} else "left", overflow="fold")
    for group in fleet.groups[:MAX_GROUPS]:
        causes = ", ".join(f"{c.what} {c.runs:,}" for c in group.causes[:2])
        values = [for_terminal(_value(group.settings[key])) for key in fleet.by]
        rate = f"{group.rate:.0%} ({group.interval[0]:.0%} to {group.interval[1]:.0%})"
        table.add_row(*values, f"{group.runs:,}", f"{group.trouble:,}", rate, causes)
    if len(fleet.groups) > MAX_GROUPS:
        table.add_row(f"{len(fleet.groups) - MAX_GROUPS:,} more groups in --format json")
    return table


def _value(value: object) -> str:
    if value is None:
        return "not logged"
    return f"{value:g}" if isinstance(value, float) else str(value)


def advice_sentence(found: SeedAdvice) -> str:
    """The threshold over the seeds of one configuration, in one sentence."""
    where = ", ".join(f"{key} {_value(value)}" for key, value in found.settings.items())
    return (
        f"{found.threshold:.3g} ({found.lowest:.3g} to {found.highest:.3g} over {found.runs:,} runs)"
        + (f"  {where}" if where else "")
    )  # fmt: skip


def onset_sentence(found: Onset) -> str:
    """Where trouble starts along one setting, in one sentence."""
    where = f"from {found.value:g} on" if found.rises else f"below {found.value:g}"
    low, high = found.interval
    range_ = f" (the data allow {low:g} to {high:g})" if low < high else ""
    sides = f"{_share(found.troubled)} there, {_share(found.quiet)} elsewhere"
    p = "" if found.p_value is None else f"; p = {found.p_value:.3f}"
    told = "" if found.told_from_chance else "; not told from chance"
    return f"{found.setting}: {where}{range_}: problems in {sides}{p}{told}"


def _share(count: Count) -> str:
    low, high = count.interval
    return f"{count.share:.0%} ({low:.0%} to {high:.0%}) of {count.total:,} runs"


def _changes(fleet: FleetOverview) -> list[RenderableType]:
    lines: list[RenderableType] = [
        Text(for_terminal(f"{c.name}: {c.before or 'new'} -> {c.now or 'gone'}")) for c in fleet.changes[:MAX_CHANGES]
    ]
    if len(fleet.changes) > MAX_CHANGES:
        lines.append(Text(f"{len(fleet.changes) - MAX_CHANGES:,} more in --format json", style="dim"))
    return lines


def _spark(values: Sequence[float | None], width: int) -> str:
    """A curve as a line of block characters; a gap where nothing finite is."""
    if not values:
        return ""
    step = max(len(values) / width, 1.0)
    parts = [values[int(i * step) : int((i + 1) * step) or 1] for i in range(min(width, len(values)))]
    picked = [max((v for v in part if v is not None), default=None) for part in parts]
    known = [v for v in picked if v is not None]
    if not known:
        return ""
    low, high = min(known), max(known)
    scale = (len(_BARS) - 2) / (high - low) if high > low else 0.0
    return "".join(" " if v is None else _BARS[1 + round((v - low) * scale)] for v in picked)

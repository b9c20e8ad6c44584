"""The threshold advice for people: the number, what the alternatives would have done, and the line to paste."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from gradlens.reporters.base import Screen
from gradlens.reporters.escape import for_terminal
from gradlens.reporters.page import print_parts
from gradlens.reporters.palette import DOUBTFUL, GOOD
from gradlens.reporters.wording import expected, interval, number, percent
from gradlens.reports.advice import Advice, WhatIf

#: What each mode is called, and the quantile that it takes.
MODES = {"safety_net": ("safety net, for spikes", 0.99), "step_limiter": ("step limiter", 0.9)}


def render(advices: Iterable[Advice], screen: Screen, *, framework: str | None = None) -> str:
    """All advices as text."""
    return print_parts((part for advice in advices for part in _parts(advice, framework)), screen)


def _parts(advice: Advice, framework: str | None) -> Iterator[RenderableType]:
    yield Text(for_terminal(advice.run), style="bold")
    if advice.threshold is not None:
        head = Text(f"C = {number(advice.threshold)}", style=GOOD)
        head.append(f"   95 % interval {interval(advice.interval)}")
        yield head
        yield Text(f"clips {expected(advice.expected)}")
        yield Text(f"{_aim(advice)}: the {advice.quantile * 100:.4g} % quantile of {_basis(advice)}")
    else:
        yield Text(f"No advice: {for_terminal(advice.abstained or '')}", style=DOUBTFUL)
        if advice.policy:
            yield Text(f"Instead: {for_terminal(advice.policy)}")
    yield Text()
    if advice.what_if:
        yield _table("What a fixed threshold would have done, over all norms of the run", advice.what_if, fixed=True)
        yield _table("What a policy would have done, over all norms of the run", advice.policies, fixed=False)
        yield Text(f"Replays are {advice.note}.", style="dim")
        yield Text()
    chosen = {name: text for name, text in advice.snippets.items() if framework in {None, name}}
    if chosen:
        yield Text("To paste", style="bold")
        for name, text in chosen.items():
            yield Padding(Group(Text(name, style="dim"), Padding(Text(text), (0, 0, 0, 2))), (0, 0, 0, 2))
        yield Text()


def _aim(advice: Advice) -> str:
    """What the number is meant for: a mode, or the share that somebody asked for."""
    words, quantile = MODES[advice.mode]
    return words if advice.quantile == quantile else f"target {100 * (1 - advice.quantile):.4g} %"


def _basis(advice: Advice) -> str:
    """What the number is a quantile of, and where its interval comes from."""
    if advice.method == "latest_norms":
        return (
            "those norms themselves, since the quantile around their level would not clip that share of them; interval by "
            "the stationary bootstrap"
        )
    how = "a generalized Pareto tail" if advice.method == "pareto_tail" else "the stationary bootstrap"
    return (
        f"the norms around their level, at the current level of {number(advice.level)}; from {advice.n:,} norms since step "
        f"{advice.first_step:,}, interval by {how}"
    )


def _table(title: str, rows: tuple[WhatIf, ...], *, fixed: bool) -> RenderableType:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("C" if fixed else "policy", justify="right" if fixed else "left")
    if fixed:
        table.add_column("")
    for head in ("clipped", *(() if fixed else ("skipped", "steps lost")), "shrink", "spikes caught"):
        table.add_column(head, justify="right")
    for row in rows:
        style = GOOD if row.label == "suggested" else ""
        first = (number(row.threshold), row.label) if fixed else (row.label,)
        rates = (percent(row.clip_rate), *(() if fixed else (percent(row.skip_rate), f"{row.steps_lost:,}")))
        table.add_row(*first, *rates, number(row.shrink_factor), f"{row.spikes_caught} of {row.spikes}", style=style)
    return Group(Text(title, style="bold"), Padding(table, (0, 0, 1, 2)))

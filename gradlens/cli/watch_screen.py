"""The live screen of `gradlens watch`: one run large, several as a table above the picture of the one that needs it most."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from gradlens.cli.watch_output import Output, event_text, verdict_text
from gradlens.reporters import wording
from gradlens.reporters.base import Screen
from gradlens.reporters.escape import for_terminal
from gradlens.reporters.palette import AMBER, BAD, SEVERITY, STATUS, color_system
from gradlens.reporters.picture import picture
from gradlens.reports.base import Severity

if TYPE_CHECKING:
    from typing import Self

    from gradlens.watching.events import Event
    from gradlens.watching.watcher import Poll, State

#: Events that are kept; the screen shows as many of the latest as it has room for.
_MAX_EVENTS = 200
#: Lines that the state of a run, its picture and the rules between need beside the events.
_MIN_EVENTS, _MAX_RUNS = 3, 12
_MARKS = {Severity.ERROR: "✖", Severity.WARNING: "▲", Severity.NOTE: "•"}
_ASCII_MARKS = {Severity.ERROR: "x", Severity.WARNING: "!", Severity.NOTE: "-"}


class LiveScreen(Output):
    """The whole terminal, redrawn at every look; the events stay behind when it ends."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(highlight=False, markup=False, emoji=False, color_system=color_system())
        self._live = Live(console=self._console, screen=True, auto_refresh=False, vertical_overflow="crop")
        self._events: deque[tuple[str, Event]] = deque(maxlen=_MAX_EVENTS)
        self._remarks: deque[str] = deque(maxlen=3)
        self._states: tuple[State, ...] = ()
        self._several = False

    def __enter__(self) -> Self:
        self._live.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.__exit__(None, None, None)
        screen = self._screen()
        for state in self._states:
            self._console.print(Group(*_numbers(state, screen), _verdict(state)))
        for at, event in self._events:
            self._console.print(_line(at, event, screen, several=self._several))
        for remark in self._remarks:
            super().remark(remark)

    def remark(self, text: str) -> None:
        self._remarks.append(text)

    def show(self, poll: Poll, *, last: bool = False) -> None:
        del last
        self._states = poll.states
        self._several = len(poll.states) > 1
        self._events.extend((time.strftime("%H:%M:%S"), event) for event in poll.events)
        parts = [*self._runs(), *(Text(f"waiting: {for_terminal(p)}", style=AMBER) for p in poll.problems)]
        parts += [Text(f"gradlens: {for_terminal(remark)}", style=AMBER) for remark in self._remarks]
        used = self._height(parts)
        room = max(self._console.height - used - 2, _MIN_EVENTS)
        self._live.update(Group(*parts, *self._latest(room)), refresh=True)

    def _height(self, parts: Iterable[RenderableType]) -> int:
        return len(self._console.render_lines(Group(*parts), self._console.options))

    def _screen(self) -> Screen:
        unicode = (self._console.encoding or "utf-8").lower().replace("-", "") in {"utf8", "utf16"}
        return Screen(width=max(60, min(self._console.width, 120)), color=True, unicode=unicode)

    def _runs(self) -> Iterator[RenderableType]:
        screen = self._screen()
        if not self._states:
            yield Text("waiting for the first rows", style="dim")
            return
        if len(self._states) > 1:
            yield _table(self._states)
            yield Text()
        state = max(self._states, key=_urgency)
        yield from _numbers(state, screen)
        yield _verdict(state)
        drawn = picture(state.report, screen) if state.report is not None else None
        if drawn is not None:
            yield Text()
            yield drawn

    def _latest(self, room: int) -> Iterator[RenderableType]:
        if self._events:
            screen = self._screen()
            yield Text()
            for at, event in list(self._events)[-room:]:
                yield _line(at, event, screen, several=self._several)


def _line(at: str, event: Event, screen: Screen, *, several: bool) -> RenderableType:
    """An event with its step in front, where it stays in sight."""
    mark = (_MARKS if screen.unicode else _ASCII_MARKS)[event.level]
    where = f"step {event.steps[-1]:,}" if event.steps else ""
    text = f"{event.run}: {event_text(event, marked=True)}" if several else event_text(event, marked=True)
    grid = Table.grid(padding=(0, 1), expand=True)
    grid.add_column(no_wrap=True, style="dim")
    grid.add_column(no_wrap=True)
    grid.add_column(no_wrap=True, min_width=12)
    grid.add_column(ratio=1, overflow="ellipsis", no_wrap=True)
    grid.add_row(at, Text(mark, style=SEVERITY[event.level]), where, for_terminal(text))
    return grid


def _urgency(state: State) -> tuple[int, int, int]:
    report = state.report
    worst = report.worst.rank if report is not None and report.worst is not None else -1
    return (
        int(state.is_silent and not state.is_done),
        int(report is not None and report.verdict.status == "problem"),
        worst,
    )


def _numbers(state: State, screen: Screen) -> Iterator[Text]:
    """Where the run stands, in two lines that keep their places as the numbers change."""
    head = Text(for_terminal(state.run), style="bold")
    step = "no step" if state.step is None else f"step {state.step:,}"
    if state.total:
        step += f" of {state.total:,.0f}"
        if state.step is not None:
            step += f" ({min(state.step / state.total, 1.0):.0%})"
    pace = [step]
    if state.speed:
        pace.append(f"{wording.number(state.speed)} steps/s")
    if state.left is not None and not state.is_done:
        pace.append(f"{wording.duration(state.left)} left")
    head.append(f"  {'  '.join(pace)}")
    head.append(_rest(state), style=BAD if state.is_silent and not state.is_done else "dim")
    head.truncate(screen.width, overflow="ellipsis")
    yield head
    best = f" (best {wording.number(state.best)} at {state.best_step:,})" if state.best_step is not None else ""
    values = [
        f"{label} {wording.number(value)}{more}"
        for label, value, more in (("loss", state.loss, best), ("norm", state.norm, ""), ("rate", state.rate, ""))
        if value is not None
    ]
    yield Text("   ".join(values))


def _rest(state: State) -> str:
    if state.is_done:
        return "  done"
    if state.rested < 2.0 and not state.is_silent:
        return ""
    return f"  {'silent' if state.is_silent else 'written'} {wording.duration(state.rested)}{'' if state.is_silent else ' ago'}"


def _verdict(state: State) -> Text:
    is_sure = state.report is not None and not state.is_early
    return Text(verdict_text(state), style=STATUS[state.report.verdict.status] if state.report and is_sure else "dim")


def _table(states: Iterable[State]) -> RenderableType:
    table = Table(expand=True, box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("run", overflow="ellipsis", no_wrap=True, max_width=24)
    for title in ("step", "loss", "norm", "steps/s"):
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("verdict", overflow="ellipsis", no_wrap=True, ratio=1)
    every = sorted(states, key=_urgency, reverse=True)
    for state in every[:_MAX_RUNS]:
        table.add_row(
            for_terminal(state.run), "–" if state.step is None else f"{state.step:,}", wording.number(state.loss),
            wording.number(state.norm), wording.number(state.speed), _verdict(state),
        )  # fmt: skip
    if len(every) > _MAX_RUNS:
        table.add_row(Text(f"and {len(every) - _MAX_RUNS} more", style="dim"))
    return table

"""How `gradlens watch` says what it sees: lines, JSON lines, or one live screen (`watch_screen`)."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self

from gradlens.reporters import wording
from gradlens.reporters.escape import for_terminal

if TYPE_CHECKING:
    from gradlens.watching.events import Event
    from gradlens.watching.watcher import Poll, State

#: Seconds between two lines of numbers about the same run.
LINE_SECONDS = 10.0
#: Steps that an event lists.
MAX_STEPS = 6
_WORDS = {"finding": "new", "again": "again", "gone": "gone"}


class Output(ABC):
    """Where a watch is seen. Used as a context: a screen is put back as it was."""

    @abstractmethod
    def show(self, poll: Poll, *, last: bool = False) -> None:
        """Say what a look found; `last` for the last one."""

    def remark(self, text: str) -> None:
        """Say something on standard error, from whatever thread."""
        print(f"gradlens: {for_terminal(text)}", file=sys.stderr, flush=True)

    def ring(self) -> None:
        """Ring the bell of the terminal, wherever standard output goes."""
        sys.stderr.write("\a")
        sys.stderr.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None


def has_screen() -> bool:
    """Whether standard output is a terminal on which lines can be drawn over."""
    return sys.stdout.isatty() and os.environ.get("TERM", "dumb") not in {"", "dumb"}


class Words(ABC):
    """What lines are made of."""

    #: The kinds of events that stand in the line of numbers and not in one of their own.
    beside_numbers: ClassVar[frozenset[str]] = frozenset()

    @abstractmethod
    def state(self, state: State, events: Sequence[Event]) -> str:
        """Where a run stands, with what stands beside its numbers."""

    @abstractmethod
    def event(self, event: Event) -> str:
        """Something that happened."""


class Lines(Output):
    """A line for every event, and now and then one of numbers for every run."""

    def __init__(self, words: Words, *, every: float) -> None:
        self._words, self._every = words, every
        self._next: dict[str, float] = {}
        self._shown: dict[str, State] = {}
        self._problems: tuple[str, ...] = ()
        self._lock = threading.Lock()

    def show(self, poll: Poll, *, last: bool = False) -> None:
        now = time.monotonic()
        for problem in poll.problems:
            if problem not in self._problems:
                self.remark(f"waiting: {problem}")
        self._problems = poll.problems
        for state in poll.states:
            told = [e for e in poll.events if e.run == state.run and e.kind in self._words.beside_numbers]
            before = self._shown.get(state.run)
            is_new = before is None or (state.rows, state.report) != (before.rows, before.report)
            is_due = is_new and (last or now >= self._next.get(state.run, 0.0))
            if told or (is_due and state.report is not None):
                self._next[state.run] = now + self._every
                self._shown[state.run] = state
                self._print(self._words.state(state, told))
        for event in poll.events:
            if event.kind not in self._words.beside_numbers:
                self._print(self._words.event(event))

    def remark(self, text: str) -> None:
        with self._lock:
            super().remark(text)

    def _print(self, line: str) -> None:
        with self._lock:
            print(line, flush=True)


class TextWords(Words):
    """For people."""

    def state(self, state: State, events: Sequence[Event]) -> str:
        del events
        parts = [
            f"{time.strftime('%H:%M:%S')}  {for_terminal(state.run)}",
            f"step {state.step:,}{f' of {state.total:,.0f}' if state.total else ''}"
            if state.step is not None
            else "no step",
            f"norm {wording.number(state.norm)}" if state.norm is not None else "no norm",
            f"loss {wording.number(state.loss)}" if state.loss is not None else "no loss",
        ]
        if state.report is not None and state.report.clipping.clip_rate is not None:
            parts.append(f"clipped {wording.percent(state.report.clipping.clip_rate)}")
        if state.speed:
            parts.append(f"{wording.number(state.speed)} steps/s")
        if state.left is not None:
            parts.append(f"{wording.duration(state.left)} left")
        if state.report is not None:
            parts.append(verdict_text(state))
        return "  ".join(parts)

    def event(self, event: Event) -> str:
        return f"    {event_text(event)}"


class JsonWords(Words):
    """For scripts: an object with `id` says where a run stands and which findings are new or gone, one with `kind` what else."""

    beside_numbers = frozenset({"finding", "gone"})

    def state(self, state: State, events: Sequence[Event]) -> str:
        report = state.report
        line: dict[str, Any] = {
            "id": state.run,
            "step": state.step,
            "steps": state.rows,
            "total_steps": state.total,
            "loss": state.loss,
            "best_loss": state.best,
            "best_step": state.best_step,
            "grad_norm": state.norm,
            "lr": state.rate,
            "steps_per_second": state.speed,
            "seconds_left": state.left,
            "early": state.is_early,
            "status": report.verdict.status if report else None,
            "cause": report.diagnosis.cause if report else None,
            "confidence": report.diagnosis.confidence if report else None,
            "clip_rate": report.clipping.clip_rate if report else None,
            "nonfinite": report.nonfinite.rows if report else None,
            "new": [
                {"code": e.code, "severity": e.level.value, "message": e.message, "steps": e.steps}
                for e in events
                if e.kind == "finding"
            ],
            "gone": [e.code for e in events if e.kind == "gone"],
        }
        return _json(line)

    def event(self, event: Event) -> str:
        return _json(event.to_dict())


def _json(line: dict[str, Any]) -> str:
    from gradlens.reports.base import plain_data

    return json.dumps(plain_data(line), allow_nan=False)


def verdict_text(state: State) -> str:
    """The headline of the latest verdict, marked where it comes too early to be trusted."""
    if state.report is None:
        return "not judged yet"
    return for_terminal(f"{'early: ' if state.is_early else ''}{wording.verdict(state.report)}")


def event_text(event: Event, *, marked: bool = False) -> str:
    """An event in one line without its run: `new: GL301 warning: 2 events ... (steps 12, 40)`.

    Level and steps are left out where the line is `marked` with them.
    """
    head = f"{_WORDS.get(event.kind, event.kind.replace('-', ' '))}: "
    if event.code:
        level = "" if marked else f" {event.level.value}"
        head += f"{event.code}{level}: " if event.kind != "gone" else f"{event.code} "
    shown = ", ".join(f"{step:,}" for step in event.steps[-MAX_STEPS:])
    if len(event.steps) > MAX_STEPS:
        shown = f"..., {shown}"
    where = f" (step{'s' if len(event.steps) > 1 else ''} {shown})" if event.steps and not marked else ""
    return for_terminal(f"{head}{event.message}{where}")

"""Following runs: looks at their logs again and again, and says what is new."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from gradlens.analyzer import AnalysisOptions
from gradlens.errors import GradlensError
from gradlens.frozen import frozen
from gradlens.reading.read import distinct
from gradlens.reporters.wording import duration
from gradlens.reports.analysis import RunReport
from gradlens.reports.base import Severity
from gradlens.run import Run, Series
from gradlens.signals.axis import main_series
from gradlens.watching.events import Event
from gradlens.watching.following import Budget, Follower
from gradlens.watching.judging import Findings, is_early, judge
from gradlens.watching.pulse import Pulse
from gradlens.watching.rhythm import Pace, Rhythm

#: The column in which a console tells of how many steps this is one.
_OF = " (of)"


@frozen
class State:
    """Where a run stands.

    Attributes
    ----------
    run
        Its name.
    step, total
        The latest step, and the number of steps of the whole training where the log says it.
    loss, norm, rate
        The latest values.
    best, best_step
        The lowest loss so far, and where.
    speed
        Steps per second.
    left
        Seconds to the end at that speed.
    report
        The latest verdict; its rows may be fewer than `rows`.
    rested, patience
        Seconds since the log grew, and from which on that is news.
    """

    run: str
    rows: int = 0
    step: int | None = None
    total: float | None = None
    loss: float | None = None
    norm: float | None = None
    rate: float | None = None
    best: float | None = None
    best_step: int | None = None
    speed: float | None = None
    left: float | None = None
    report: RunReport | None = None
    is_silent: bool = False
    rested: float = 0.0
    patience: float = 0.0

    @property
    def is_early(self) -> bool:
        """Whether the verdict comes too early to be trusted."""
        return self.report is not None and is_early(self.report, self.total)

    @property
    def is_done(self) -> bool:
        """Whether the last step of the training was logged; rows stand some steps apart, so that a little may lack."""
        interval = self.report.log_interval if self.report is not None else None
        return self.total is not None and self.step is not None and self.step + max(interval or 1.0, 1.0) >= self.total


@frozen
class Poll:
    """What one look at all logs gave, or the beginning of it.

    Attributes
    ----------
    states
        Of every run.
    events
        What is new, in the order found.
    judged
        The names of the runs that were judged in this look.
    grew
        The names of the runs whose logs have grown since the last look.
    problems
        Why a log cannot be read.
    """

    states: tuple[State, ...] = ()
    events: tuple[Event, ...] = ()
    judged: frozenset[str] = frozenset()
    grew: frozenset[str] = frozenset()
    problems: tuple[str, ...] = ()
    #: Whether this is all that the look gave.
    is_whole: bool = True


@dataclass(slots=True)
class _Watched:
    run: Run
    state: State
    pulse: Pulse = field(default_factory=Pulse)
    findings: Findings = field(default_factory=Findings)
    pace: Pace = field(default_factory=Pace)
    budget: Budget = field(default_factory=Budget)
    #: Rows that no pulse has seen, and rows that no verdict knows.
    is_new: bool = True
    is_stale: bool = True
    is_urgent: bool = False
    #: Whether all was told that a log at rest shows.
    is_settled: bool = False
    is_done: bool = False


class Watcher:
    """Follows the runs of one or more sources."""

    def __init__(
        self, followers: Sequence[Follower], options: AnalysisOptions, *, patience: float | None = None,
        total: float | None = None,
    ) -> None:  # fmt: skip
        """`patience` in seconds and `total` steps are used instead of what the logs tell."""
        self._followers = tuple(followers)
        self._options, self._patience, self._total = options, patience, total
        self._rhythms: dict[int, Rhythm] = {}
        self._silent: set[int] = set()
        self._owned: dict[int, tuple[Run, ...]] = {}
        self._names: dict[int, tuple[str, ...]] = {}
        self._watched: dict[str, _Watched] = {}

    @property
    def text(self) -> str:
        """The sources as they were given."""
        return ", ".join(follower.text for follower in self._followers)

    def close(self) -> None:
        """Let go of the files."""
        for follower in self._followers:
            follower.close()

    def look(self, now: float | None = None) -> Iterator[Poll]:
        """Look at every log once: first what the rows say by themselves, then, if it is time, with new verdicts.

        `now` is in seconds of a clock that only goes forward. Events are in one of the two only; the second comes always.
        """
        now = time.monotonic() if now is None else now
        events: list[Event] = []
        problems: list[str] = []
        grew: set[int] = set()
        for number, follower in enumerate(self._followers):
            first = number not in self._rhythms
            look = follower.look(now, at_once=first)
            problems += [look.problem] if look.problem else []
            events += look.events
            for event in look.events:
                if event.kind == "restarted":
                    # What was found in the training before is no knowledge of this one.
                    self._watched.pop(event.run, None)
            if first:
                self._rhythms[number] = Rhythm(now, age=follower.age(), patience=self._patience)
            if look.runs is not None:
                self._owned[number] = look.runs
            if look.grew:
                grew.add(number)
                if not first:
                    events += self._woken(number, self._rhythms[number].rested(now))
                    self._rhythms[number].grew(now)
        self._take_over(now)
        seen = [event for number in self._rhythms for event in self._heard(number, now)]
        events += seen
        of_grown = frozenset(name for number in grew for name in self._names.get(number, ()))
        if events:
            yield self._poll(events, problems=problems, grew=of_grown, is_whole=False)
        judged: set[str] = set()
        events = [e for number in self._rhythms for e in self._judged(number, now, grows=number in grew, judged=judged)]
        yield self._poll(events, problems=problems, grew=of_grown, judged=judged)

    def _poll(
        self, events: Iterable[Event], *, problems: Iterable[str], grew: frozenset[str], judged: Iterable[str] = (),
        is_whole: bool = True,
    ) -> Poll:  # fmt: skip
        return Poll(
            states=tuple(w.state for w in self._watched.values()),
            events=tuple(events),
            judged=frozenset(judged),
            grew=grew,
            problems=tuple(problems),
            is_whole=is_whole,
        )

    def _take_over(self, now: float) -> None:
        """The runs as read, under names that tell them apart."""
        every = [(number, run) for number, runs in self._owned.items() for run in runs]
        named = distinct([run for _, run in every])
        self._names = {
            number: tuple(run.id for (n, _), run in zip(every, named, strict=True) if n == number)
            for number in self._owned
        }
        for run in named:
            known = self._watched.get(run.id)
            if known is None:
                self._watched[run.id] = known = _Watched(run=run, state=State(run=run.id))
            elif known.run.series is run.series:
                continue
            known.run, known.is_stale, known.is_new = run, True, True
            step = _last_step(run)
            if step is not None:
                known.pace.saw(step, now)
        for name in self._watched.keys() - {run.id for run in named}:
            del self._watched[name]

    def _heard(self, number: int, now: float) -> Iterator[Event]:
        """What the new rows of a source say by themselves, and whether it is silent."""
        rhythm = self._rhythms[number]
        rests = rhythm.rests(now)
        for name in self._names.get(number, ()):
            watched = self._watched[name]
            if watched.is_new:
                watched.is_new = False
                quick = watched.pulse.look(watched.run)
                # Whoever has just seen a spike is to know what it means.
                watched.is_urgent = watched.is_urgent or bool(quick)
                yield from quick
            watched.state = self._state_of(watched, rhythm, now, is_silent=rests)
            if watched.state.is_done and not watched.is_done:
                watched.is_done = True
                yield Event(
                    kind="done", run=name, level=Severity.NOTE, steps=(watched.state.step or 0,),
                    message="the last step of the training was logged",
                )  # fmt: skip
        if rests and number not in self._silent:
            self._silent.add(number)
            yield from self._silence(number, rhythm, now)

    def _judged(self, number: int, now: float, *, grows: bool, judged: set[str]) -> Iterator[Event]:
        """What verdicts say that are due: as often as their cost allows, and at once where the log rests or has spiked."""
        rests = self._rhythms[number].rests(now)
        for name in self._names.get(number, ()):
            watched = self._watched[name]
            if watched.is_stale and (watched.is_urgent or not grows or watched.budget.allows(now)):
                yield from self._judge(watched, now, at_rest=rests)
                judged.add(name)
            elif rests and not watched.is_settled and watched.state.report is not None:
                yield from watched.findings.news(watched.state.report, total=watched.state.total, at_rest=True)
            watched.is_settled = rests

    def _judge(self, watched: _Watched, now: float, *, at_rest: bool) -> list[Event]:
        begun = time.process_time()
        try:
            report = judge(watched.run, self._options)
        except GradlensError:
            return []
        finally:
            watched.is_stale = watched.is_urgent = False
            watched.budget.spent(now, time.process_time() - begun)
        watched.state = replace(watched.state, report=report)
        return watched.findings.news(report, total=watched.state.total, at_rest=at_rest)

    def _silence(self, number: int, rhythm: Rhythm, now: float) -> Iterable[Event]:
        text, rested = self._followers[number].text, duration(rhythm.rested(now))
        states = [self._watched[name].state for name in self._names.get(number, ())]
        if not states or all(state.is_done for state in states):
            return
        # Nobody knows the rhythm of a log that was never seen to grow: it may be the log of a finished run.
        is_alert = rhythm.is_known or self._patience is not None
        level = Severity.ERROR if is_alert else Severity.NOTE
        last = max((state.step for state in states if state.step is not None), default=None)
        told = f"nothing written for {rested}"
        if rhythm.is_known:
            told += f", and the longest rest before was {duration(rhythm.longest)}"
        yield Event(
            kind="silent", run=text, level=level, message=told, steps=() if last is None or not is_alert else (last,)
        )  # fmt: skip

    def _woken(self, number: int, rested: float) -> Iterable[Event]:
        if number in self._silent:
            self._silent.discard(number)
            yield Event(
                kind="grows-again", run=self._followers[number].text, level=Severity.NOTE,
                message=f"the log grows again after {duration(rested)}",
            )  # fmt: skip

    def _state_of(self, watched: _Watched, rhythm: Rhythm, now: float, *, is_silent: bool) -> State:
        run, pace = watched.run, watched.pace
        total, step = self._total or run.config.total_steps or _told_total(run), _last_step(run)
        if total is not None and step is not None and step > total:
            total = None  # it counts something else
        best, best_step = _lowest(run.loss)
        return State(
            run=run.id,
            rows=max((len(s) for s in (run.loss, run.grad_norm) if s is not None), default=0),
            step=step,
            total=total,
            loss=_latest(run.loss),
            norm=_latest(run.grad_norm),
            rate=_latest(run.lr),
            best=best,
            best_step=best_step,
            speed=pace.per_second,
            left=pace.seconds_to(total),
            report=watched.state.report,
            is_silent=is_silent,
            rested=rhythm.rested(now),
            patience=rhythm.patience,
        )


def _last_step(run: Run) -> int | None:
    main = main_series(run)
    return int(main.step[-1]) if main is not None and len(main) else None


def _latest(series: Series | None) -> float | None:
    return float(series.value[-1]) if series is not None and len(series) else None


def _lowest(series: Series | None) -> tuple[float | None, int | None]:
    if series is None or not np.isfinite(series.value).any():
        return None, None
    row = int(np.argmin(np.where(np.isfinite(series.value), series.value, np.inf)))
    return float(series.value[row]), int(series.step[row])


def _told_total(run: Run) -> float | None:
    """The number of steps as a console tells it beside each step: `step 120 / 5000`."""
    series = run.series.get(f"{run.columns.step}{_OF}") if run.columns.step else None
    return _latest(series)

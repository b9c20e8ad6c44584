"""One SOURCE, read again as it grows: what was appended where the format allows that, the whole otherwise.

Reading the whole takes longer as the log grows, so that it is done the less often the longer it takes.
"""

from __future__ import annotations

import glob
import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path

from gradlens.errors import GradlensError, UsageError
from gradlens.frozen import frozen
from gradlens.readers.base import ReadOptions
from gradlens.reading.growing import GrowingLog, NeedsWholeLogError, continued, goes_on
from gradlens.reading.read import read
from gradlens.reports.base import Severity
from gradlens.run import Run
from gradlens.signals.axis import main_series
from gradlens.sources.files import walk
from gradlens.sources.tail import News, Tail
from gradlens.watching.events import Event

#: Share of a core that reading and judging may take.
DUTY = 0.1
#: Seconds between two readings of a URL, of which nobody tells that it has grown.
URL_SECONDS = 30.0


@frozen
class Look:
    """What a look gave.

    Attributes
    ----------
    grew
        Whether anything was written since the last look.
    runs
        The runs as of now; None where they are those of the last look.
    events
        What became of the file.
    problem
        Why nothing can be read, "" where something can.
    """

    grew: bool = False
    runs: tuple[Run, ...] | None = None
    events: tuple[Event, ...] = ()
    problem: str = ""


class Budget:
    """Lets something be done so often that it takes `DUTY` of a core at most."""

    def __init__(self) -> None:
        self._next = 0.0

    def allows(self, now: float) -> bool:
        """Whether it is time."""
        return now >= self._next

    def spent(self, now: float, seconds: float) -> None:
        """It was done and took so much of the processor."""
        self._next = now + seconds / DUTY


class Follower:
    """Follows one SOURCE: a file, a folder, a pattern or a URL."""

    def __init__(self, text: str, options: ReadOptions, input_format: str | None = None) -> None:
        if text == "-":
            raise UsageError("-: standard input cannot be followed", hint="give the file that is written")
        self.text = text
        self._options, self._input_format = options, input_format
        self._tail: Tail | None = None
        self._log: GrowingLog | None = None
        self._is_whole = False
        self._before: tuple[Run, ...] = ()
        self._runs: tuple[Run, ...] = ()
        self._is_stale = False
        self._state: object = None
        self._budget = Budget()

    def look(self, now: float, *, at_once: bool = False) -> Look:
        """What is new; `at_once` reads whatever it takes."""
        path = Path(self.text).expanduser()
        if path.is_dir() or not _is_file_name(self.text, path):
            return self._look_at_many(now, at_once=at_once)
        try:
            return self._look_at_file(path, now, at_once=at_once)
        except OSError as error:
            if self._tail is not None:
                self._tail.close()
            return Look(problem=f"{self.text}: {error.strerror or error}")

    def close(self) -> None:
        """Let go of the file; the next look begins at its start."""
        if self._tail is not None:
            self._tail.close()
        self._tail = self._log = None

    def age(self) -> float:
        """Seconds since anything was written to the newest of the files; 0 where that is not known."""
        written = [state[2] for state in _files(self.text)]
        return max(time.time() - max(written) / 1e9, 0.0) if written else 0.0

    # A file

    def _look_at_file(self, path: Path, now: float, *, at_once: bool) -> Look:
        if not path.exists():
            return Look(problem=f"{self.text}: no such file or folder")
        if not path.is_file():
            raise UsageError(
                f"{self.text}: a pipe or a device cannot be followed", hint="give the file that is written"
            )
        if self._tail is None:
            self._tail = Tail(path)
        news = self._tail.look()
        turned = news.change in {"rotated", "replaced", "truncated"}
        if turned:
            self._turn(news)
        problem = ""
        if news.change:
            problem = self._take(news, is_other=turned)
        while news.more:
            news = self._tail.look()
            problem = self._take(news) or problem
        grew = bool(news.change) or turned
        self._is_stale = self._is_stale or grew
        if not self._runs and not problem and not path.stat().st_size:
            problem = f"{self.text}: empty so far"
        if problem:
            return Look(grew=grew, problem=problem)
        if not self._is_stale or not (at_once or self._budget.allows(now)):
            return Look(grew=grew)
        return self._gathered(now, grew=grew, turned=turned, how=news.change)

    def _turn(self, news: News) -> None:
        """Other content took its place: keep what there was, as it may go on."""
        if self._log is not None and news.rest:
            try:
                self._log.append(news.rest)
                self._runs = self._joined(tuple(self._log.runs()))
            except (NeedsWholeLogError, GradlensError):
                pass
        self._before, self._log, self._is_whole = self._runs, None, False

    def _take(self, news: News, *, is_other: bool = False) -> str:
        """Take over what was appended; why it cannot be read, "" where it can."""
        if self._is_whole or not (news.data or is_other):
            return ""
        try:
            if self._log is not None:
                self._log.append(news.data)
            elif news.data:
                self._log = GrowingLog(self.text, news.data, self._options, self._input_format)
        except NeedsWholeLogError:
            self._log, self._is_whole = None, True
        except GradlensError as error:
            if self._log is None and self._tail is not None:
                # What stands there now cannot be read; with more of it, it may be.
                self._tail.close()
            return str(error)
        return ""

    def _gathered(self, now: float, *, grew: bool, turned: bool, how: str) -> Look:
        begun = time.process_time()
        try:
            found = tuple(self._log.runs()) if self._log is not None else self._read_whole()
        except (GradlensError, OSError) as error:
            self._budget.spent(now, time.process_time() - begun)
            return Look(grew=grew, problem=str(error))
        self._is_stale = False
        self._budget.spent(now, time.process_time() - begun)
        events = tuple(self._told_of(found, how)) if turned else ()
        if not found:
            return Look(grew=grew, events=events)
        self._runs = self._joined(found)
        return Look(grew=grew, runs=self._runs, events=events)

    def _read_whole(self) -> tuple[Run, ...]:
        o = self._options
        return tuple(
            read(
                self.text, input_format=self._input_format, columns=o.columns, step=o.step, loss=o.loss,
                grad_norm=o.grad_norm, lr=o.lr, loss_scale=o.loss_scale, split_starts=False,
            )
        )  # fmt: skip

    def _joined(self, found: tuple[Run, ...]) -> tuple[Run, ...]:
        """The runs with their rows from before the log was rotated."""
        before = {run.id: run for run in self._before}
        return tuple(
            continued(before[run.id], run) if run.id in before and goes_on(before[run.id], run) else run
            for run in found
        )

    def _told_of(self, found: tuple[Run, ...], how: str) -> Iterator[Event]:
        """What the new content is to the old one: its continuation, the same with more, or something else."""
        before = {run.id: run for run in self._before}
        for run in found:
            old = before.get(run.id)
            if old is None or _repeats(old, run):
                continue
            main = main_series(run)
            first = () if main is None or not len(main) else (int(main.step[0]),)
            if goes_on(old, run):
                yield Event(
                    kind="rotated",
                    run=run.id,
                    level=Severity.NOTE,
                    message=f"the log was {how} and goes on",
                    steps=first,
                )
            else:
                yield Event(
                    kind="restarted", run=run.id, level=Severity.NOTE, steps=first,
                    message=f"the log was {how} and begins with another training: what was read before is no longer judged",
                )  # fmt: skip

    # Several files

    def _look_at_many(self, now: float, *, at_once: bool) -> Look:
        state = _state(self.text, now)
        grew = state != self._state
        self._state = state
        self._is_stale = self._is_stale or grew
        if not self._is_stale or not (at_once or self._budget.allows(now)):
            return Look(grew=grew)
        begun = time.process_time()
        try:
            found = self._read_whole()
        except (GradlensError, OSError) as error:
            return Look(grew=grew, problem=str(error))
        finally:
            self._budget.spent(now, time.process_time() - begun)
        self._is_stale = False
        self._runs = found
        return Look(grew=grew, runs=found)


def _is_file_name(text: str, path: Path) -> bool:
    """Whether the text names one file, which need not be there yet."""
    return path.exists() or not ("://" in text or glob.has_magic(text))


def _repeats(old: Run, new: Run) -> bool:
    """Whether a log was rewritten with all that it had, as documents are: from the same step at least as far."""
    first, then = main_series(old), main_series(new)
    if first is None or then is None or not len(first) or not len(then):
        return False
    return int(first.step[0]) == int(then.step[0]) and int(then.step.max()) >= int(first.step.max())


def _state(text: str, now: float) -> object:
    """What changes when a log grows, and is cheap to compare."""
    return int(now // URL_SECONDS) if "://" in text else _files(text)


def _files(text: str) -> list[tuple[str, int, int]]:
    """Name, size and time in nanoseconds of the files behind a text."""
    path = Path(text).expanduser()
    names = [str(path)] if path.exists() else sorted(glob.glob(str(path), recursive=True))  # noqa: PTH207 -- absolute
    files = [f for name in names for f in (walk(Path(name)) if Path(name).is_dir() else [Path(name)])]
    return [(str(f), s.st_size, s.st_mtime_ns) for f in files if (s := _stat(f)) and stat.S_ISREG(s.st_mode)]


def _stat(path: Path) -> os.stat_result | None:
    """None where the file went away after the folder was listed: rotation, temporary files."""
    try:
        return path.stat()
    except OSError:
        return None

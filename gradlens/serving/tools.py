"""What a client can ask for, as plain functions from arguments to data; nothing of the protocol is known here."""

from __future__ import annotations

import json
import threading
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from gradlens.analyzer import AnalysisOptions
from gradlens.api import analyze as analyze_runs
from gradlens.api import compare as compare_runs
from gradlens.api import read
from gradlens.errors import UsageError
from gradlens.explain import catalogue, page
from gradlens.readers.base import ReadOptions
from gradlens.reporters import render
from gradlens.reporters.wording import verdict
from gradlens.reports.base import ThresholdOption, plain_data
from gradlens.reports.since import since as only_since
from gradlens.serving.places import Places
from gradlens.watching.following import Follower
from gradlens.watching.watcher import Poll, State, Watcher

#: Seconds that a call of `watch` may wait, between two looks, and how many logs are followed at once.
MAX_WAIT, LOOK_SECONDS, MAX_WATCHED = 60.0, 1.0, 16

Columns = Mapping[str, str | None]


def threshold_of(value: float | str | None) -> ThresholdOption:
    """A threshold as a client may give it: a number, "auto", or "none" for a run that did not clip.

    Raises
    ------
    UsageError
        Anything else.
    """
    if value is None or value == "auto":
        return "auto"
    if isinstance(value, str):
        if value == "none":
            return None
        try:
            value = float(value)
        except ValueError:
            raise UsageError(f"threshold {value!r}", hint='give a number, "auto" or "none"') from None
    return value


def analyze(
    places: Places,
    sources: Sequence[str],
    *,
    threshold: float | str | None = "auto",
    since: int | None = None,
    detail: Literal["brief", "text"] = "brief",
    columns: Columns | None = None,
) -> dict[str, Any]:
    """The brief document of every run in the sources; with `text`, the report for people instead."""
    runs = read(places.check(sources), columns="needed", **(columns or {}))
    report = analyze_runs(runs, threshold=threshold_of(threshold))
    if since is not None:
        report = only_since(report, since)
    if detail == "text":
        return {"text": report.to_text(verbose=True)}
    document: dict[str, Any] = json.loads(render(report, "brief"))
    return document


def explain(name: str | None = None) -> str:
    """The page of a check, a cause, a sign, a lesson or a method; the list of them without a name."""
    return catalogue() if not name else page(name)


def compare(places: Places, sources: Sequence[str], *, threshold: float | str | None = "auto") -> dict[str, Any]:
    """The runs in the sources side by side, each against the first."""
    runs = read(places.check(sources), columns="needed")
    return compare_runs(*runs, threshold=threshold_of(threshold)).to_dict()


class _Watched:
    """The watcher of some sources, and the lock of whoever looks at it."""

    def __init__(self, sources: Sequence[str], threshold: ThresholdOption) -> None:
        options = ReadOptions(columns="needed", split_starts=False)
        self.watcher = Watcher([Follower(source, options) for source in sources], AnalysisOptions(threshold=threshold))
        self.lock = threading.Lock()
        self.is_new = True
        #: Calls that look at it or wait for their turn.
        self.calls = 0

    def close(self) -> None:
        """Let go of the logs once nobody looks at them."""
        with self.lock:
            self.watcher.close()


class Watches:
    """The logs that clients follow: each call tells what is new since the one before."""

    def __init__(self, places: Places) -> None:
        self._places = places
        self._watched: OrderedDict[tuple[str, ...], _Watched] = OrderedDict()
        # Of the table alone, held for an instant: a call that waits for its log must hold up no call for another.
        self._lock = threading.Lock()

    def look(
        self, sources: Sequence[str], *, wait: float = 0.0, threshold: float | str | None = "auto"
    ) -> dict[str, Any]:
        """Where the runs stand and what happened since the last call for the same sources.

        Waits up to `wait` seconds for something to happen, and returns at once when it does. The first call begins to follow.
        Calls for the same sources take turns; others do not wait for them.
        """
        watched = self._take((*self._places.check(sources), repr(threshold)), sources, threshold)
        try:
            with watched.lock:
                is_first, watched.is_new = watched.is_new, False
                polls, events = _wait(watched.watcher, wait)
        finally:
            with self._lock:
                watched.calls -= 1
        return {
            "first_call": is_first,
            "runs": [_stand(state) for state in polls[-1].states],
            "events": events,
            "problems": list(polls[-1].problems),
        }

    def _take(self, key: tuple[str, ...], sources: Sequence[str], threshold: float | str | None) -> _Watched:
        chosen = threshold_of(threshold)
        with self._lock:
            watched = self._watched.pop(key, None) or _Watched(sources, chosen)
            watched.calls += 1
            self._watched[key] = watched
            idle = [k for k, other in self._watched.items() if not other.calls]
            for old in idle[: max(0, len(self._watched) - MAX_WATCHED)]:
                self._watched.pop(old).close()
        return watched

    def close(self) -> None:
        """Let go of all logs."""
        with self._lock:
            while self._watched:
                self._watched.popitem()[1].close()


def _wait(watcher: Watcher, seconds: float) -> tuple[list[Poll], list[dict[str, Any]]]:
    """What the first look gives that tells of an event, or the last one in the time."""
    end = time.monotonic() + min(max(seconds, 0.0), MAX_WAIT)
    while True:
        polls = list(watcher.look())
        events = [event.to_dict() for poll in polls for event in poll.events]
        left = end - time.monotonic()
        if events or left <= 0:
            return polls, events
        time.sleep(min(LOOK_SECONDS, left))


def _stand(state: State) -> dict[str, Any]:
    report = state.report
    found: dict[str, Any] = plain_data({
        "run": state.run, "step": state.step, "total_steps": state.total, "rows": state.rows, "loss": state.loss,
        "best_loss": state.best, "best_step": state.best_step, "grad_norm": state.norm, "lr": state.rate,
        "steps_per_second": state.speed, "seconds_left": state.left, "seconds_since_growth": round(state.rested, 1),
        "silent": state.is_silent, "done": state.is_done, "early": state.is_early,
        "status": report.verdict.status if report else None,
        "headline": verdict(report) if report else None,
        "cause": report.diagnosis.cause if report else None,
        "findings": [{"code": f.code, "severity": f.severity.value, "message": f.message} for f in report.findings]
        if report
        else [],
    })  # fmt: skip
    return found

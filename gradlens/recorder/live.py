"""The verdict while the training runs: every N steps, in a thread, on the rows so far.

Nothing is done to the training unless told: `alert` tells somebody, `stop` asks the loop to end. Whatever was concluded and
done stands in the log, as records `{"recorder": {...}}`.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

from gradlens.errors import GradlensError, UsageError
from gradlens.recorder.demands import is_number, require_whole
from gradlens.recorder.sinks import Sinks
from gradlens.reports.base import Cause
from gradlens.watching.standing import Standing
from gradlens.watching.telling import ALERT_SECONDS, deliver

_log = logging.getLogger("gradlens.recorder")
Tell = Callable[[Mapping[str, Any]], None]


@dataclass(kw_only=True)
class Live:
    """When to judge, whom to tell, and whether to stop.

    Parameters
    ----------
    every
        Steps between verdicts. One that is still being made when the next is due delays it: none is queued.
    first
        Step before which none is made.
    alert
        A callable that takes the verdict (a mapping: `at`, `status`, `outcome`, `cause`, `confidence`, `headline`, `early`); a command
        (text or a list) that gets it as JSON on its standard input; or a URL that it is posted to. A tuple for several.
    patience
        Verdicts in a row with the same cause before anybody is told. One that comes too early to be trusted (`early`: up to 300
        rows, unless the loss is not finite, constant or far above its start) counts for nothing.
    confidence
        What a cause must have for its verdict to count, unless a fact says what became of the run (not finite, diverged, nothing
        learned, progress lost). At 0.7 a twentieth of the healthy runs of unseen families is alarmed by its end, without the
        limit a twelfth (`python -m benchmarks.lead`).
    stop
        Whether the recorder then asks the training to stop (`recorder.should_stop`; the callbacks of the frameworks obey).
    causes
        The causes that count; all but `healthy` and `undetermined` where None.

    Raises
    ------
    UsageError
        A value that makes no sense; the message says which would.
    """

    every: int = 200
    first: int = 100
    alert: Any = None
    patience: int = 2
    confidence: float = 0.7
    stop: bool = False
    causes: Collection[str] | None = None
    wants_to_stop: bool = False
    verdicts: list[dict[str, Any]] = field(default_factory=list)
    _next: int = 0
    _thread: threading.Thread | None = None
    _standing: Standing | None = None

    def __post_init__(self) -> None:
        """Refuse what would never speak, or speak always."""
        require_whole("every", self.every, at_least=1, hint="Live(every=200)")
        require_whole("first", self.first, at_least=0, hint="Live(first=100)")
        require_whole("patience", self.patience, at_least=1, hint="Live(patience=2)")
        if not is_number(self.confidence, at_least=0) or self.confidence > 1:
            raise UsageError(f"Live(confidence={self.confidence!r}) is no share between 0 and 1", hint="confidence=0.7")
        for alert in self._alerts():
            if not (callable(alert) or isinstance(alert, (str, list))):
                raise UsageError(
                    f"Live(alert={alert!r:.60}) is nobody to tell",
                    hint="a callable, a command, a URL, or a tuple of them",
                )
        if self.causes is not None:
            self.causes = frozenset([self.causes] if isinstance(self.causes, str) else self.causes)
            unknown = sorted(str(cause) for cause in self.causes - set(get_args(Cause)))
            if unknown:
                raise UsageError(
                    f"Live(causes=...): {', '.join(unknown)} is no cause",
                    hint="`gradlens explain` lists them: lr_too_high, say",
                )

    def saw(self, path: Path, step: int, *, tell: Tell, sinks: Sinks | None = None) -> None:
        """Rows up to `step` are in the log: judge them if it is time."""
        if step < max(self._next, self.first - 1) or (self._thread is not None and self._thread.is_alive()):
            return
        self._next = step + self.every
        self._thread = threading.Thread(target=self._work, args=(path, step, tell, sinks), daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Wait for the verdict that is being made."""
        if self._thread is not None:
            self._thread.join(ALERT_SECONDS)

    def _work(self, path: Path, step: int, tell: Tell, sinks: Sinks | None) -> None:
        try:
            verdict = judge(path, step)
        except GradlensError as error:
            _log.info("no verdict at step %d: %s", step, error)
            return
        except Exception as error:  # noqa: BLE001 - the training must go on
            _log.warning("no verdict at step %d: %s: %s", step, type(error).__name__, error)
            return
        self.verdicts.append(verdict)
        tell({"event": "verdict", **verdict})
        if sinks is not None:
            sinks.note(verdict)
        if self.stands(verdict):
            self._act(verdict, tell)

    def stands(self, verdict: Mapping[str, Any]) -> bool:
        """Whether the same trouble has been found often enough, and nobody knows of it."""
        from gradlens.watching.judging import FACTS

        cause = str(verdict["cause"])
        counts = cause in self.causes if self.causes is not None else verdict["status"] == "problem"
        # Early in a run only facts count, whatever the curve looks like; later also causes that are sure.
        sure = verdict["confidence"] >= self.confidence or verdict.get("outcome") in FACTS | {"ended_worse"}
        counts = counts and sure and not verdict.get("early", False)
        self._standing = self._standing or Standing(self.patience)
        return bool(self._standing.saw({cause} if counts else ()))

    def _alerts(self) -> tuple[Any, ...]:
        return self.alert if isinstance(self.alert, tuple) else () if self.alert in (None, "", []) else (self.alert,)

    def _act(self, verdict: Mapping[str, Any], tell: Tell) -> None:
        about = {"at": verdict["at"], "cause": verdict["cause"]}
        if self.stop:  # first: whoever is told may be slow to listen, or end this thread
            self.wants_to_stop = True
            tell({"event": "stop-asked", **about})
        for alert in self._alerts():
            delivery = deliver(alert, verdict)
            result = " ".join(delivery.result.split())
            if not delivery.arrived:
                _log.warning("alert %s", result)
            tell({"event": "alert", **about, "result": result})


def judge(path: Path, step: int) -> dict[str, Any]:
    """The verdict on the log so far.

    Raises
    ------
    GradlensError
        The log cannot be judged yet.
    """
    from gradlens.analyzer import AnalysisOptions
    from gradlens.api import read
    from gradlens.watching.judging import judge as judge_run
    from gradlens.watching.judging import verdict

    return verdict(judge_run(read(path, columns="needed")[0], AnalysisOptions()), step)

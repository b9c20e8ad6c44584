"""`gradlens watch`."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Annotated

import typer

from gradlens.cli import options
from gradlens.errors import SourceError, UsageError

if TYPE_CHECKING:
    from gradlens.cli.watch_output import Output
    from gradlens.config import TrainingConfig
    from gradlens.reports.base import Severity
    from gradlens.watching.events import Event
    from gradlens.watching.telling import Messenger
    from gradlens.watching.watcher import Poll, State, Watcher


def watch(
    sources: Annotated[
        list[str], typer.Argument(metavar="SOURCE...", help="Files or folders that are still being written.")
    ],
    interval: Annotated[float, typer.Option(metavar="SECONDS", help="Time between looks.")] = 1.0,
    output_format: Annotated[
        str, typer.Option("--format", metavar="NAME", help="text (a live screen on a terminal), lines, or json.")
    ] = "text",
    command: Annotated[
        list[str] | None,
        typer.Option("--exec", metavar="COMMAND", help="Run this for every alert, which it gets as JSON. Repeatable."),
    ] = None,
    webhook: Annotated[
        list[str] | None, typer.Option(metavar="URL", help="Post every alert to this address as JSON. Repeatable.")
    ] = None,
    bell: Annotated[bool, typer.Option("--bell", help="Ring the terminal's bell for every alert.")] = False,
    alert_on: Annotated[
        str, typer.Option(metavar="LEVEL", help="Lowest level that --exec, --webhook and --bell are for.")
    ] = "warning",
    silence: Annotated[
        str,
        typer.Option(metavar="SECONDS", help="Rest of a log that is an alert; auto learns it from the log, or never."),
    ] = "auto",
    steps: Annotated[
        int | None, typer.Option("--total-steps", metavar="N", min=1, help="Steps of the training, for the time left.")
    ] = None,
    until_done: Annotated[
        bool, typer.Option("--until-done", help="Exit 0 once every log has come to its last step.")
    ] = False,
    fail_on: Annotated[
        str | None,
        typer.Option(
            metavar="LEVEL", help="Exit 1 once findings of this level persist or, for error, a log is silent."
        ),
    ] = None,
    patience: Annotated[
        int,
        typer.Option(metavar="N", help="Verdicts on end that must show the findings; a log at rest has one a look."),
    ] = 3,
    polls: Annotated[int, typer.Option("--polls", "--looks", metavar="N", help="Stop after N looks (0: never).")] = 0,
    threshold: options.Threshold = None,
    config: options.ConfigFile = None,
    input_format: options.InputFormat = None,
    step: options.StepColumn = None,
    loss: options.LossColumn = None,
    grad_norm: options.NormColumn = None,
    lr: options.LrColumn = None,
    loss_scale: options.ScaleColumn = None,
) -> None:
    """Follow growing logs: where the run stands, findings and spikes with their steps, and logs that fall silent.

    Nothing is run and nothing is sent unless --exec or --webhook says so.

    Exit codes: 0 stopped after `--polls` or done, 1 findings of the level persisted or a log fell silent, 2 nothing could be
    read in any look.
    """
    from gradlens.cli.output import fail_level
    from gradlens.cli.settings import find_settings
    from gradlens.reports.base import Severity
    from gradlens.watching.telling import Messenger, require_command, require_url

    if interval <= 0 or patience < 1:
        raise UsageError("--interval must be positive and --patience at least 1")
    settings = find_settings()
    level = fail_level(fail_on or "never")
    if alert_on not in {"error", "warning", "note"}:
        raise UsageError(f"--alert-on {alert_on}: unknown severity", hint="one of error, warning, note")
    hooks = [*map(require_command, command or ()), *map(require_url, webhook or ())]
    given = options.reading(
        settings, sources, input_format=input_format, step=step, loss=loss, grad_norm=grad_norm, lr=lr,
        loss_scale=loss_scale,
    )  # fmt: skip
    watcher = _watcher(
        given, threshold if threshold is not None else settings.get("threshold"),
        options.training_config(settings, config), silence=_seconds(silence), total=steps,
    )  # fmt: skip
    output = _output(output_format, interval=interval)
    messenger = Messenger(hooks, output.remark)
    with output, contextlib.closing(messenger), contextlib.closing(watcher):
        _follow(
            watcher, output, _Alerts(messenger, output, Severity(alert_on), bell=bell),
            _Ending(None if level is None else Severity(level), patience=patience, polls=polls, until_done=until_done),
            interval=interval,
        )  # fmt: skip


def _output(name: str, *, interval: float) -> Output:
    from gradlens.cli import watch_output

    every = max(watch_output.LINE_SECONDS, interval)
    if name == "json":
        return watch_output.Lines(watch_output.JsonWords(), every=every)
    if name == "lines" or (name == "text" and not watch_output.has_screen()):
        return watch_output.Lines(watch_output.TextWords(), every=every)
    if name != "text":
        raise UsageError(f"--format {name}: watch shows text, lines or json")
    from gradlens.cli.watch_screen import LiveScreen

    return LiveScreen()


def _seconds(text: str) -> float | None:
    """`--silence`: None for `auto`, infinity for `never`."""
    if text == "auto":
        return None
    if text == "never":
        return float("inf")
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not value > 0:
        raise UsageError(f"--silence {text}: not a number of seconds", hint="give seconds, auto or never")
    return value


def _watcher(
    given: options.Reading, threshold: object, config: TrainingConfig, *, silence: float | None, total: float | None
) -> Watcher:
    from gradlens.analyzer import AnalysisOptions
    from gradlens.readers.base import ReadOptions
    from gradlens.watching.following import Follower
    from gradlens.watching.watcher import Watcher

    wanted = ReadOptions(
        columns=given.columns, step=given.step, loss=given.loss, grad_norm=given.grad_norm, lr=given.lr,
        loss_scale=given.loss_scale, split_starts=False,
    )  # fmt: skip
    chosen = AnalysisOptions(
        threshold=options.threshold_value(threshold),
        config=config,
    )
    followers = [Follower(text, wanted, given.input_format) for text in given.sources]
    return Watcher(followers, chosen, patience=silence, total=total)


class _Alerts:
    """Passes on what is worth an alert."""

    def __init__(self, messenger: Messenger, output: Output, least: Severity, *, bell: bool) -> None:
        self._messenger, self._output, self._bell = messenger, output, bell
        self._least = least

    def pass_on(self, poll: Poll) -> None:
        from gradlens.watching.judging import verdict

        states = {state.run: state for state in poll.states}
        for event in poll.events:
            if event.level.rank < self._least.rank:
                continue
            state = states.get(event.run)
            said = (
                verdict(state.report, state.step, state.total)
                if state is not None and state.report is not None
                else None
            )
            self._messenger.tell({"text": _line(event), **event.to_dict(), "verdict": said})
            if self._bell:
                self._output.ring()


def _line(event: Event) -> str:
    from gradlens.reporters.escape import for_terminal

    at = f" at step {event.step:,}" if event.step is not None else ""
    return for_terminal(f"gradlens: {event.run}: {f'{event.code} ' if event.code else ''}{event.message}{at}")


class _Ending:
    """Decides when to stop, and with which exit code."""

    def __init__(self, level: Severity | None, *, patience: int, polls: int, until_done: bool) -> None:
        self._level = level
        self._patience, self._polls, self._until_done = patience, polls, until_done
        self._bad: dict[str, int] = {}
        self._is_silent = False
        self.looks = 0
        self.saw_anything = False

    @property
    def may_fail(self) -> bool:
        """Whether the exit code says something about the runs."""
        return self._level is not None

    def code(self, poll: Poll) -> int | None:
        """The exit code if this poll was the last one."""
        self.saw_anything = self.saw_anything or bool(poll.states)
        if self._level is not None:
            level = self._level.rank
            self._is_silent = self._is_silent or any(e.kind == "silent" and e.level.rank >= level for e in poll.events)
        if not poll.is_whole:
            return None
        self.looks += 1
        for state in poll.states:
            self._count(state, poll)
        if self._is_silent or any(n >= self._patience for n in self._bad.values()):
            return 1
        if self._until_done and poll.states and all(state.is_done for state in poll.states):
            return 0
        return 0 if self._polls and self.looks >= self._polls else None

    def _count(self, state: State, poll: Poll) -> None:
        """A verdict that is new counts, and one on a log that has not grown counts again."""
        worst = state.report.worst if state.report is not None else None
        if self._level is None or worst is None or worst.rank < self._level.rank:
            self._bad[state.run] = 0
        elif state.run in poll.judged or state.run not in poll.grew:
            self._bad[state.run] = self._bad.get(state.run, 0) + 1


def _follow(watcher: Watcher, output: Output, alerts: _Alerts, ending: _Ending, *, interval: float) -> None:
    code = None
    while code is None:
        begun = time.monotonic()
        for poll in watcher.look(begun):
            code = ending.code(poll)
            alerts.pass_on(poll)
            _show(output, poll, is_last=code is not None, may_fail=ending.may_fail)
        if code is None:
            time.sleep(max(interval - (time.monotonic() - begun), 0.0))
    if not ending.saw_anything and code == 0:
        plural = "" if ending.looks == 1 else "s"
        raise SourceError(f"{watcher.text}: nothing to read in {ending.looks} poll{plural}")
    if code:
        raise typer.Exit(code)


def _show(output: Output, poll: Poll, *, is_last: bool, may_fail: bool) -> None:
    from gradlens.cli.output import drop_output

    try:
        output.show(poll, last=is_last)
    except BrokenPipeError:
        if not may_fail:
            raise
        # Whoever read the lines has gone; the exit code is still to come.
        drop_output()

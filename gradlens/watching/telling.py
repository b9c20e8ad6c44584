"""Telling somebody: commands, webhooks and callables. What cannot be told ends nothing."""

from __future__ import annotations

import json
import os
import queue
import shlex
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from gradlens.errors import UsageError
from gradlens.frozen import frozen

#: Seconds that a command or a webhook may take.
ALERT_SECONDS = 30.0
#: Messages that may wait for one hook; what comes on top is not delivered to it.
_MAX_WAITING = 100
#: What a command finds in its environment beside the JSON on its standard input.
MESSAGE_VARIABLE = "GRADLENS_MESSAGE"
_WEB = ("http://", "https://")


@frozen
class Delivery:
    """Whether a message arrived, and what came of it in a few words."""

    arrived: bool
    result: str


def deliver(hook: Any, message: Mapping[str, Any]) -> Delivery:
    """Give a message to a hook; whatever goes wrong is the result.

    Parameters
    ----------
    hook
        A callable that takes the message; a command (text or a list) that gets it as JSON on its standard input, started
        without a shell; or a URL that the JSON is posted to.
    message
        What to say. A command also finds its `text` in the environment, as GRADLENS_MESSAGE.
    """
    try:
        return _deliver(hook, message)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whoever cannot be told must not stop anything
        return Delivery(arrived=False, result=f"failed: {type(error).__name__}: {error}"[:200])


def _deliver(hook: Any, message: Mapping[str, Any]) -> Delivery:
    if callable(hook):
        hook(dict(message))
        return Delivery(arrived=True, result="called")
    body = json.dumps(dict(message))
    if isinstance(hook, str) and hook.startswith(_WEB):
        request = urllib.request.Request(  # noqa: S310 - the scheme was looked at
            hook, data=body.encode(), headers={"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=ALERT_SECONDS) as answer:  # noqa: S310
            return Delivery(arrived=True, result=f"posted: {answer.status}")
    command = shlex.split(hook) if isinstance(hook, str) else [str(part) for part in hook]
    surroundings = {**os.environ, MESSAGE_VARIABLE: str(message.get("text", "")).replace("\0", " ")}
    done = subprocess.run(  # noqa: S603 - the user asked for it
        command, input=body, text=True, capture_output=True, timeout=ALERT_SECONDS, check=False, env=surroundings
    )
    said = done.stderr.strip().splitlines()[-1:] if done.returncode else []
    told = f"exit code {done.returncode}{f': {said[0][:150]}' if said else ''}"
    return Delivery(arrived=done.returncode == 0, result=told)


def require_command(text: str) -> str:
    """The command as given, if it can be taken apart into words.

    Raises
    ------
    UsageError
        Nothing, or a quotation mark without its partner.
    """
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise UsageError(f"--exec {text}: {error}") from error
    if not words:
        raise UsageError("--exec: no command")
    return text


def require_url(text: str) -> str:
    """The address as given, if something can be posted to it.

    Raises
    ------
    UsageError
        Neither http nor https.
    """
    if not text.startswith(_WEB):
        raise UsageError(f"--webhook {text}: not an address", hint="it begins with http:// or https://")
    return text


class Messenger:
    """Delivers messages to hooks: to each in order and each once, and to none later because another is slow."""

    def __init__(self, hooks: Sequence[Any], failed: Callable[[str], None]) -> None:
        """`failed` is told about each hook the first time that something does not arrive, in a thread of that hook's."""
        self._lines = [_Line(hook, failed) for hook in hooks]

    def tell(self, message: Mapping[str, Any]) -> None:
        """Deliver a message soon; never waits."""
        for line in self._lines:
            line.tell(message)

    def close(self, seconds: float = ALERT_SECONDS) -> None:
        """Wait for what is still to be delivered, to all hooks together at most so long."""
        end = time.monotonic() + seconds
        for line in self._lines:
            line.end()
        for line in self._lines:
            line.wait(max(0.0, end - time.monotonic()))


class _Line:
    """The messages that wait for one hook, and the thread that takes them there."""

    def __init__(self, hook: Any, failed: Callable[[str], None]) -> None:
        self._hook = hook
        self._failed = failed
        self._has_failed = self._has_dropped = False
        # One place more, so that the end can be said whatever waits.
        self._waiting: queue.Queue[Mapping[str, Any] | None] = queue.Queue(_MAX_WAITING + 1)
        self._thread: threading.Thread | None = None

    def tell(self, message: Mapping[str, Any]) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, daemon=True)
            self._thread.start()
        if self._waiting.qsize() < _MAX_WAITING:
            self._waiting.put_nowait(message)
        elif not self._has_dropped:
            self._has_dropped = True
            self._failed(
                f"{_name(self._hook)}: more than {_MAX_WAITING} messages wait: those that come now are not delivered"
            )

    def end(self) -> None:
        """Say that nothing more comes."""
        if self._thread is not None:
            self._waiting.put_nowait(None)

    def wait(self, seconds: float) -> None:
        """Wait until all is delivered, at most so long."""
        if self._thread is not None:
            self._thread.join(seconds)

    def _work(self) -> None:
        while (message := self._waiting.get()) is not None:
            delivery = deliver(self._hook, message)
            if not delivery.arrived and not self._has_failed:
                self._has_failed = True
                self._failed(f"{_name(self._hook)}: {delivery.result}")


def _name(hook: Any) -> str:
    if isinstance(hook, str):
        # An address may hold a secret in its path: only the host is named.
        return f"webhook {hook.split('/')[2].rpartition('@')[2]}" if hook.startswith(_WEB) else f"command {hook}"
    return str(hook)

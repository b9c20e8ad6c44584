"""What fails while recording, and what a loop should hear of, said once and never raised: the training must go on."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

_log = logging.getLogger("gradlens.recorder")


class Guard:
    """Does what may fail without harm, and remembers what was said.

    Parameters
    ----------
    tell
        Notes an event in the log: its kind and facts about it.
    """

    def __init__(self, tell: Callable[..., None]) -> None:
        self._tell = tell
        self._said: set[str] = set()

    def attempt(self, what: str, work: Callable[..., Any], *args: Any, **options: Any) -> Any:
        """Do something; after the first failure it is left out."""
        if what in self._said:
            return None
        try:
            return work(*args, **options)
        except Exception as error:  # noqa: BLE001 - the training must go on
            self.fail(what, error)
        return None

    def fail(self, what: str, error: Exception) -> None:
        """Something failed and is left out from now on."""
        if what not in self._said:
            told = f"{type(error).__name__}: {error}"
            self._say(what, f"{what} is no longer recorded: {told}", "failed", what=what, error=told[:200])

    def notice(self, kind: str, message: str) -> None:
        """Something that the loop should hear of, once."""
        if kind not in self._said:
            self._say(kind, message, kind, message=message)

    def _say(self, key: str, line: str, event: str, **facts: Any) -> None:
        self._said.add(key)
        _log.warning("%s", line)
        try:
            self._tell(event, **facts)
        except Exception:  # noqa: BLE001 - nothing is left to do
            _log.debug("could not note it in the log", exc_info=True)

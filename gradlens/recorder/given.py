"""Values that a loop gives to `Recorder.log`: what cannot be used is left out, and the rest of its row stays."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor

from gradlens.recorder.rows import Row, scalar, whole

_log = logging.getLogger("gradlens.recorder")


class Given:
    """Takes values into rows; one that cannot be used is named once.

    Parameters
    ----------
    tell
        Notes it in the log.
    """

    def __init__(self, tell: Callable[[Mapping[str, Any]], None]) -> None:
        self._tell = tell
        self._told: set[str] = set()

    def add(self, row: Row, means: Mapping[str, Any], sums: Mapping[str, Any]) -> None:
        """Add the values of a micro-batch to its row."""
        for name, value in self.scalars(means).items():
            row.add_mean(name, value)
        for name, value in self.scalars(sums).items():
            row.add_sum(name, value)

    def scalars(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Those of the values that are scalars; None is no value, and not worth a word."""
        found = {name: self._use(name, value, scalar) for name, value in values.items()}
        return {name: value for name, value in found.items() if value is not None}

    def numbers(self, values: Mapping[str, Any]) -> dict[str, float]:
        """The same, for which the host waits for the device."""
        return {name: float(value) for name, value in self.scalars(values).items()}

    def step(self, value: Any) -> int | None:
        """The number of a step; None where it cannot be told."""
        found: int | None = self._use("step", value, whole)
        return found

    def _use(self, name: str, value: Any, take: Callable[[Any], Any]) -> Any:
        if value is None:
            return None
        try:
            return take(value)
        except Exception as error:  # noqa: BLE001 - whatever a value does when it is asked, the training must go on
            if name not in self._told:
                self._told.add(name)
                shown = type(value).__name__ if isinstance(value, Tensor) else repr(value)[:60]
                told = " ".join(f"{name}={shown}: {error}".split())
                _log.warning("a value is left out of its row, and others of its name that are like it: %s", told)
                self._tell({"event": "failed", "what": f"value of {name}", "error": told[:200]})
            return None

"""Steps left out, if told to: gradients that are not finite, or far above the running level."""

from __future__ import annotations

import math
import statistics
from collections import deque
from dataclasses import dataclass, field

from gradlens.errors import UsageError
from gradlens.recorder.demands import is_number, require_whole

#: Norms before a level is trusted.
MIN_NORMS = 20


@dataclass(kw_only=True)
class Skip:
    """Which steps to leave out. It makes the host wait for the device at every step.

    It acts at the steps for which `Recorder.log` was called, and at no others: log every step that it shall guard.

    Parameters
    ----------
    nonfinite
        Leave out steps whose norm is NaN or infinite.
    factor
        Leave out steps whose norm is above this many times the median of the last ones, more than 1; None for no such limit.
    window
        Norms that make the median; those of steps left out are not among them.
    patience
        Steps in a row that may be left out. Then a finite norm is taken for the new level, and for others a stop is asked.

    Raises
    ------
    UsageError
        A value that makes no sense; the message says which would.
    """

    nonfinite: bool = True
    factor: float | None = None
    window: int = 100
    patience: int = 10
    in_a_row: int = 0
    wants_to_stop: bool = False
    _norms: deque[float] = field(default_factory=deque)

    def __post_init__(self) -> None:
        """Refuse what would leave out everything or nothing."""
        if self.factor is not None and (not is_number(self.factor, at_least=1) or self.factor <= 1):
            raise UsageError(f"Skip(factor={self.factor!r}) is no multiple of a norm above 1", hint="factor=10")
        require_whole("window", self.window, at_least=1, hint="Skip(window=100)")
        require_whole("patience", self.patience, at_least=1, hint="Skip(patience=10)")

    def judge(self, norm: float) -> str:
        """Why this step is to be left out, or nothing."""
        reason = self._reason(norm)
        if not reason:
            self.in_a_row = 0
            self._norms.append(norm)
            while len(self._norms) > self.window:
                self._norms.popleft()
            return ""
        self.in_a_row += 1
        if self.in_a_row > self.patience:
            if math.isfinite(norm):
                self._norms.clear()
                self.in_a_row = 0
                return ""
            self.wants_to_stop = True
        return reason

    def _reason(self, norm: float) -> str:
        if not math.isfinite(norm):
            return "the norm is not finite" if self.nonfinite else ""
        if self.factor is None or len(self._norms) < min(MIN_NORMS, self.window):
            return ""
        level = statistics.median(self._norms)
        return f"the norm is {norm / level:.3g} times its level" if level > 0 and norm > self.factor * level else ""

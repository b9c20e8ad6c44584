"""How long a log may rest before that is news, and how fast a training goes: both learned from how the log grew."""

from __future__ import annotations

from collections import deque

#: Seconds of silence that are never news: saving a checkpoint takes as long.
MIN_SECONDS = 30.0
#: While fewer growths than `MIN_GROWTHS` were seen.
UNKNOWN_SECONDS = 600.0
MIN_GROWTHS = 4
#: How many times the longest rest so far. The next rest is longer than the longest of n with probability 1 / (n + 1) whatever
#: their distribution, as long as it stays the same; three times the longest is far beyond it. Our own choice.
TIMES_LONGEST = 3.0
#: Growths from which the speed is taken.
_RECENT = 30


class Rhythm:
    """When a log grew. Times are seconds of any clock that only goes forward."""

    def __init__(self, start: float, *, age: float = 0.0, patience: float | None = None) -> None:
        """Begin at `start` with a log that rested for `age` then; `patience` in seconds is kept to where it is given."""
        self._given = patience
        self._start = start
        self._last = start - age
        self._n = 0
        self._longest = 0.0

    def grew(self, now: float) -> None:
        """The log has grown."""
        if self._n:
            self._longest = max(self._longest, now - self._last)
        self._n += 1
        self._last = now

    @property
    def patience(self) -> float:
        """Seconds of silence from which on it is news."""
        if self._given is not None:
            return self._given
        return max(TIMES_LONGEST * self._longest, MIN_SECONDS if self._n >= MIN_GROWTHS else UNKNOWN_SECONDS)

    @property
    def longest(self) -> float:
        """The longest rest between two growths so far, in seconds."""
        return self._longest

    @property
    def is_known(self) -> bool:
        """Whether the log was seen to grow at all."""
        return self._n > 0

    def rests(self, now: float) -> bool:
        """Whether the log has rested for so long that it is news; of one that was never seen to grow not at first sight."""
        waited = self.is_known or now - self._start >= min(self.patience, MIN_SECONDS)
        return waited and self.rested(now) >= self.patience

    def rested(self, now: float) -> float:
        """Seconds since the log grew, or since the beginning."""
        return now - self._last


class Pace:
    """Steps per second over the latest growths."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque(maxlen=_RECENT)

    def saw(self, step: int, now: float) -> None:
        """The log has come to `step`; one that goes back is another start."""
        if self._seen and step < self._seen[-1][1]:
            self._seen.clear()
        if not self._seen or step > self._seen[-1][1]:
            self._seen.append((now, step))

    @property
    def per_second(self) -> float | None:
        """Steps per second, None before the second growth."""
        if len(self._seen) < 2:
            return None
        (begin, first), (end, last) = self._seen[0], self._seen[-1]
        return (last - first) / (end - begin) if end > begin else None

    def seconds_to(self, step: float | None) -> float | None:
        """Seconds until that step is reached at this speed; None where either is not known."""
        speed = self.per_second
        if step is None or not speed or not self._seen:
            return None
        return max(step - self._seen[-1][1], 0.0) / speed

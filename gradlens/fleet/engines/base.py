"""What an engine is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator

from gradlens.fleet.judge import Result
from gradlens.fleet.plan import Unit
from gradlens.frozen import frozen


@frozen
class Task:
    """One unit to judge, and the digest of its bytes where it is known."""

    unit: Unit
    content: str | None = None


class Engine(ABC):
    """Judges units in any order."""

    @abstractmethod
    def results(self, tasks: Iterable[Task]) -> Iterator[tuple[Unit, Result]]:
        """Each unit with its result, as they come; every task gives exactly one."""

    @abstractmethod
    def close(self) -> None:
        """End what was started."""

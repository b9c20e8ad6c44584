"""Child processes on this machine, one per job, each started once."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterable, Iterator

from gradlens.fleet.engines.base import Engine, Task
from gradlens.fleet.isolation import Child, Limits
from gradlens.fleet.judge import Job, Result
from gradlens.fleet.plan import Unit

_Answer = tuple[Unit, Result] | BaseException | None


class LocalEngine(Engine):
    """As many children as jobs; a thread each waits for its child and does nothing else."""

    def __init__(self, job: Job, limits: Limits, jobs: int) -> None:
        self._children = [Child(job, limits) for _ in range(max(jobs, 1))]

    def results(self, tasks: Iterable[Task]) -> Iterator[tuple[Unit, Result]]:
        """See `Engine.results`."""
        asked: queue.SimpleQueue[Task] = queue.SimpleQueue()
        # Large logs first: one that is begun last would keep a single core busy at the end.
        ordered = sorted(tasks, key=lambda task: (-task.unit.size, task.unit.key))
        for task in ordered:
            asked.put(task)
        answers: queue.SimpleQueue[_Answer] = queue.SimpleQueue()
        children = self._children[: max(len(ordered), 1)]
        for child in children:
            threading.Thread(target=_work, args=(child, asked, answers), daemon=True).start()
        running = len(children)
        while running:
            answer = answers.get()
            if answer is None:
                running -= 1
            elif isinstance(answer, BaseException):
                raise answer
            else:
                yield answer

    def close(self) -> None:
        """See `Engine.close`."""
        for child in self._children:
            child.close()


def _work(child: Child, asked: queue.SimpleQueue[Task], answers: queue.SimpleQueue[_Answer]) -> None:
    while True:
        try:
            task = asked.get_nowait()
        except queue.Empty:
            answers.put(None)
            return
        try:
            answers.put((task.unit, child.judge(task.unit, task.content)))
        except BaseException as error:  # noqa: BLE001 -- handed to the caller's thread
            answers.put(error)
            return

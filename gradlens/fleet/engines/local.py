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
        self._threads: list[threading.Thread] = []
        self._stopped = threading.Event()

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
            thread = threading.Thread(target=_work, args=(child, asked, answers, self._stopped), daemon=True)
            self._threads.append(thread)
            thread.start()
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
        """See `Engine.close`; called in mid-run it ends what is under way."""
        self._stopped.set()
        for child in self._children:
            child.end()
        for thread in self._threads:
            thread.join()
        for child in self._children:
            child.close()


def _work(
    child: Child, asked: queue.SimpleQueue[Task], answers: queue.SimpleQueue[_Answer], stopped: threading.Event
) -> None:
    while not stopped.is_set():
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

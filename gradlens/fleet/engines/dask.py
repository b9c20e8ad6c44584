"""Workers of a Dask cluster: they read from the store themselves, and only rows travel."""

from __future__ import annotations

import importlib
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from gradlens.errors import MissingExtraError, SourceError
from gradlens.fleet.engines.base import Engine, Task
from gradlens.fleet.isolation import Child, Limits
from gradlens.fleet.judge import Job, Result
from gradlens.fleet.plan import Unit
from gradlens.fleet.row import completed, error_row

#: Units per message to the scheduler, which costs it about a millisecond each; and messages under way per thread.
BATCH, AHEAD = 8, 4
#: Seconds between two looks at what is done, and at who is there.
_POLL_S, _LOOK_S = 0.01, 2.0

_of_thread = threading.local()


class DaskEngine(Engine):
    """A client of an existing scheduler."""

    def __init__(
        self, job: Job, limits: Limits, address: str, tell: Callable[[str], None] = lambda _text: None
    ) -> None:
        try:
            self._distributed: Any = importlib.import_module("distributed")  # its functions have no types
        except ImportError as error:
            raise MissingExtraError(f"--scheduler {address}: a Dask cluster", "dask") from error
        try:
            self._client: Any = self._distributed.Client(address, timeout="15s", set_as_default=False)
        except (OSError, TimeoutError, ValueError) as error:
            raise SourceError(
                f"--scheduler {address}: no scheduler answers ({type(error).__name__})", hint="check address and port"
            ) from error
        self._job, self._limits, self._address, self._tell = job, limits, address, tell
        self._threads, self._looked = 0, 0.0

    def results(self, tasks: Iterable[Task]) -> Iterator[tuple[Unit, Result]]:
        """See `Engine.results`."""
        waiting = [list(part) for part in _batches(sorted(tasks, key=lambda t: (-t.unit.size, t.unit.key)))]
        waiting.reverse()
        running = self._distributed.as_completed(loop=self._client.loop)
        under_way: dict[str, list[Task]] = {}
        while waiting or under_way:
            while waiting and len(under_way) < AHEAD * max(self._threads_now(), 1):
                batch = waiting.pop()
                future = self._client.submit(_judge_batch, _plain(batch), self._job.to_plain(), _limits(self._limits),
                                             pure=False)  # fmt: skip
                under_way[future.key] = batch
                running.add(future)
            while not running.has_ready():
                self._threads_now()
                time.sleep(_POLL_S)
            future = next(running)
            if future.status in {"cancelled", "lost"}:
                raise self._gone()
            batch = under_way.pop(future.key)
            if future.status == "finished":
                answers = future.result()
                for task, answer in zip(batch, answers, strict=True):
                    yield task.unit, Result(rows=tuple(answer["rows"]), is_log=answer["is_log"])
            elif len(batch) > 1:
                waiting += [[task] for task in batch]
            else:
                message = f"no worker could judge it: {_reason(future)}"
                yield (
                    batch[0].unit,
                    Result(rows=tuple(completed([error_row(batch[0].unit, message)], batch[0].unit, None))),
                )
            future.release()

    def close(self) -> None:
        """See `Engine.close`."""
        self._client.close()

    def _threads_now(self) -> int:
        """Threads of all workers, looked up every few seconds: a cluster may grow, shrink, or be there no more."""
        now = time.monotonic()
        if now - self._looked < _LOOK_S:
            return self._threads
        try:
            found = int(sum(self._client.nthreads().values()))
        except (OSError, TimeoutError, ValueError, RuntimeError) as error:
            raise self._gone() from error
        if not found and (self._threads or not self._looked):
            self._tell(f"no worker is there at {self._address}; waiting for one (after Ctrl-C the next call goes on)")
        elif self._threads and found < self._threads:
            self._tell("a worker has gone; what it had under way goes to the others")
        self._threads, self._looked = found, now
        return found

    def _gone(self) -> SourceError:
        return SourceError(
            f"--scheduler {self._address}: the scheduler has gone",
            hint="nothing that was judged is lost: call again, with this or another scheduler, and it goes on from there",
        )


def _batches(tasks: Sequence[Task]) -> Iterator[Sequence[Task]]:
    return (tasks[i : i + BATCH] for i in range(0, len(tasks), BATCH))


def _plain(batch: Sequence[Task]) -> list[dict[str, Any]]:
    return [{"unit": task.unit.to_plain(), "content": task.content} for task in batch]


def _limits(limits: Limits) -> dict[str, Any]:
    return {"seconds": limits.seconds, "memory": limits.memory}


def _reason(future: Any) -> str:
    error = future.exception()
    return f"{type(error).__name__}: {error}" if error is not None else str(future.status)


def _judge_batch(
    batch: Sequence[Mapping[str, Any]], job: Mapping[str, Any], limits: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """On a worker: each of its threads keeps a child process, as isolated as on one machine."""
    wanted = (repr(job), repr(limits))
    if getattr(_of_thread, "wanted", None) != wanted:
        if getattr(_of_thread, "child", None) is not None:
            _of_thread.child.close()
        _of_thread.child, _of_thread.wanted = Child(Job(**job), Limits(**limits)), wanted
    child: Child = _of_thread.child
    return [child.judge(Unit.from_plain(one["unit"]), one["content"]).to_plain() for one in batch]

"""The tests on each mutant, in forks of a process that has loaded the package and collected the tests."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from benchmarks.mutants.changing import Mutant, live_functions, put_in_place

#: Processor seconds that the tests of one mutant may take in all; one that is alive after them counts as survived.
MAX_SECONDS = 20
#: A mutant that makes one test take this many times as long, and a little more, never ends.
_TIMES, _AND_SECONDS = 10, 5
#: The outcome of a mutant that only the tests tried afterwards kill.
LATE = "killed afterwards"
_ALONE = "import sys\nfrom benchmarks.mutants.running import alone\nsys.exit(alone())"
_OPTIONS = ["-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-m", "not slow and not corpus"]

Judged = Callable[[Mutant, str, int], None]
#: Of each module and line the tests that run it, and of each test its seconds.
Reached = tuple[dict[str, dict[int, list[str]]], dict[str, float]]


class Runner:
    """A plug-in that, in place of running the tests once, runs on each mutant those that reach its line.

    Mutants that the tests of `first` leave alive are tried again with all others that were collected, so that many can be
    killed by few quick tests.
    """

    def __init__(self, chosen: Sequence[Mutant], first: Sequence[str], told: Judged) -> None:
        self.chosen, self.first, self.told = chosen, first, told

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        if session.testsfailed or not session.items:
            raise pytest.UsageError("the tests cannot be collected")
        session.config.pluginmanager.unregister(name="terminalreporter")
        first = [item for item in session.items if is_of(item.nodeid, self.first)]
        others = [item for item in session.items if not is_of(item.nodeid, self.first)]
        alive = {}
        for mutant, outcome, tests in _outcomes(first, self.chosen):
            if outcome == "killed" or not others:
                self.told(mutant, outcome, tests)
            else:
                alive[mutant] = outcome, tests
        for mutant, outcome, tests in _outcomes(others, list(alive)):
            before, tried = alive[mutant]
            late = LATE if outcome == "killed" else before if not tests else outcome
            self.told(mutant, late, tried + tests)
        return True


def is_of(test: str, places: Sequence[str]) -> bool:
    """Whether a test is one of those at some places, which are spelled as on the command line: folders, files or tests."""
    return any(
        test == place or test.startswith((f"{place}/", f"{place}::")) for place in (p.rstrip("/") for p in places)
    )


def _outcomes(tests: Sequence[pytest.Item], chosen: Sequence[Mutant]) -> Iterator[tuple[Mutant, str, int]]:
    """What some tests say of each mutant, and how many of them reach it."""
    if not chosen:
        return
    reached, seconds, failing = _forked(lambda: _reached(tests, {m.path for m in chosen}))
    if failing:
        raise pytest.UsageError(f"tests that fail without a mutant kill none: {', '.join(failing)}")
    lines = {module: {int(line): ids for line, ids in found.items()} for module, found in reached.items()}
    items = {item.nodeid: item for item in tests}
    functions = live_functions()
    for mutant in chosen:
        ids = reaching(mutant, (lines, seconds))
        if not ids:
            yield mutant, "no test reaches it", 0
            continue
        code = _forked(lambda m=mutant, ids=ids: _try(m, [items[i] for i in ids], functions, seconds))  # type: ignore[misc]
        if code == "elsewhere":
            code = _try_alone(mutant, ids, seconds)
        yield mutant, str(code), len(ids)


def reaching(mutant: Mutant, reached: Reached) -> list[str]:
    """The tests that run the line of a mutant, those first that reach few other lines of its module; then the quick ones.

    What runs when the module loads is every test's that reaches the module; of a module without a function that is any test's.
    """
    lines, seconds = reached
    of_module = lines.get(mutant.path.as_posix(), {})
    ids = set(of_module.get(mutant.line, ())) or {i for found in of_module.values() for i in found}
    if not ids and mutant.at_load:
        ids = set(seconds)
    return sorted(ids, key=lambda i: (seconds.get(i, 0.0) > 0.2, seconds.get(i, 0.0), i))


def _reached(tests: Sequence[pytest.Item], paths: set[Path]) -> Any:
    """Run tests once, watched: those that run each line, the seconds of each, and those that fail."""
    import coverage

    watch = coverage.Coverage(data_file=None, config_file=False, include=[str(path.resolve()) for path in paths])
    seconds, failing = {}, []
    watch.start()
    for item in tests:
        watch.switch_context(item.nodeid)
        began, before = time.process_time(), item.session.testsfailed
        item.ihook.pytest_runtest_protocol(item=item, nextitem=None)
        seconds[item.nodeid] = time.process_time() - began
        if item.session.testsfailed > before:
            failing.append(item.nodeid)
    watch.stop()
    data = watch.get_data()
    lines = {
        path.as_posix(): {
            line: [i for i in ids if i] for line, ids in data.contexts_by_lineno(str(path.resolve())).items()
        }
        for path in paths
    }
    return lines, seconds, failing


def _try(mutant: Mutant, items: Sequence[pytest.Item], functions: Any, seconds: dict[str, float]) -> str:
    """Whether a test fails on the mutant, in this process, which is of no use afterwards."""
    if not put_in_place(mutant, functions):
        return "elsewhere"
    spent = 0.0
    for item in items:
        spent += seconds[item.nodeid]
        if spent > MAX_SECONDS:
            break
        _limit(seconds[item.nodeid])
        before = item.session.testsfailed
        item.ihook.pytest_runtest_protocol(item=item, nextitem=None)
        if item.session.testsfailed > before:
            return "killed"
    return "survived"


def _limit(seconds: float) -> None:
    used = resource.getrusage(resource.RUSAGE_SELF)
    limit = int(used.ru_utime + used.ru_stime + _TIMES * seconds + _AND_SECONDS)
    resource.setrlimit(resource.RLIMIT_CPU, (limit, resource.getrlimit(resource.RLIMIT_CPU)[1]))


def _forked(work: Callable[[], Any]) -> Any:
    """What `work` returns in a child; "killed" where it did not live to tell, as a mutant that never ends does not."""
    with tempfile.TemporaryFile() as out:
        child = os.fork()
        if not child:
            silent, loud = os.open(os.devnull, os.O_WRONLY), os.dup(2)
            os.dup2(silent, 1)
            os.dup2(silent, 2)
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            try:
                out.write(json.dumps(work()).encode())
                out.flush()
            except BaseException:  # noqa: BLE001 -- told, and the parent sees that nothing came
                os.write(loud, traceback.format_exc().encode())
            finally:
                os._exit(0)
        os.waitpid(child, 0)
        out.seek(0)
        text = out.read()
    return json.loads(text) if text else "killed"


def _try_alone(mutant: Mutant, ids: Sequence[str], seconds: dict[str, float]) -> str:
    """The same in a new process, which loads the module with the change."""
    chosen, spent = [], 0.0
    for test in ids:
        spent += seconds[test]
        if spent > MAX_SECONDS:
            break
        chosen.append(test)
    given = json.dumps([str(mutant.path), *mutant[1:], chosen])
    done = subprocess.run(
        [sys.executable, "-c", _ALONE], input=given, text=True, capture_output=True, check=False,
        preexec_fn=lambda: _limit(sum(seconds[i] for i in chosen)),
    )  # fmt: skip
    return "survived" if done.returncode == 0 else "killed"


def alone() -> int:
    """The child of `_try_alone`."""
    path, line, what, node, change, ids = json.loads(sys.stdin.read())
    mutant = Mutant(Path(path), line, what, node, change)
    sys.meta_path.insert(0, _Loader(mutant))
    return int(pytest.main(["-x", *_OPTIONS, *ids]))


class _Loader:
    """Gives one module another source."""

    def __init__(self, mutant: Mutant) -> None:
        self._mutant = mutant

    def find_spec(self, name: str, path: object = None, target: object = None) -> Any:  # noqa: ARG002
        import importlib.util

        if name != self._mutant.module:
            return None
        place = self._mutant.path.resolve()
        folder = [str(place.parent)] if place.name == "__init__.py" else None
        spec = importlib.util.spec_from_loader(name, self, origin=str(place), is_package=folder is not None)  # type: ignore[arg-type]
        if spec is not None and folder is not None:
            spec.submodule_search_locations = folder
        return spec

    def create_module(self, spec: Any) -> None:
        """The usual one."""

    def exec_module(self, module: Any) -> None:
        module.__file__ = str(self._mutant.path.resolve())
        exec(compile(self._mutant.tree(), module.__file__, "exec", dont_inherit=True), module.__dict__)  # noqa: S102


def run(chosen: Sequence[Mutant], tests: Sequence[str], told: Judged, then: Sequence[str] = ()) -> int:
    """Run the tests on each mutant, and on those that survive others, too.

    Returns the exit code of pytest, which is not 0 where they cannot be collected.
    """
    return int(pytest.main([*_OPTIONS, *tests, *then], plugins=[Runner(chosen, tests, told)]))


def spread(
    every: dict[Path, list[Mutant]], sample: int, draw: Callable[[list[Mutant], int], list[Mutant]]
) -> Iterator[Mutant]:
    """As many mutants of each module as its share of all, at least one."""
    total = sum(map(len, every.values()))
    for found in every.values():
        yield from draw(found, min(len(found), max(1, round(sample * len(found) / total))))

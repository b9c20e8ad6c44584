"""Aim's repositories: RocksDB databases, which only Aim's own package reads.

A run that was never indexed (`aim up` does it) can only be opened for writing, which would change the store. So the files of
the runs are copied into a temporary folder and opened there, by a process of its own: Aim starts threads that outlive a run.
"""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gradlens.errors import GradlensError, MissingExtraError, NoTrainingSeriesError, SourceError
from gradlens.readers.base import RawRun, Reader, ReadOptions
from gradlens.run import Series
from gradlens.sources.files import Source

_RUN = re.compile(r"[0-9a-f]{24}")
_MARK, _TIMEOUT = "gradlens-run:", 600
#: What is asked of Aim: of each run its settings, and of each metric name, context, steps and values.
_PROGRAM = f"""
import json, os, sys
import aim
repo = aim.Repo(sys.argv[1])
for name in sys.argv[2:]:
    run = aim.Run(name, repo=repo, system_tracking_interval=None, capture_terminal_logs=False, log_system_params=False)
    metrics = []
    for metric in run.metrics():
        steps, columns = metric.data.items_list()
        metrics.append([metric.name, metric.context.to_dict(), list(steps), list(columns[0])])
    try:
        config = {{key: value for key, value in run[...].items() if key != "__system_params"}}
    except KeyError:
        config = {{}}
    found = {{"hash": name, "name": run.name, "config": config, "metrics": metrics}}
    print({_MARK!r} + json.dumps(found, default=str), flush=True)
os._exit(0)
"""
_HINT = (
    "copy the repository when nothing writes to it, or export it: `aim runs` and Repo.query_metrics(...).dataframe()"
)


class AimStoreReader(Reader):
    """The runs of an Aim repository (`aim://FOLDER`, the folder that holds `.aim`) or one of them (`aim://FOLDER/RUN_HASH`).

    A copy is read: the store itself is not changed.
    """

    name = "aim-store"
    settings_in = "the run's parameters"

    def sniff(self, source: Source) -> float:
        return 1.0 if source.scheme == "aim" else 0.0

    def read(self, sources: Sequence[Source], options: ReadOptions) -> list[RawRun]:
        (source,) = sources
        store, run = store_of(source.name)
        hashes = sorted(path.name for path in (store / "meta" / "chunks").glob("*") if not run or path.name == run)
        if not hashes:
            raise SourceError(f"{source.name}: no such run", hint="`aim runs ls` lists them")
        if importlib.util.find_spec("aim") is None:
            raise MissingExtraError(f"{source.name}: an Aim repository", "aim", "aim")
        try:
            with tempfile.TemporaryDirectory() as folder:
                _copy(store, hashes, Path(folder) / ".aim")
                runs = list(_runs(folder, hashes, options))
        except (GradlensError, OSError, ValueError, subprocess.SubprocessError) as error:
            raise SourceError(f"{source.name}: {error}", hint=_HINT) from error
        if not runs:
            raise NoTrainingSeriesError(f"{source.name}: {len(hashes)} runs, none with a metric")
        return runs


def store_of(url: str) -> tuple[Path, str]:
    """The folder `.aim` that an address names, and the run, "" for all.

    Raises
    ------
    SourceError
        No repository there.
    """
    path = Path(url.partition("://")[2]).expanduser()
    run = ""
    if not path.is_dir() and _RUN.fullmatch(path.name):
        path, run = path.parent, path.name
    store = path if path.name == ".aim" else path / ".aim"
    if not (store / "meta").is_dir():
        raise SourceError(
            f"{url}: no Aim repository", hint="aim://FOLDER, where FOLDER holds .aim, or aim://FOLDER/RUN_HASH"
        )
    return store, run


def _copy(store: Path, hashes: Sequence[str], target: Path) -> None:
    """The parts of the store that hold these runs; locks belong to the processes that hold them."""
    for part in ("meta", "seqs"):
        for name in hashes:
            chunk = store / part / "chunks" / name
            if chunk.is_dir():
                shutil.copytree(chunk, target / part / "chunks" / name, ignore=shutil.ignore_patterns("LOCK", "LOG*"))
    for name in ("VERSION", "run_metadata.sqlite"):
        if (store / name).is_file():
            shutil.copy(store / name, target / name)


def _runs(folder: str, hashes: Sequence[str], options: ReadOptions) -> Iterator[RawRun]:
    done = subprocess.run(  # noqa: S603 -- this interpreter and our own words
        [sys.executable, "-c", _PROGRAM, folder, *hashes], capture_output=True, text=True, check=False, timeout=_TIMEOUT
    )
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:] or ["no answer"]
        raise SourceError(f"Aim could not open the copy: {last[0]}")
    for line in done.stdout.splitlines():
        if line.startswith(_MARK):
            found = json.loads(line.removeprefix(_MARK))
            series = tuple(
                Series(name=name, step=np.array(step, dtype=np.int64), value=np.array(value, dtype=np.float64))
                for metric, context, step, value in found["metrics"]
                if not metric.startswith("__system__") and options.wanted(name := _name(metric, context)) and step
            )
            if series:
                name = "" if len(hashes) == 1 else str(found["name"] or found["hash"])
                yield RawRun(name=name, series=series, config=found["config"])


def _name(name: str, context: dict[str, Any]) -> str:
    """`train/loss` for the metric `loss` in the context `{"subset": "train"}`."""
    subset = context.get("subset")
    rest = ",".join(f"{key}={value}" for key, value in sorted(context.items()) if key != "subset")
    full = f"{subset}/{name}" if subset else name
    return f"{full} {rest}" if rest else full

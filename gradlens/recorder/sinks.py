"""The loggers that people have: the recorder's rows go there as well, under the same names.

| given | becomes |
|---|---|
| a path ending in `.csv` | a table of the whole run, rewritten when a column is new; one of an earlier start is continued |
| a W&B run, or `wandb` itself after `wandb.init` | `run.log`, the step being a column |
| a `SummaryWriter` of PyTorch or tensorboardX | a scalar for each column |
| the module `mlflow` | `mlflow.log_metrics` of the active run |
| a Trackio run, or the module `trackio` after `trackio.init` | `run.log` |
| any callable | called with the row, a mapping |

Nothing is imported for it: what was given is told by where it is defined.
"""

from __future__ import annotations

import csv
import io
import logging
import math
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterable, Mapping
from pathlib import Path
from typing import Any

from gradlens.errors import UsageError
from gradlens.files import write_whole
from gradlens.recorder.writing import place_of

_log = logging.getLogger("gradlens.recorder")
Row = Mapping[str, float]
#: What holds several loggers. A logger may be iterable, too: only what can be nothing else is taken apart.
_SEVERAL = (list, tuple, set, frozenset, Generator, map, filter)
#: Characters of the first line of a table that are looked at.
_MAX_HEADER = 1 << 24


class Sink(ABC):
    """One logger; `name` is how messages speak of it."""

    name = ""

    @abstractmethod
    def write(self, row: Row) -> None:
        """Take one row, with its `step`."""

    def close(self) -> None:  # noqa: B027 - most have nothing to close: their owner does it
        """The run is over."""


class CsvSink(Sink):
    """A table; when a row brings a new column, the file is rewritten, whole or not at all.

    Raises
    ------
    UsageError
        The file exists and is no such table.
    """

    def __init__(self, path: Any) -> None:
        self._path = place_of(path)
        self.name = str(self._path)
        self._names = self._earlier_names()

    def _earlier_names(self) -> list[str]:
        """The columns of a table that an earlier start has left: it is continued, as the log is."""
        if not self._path.exists() or self._path.stat().st_size == 0:
            return []
        with self._path.open(newline="", encoding="utf-8", errors="replace") as handle:
            names = next(csv.reader([handle.readline(_MAX_HEADER)]), [])
        if "step" not in names:
            raise UsageError(
                f"loggers: {self._path} exists and is no table of a recorder", hint="give the table a path of its own"
            )
        return names

    def write(self, row: Row) -> None:
        """Append, or rewrite where the row has a column that no earlier one had."""
        new = [name for name in row if name not in self._names]
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, [*self._names, *new])
        if new:
            writer.writeheader()
            if self._names:
                with self._path.open(newline="", encoding="utf-8") as handle:
                    writer.writerows({n: old[n] for n in self._names} for old in csv.DictReader(handle))
            self._names += new
        elif not _ends_a_line(self._path):
            text.write("\r\n")
        writer.writerow(row)
        if new:
            write_whole(self._path, text.getvalue())
        else:
            with self._path.open("a", newline="", encoding="utf-8") as handle:
                handle.write(text.getvalue())


def _ends_a_line(path: Path) -> bool:
    with path.open("rb") as handle:
        handle.seek(-1, 2)
        return handle.read(1) == b"\n"


class RunSink(Sink):
    """A W&B run, whose `log` takes a mapping."""

    name = "wandb"

    def __init__(self, run: Any) -> None:
        self._run = run

    def write(self, row: Row) -> None:
        """Log the row; the step goes along as a column, since the run's own counter belongs to its owner."""
        self._run.log(dict(row))


class TrackioSink(RunSink):
    """A Trackio run, which keeps the name `step` for itself."""

    name = "trackio"

    def write(self, row: Row) -> None:
        """Log the row under its step."""
        self._run.log({name: value for name, value in row.items() if name != "step"}, step=int(row["step"]))


class WriterSink(Sink):
    """A SummaryWriter."""

    name = "SummaryWriter"

    def __init__(self, writer: Any) -> None:
        self._writer = writer

    def write(self, row: Row) -> None:
        """A scalar for each column."""
        step = int(row["step"])
        for name, value in row.items():
            if name != "step":
                self._writer.add_scalar(name, value, step)


class MlflowSink(Sink):
    """The active run of MLflow."""

    name = "mlflow"

    def __init__(self, module: Any) -> None:
        self._module = module

    def write(self, row: Row) -> None:
        """Its names may not hold brackets and the like, and a value that is not finite is refused by some of its stores."""
        finite = {_mlflow_name(name): v for name, v in row.items() if name != "step" and math.isfinite(v)}
        self._module.log_metrics(finite, step=int(row["step"]))


def _mlflow_name(name: str) -> str:
    return "".join(c if c.isalnum() or c in "_-. /" else "_" for c in name)


class CallSink(Sink):
    """Any callable."""

    def __init__(self, call: Callable[[Row], object]) -> None:
        self._call = call
        self.name = str(getattr(call, "__qualname__", type(call).__qualname__))

    def write(self, row: Row) -> None:
        """Call it."""
        self._call(row)


class Sinks:
    """All loggers of a recorder. One that fails is switched off, and the others go on.

    Parameters
    ----------
    loggers
        Several, or a single one.
    tell
        Notes in the log which one was switched off.

    Raises
    ------
    UsageError
        Something that is no logger.
    """

    def __init__(self, loggers: Any, tell: Callable[[Mapping[str, Any]], None]) -> None:
        given = list(loggers) if isinstance(loggers, _SEVERAL) else [] if loggers is None else [loggers]
        self._sinks = [_sink_for(logger) for logger in given]
        self._tell = tell

    def write(self, rows: Iterable[Row]) -> None:
        """Give rows to every logger."""
        rows = list(rows)
        for sink in tuple(self._sinks):
            self._try(sink, _write_all, sink, rows)

    def note(self, verdict: Mapping[str, Any]) -> None:
        """Give a live verdict to those that take one."""
        for sink in tuple(self._sinks):
            note = getattr(sink, "note", None)
            if note is not None:
                self._try(sink, note, verdict)

    def close(self) -> None:
        """The run is over."""
        for sink in tuple(self._sinks):
            self._try(sink, sink.close)

    def _try(self, sink: Sink, work: Callable[..., object], *args: Any) -> None:
        try:
            work(*args)
        except Exception as error:  # noqa: BLE001 - neither the training nor the log may end by it
            self._sinks.remove(sink)
            told = " ".join(f"{type(error).__name__}: {error}".split())
            name = sink.name or type(sink).__name__
            _log.warning("the logger %s is switched off: %s", name, told)
            self._tell({"event": "failed", "what": f"logger {name}", "error": told[:200]})


def _write_all(sink: Sink, rows: Iterable[Row]) -> None:
    for row in rows:
        sink.write(row)


def _sink_for(logger: Any) -> Sink:
    if isinstance(logger, Sink):
        return logger
    if isinstance(logger, (str, os.PathLike)):
        if str(logger).endswith(".csv"):
            return CsvSink(logger)
        raise UsageError(f"loggers: {logger} is no .csv file", hint="give a logger itself, or a path that ends in .csv")
    home = (getattr(logger, "__name__", "") if not isinstance(logger, type) else "") or type(logger).__module__
    root = home.partition(".")[0]
    if root in {"wandb", "trackio"} and hasattr(logger, "log"):
        return TrackioSink(logger) if root == "trackio" else RunSink(logger)
    if root == "mlflow" and hasattr(logger, "log_metrics"):
        return MlflowSink(logger)
    if hasattr(logger, "add_scalar"):
        return WriterSink(logger)
    if callable(logger):
        return CallSink(logger)
    raise UsageError(
        f"loggers: {type(logger).__name__} is not a known logger", hint="any callable that takes a row will do"
    )

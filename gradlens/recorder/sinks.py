"""The loggers that people have: the recorder's rows go there as well, under the same names.

| given | becomes |
|---|---|
| a path ending in `.csv` | a table of the whole run, rewritten when a column is new |
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
import math
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from gradlens.errors import UsageError
from gradlens.files import write_whole

Row = Mapping[str, float]


class Sink(ABC):
    """One logger."""

    @abstractmethod
    def write(self, row: Row) -> None:
        """Take one row, with its `step`."""

    def close(self) -> None:  # noqa: B027 - most have nothing to close: their owner does it
        """The run is over."""


class CsvSink(Sink):
    """A table; when a row brings a new column, the file is rewritten, whole or not at all."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._names: list[str] = []
        self._rows: list[dict[str, float]] = []

    def write(self, row: Row) -> None:
        """Append, or rewrite where the row has a column that no earlier one had."""
        self._rows.append(dict(row))
        new = [name for name in row if name not in self._names]
        self._names += new
        if new:
            text = io.StringIO(newline="")
            writer = csv.DictWriter(text, self._names)
            writer.writeheader()
            writer.writerows(self._rows)
            write_whole(self._path, text.getvalue())
        else:
            with self._path.open("a", newline="", encoding="utf-8") as handle:
                csv.DictWriter(handle, self._names).writerow(self._rows[-1])


class RunSink(Sink):
    """A W&B run, whose `log` takes a mapping."""

    def __init__(self, run: Any) -> None:
        self._run = run

    def write(self, row: Row) -> None:
        """Log the row; the step goes along as a column, since the run's own counter belongs to its owner."""
        self._run.log(dict(row))


class TrackioSink(RunSink):
    """A Trackio run, which keeps the name `step` for itself."""

    def write(self, row: Row) -> None:
        """Log the row under its step."""
        self._run.log({name: value for name, value in row.items() if name != "step"}, step=int(row["step"]))


class WriterSink(Sink):
    """A SummaryWriter."""

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

    def write(self, row: Row) -> None:
        """Call it."""
        self._call(row)


def sinks_for(loggers: Iterable[Any]) -> tuple[Sink, ...]:
    """A sink for each logger.

    Raises
    ------
    UsageError
        Something that is none.
    """
    return tuple(_sink_for(logger) for logger in loggers)


def _sink_for(logger: Any) -> Sink:
    if isinstance(logger, Sink):
        return logger
    if isinstance(logger, (str, os.PathLike)):
        path = Path(logger)
        if path.suffix == ".csv":
            return CsvSink(path)
        raise UsageError(f"loggers: {path} is no .csv file", hint="give a logger itself, or a path that ends in .csv")
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

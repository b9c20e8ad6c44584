"""One unit read and judged: rows for its runs, or one that says why there is none. Runs inside a child process."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import field, fields
from pathlib import Path
from typing import Any

from gradlens.analyzer import AnalysisOptions, analyze_run
from gradlens.config import TrainingConfig, training_config
from gradlens.errors import GradlensError, NoTrainingSeriesError, SourceError, UnknownFormatError
from gradlens.fleet.plan import Unit, looks_like_log
from gradlens.fleet.row import Row, completed, error_row, row_of
from gradlens.frozen import frozen
from gradlens.readers.base import ReadOptions
from gradlens.reading.read import read_unit
from gradlens.reports.base import ThresholdOption


@frozen
class Job:
    """What is the same for every unit: how to read and what is known of the trainings."""

    threshold: ThresholdOption = "auto"
    config: Mapping[str, Any] = field(default_factory=dict)
    input_format: str | None = None
    step: str | None = None
    loss: str | None = None
    grad_norm: str | None = None
    lr: str | None = None
    loss_scale: str | None = None

    def to_plain(self) -> dict[str, Any]:
        """As a document that travels to a child process."""
        return {one.name: getattr(self, one.name) for one in fields(self)}

    def options(self) -> AnalysisOptions:
        """As the analyzer takes it."""
        known = training_config(dict(self.config), origin="config") if self.config else TrainingConfig()
        return AnalysisOptions(threshold=self.threshold, config=known)

    def reading(self) -> ReadOptions:
        """As the readers take it."""
        return ReadOptions(
            columns="needed",
            step=self.step,
            loss=self.loss,
            grad_norm=self.grad_norm,
            lr=self.lr,
            loss_scale=self.loss_scale,
        )


@frozen
class Result:
    """What became of a unit: its rows, and whether it is a file that nobody takes for a log (no rows, only counted)."""

    rows: tuple[Row, ...]
    is_log: bool = True

    def to_plain(self) -> dict[str, Any]:
        """As a document that travels."""
        return {"rows": list(self.rows), "is_log": self.is_log}


def judge(unit: Unit, job: Job, *, content: str | None = None) -> Result:
    """Read and judge one unit; whatever is wrong with it ends in its row.

    `content` is the digest of its bytes where it is known already.
    """
    try:
        content = content or digest(unit)
        if _is_table(unit):
            rows = [error_row(unit, f"{unit.key}: a fleet's table, not a log")]
            return Result(rows=tuple(completed(rows, unit, content)), is_log=False)
        rows = _rows(unit, job)
    except (UnknownFormatError, NoTrainingSeriesError) as error:
        rows = [error_row(unit, str(error))]
        if not looks_like_log(unit):
            return Result(rows=tuple(completed(rows, unit, content)), is_log=False)
    except (SourceError, OSError, MemoryError) as error:
        # Not the log's fault, perhaps: without a digest of its content it is tried again.
        content, told = None, "needs more memory than one log may take (--memory)"
        rows = [error_row(unit, told if isinstance(error, MemoryError) else str(error))]
    except GradlensError as error:
        rows = [error_row(unit, str(error))]
    except Exception as error:  # noqa: BLE001 -- one poisonous log must not cost the others
        rows = [error_row(unit, f"internal error: {type(error).__name__}: {error}")]
    return Result(rows=tuple(completed(rows, unit, content)))


def _rows(unit: Unit, job: Job) -> list[Row]:
    runs = read_unit(unit.target(), job.reading(), job.input_format, doubtful=looks_like_log(unit))
    options = job.options()
    return [row_of(run, analyze_run(run, options)) for run in runs]


def _is_table(unit: Unit) -> bool:
    """Whether a fleet's table lies among the logs, perhaps the one of last week."""
    name = unit.files[0]
    if "://" in name or not name.lower().endswith(".parquet"):
        return False
    from gradlens.fleet.table import is_table

    return is_table(Path(name))


def digest(unit: Unit) -> str:
    """A digest of the bytes of all files of a unit, packed as they are."""
    found = hashlib.blake2b(digest_size=16)
    for source in unit.target().sources:
        if source.path is not None:
            with source.path.open("rb") as handle:
                while piece := handle.read(1 << 20):
                    found.update(piece)
        else:
            found.update(repr(unit.stamp).encode())
    return found.hexdigest()

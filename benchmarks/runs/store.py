"""A run on disk: a folder with run.jsonl, extra.jsonl and label.json."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from benchmarks.runs.recording import log_rows, measured

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.runs.recording import Recording, Row

RUN, EXTRA, LABEL = "run.jsonl", "extra.jsonl", "label.json"


def label_path(folder: Path, split: str, run: str) -> Path:
    """Where a run's label is; a run exists once its label does."""
    return folder / split / run / LABEL


def write_text(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    part = path.with_suffix(".part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)


def write_rows(path: Path, rows: list[Row]) -> None:
    """One JSON object per line; NaN and Infinity as Python's json writes them."""
    write_text(path, "".join(json.dumps(row) + "\n" for row in rows))


def read_rows(path: Path) -> list[Row]:
    """Read the rows of a log back."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def read_label(path: Path) -> dict[str, Any]:
    """Read a label back."""
    label: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return label


def describe(recording: Recording) -> dict[str, Any]:
    """Everything a label says before the verdict: the spec under the usual key names, and the facts."""
    spec = recording.spec
    label = asdict(spec)
    label["fault_kind"], label["fault_strength"] = spec.fault, spec.strength
    label["extra_columns"] = True
    label["facts"] = measured(recording)
    return label


def write_logs(folder: Path, recording: Recording) -> None:
    """Write both logs of a run."""
    folder.mkdir(parents=True, exist_ok=True)
    write_rows(folder / RUN, list(log_rows(recording)))
    write_rows(folder / EXTRA, list(log_rows(recording, extra=True)))


def write_label(folder: Path, label: dict[str, Any]) -> None:
    """Write the label, last of the files."""
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / LABEL, json.dumps(label, indent=1) + "\n")

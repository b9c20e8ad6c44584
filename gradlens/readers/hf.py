"""Hugging Face `trainer_state.json`: the whole history of a Trainer, once a checkpoint."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gradlens.errors import MalformedLogError, NoTrainingSeriesError
from gradlens.readers.base import NoticeBook, RawRun, Reader, ReadOptions, TableBuilder, as_float, load_json
from gradlens.source import Source

_CHECKPOINT = re.compile(r"checkpoint-\d+$")
_HISTORY = re.compile(r"\"log_history\"\s*:\s*\[")


@dataclass(frozen=True, slots=True)
class _State:
    source: Source
    history: list[dict[str, Any]]
    settings: dict[str, Any]
    cut: bool

    @property
    def key(self) -> list[str]:
        return [json.dumps(row, sort_keys=True) for row in self.history]


class TrainerStateReader(Reader):
    """`log_history` of a trainer state; the states of one run's checkpoints are one run."""

    name = "hf-trainer-state"

    def sniff(self, source: Source) -> float:
        text = source.head_text
        return 0.95 if text.lstrip().startswith("{") and _HISTORY.search(text) and "\n{" not in text.strip() else 0.0

    def group(self, sources: Sequence[Source]) -> Iterable[Sequence[Source]]:
        """Checkpoints of one folder belong together: each repeats the history of the one before."""
        groups: dict[str, list[Source]] = {}
        for source in sources:
            folder = Path(source.name).parent
            run = folder.parent if _CHECKPOINT.match(folder.name) else folder
            groups.setdefault(str(run), []).append(source)
        return groups.values()

    def read(self, sources: Sequence[Source], options: ReadOptions) -> list[RawRun]:
        del options
        states = sorted((_load(source) for source in sources), key=lambda s: len(s.history))
        runs: list[RawRun] = []
        repeated = 0
        for place, state in enumerate(states):
            later = states[place + 1 :]
            if any(other.key[: len(state.history)] == state.key for other in later):
                repeated += 1
                continue
            alone = len(sources) == 1 or (place == len(states) - 1 and not runs)
            runs.append(_run(state, "" if alone else Path(state.source.name).parent.name, repeated))
            repeated = 0
        return runs


def _load(source: Source) -> _State:
    text = source.read_bytes().decode("utf-8-sig", errors="replace")
    try:
        data, cut = load_json(text), False
    except ValueError as error:
        match = _HISTORY.search(text)
        rows = list(_salvage(text, match.end())) if match else []
        if not rows:
            raise MalformedLogError(
                f"{source.name}: {error}", hint="the file is not whole: take the state of another checkpoint"
            ) from error
        data, cut = {"log_history": rows}, True
    history = data.get("log_history") if isinstance(data, dict) else None
    if not isinstance(data, dict) or not isinstance(history, list):
        raise MalformedLogError(f"{source.name}: no log_history in this trainer state")
    settings = {k: v for k, v in data.items() if isinstance(v, (int, float, str, bool))}
    return _State(source, [row for row in history if isinstance(row, dict)], settings, cut)


def _salvage(text: str, at: int) -> Iterator[dict[str, Any]]:
    """The whole records of a history that is cut off."""
    decoder = json.JSONDecoder()
    while (at := text.find("{", at)) >= 0:
        try:
            row, at = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            return
        if isinstance(row, dict):
            yield row


def _run(state: _State, name: str, repeated: int) -> RawRun:
    book, table = NoticeBook(), TableBuilder()
    if state.cut:
        book.add("truncated-record", "the file is cut off; the whole records before the cut were read")
    book.add("repeated-checkpoint", "states of earlier checkpoints whose history this one repeats", count=repeated)
    for row in state.history:
        table.add(_numbers(row, book))
    if table.n_rows == 0:
        raise NoTrainingSeriesError(
            f"{state.source.name}: its log_history is empty", hint="training stopped before the first logged step"
        )
    return RawRun(
        name=name,
        columns=table.columns(),
        n_rows=table.n_rows,
        config=state.settings,
        notices=book.notices(),
        step_column="step",
        norm_facts=frozenset({"pre_clip", "filtered"}),
    )


def _numbers(row: Mapping[str, Any], book: NoticeBook) -> dict[str, float]:
    # The last row is a summary: its `train_loss` is the mean over the whole training.
    summary = "train_runtime" in row
    numbers: dict[str, float] = {}
    for key, value in row.items():
        number = as_float(value)
        if number is None:
            continue
        if isinstance(value, str):
            book.add("string-number", f"numbers written as text, read as numbers (first: {key})")
        numbers[f"final/{key}" if summary and key != "step" else key] = number
    return numbers

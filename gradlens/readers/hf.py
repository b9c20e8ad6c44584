"""Hugging Face `trainer_state.json`: the whole history of a Trainer, once per checkpoint."""

from __future__ import annotations

import json
import re
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gradlens.errors import MalformedLogError, NoTrainingSeriesError
from gradlens.readers.base import NoticeBook, RawRun, Reader, ReadOptions, as_float, load_json
from gradlens.readers.grouped_rows import GroupedRows
from gradlens.readers.json_stream import CutOffError, JsonStream, UnexpectedJsonError
from gradlens.sources.files import Source

_CHECKPOINT = re.compile(r"checkpoint-\d+$")
_SUMMARY = "train_runtime"
_NUMBERS = frozenset({int, float})
_HISTORY = re.compile(r"\"log_history\"\s*:\s*\[")


class _History:
    """The rows of a `log_history`, and a hash of each where there are other histories to compare it with."""

    def __init__(self, *, is_alone: bool) -> None:
        self.rows, self.book = GroupedRows(), NoticeBook()
        self._hashes = None if is_alone else array("q")

    def __len__(self) -> int:
        return self.rows.n_rows if self._hashes is None else len(self._hashes)

    def add(self, row: Mapping[str, Any]) -> None:
        if self._hashes is not None:
            self._hashes.append(hash(json.dumps(row, sort_keys=True)))
        # Most rows are numbers and nothing else.
        if _SUMMARY not in row and _NUMBERS.issuperset(map(type, row.values())):
            try:
                values = list(map(float, row.values()))
            except OverflowError:  # an integer beyond the range of float64
                pass
            else:
                self.rows.add(tuple(row), values)
                return
        numbers = _numbers(row, self.book)
        self.rows.add(tuple(numbers), list(numbers.values()))

    def repeats(self, other: _History) -> bool:
        """Whether this history begins with all of the other one."""
        return self._hashes is not None and self._hashes[: len(other)] == other._hashes

    def forget_rows(self) -> None:
        """Keep what tells whether this history is repeated."""
        self.rows = GroupedRows()


@dataclass(frozen=True, slots=True)
class _State:
    source: Source
    history: _History
    settings: dict[str, Any]
    is_cut: bool


class TrainerStateReader(Reader):
    """The `log_history` of Hugging Face's `trainer_state.json`.

    The states of a run's checkpoints are one run.
    """

    name = "hf-trainer-state"
    settings_in = "the state itself, `args.json` beside it"

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
        is_alone = len(sources) == 1
        loaded: list[tuple[int, int, _State]] = []
        # The largest first: of one whose history it repeats no columns are needed.
        for place, source in sorted(enumerate(sources), key=lambda pair: -(pair[1].size or 0)):
            state = _load(source, is_alone=is_alone)
            size = len(state.history)
            if any(n > size and longer.history.repeats(state.history) for n, _, longer in loaded):
                state.history.forget_rows()
            loaded.append((size, place, state))
        states = [state for _, _, state in sorted(loaded, key=lambda entry: entry[:2])]
        named = _names([state.source for state in states])
        runs: list[RawRun] = []
        repeated = 0
        for place, state in enumerate(states):
            later = states[place + 1 :]
            if any(other.history.repeats(state.history) for other in later):
                repeated += 1
                continue
            alone = is_alone or (place == len(states) - 1 and not runs)
            runs.append(_run(state, "" if alone else named[place], repeated))
            repeated = 0
        return runs


def _names(sources: Sequence[Source]) -> list[str]:
    """What tells the files of a group apart: their folders, or the names of the files where these are the same."""
    folders = [Path(source.name).parent.name for source in sources]
    if len(set(folders)) == len(folders):
        return folders
    names = [Path(source.name).name for source in sources]
    if len(set(names)) == len(names):
        return names
    return [f"{folder}/{name}" for folder, name in zip(folders, names, strict=True)]


def _load(source: Source, *, is_alone: bool) -> _State:
    """A trainer state, its history row by row."""
    history, settings = _History(is_alone=is_alone), dict[str, Any]()
    stream = JsonStream(source.pieces())
    try:
        _read_state(stream, history, settings)
    except CutOffError as cut:
        for row in _salvage(cut.rest, 0):
            history.add(row)
        if len(history):
            return _State(source, history, {}, is_cut=True)
    except UnexpectedJsonError:
        pass
    else:
        return _State(source, history, _scalars(settings), is_cut=False)
    return _load_whole(source, is_alone=is_alone)


def _read_state(stream: JsonStream, history: _History, settings: dict[str, Any]) -> None:
    """Read a state of the usual form: one object that holds one history, a list of objects."""
    stream.take("{")
    has_history = False
    while True:
        key = stream.value()
        stream.take(":")
        if key != "log_history":
            settings[key] = stream.value()
        elif has_history:
            raise UnexpectedJsonError("two histories")
        else:
            has_history = True
            for row in stream.records():
                history.add(row)
        if stream.peek() != ",":
            break
        stream.take(",")
    stream.take("}")
    if stream.peek() or not has_history:
        raise UnexpectedJsonError("more than one object, or no history")


def _load_whole(source: Source, *, is_alone: bool) -> _State:
    """A trainer state of any form, damaged ones included."""
    text = source.read_bytes().decode("utf-8-sig", errors="replace")
    try:
        data, cut = load_json(text), False
    except ValueError as error:
        match = _HISTORY.search(text)
        rows = list(_salvage(text, match.end())) if match else []
        if not rows:
            raise MalformedLogError(
                f"{source.name}: {error}", hint="the file is incomplete: use the state of another checkpoint"
            ) from error
        data, cut = {"log_history": rows}, True
    found = data.get("log_history") if isinstance(data, dict) else None
    if not isinstance(data, dict) or not isinstance(found, list):
        raise MalformedLogError(f"{source.name}: no log_history in this trainer state")
    history = _History(is_alone=is_alone)
    for row in found:
        if isinstance(row, dict):
            history.add(row)
    return _State(source, history, _scalars(data), cut)


def _scalars(data: Mapping[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in data.items() if isinstance(v, (int, float, str, bool))}


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
    book, rows = NoticeBook(), state.history.rows
    if state.is_cut:
        book.add("truncated-record", "the file is cut off; the whole records before the cut were read")
    book.add("repeated-checkpoint", "states of earlier checkpoints whose history this one repeats", count=repeated)
    if rows.n_rows == 0:
        raise NoTrainingSeriesError(
            f"{state.source.name}: its log_history is empty", hint="training stopped before the first logged step"
        )
    return RawRun(
        name=name,
        columns=rows.columns(),
        n_rows=rows.n_rows,
        config=state.settings,
        notices=(*book.notices(), *state.history.book.notices()),
        step_column="step",
        norm_facts=frozenset({"pre_clip", "filtered"}),
    )


def _numbers(row: Mapping[str, Any], book: NoticeBook) -> dict[str, float]:
    # The last row is a summary: its `train_loss` is the mean over the whole training.
    summary = _SUMMARY in row
    numbers: dict[str, float] = {}
    for key, value in row.items():
        number = as_float(value)
        if number is None:
            continue
        if isinstance(value, str):
            book.add("string-number", f"numbers written as text, read as numbers (first: {key})")
        numbers[f"final/{key}" if summary and key != "step" else key] = number
    return numbers

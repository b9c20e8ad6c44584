"""W&B's `.wandb` files, without the W&B package.

Each record of the container (`record_log.py`) is one protobuf `Record`, of which history, configuration and settings of
the run matter here. Fields that are not known, whatever the version of W&B, are passed over.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Sequence
from typing import Any

from gradlens.errors import NoTrainingSeriesError
from gradlens.readers.base import NoticeBook, RawRun, Reader, ReadOptions, TableBuilder, as_float
from gradlens.readers.protowire import BYTES, FIXED64, VARINT, fields, signed
from gradlens.readers.record_log import MAGIC, records
from gradlens.source import Source

#: Field numbers of wandb_internal.proto.
_HISTORY, _CONFIG, _RUN, _RUN_CONFIG = 2, 5, 17, 4
_ITEM, _STEP, _STEP_NUMBER = 1, 2, 1
_KEY, _NESTED_KEY, _INTEGER, _NUMBER, _TEXT, _JSON, _VALUE_JSON = 1, 2, 5, 6, 7, 8, 16
#: What W&B itself adds to each row.
_OWN = frozenset({"_step", "_runtime", "_timestamp"})


class WandbOfflineReader(Reader):
    """A run that W&B wrote offline (or before it was synced)."""

    name = "wandb"

    def sniff(self, source: Source) -> float:
        return 1.0 if source.head.startswith(MAGIC) else 0.0

    def read(self, sources: Sequence[Source], options: ReadOptions) -> list[RawRun]:
        (source,) = sources
        book, table = NoticeBook(), TableBuilder()
        config: dict[str, Any] = {}
        for place, record in records(source.read_bytes(), book):
            try:
                for number, message in _messages(record):
                    if number == _HISTORY and (row := _history(message, options)):
                        table.add(row)
                    elif number in {_CONFIG, _RUN}:
                        config |= _config(message) if number == _CONFIG else _run_config(message)
            except ValueError as error:
                book.add("malformed-record", f"no protobuf message, left out: {error}", f"byte {place}")
        if table.n_rows == 0:
            raise NoTrainingSeriesError(
                f"{source.name}: a W&B file without a history record",
                hint="the run ended before it logged anything, or only its console output was kept",
            )
        config.pop("_wandb", None)
        return [RawRun(columns=table.columns(), n_rows=table.n_rows, config=config, notices=book.notices())]


def _messages(message: bytes) -> Iterator[tuple[int, bytes]]:
    """The fields that hold bytes."""
    return ((f.number, message[f.start : f.end]) for f in fields(message, 0, len(message)) if f.wire == BYTES)


def _history(message: bytes, options: ReadOptions) -> dict[str, float]:
    row: dict[str, float] = {}
    for number, part in _messages(message):
        if number == _ITEM:
            name, value = _item(part)
            if name and options.wanted(name):
                _put(row, name, value, 0)
        elif number == _STEP:
            row.setdefault(
                "_step", next((float(signed(f.value)) for f in fields(part, 0, len(part)) if f.wire == VARINT), 0.0)
            )
    return row if row.keys() - _OWN else {}


def _put(row: dict[str, float], name: str, value: Any, depth: int) -> None:
    number = as_float(value)
    if number is not None:
        row[name] = number
    elif isinstance(value, dict) and "_type" not in value and depth < 4:
        for key, inner in value.items():
            _put(row, f"{name}/{key}", inner, depth + 1)


def _item(message: bytes) -> tuple[str, Any]:
    """Name and value of a history or configuration item; several nested keys are joined by a slash."""
    key, nested, value = "", list[str](), None
    for f in fields(message, 0, len(message)):
        part = message[f.start : f.end]
        if f.number == _KEY:
            key = part.decode("utf-8", errors="replace")
        elif f.number == _NESTED_KEY:
            nested.append(part.decode("utf-8", errors="replace"))
        elif f.number in {_VALUE_JSON, _JSON}:
            value = _json(part)
        elif f.number == _TEXT:
            value = part.decode("utf-8", errors="replace")
        elif f.number == _INTEGER and f.wire == VARINT:
            value = signed(f.value)
        elif f.number == _NUMBER and f.wire == FIXED64:
            value = struct.unpack("<d", part)[0]
    return "/".join(nested) or key, value


def _json(data: bytes) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return None


def _config(message: bytes) -> dict[str, Any]:
    items = (_item(part) for number, part in _messages(message) if number == 1)
    return {name.replace("/", "."): value for name, value in items}


def _run_config(message: bytes) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for number, part in _messages(message):
        if number == _RUN_CONFIG:
            found |= _config(part)
    return found

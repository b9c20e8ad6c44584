"""W&B's `.wandb` files, without the W&B package.

Each record of the container (`record_log.py`) is one protobuf `Record`, of which history, configuration and settings of
the run matter here. Fields that are not known, whatever the version of W&B, are passed over.
"""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from gradlens.errors import NoTrainingSeriesError
from gradlens.readers.base import NoticeBook, RawRun, Reader, ReadOptions, TableBuilder, as_float, values_of_list
from gradlens.readers.protowire import BYTES, FIXED64, VARINT, fields, signed, varint
from gradlens.readers.record_log import MAGIC, records
from gradlens.sources.files import Source

#: Field numbers of wandb_internal.proto.
_HISTORY, _CONFIG, _RUN, _RUN_CONFIG = 2, 5, 17, 4
_ITEM, _STEP = 1, 2
_KEY, _NESTED_KEY, _INTEGER, _NUMBER, _TEXT, _JSON, _VALUE_JSON = 1, 2, 5, 6, 7, 8, 16
#: The key of `value_json` as a field of bytes.
_VALUE_MARK = bytes([(_VALUE_JSON << 3 | BYTES) & 0x7F | 0x80, (_VALUE_JSON << 3 | BYTES) >> 7])
#: Numbers as JSON writes them, but for -0, which has no negative zero there.
_PLAIN = re.compile(rb"(?!-0$)-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][-+]?\d+)?")
_MAX_NAMES = 1 << 16
#: What W&B itself adds to each row.
_OWN = frozenset({"_step", "_runtime", "_timestamp"})


class WandbOfflineReader(Reader):
    """W&B's `run-*.wandb`, offline or not yet synced, without the W&B package."""

    name = "wandb"
    settings_in = "the configuration record"

    def sniff(self, source: Source) -> float:
        return 1.0 if source.head.startswith(MAGIC) else 0.0

    def read(self, sources: Sequence[Source], options: ReadOptions) -> list[RawRun]:
        (source,) = sources
        book, table, history = NoticeBook(), TableBuilder(), HistoryParser(options)
        config: dict[str, Any] = {}
        n_history = 0
        for place, record in records(source, book):
            try:
                for number, message in _messages(record):
                    if number == _HISTORY:
                        n_history += 1
                        row = history.parse(message)
                        # A row of nothing but what W&B adds holds nothing.
                        if not row.keys() <= _OWN:
                            table.add(row)
                    elif number in {_CONFIG, _RUN}:
                        config |= _config(message) if number == _CONFIG else _run_config(message)
            except ValueError as error:
                book.add("malformed-record", f"not a protobuf message, left out: {error}", f"byte {place}")
        if table.n_rows == 0 and n_history and options.columns != "all":
            # Under names that are not wanted: the message that no loss is among them needs all of them.
            return self.read(sources, replace(options, columns="all"))
        if table.n_rows == 0:
            raise NoTrainingSeriesError(
                f"{source.name}: a W&B file with {n_history} history records, none of which holds a number"
                if n_history
                else f"{source.name}: a W&B file without history records",
                hint="only pictures, tables or texts were logged"
                if n_history
                else "the run ended before it logged anything, or only its console output was kept",
            )
        config.pop("_wandb", None)
        return [RawRun(columns=table.columns(), n_rows=table.n_rows, config=config, notices=book.notices())]


def _messages(record: bytes) -> Sequence[tuple[int, bytes]]:
    """The fields that hold bytes."""
    # Nearly all records are a number (field 1) and one message that ends with them.
    try:
        at = 0
        if record[0] == 1 << 3 | VARINT:
            _, at = varint(record, 1, len(record))
        key, at = varint(record, at, len(record))
        size, at = varint(record, at, len(record))
        if key & 7 == BYTES and key >> 3 and at + size == len(record):
            return ((key >> 3, record[at:]),)
    except (IndexError, ValueError):
        pass
    return [(f.number, record[f.start : f.end]) for f in fields(record, 0, len(record)) if f.wire == BYTES]


class HistoryParser:
    """Parses history records, whose items repeat: the bytes of a name are understood once.

    An item is a name and a value as JSON. Where it is written in the way of W&B's client and the value is a plain
    number, its bytes need not be walked field by field.
    """

    def __init__(self, options: ReadOptions) -> None:
        self._options = options
        #: By the bytes of the name's fields: the name, or None where it is not wanted.
        self._names: dict[bytes, str | None] = {}

    def parse(self, message: bytes) -> dict[str, float]:
        """The numbers of one history record.

        Raises
        ------
        ValueError
            No such message.
        """
        row: dict[str, float] = {}
        names, is_plain = self._names, _PLAIN.fullmatch
        at, end = 0, len(message)
        while at < end:
            start = at + 2
            after = start + message[start - 1] if start <= end else end + 1
            # Fields of less than 128 bytes, the value behind the name.
            if after <= end and message[start - 1] < 0x80:
                if message[at] == _ITEM << 3 | BYTES:
                    head, mark, tail = message[start:after].partition(_VALUE_MARK)
                    token = tail[1:]
                    if mark and head in names and is_plain(token) and tail[0] == len(token) < 0x80:
                        name = names[head]
                        if name is not None:
                            row[name] = float(token)
                        at = after
                        continue
                elif message[at] == _STEP << 3 | BYTES and "_step" in row:
                    at = after
                    continue
            at = self._slowly(row, message, at)
        return row

    def _slowly(self, row: dict[str, float], message: bytes, at: int) -> int:
        """One field of a history record; where the next begins."""
        field = next(fields(message, at, len(message)))
        if field.wire == BYTES:
            part = message[field.start : field.end]
            if field.number == _ITEM:
                name, value = _item(part)
                is_wanted = bool(name) and self._options.wanted(name)
                if is_wanted:
                    _put(row, name, value, 0)
                self._learn(part, name if is_wanted else None)
            elif field.number == _STEP:
                numbers = (float(signed(f.value)) for f in fields(part, 0, len(part)) if f.wire == VARINT)
                row.setdefault("_step", next(numbers, 0.0))
        return field.end

    def _learn(self, item: bytes, name: str | None) -> None:
        """Remember which name the bytes before the value are, if they are whole fields."""
        head = item.partition(_VALUE_MARK)[0]
        if head not in self._names and len(self._names) < _MAX_NAMES:
            try:
                is_name = all(f.number in {_KEY, _NESTED_KEY} for f in fields(head, 0, len(head)))
            except ValueError:
                return
            if is_name and _item(head)[0] == (name if name is not None else _item(item)[0]):
                self._names[head] = name


def _put(row: dict[str, float], name: str, value: Any, depth: int) -> None:
    number = as_float(value)
    if number is not None:
        row[name] = number
    elif isinstance(value, list):
        row.update((entry, item) for entry, item, _ in values_of_list(name, value) if item is not None)
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

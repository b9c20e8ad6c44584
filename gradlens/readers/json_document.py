"""JSON documents that are not lines: a list of records, or an object of equally long arrays (Keras' `history`)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from gradlens.errors import MalformedLogError, NoTrainingSeriesError
from gradlens.readers.base import (
    MAX_COLUMNS,
    REPEATED_KEY,
    NoticeBook,
    RawRun,
    Reader,
    ReadOptions,
    TableBuilder,
    as_float,
    load_json,
    told_repeated,
    too_many_columns,
)
from gradlens.readers.json_stream import CutOffError, JsonStream, UnexpectedJsonError
from gradlens.sources.files import Source

_MAX_BYTES = 1 << 30
#: An object on one line of which the first value is an array or an object: records of logs begin with a number or a name.
_OF_ARRAYS = re.compile(r'\{\s*"[^"\n]*"\s*:\s*[\[{][^\n]*\Z')
#: Integers that a float64 holds.
_EXACT = 1 << 53


class JsonDocumentReader(Reader):
    """One JSON document: a list of records, or arrays (Keras `history`)."""

    name = "json"
    settings_in = "its other keys"

    def sniff(self, source: Source) -> float:
        text = source.head_text.strip()
        if not text.startswith(("{", "[")):
            return 0.0
        try:
            value = load_json(text)
        except ValueError:
            # The head of a longer document, or lines: a document's first line is rarely an object by itself.
            first = text.split("\n", 1)[0].strip()
            return 0.4 if first in {"{", "["} or first.startswith(("[{", "[ {")) or _OF_ARRAYS.match(text) else 0.0
        return (
            0.6
            if isinstance(value, list)
            or (isinstance(value, dict) and any(isinstance(v, (list, dict)) for v in value.values()))
            else 0.0
        )

    def read(self, sources: Sequence[Source], options: ReadOptions) -> list[RawRun]:
        (source,) = sources
        if (source.size or 0) > _MAX_BYTES:
            raise MalformedLogError(
                f"{source.name}: a single JSON document of more than 1 GiB", hint="write JSON lines instead"
            )
        book = NoticeBook()
        table = _list_of_records(source, options, book)
        if table.n_rows:
            return [RawRun(columns=table.columns(), n_rows=table.n_rows, notices=book.notices())]
        book, table = NoticeBook(), TableBuilder()
        try:
            data = load_json(source.read_bytes().decode("utf-8-sig", errors="replace"), book)
        except ValueError as error:
            raise MalformedLogError(f"{source.name}: {error}", hint="the document is incomplete") from error
        records = _records(data)
        rows = records if records is not None else _rows_of_arrays(data, book)
        for record in rows:
            if len(record) > MAX_COLUMNS:
                raise too_many_columns(source.name)
            _add(table, record, options)
        if not table.n_rows:
            raise NoTrainingSeriesError(
                f"{source.name}: a JSON document without records or arrays of numbers",
                hint="a log holds one record per step",
            )
        settings = {k: v for k, v in data.items() if not isinstance(v, list)} if isinstance(data, dict) else {}
        return [RawRun(columns=table.columns(), n_rows=table.n_rows, config=settings, notices=book.notices())]


def _list_of_records(source: Source, options: ReadOptions, book: NoticeBook) -> TableBuilder:
    """The table of a document that is a list of objects and nothing else, read record by record; of others none."""
    table, stream = TableBuilder(), JsonStream(source.pieces())
    known: dict[str, bool] = {}
    try:
        for record in stream.records():
            if max(len(record), len(known)) > MAX_COLUMNS:
                raise too_many_columns(source.name)
            if not _add_flat(table, record, options, known):
                _add(table, record, options)
    except (UnexpectedJsonError, CutOffError):
        return TableBuilder()
    if stream.peek():
        return TableBuilder()
    for keys in stream.repeated:
        book.add(REPEATED_KEY, told_repeated(keys))
    return table


def _add_flat(table: TableBuilder, record: Mapping[str, Any], options: ReadOptions, known: dict[str, bool]) -> bool:
    """Add a record of plain numbers, as most are, in half the time; False where it holds anything else.

    `known` keeps which names are wanted.
    """
    row = {}
    for name, value in record.items():
        if type(value) is float:
            number = value
        elif type(value) is int and -_EXACT < value < _EXACT:
            number = float(value)
        else:
            return False
        wanted = known.get(name)
        if wanted is None:
            wanted = known[name] = options.wanted(name)
        if wanted:
            row[name] = number
    if row:
        table.add(row)
    return True


def _add(table: TableBuilder, record: Mapping[str, Any], options: ReadOptions) -> None:
    row = {name: number for name, number in _numbers(record) if options.wanted(name)}
    if row:
        table.add(row)


def _records(data: object) -> Sequence[Mapping[str, Any]] | None:
    """The longest list of objects at the top or one level below."""
    lists = [data] if isinstance(data, list) else list(data.values()) if isinstance(data, dict) else []
    found = [v for v in lists if isinstance(v, list) and v and all(isinstance(r, dict) for r in v)]
    return max(found, key=len, default=None)


def _rows_of_arrays(data: object, book: NoticeBook) -> Iterator[Mapping[str, Any]]:
    arrays: dict[str, list[Any]] = {}
    for key, value in data.items() if isinstance(data, dict) else ():
        inner = value.items() if isinstance(value, dict) else [("", value)]
        for name, items in inner:
            if isinstance(items, list) and len(items) > 1 and as_float(items[0]) is not None:
                arrays[f"{key}/{name}" if name else key] = items
    longest = max(map(len, arrays.values()), default=0)
    book.add(
        "uneven-series",
        "arrays shorter than the longest, aligned at the first record",
        count=sum(len(a) < longest for a in arrays.values()),
    )
    for place in range(longest):
        yield {name: items[place] for name, items in arrays.items() if place < len(items)}


def _numbers(record: Mapping[str, Any], prefix: str = "", depth: int = 0) -> Iterator[tuple[str, float]]:
    for key, value in record.items():
        name = f"{prefix}{key}"
        number = as_float(value)
        if number is not None:
            yield name, number
        elif isinstance(value, dict) and depth < 6:
            yield from _numbers(value, f"{name}/", depth + 1)
